"""Play a script with our sync and metering looking on, and hold the ledger against what truly ran."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from bench.ledger import METER_EVERY, TICKS_PER_CENT, Result
from bench.ledger_script import Outage, Script, Target
from bench.ledger_truth import Truth, to_ms
from billing.amounts import to_nano
from billing.deployment_source import meter_deployments
from billing.metering import MICROSECOND
from billing.models import Condition, LedgerEntry, Meter, MeteredInterval, MeterKind
from billing.verification import Scope, verify
from dashboard.accounts.models import Connection
from dashboard.mirror import sync_catalogue, sync_endpoints, sync_events, sync_traffic
from dashboard.mirror.models import Deployment, Generation, HardwarePrice, SyncRun
from simulator.testing import SimulatorProcess

# Feeds are read in rotation over ten ticks of a minute (mirror/sync_events.py).
FEED_TICKS = 10
TRAFFIC_EVERY = timedelta(hours=12)


class Play:
    """A simulator, a connection that mirrors it with or without the event feed, and the time that both share."""

    def __init__(self, simulator: SimulatorProcess, *, reads_feed: bool) -> None:
        from django.conf import settings

        from tests.factories import make_connection

        settings.TOGETHER_BASE_URL = simulator.url
        self.simulator = simulator
        self.reads_feed = reads_feed
        self.now = self._read_clock()
        self.start = self.now
        # What another connection has mirrored of these projects, it gives up when it is disabled.
        Connection.objects.update(is_enabled=False)
        # An organisation of its own, as far as meters go.
        self.connection: Connection = make_connection(organization_id="")
        self.looks = 0
        self._metered_at = self.now
        self._traffic_at = self.now
        self._skipped: list[datetime] = []
        sync_catalogue.sync_projects(self.connection, clock=self.clock)
        self._read_prices()
        sync_endpoints.sync_endpoints(self.connection, clock=self.clock)
        self._read_feeds()
        self._meter()

    def clock(self) -> datetime:
        return self.now

    def _read_clock(self) -> datetime:
        return datetime.fromisoformat(self.simulator.admin("GET", "/clock")["now"])

    def choose_targets(self) -> list[Target]:
        """Return the deployments that the script may act on: all that have not failed."""
        rows = Deployment.objects.filter(connection=self.connection).exclude(state__endswith="FAILED")
        return [
            Target(
                row.endpoint.project.remote_id,
                row.endpoint.remote_id,
                row.remote_id,
                row.hardware,
                row.generation == Generation.V1,
            )
            for row in rows.select_related("endpoint__project").order_by("remote_id")
        ]

    def deployment_ids(self) -> list[str]:
        rows = Deployment.objects.filter(connection=self.connection).order_by("remote_id")
        return list(rows.values_list("remote_id", flat=True))

    def run(self, script: Script, needed: set[datetime], looks: Sequence[datetime], *, end: datetime) -> None:
        """Play acts and looks in order of time, then read on until everything is settled."""
        happenings: list[tuple[datetime, int, Any]] = [(act.at, 0, act) for act in script.acts]
        happenings += [(look, 1, None) for look in looks]
        happenings += [(at, 2, outage) for outage in script.outages for at in _within(outage)]
        happenings.sort(key=lambda one: one[:2])
        for at, kind, what in happenings:
            if kind == 1 and at not in needed:
                self._skipped.append(at)
                continue
            self._move(at)
            if kind == 0:
                what.play(self.simulator)
                if what.words == "price":
                    self._read_prices()
            elif kind == 1:
                self._look()
            else:
                self._suffer(what)
        self._move(end)
        self._look()
        for _ in range(FEED_TICKS):
            self._move(self.now + timedelta(minutes=1))
            self._read_feeds()
        self._meter()

    def _move(self, at: datetime) -> None:
        if at > self.now:
            self.simulator.advance((at - self.now) / timedelta(seconds=1))
            self.now = self._read_clock()

    def _read_prices(self) -> None:
        sync_catalogue.sync_hardware(self.connection, clock=self.clock)

    def _look(self) -> None:
        """Look; the feed is read after it, and metering goes on every so often."""
        self._write_skipped()
        sync_endpoints.sync_endpoints(self.connection, clock=self.clock)
        self.looks += 1
        if self.now - self._metered_at >= METER_EVERY:
            self._read_feeds()
            if self.now - self._traffic_at >= TRAFFIC_EVERY:
                sync_traffic.sync_traffic(self.connection, clock=self.clock)
                self._traffic_at = self.now
            self._meter()

    def _read_feeds(self) -> None:
        if self.reads_feed:
            sync_events.sync_events(self.connection, clock=self.clock)

    def _meter(self) -> None:
        meter_deployments(self.connection, now=self.now)
        self._metered_at = self.now

    def _suffer(self, outage: Outage) -> None:
        """During an outage of the API the sync tries and fails and metering goes on; without a worker nothing does."""
        if outage.is_worker_down:
            return
        self._write_skipped()
        self.simulator.add_fault("unavailable", route="/v*")
        sync_endpoints.sync_endpoints(self.connection, clock=self.clock)
        self.simulator.clear_faults()
        self._meter()

    def _write_skipped(self) -> None:
        """Write the passes that would have seen nothing new."""
        SyncRun.objects.bulk_create(
            [
                SyncRun(
                    connection=self.connection,
                    resource=SyncRun.Resource.ENDPOINTS,
                    outcome=SyncRun.Outcome.COMPLETE,
                    started_at=at,
                    finished_at=at,
                )
                for at in self._skipped
            ],
            batch_size=2_000,
        )
        self._skipped = []

    def compare(self, phases: dict[str, list[tuple[int, int]]], result: Result, *, end: datetime) -> None:
        """Hold the ledger against the truth over the days that were played."""
        mine = {"meter__connection": self.connection}
        result.looks += self.looks
        result.intervals += MeteredInterval.objects.filter(**mine).count()
        result.corrections += LedgerEntry.objects.filter(**mine).exclude(kind=LedgerEntry.Kind.CHARGE).count()
        result.findings += [
            f"ledger verify: {outcome.name}: {one}" for outcome in verify(Scope()) for one in outcome.findings
        ]
        bill = self._read_bill(end)
        for meter in Meter.objects.filter(connection=self.connection, kind=MeterKind.DEPLOYMENT):
            truth = Truth(phases[meter.remote_id], self._read_price_steps(meter))
            true = round(to_nano(truth.cost(self.start, end)))
            if true != bill.get(meter.remote_id, 0):
                result.findings.append(
                    f"{meter.name}: what it ran comes to {true} nano-dollars, the simulator's bill says "
                    f"{bill.get(meter.remote_id, 0)}"
                )
            if self.reads_feed:
                self._compare_feed(meter, truth, result, end=end)
            else:
                self._compare_polling(meter, truth, result, end=end)

    def _read_bill(self, end: datetime) -> dict[str, int]:
        """Return the simulator's own bill in nano-dollars, to which it prints."""
        span = f"from={_print(self.start)}&to={_print(end)}"
        told = self.simulator.admin("GET", f"/bill?{span}")
        return {one["id"]: int(Decimal(one["cost_usd"]) * 10**9) for one in told["resources"]}

    def _read_price_steps(self, meter: Meter) -> list[tuple[int, int]]:
        generation, _, name = meter.sku.partition("/")
        rows = HardwarePrice.objects.filter(
            hardware__connection=meter.connection, hardware__generation=generation, hardware__name=name
        )
        return [(to_ms(row.valid_from), row.nano_usd_per_hour) for row in rows.order_by("valid_from")]

    def _intervals(self, meter: Meter, end: datetime) -> Iterator[tuple[MeteredInterval, datetime, datetime]]:
        """Yield the intervals of the played days, clipped to them."""
        for row in meter.intervals.order_by("start"):
            begins, ends = max(row.start, self.start), min(row.end or end, end)
            if begins < ends:
                yield row, begins, ends

    def _compare_feed(self, meter: Meter, truth: Truth, result: Result, *, end: datetime) -> None:
        result.deployments += 1
        told = 0
        is_v1 = meter.sku.startswith("v1/")
        for row, begins, ends in self._intervals(meter, end):
            length = (ends - begins) // MICROSECOND
            told += row.rate_low * length
            if row.condition == Condition.UNKNOWN and not is_v1:
                result.feed_unknown_us += length
            self._check_bound(row, truth, begins, ends, result)
        if is_v1:
            return
        difference = abs(told - truth.cost(self.start, end))
        result.feed_largest_ticks = max(result.feed_largest_ticks, difference)
        if difference >= TICKS_PER_CENT:
            result.feed_off_by_cents += 1
            result.findings.append(f"feed: {meter.name} differs by {difference / TICKS_PER_CENT:.2f} ct")

    def _check_bound(
        self, row: MeteredInterval, truth: Truth, begins: datetime, ends: datetime, result: Result
    ) -> None:
        """Count an interval whose own bounds do not contain what it truly cost."""
        if _holds(row, truth, begins, ends):
            return
        result.feed_bounds_missed += self.reads_feed
        result.polling_bounds_missed += not self.reads_feed
        result.findings.append(
            f"{'feed' if self.reads_feed else 'polling'}: {row.meter.sku} {row.meter.remote_id} "
            f"{row.start} to {row.end}: {truth.cost(begins, ends)} ticks, not {row.bound_low}..{row.bound_high} "
            f"of {row.rate_low}..{row.rate_high}, {row.condition}, {row.evidence}"
        )

    def _compare_polling(self, meter: Meter, truth: Truth, result: Result, *, end: datetime) -> None:
        edges = truth.edges(self.start, end)
        is_v1 = meter.sku.startswith("v1/")
        for row, begins, ends in self._intervals(meter, end):
            true = truth.cost(begins, ends)
            result.polling_intervals += 1
            self._check_bound(row, truth, begins, ends, result)
            if is_v1:
                continue
            if row.condition == Condition.UNKNOWN:
                result.polling_unknown_share += true
                continue
            result.polling_true_ticks += true
            result.polling_error_ticks += row.rate_low * ((ends - begins) // MICROSECOND) - true
            if row.start_earliest and row.start_latest:
                inside = [at for at in edges if row.start_earliest < at <= row.start_latest]
                if len(inside) == 1:
                    result.edge_errors.append((row.start - inside[0]) / timedelta(seconds=1))


def _holds(row: MeteredInterval, truth: Truth, begins: datetime, ends: datetime) -> bool:
    """Return True when the interval's own bounds contain what it truly cost."""
    if row.end is None or (begins, ends) != (row.start, row.end):
        return True
    true = truth.cost(row.start, row.end)
    if row.bound_low is not None and row.bound_high is not None:
        return row.bound_low <= true <= row.bound_high
    length = (row.end - row.start) // MICROSECOND
    return row.rate_low * length <= true <= row.rate_high * length


def _within(outage: Outage) -> list[datetime]:
    """Return an instant inside of an outage, late enough for the missing looks to count."""
    return [outage.start + (outage.end - outage.start) / 2]


def _print(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
