"""The simulator plays rented compute and jobs; what we meter by looking every half minute is held to its own bill."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pytest

from billing.amounts import TICKS_PER_NANO, ZERO, Cost, add_costs
from billing.bill_import import import_bill
from billing.metering import Condition, SpanDraft, count_us, price_span
from billing.models import LedgerEntry, Meter, MeteredInterval, PriceEntry
from billing.resource_source import meter_resources
from dashboard.mirror.models import Resource
from simulator.compute.prices import (
    CLUSTER_GPU_HOUR,
    CONTAINER_GPU_HOUR,
    VOLUME_TIB_MONTH,
)
from tests.mirror.conftest import Mirror, organize  # noqa: F401  (a fixture)

pytestmark = pytest.mark.django_db
CLUSTERS, VOLUMES = "/v1/compute/clusters", "/v1/compute/clusters/storage/volumes"
CONTAINERS, RL, FINE_TUNES = "/v1/deployments", "/v1/rl/model-resources", "/v1/fine-tunes"
DRIVER = "us-central-8-ubuntu-22.04-cuda12.4-550"
GROUPS = ("clusters", "volumes", "containers", "rl", "fine_tunes")
NANO = 10**9
# The price of a TiB and hour is not a whole number of nano-dollars; an hour of this many TiB may differ by so much.
ROUNDING = Decimal("0.00001")


@dataclass
class Play:
    """A mirrored organisation that is looked at every half minute and metered."""

    mirror: Mirror
    groups: tuple[str, ...] = GROUPS
    step: int = 30
    began_at: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.began_at = self.mirror.clock()
        self.mirror.sync_projects()
        self.look()

    def look(self) -> None:
        for name in self.groups:
            self.mirror.sync_group(name)

    def run(self, seconds: int) -> None:
        """Let time pass, looking every step."""
        for _ in range(0, seconds, self.step):
            self.mirror.advance(self.step)
            self.look()

    def send(self, method: str, path: str, **body: Any) -> Any:
        return self.mirror.simulator.call(method, path, body or None)

    def meter(self) -> None:
        """Meter twice: the second pass must find nothing to do."""
        assert meter_resources(self.mirror.connection, now=self.mirror.clock()).failed == 0
        again = meter_resources(self.mirror.connection, now=self.mirror.clock())
        assert again.is_nothing, again

    def costs(self, remote_id: str) -> Cost:
        now = self.mirror.clock()
        return add_costs(price_span(read_draft(row), until=now) for row in self.rows(remote_id))

    def bounds(self, remote_id: str) -> tuple[Decimal, Decimal]:
        """Return the stated bounds in USD: of each interval its own, else its cost.

        What goes on has no bounds of its own yet: the bound of its start says how long the one before may have lasted.
        """
        low = high = 0
        rate_before = 0
        for row in self.rows(remote_id):
            cost = price_span(read_draft(row), until=self.mirror.clock())
            low += cost.low if row.bound_low is None else int(row.bound_low)
            high += cost.high if row.bound_high is None else int(row.bound_high)
            if row.end is None and row.start_latest is not None:
                high += rate_before * count_us(row.start, row.start_latest)
            rate_before = row.rate_high
        return to_usd(low), to_usd(high)

    def rows(self, remote_id: str) -> list[MeteredInterval]:
        return list(MeteredInterval.objects.filter(meter__remote_id=remote_id).order_by("start"))

    def bill(self, remote_id: str, *, since: datetime | None = None) -> Decimal:
        """Return what the simulator charged, USD."""
        begin = f"&from={(since or self.began_at).isoformat().replace('+00:00', 'Z')}"
        found = self.mirror.simulator.admin("GET", f"/bill?id={remote_id}{begin}")["resources"]
        return sum((Decimal(one["cost_usd"]) for one in found), Decimal(0))

    def meter_of(self, remote_id: str) -> Meter:
        return Meter.objects.get(remote_id=remote_id)


def read_draft(row: MeteredInterval) -> SpanDraft:
    names = (
        "start",
        "end",
        "condition",
        "source",
        "rate_low",
        "rate_high",
        "lump_nano_usd",
        "rounding_us",
        "use",
    )
    draft = {name: getattr(row, name) for name in names}
    return SpanDraft(**draft, nano_usd_per_hour=row.nano_usd_per_hour)


def to_usd(ticks: int) -> Decimal:
    return Decimal(ticks) / TICKS_PER_NANO / NANO


def check_cover(rows: list[MeteredInterval]) -> None:
    assert all(one.end == other.start for one, other in pairwise(rows))
    assert all(
        one.end is None or one.condition != Condition.BILLS or one.end - one.start <= timedelta(days=1)
        for one in rows
    )
    assert rows[-1].end is None


def enter(sku: str, usd: Any) -> None:
    """Let finance know a price for ever."""
    nano = round(usd * NANO)
    PriceEntry.objects.create(
        sku=sku, nano_usd=nano, valid_from=datetime.fromisoformat("2020-01-01T00:00:00Z"), note="rate card"
    )


@pytest.fixture
def play(organize: Any) -> Play:  # noqa: F811
    for gpu, (on_demand, reserved) in CLUSTER_GPU_HOUR.items():
        enter(f"cluster/{gpu}/ON_DEMAND", on_demand)
        enter(f"cluster/{gpu}/RESERVED", reserved)
    for gpu, price in CONTAINER_GPU_HOUR.items():
        enter(f"container/{gpu}", price)
    enter("volume", VOLUME_TIB_MONTH / 730)
    return Play(organize(speed=1))


def order(play: Play, **fields: Any) -> str:
    body = {
        "cluster_name": "train",
        "billing_type": "ON_DEMAND",
        "gpu_type": "H100_SXM",
        "num_gpus": 16,
        "region": "us-central-8",
        "nvidia_version_id": DRIVER,
    }
    return str(play.send("POST", CLUSTERS, **{**body, **fields})["cluster_id"])


def test_a_cluster_is_metered_to_the_microdollar_by_the_phases_of_its_nodes(play: Play):
    play.groups, play.step = ("clusters",), 300
    identifier = order(play)
    play.run(3600)
    play.meter()
    play.send("PUT", f"{CLUSTERS}/{identifier}", num_gpus=24)
    play.run(3600)
    play.mirror.simulator.admin("POST", f"/clusters/{identifier}/fail-node")
    play.run(1800)
    play.send("PUT", f"{CLUSTERS}/{identifier}", num_gpus=8)
    play.run(1800)
    play.meter()
    play.mirror.simulator.admin("POST", "/credit", exhausted=True)
    play.run(1800)
    play.mirror.simulator.admin("POST", "/credit", exhausted=False)
    play.run(3600)
    play.meter()
    play.step = 60
    play.send("DELETE", f"{CLUSTERS}/{identifier}")
    play.run(600)
    play.meter()

    cost, truth = play.costs(identifier), play.bill(identifier)
    assert truth > 100
    assert abs(to_usd(cost.low) - truth) < Decimal("0.000001")
    assert cost.low == cost.high
    assert cost.is_complete
    check_cover(play.rows(identifier))
    assert {row.source for row in play.rows(identifier) if row.condition == "bills"} == {"phase"}


def test_a_reserved_cluster_is_prepaid_once_and_only_what_is_beyond_costs_by_the_hour(play: Play):
    play.groups, play.step = ("clusters",), 300
    identifier = order(play, billing_type="RESERVED", duration_days=3, num_gpus=24, num_reserved_gpus=8)
    play.run(2 * 3600)
    play.meter()
    play.step = 60
    play.send("DELETE", f"{CLUSTERS}/{identifier}")
    play.run(600)
    play.meter()

    cost, truth = play.costs(identifier), play.bill(identifier)
    prepaid = [row for row in play.rows(identifier) if row.sku == "cluster/H100_SXM/RESERVED"]
    assert [row.lump_nano_usd for row in prepaid] == [8 * 72 * 2_990_000_000]
    assert abs(to_usd(cost.low) - truth) < Decimal("0.000001")
    check_cover(play.rows(identifier))


def test_the_clusters_that_were_there_before_us_are_known_from_their_making(play: Play):
    play.meter()

    for resource in Resource.objects.filter(kind="cluster"):
        cost = play.costs(resource.remote_id)
        truth = play.bill(resource.remote_id, since=datetime.fromisoformat("2026-01-01T00:00:00Z"))
        assert abs(to_usd(cost.low) - truth) < Decimal("0.000001"), resource.name
        check_cover(play.rows(resource.remote_id))


def test_the_truth_of_a_volume_lies_within_the_bounds_of_what_was_seen(play: Play):
    play.groups, play.step = ("volumes",), 60
    body = {"volume_name": "data", "size_tib": 4, "region": "us-central-8"}
    identifier = play.send("POST", VOLUMES, **body)["volume_id"]
    play.run(1830)
    play.mirror.advance(17)
    play.send("PUT", VOLUMES, volume_id=identifier, size_tib=9)
    play.run(1800)
    play.meter()
    play.mirror.advance(25)
    play.send("DELETE", f"{VOLUMES}/{identifier}")
    play.run(1800)
    play.meter()

    low, high = play.bounds(identifier)
    cost, truth = to_usd(play.costs(identifier).low), play.bill(identifier)
    assert low - ROUNDING <= truth <= high + ROUNDING
    assert low <= cost <= high
    assert abs(cost - truth) < truth * Decimal("0.03")
    check_cover(play.rows(identifier))


def test_a_volume_that_was_there_before_us_is_metered_from_our_first_look(play: Play):
    play.run(600)
    play.meter()

    for resource in Resource.objects.filter(kind="volume"):
        cost, truth = play.costs(resource.remote_id), play.bill(resource.remote_id)
        assert abs(to_usd(cost.low) - truth) < ROUNDING, resource.name


def test_the_truth_of_a_container_lies_within_the_bounds_of_what_was_seen(play: Play):
    play.groups, play.step = ("containers",), 30
    body = {
        "name": "worker-2", "image": "registry.together.ai/fernhill/worker:1", "gpu_type": "h100-80gb",
        "gpu_count": 2, "min_replicas": 1, "max_replicas": 3,
    }  # fmt: skip
    identifier = play.send("POST", CONTAINERS, **body)["id"]
    play.run(900)
    for ready in (3, 1, 2, 0, 2):
        play.mirror.advance(11)
        state = "Ready" if ready else "ScaledToZero"
        play.mirror.simulator.admin(
            "POST", f"/containers/{identifier}/state", state=state, ready=ready, desired=ready
        )
        play.run(600)
        play.meter()
    play.mirror.simulator.admin("DELETE", f"/containers/{identifier}")
    play.run(300)
    play.meter()

    low, high = play.bounds(identifier)
    cost, truth = to_usd(play.costs(identifier).low), play.bill(identifier)
    assert low - ROUNDING <= truth <= high + ROUNDING
    assert low <= cost <= high
    assert abs(cost - truth) < truth * Decimal("0.02")
    check_cover(play.rows(identifier))


def test_what_nobody_saw_of_a_container_is_unknown(play: Play):
    play.groups, play.step = ("containers",), 30
    play.run(120)
    play.mirror.advance(1800)
    play.look()
    play.run(1800)
    play.meter()

    running = Resource.objects.filter(kind="container", units__gt=0)
    assert running.exists()
    for resource in running:
        unknown_us = play.costs(resource.remote_id).unknown_us
        assert unknown_us >= 1800 * 1_000_000
        check_cover(play.rows(resource.remote_id))


def test_the_truth_of_rl_resources_lies_within_the_bounds_of_what_was_seen(play: Play):
    play.groups, play.step = ("rl",), 60
    identifier = play.send("POST", RL, base_model="Qwen/Qwen3-32B")["id"]
    enter("rl/Qwen/Qwen3-32B/B200-SXM/1", Decimal("107.88"))
    play.run(1800)
    sku = Resource.objects.get(remote_id=identifier).sku
    assert sku == "rl/Qwen/Qwen3-32B/B200-SXM/1"
    play.meter()
    play.send("POST", f"{RL}/{identifier}/stop", force=True)
    play.run(1800)
    play.meter()

    low, high = play.bounds(identifier)
    cost, truth = to_usd(play.costs(identifier).low), play.bill(identifier)
    assert truth > 10
    assert low - ROUNDING <= truth <= high + ROUNDING
    assert low <= cost <= high
    check_cover(play.rows(identifier))


def test_fine_tunes_cost_the_providers_total_when_they_end(play: Play):
    play.groups = ("fine_tunes",)
    play.meter()

    jobs = list(Resource.objects.filter(kind="fine-tune"))
    ended = [job for job in jobs if job.state in {"completed", "cancelled"}]
    assert len(ended) >= 3
    for job in jobs:
        cost = play.costs(job.remote_id)
        truth = play.bill(job.remote_id, since=datetime.fromisoformat("2026-01-01T00:00:00Z"))
        assert abs(to_usd(cost.low) - truth) < Decimal("0.000001"), (job.name, job.state)
        check_cover(play.rows(job.remote_id))
    assert play.costs(next(job for job in jobs if job.state == "running").remote_id) == ZERO


def test_a_running_fine_tune_that_ends_is_charged_at_its_end(play: Play):
    play.groups = ("fine_tunes",)
    running = Resource.objects.filter(kind="fine-tune", state="running").first()
    assert running is not None
    play.run(60)
    play.meter()
    play.send("POST", f"{FINE_TUNES}/{running.remote_id}/cancel")
    play.run(1800)
    play.meter()

    charge = next(row for row in play.rows(running.remote_id) if row.lump_nano_usd)
    truth = play.bill(running.remote_id)
    assert abs(Decimal(charge.lump_nano_usd) / NANO - truth) < Decimal("0.000001")
    assert charge.is_settled
    assert LedgerEntry.objects.filter(meter=charge.meter).count() == 1


def test_a_price_that_finance_enters_for_an_unknown_past_corrects_what_was_posted(play: Play):
    play.groups, play.step = ("clusters",), 300
    PriceEntry.objects.filter(sku="cluster/H100_SXM/ON_DEMAND").delete()
    identifier = order(play)
    play.step = 3600
    play.run(13 * 3600)
    play.meter()
    assert play.costs(identifier).unpriced_us > 0
    posted = LedgerEntry.objects.filter(meter__remote_id=identifier).count()

    enter("cluster/H100_SXM/ON_DEMAND", CLUSTER_GPU_HOUR["H100_SXM"][0])
    play.meter()

    cost, truth = play.costs(identifier), play.bill(identifier)
    assert abs(to_usd(cost.low) - truth) < Decimal("0.000001")
    assert posted > 0
    kinds = LedgerEntry.objects.filter(meter__remote_id=identifier).values_list("kind", flat=True)
    assert set(kinds) >= {"charge", "reversal", "correction"}


def test_the_past_of_a_volume_comes_from_the_bill_also_when_that_is_read_later(play: Play):
    play.groups, play.step = ("volumes",), 600
    play.run(600)
    play.meter()
    volumes = list(Resource.objects.filter(kind="volume"))
    seen_from = {one.remote_id: play.meter_of(one.remote_id).metered_from for one in volumes}

    import_bill(play.mirror.connection, clock=play.mirror.clock)
    play.meter()

    reached = [one for one in volumes if play.rows(one.remote_id)[0].source == "bill"]
    assert len(reached) >= 3
    for resource in reached:
        rows = play.rows(resource.remote_id)
        check_cover(rows)
        assert rows[0].start < seen_from[resource.remote_id]
        truth = play.bill(resource.remote_id, since=rows[0].start)
        cost = play.costs(resource.remote_id)
        # The hour of our first look is billed as a whole: nobody tells how much of it lies before.
        missing = max(row.units_high for row in rows) * VOLUME_TIB_MONTH / 730
        assert to_usd(cost.low) <= truth + Decimal("0.001")
        assert truth - to_usd(cost.low) <= round(float(missing), 4) + 0.001


def test_a_pass_of_many_asks_no_more_than_a_pass_of_few(play: Play, django_assert_max_num_queries: Any):
    play.groups = GROUPS
    play.run(30)
    play.meter()

    with django_assert_max_num_queries(45):
        meter_resources(play.mirror.connection, now=play.mirror.clock())
