"""`manage.py ledger verify`: a whole ledger passes; broken in any way, the damage is found and named."""

import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import connection as database

from billing.ledger import post_spans
from billing.metering import SpanDraft, free
from billing.models import LedgerEntry, Meter, MeteredInterval
from billing.verification import NAMES, Scope, count_checked, verify
from tests import cost_factories, factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
NANO = 5_490_000_000
START = NOW - 10 * HOUR


def bills(hours: float, until: float | None, *, units: int = 1) -> SpanDraft:
    return SpanDraft(
        START + hours * HOUR, None if until is None else START + until * HOUR, "bills", "event", units_low=units,
        units_high=units, sku="v2/1xnvidia-h100-80gb", nano_usd_per_hour=NANO, list_nano_usd_per_hour=NANO,
        rate_low=units * NANO, rate_high=units * NANO,
    )  # fmt: skip


def rest(hours: float, until: float | None) -> SpanDraft:
    end = None if until is None else START + until * HOUR
    return free(START + hours * HOUR, end, state="STOPPED", source="event")


@pytest.fixture
def meter() -> Meter:
    """Return a meter of a deployment: posted, once corrected, and going on."""
    meter = cost_factories.make_meter(deployment=factories.make_deployment(), metered_from=None)
    before = [rest(0, 1), bills(1, 3), rest(3, 4), bills(4, 6), bills(6, None)]
    after = [rest(0, 1), bills(1, 3), rest(3, 4), bills(4, 5), rest(5, 6), bills(6, None)]
    for spans in (before, after):
        post_spans(meter, spans, since=START, settled_until=START + 6 * HOUR, now=NOW)
    return meter


def execute(*statements: str) -> None:
    """Change what is posted as a superuser can: with the triggers and constraints out of the way."""
    with database.cursor() as cursor:
        # Checks of foreign keys that wait for the end of the transaction keep tables from being altered.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE billing_ledgerentry DISABLE TRIGGER USER")
        for statement in statements:
            cursor.execute(statement)
        cursor.execute("ALTER TABLE billing_ledgerentry ENABLE TRIGGER USER")


def found() -> dict[str, list[str]]:
    return {one.name: [finding.words for finding in one.findings] for one in verify(Scope()) if one.count}


def test_a_whole_ledger_passes_and_says_what_was_checked(meter: Meter) -> None:
    out = io.StringIO()

    call_command("ledger", "verify", stdout=out)

    told = out.getvalue()
    assert "Checked 6 intervals of 1 meters (5 settled), 4 entries (1 reversals)." in told
    assert "Settled intervals: $16.470000000" in told
    assert "Entries, net:      $16.470000000" in told
    assert all(f"ok    {name}" in told for name in NAMES)
    assert "The ledger is whole." in told


POSTED = (START + HOUR).isoformat()
INTERVAL = (
    f"UPDATE billing_meteredinterval SET {{}} WHERE condition = 'bills' AND is_settled AND start = '{POSTED}'"
)
ENTRY = f"UPDATE billing_ledgerentry SET {{}} WHERE kind = 'charge' AND start = '{POSTED}'"
NO_OVERLAP = "ALTER TABLE billing_meteredinterval DROP CONSTRAINT metered_interval_no_overlap"
NO_DAY = "ALTER TABLE billing_meteredinterval DROP CONSTRAINT metered_interval_within_a_day"

DAMAGES: list[tuple[str, list[str], set[str]]] = [
    ("an interval is lengthened over the next",
     [NO_OVERLAP, INTERVAL.format("\"end\" = \"end\" + interval '30 minutes'")],
     {"no overlap", "net entries = settled intervals", "totals = sum"}),
    ("an interval is shortened",
     [INTERVAL.format("\"end\" = \"end\" - interval '1 microsecond'")],
     {"no unexplained gap", "net entries = settled intervals", "totals = sum"}),
    ("a free interval is deleted",
     [f"DELETE FROM billing_meteredinterval WHERE condition = 'free' AND start > '{START.isoformat()}'"],
     {"no unexplained gap"}),
    ("the first interval is deleted",
     [f"DELETE FROM billing_meteredinterval WHERE start = '{START.isoformat()}'"],
     {"no unexplained gap"}),
    ("the interval that goes on is deleted",
     ["DELETE FROM billing_meteredinterval WHERE \"end\" IS NULL"],
     {"no unexplained gap"}),
    ("all intervals are deleted",
     ["DELETE FROM billing_meteredinterval"],
     {"no unexplained gap", "net entries = settled intervals", "totals = sum"}),
    ("a rate is changed",
     [INTERVAL.format("rate_low = rate_low - 1")],
     {"rates = units x price", "net entries = settled intervals", "totals = sum"}),
    ("units are changed",
     [INTERVAL.format("units_low = 0, units_high = 0")],
     {"rates = units x price", "net entries = settled intervals"}),
    ("the price is taken away",
     [INTERVAL.format("nano_usd_per_hour = NULL")],
     {"rates = units x price", "net entries = settled intervals"}),
    ("a settled interval is called unsettled",
     [INTERVAL.format("is_settled = false")],
     {"what is due is posted", "net entries = settled intervals", "totals = sum"}),
    ("busy time is called idle",
     [INTERVAL.format("use = 'idle'")],
     {"net entries = settled intervals"}),
    ("a lump is slipped in",
     [INTERVAL.format("lump_nano_usd = 1")],
     {"net entries = settled intervals", "totals = sum"}),
    ("an interval lasts longer than a day",
     [NO_OVERLAP, NO_DAY, INTERVAL.format("\"end\" = start + interval '25 hours'")],
     {"no overlap", "no interval that bills is longer than a day", "net entries = settled intervals",
      "totals = sum"}),
    ("an entry is deleted",
     [f"DELETE FROM billing_ledgerentry WHERE kind = 'charge' AND start = '{POSTED}'"],
     {"net entries = settled intervals", "totals = sum"}),
    ("an entry is changed",
     [ENTRY.format("rate_high = rate_high + 1")],
     {"net entries = settled intervals", "totals = sum"}),
    ("an entry is moved to another meter's time",
     [ENTRY.format("start = start + interval '1 minute'")],
     {"net entries = settled intervals", "totals = sum"}),
    ("a reversal is deleted",
     ["DELETE FROM billing_ledgerentry WHERE kind = 'reversal'"],
     {"net entries = settled intervals", "each instant is posted once", "totals = sum"}),
    ("a reversal takes back another amount",
     ["UPDATE billing_ledgerentry SET units_low = 0 WHERE kind = 'reversal'"],
     {"reversals repeat what they take back"}),
    ("something is posted twice",
     ["INSERT INTO billing_ledgerentry (meter_id, kind, key, start, \"end\", condition, state, units_low, units_high,"
      " sku, list_nano_usd_per_hour, nano_usd_per_hour, price_source, rate_low, rate_high, lump_nano_usd, rounding_us,"
      " use, source, evidence, reason, posted_at) SELECT meter_id, kind, 'forged', start, \"end\", condition, state,"
      " units_low, units_high, sku, list_nano_usd_per_hour, nano_usd_per_hour, price_source, rate_low, rate_high,"
      " lump_nano_usd, rounding_us, use, source, evidence, reason, now() FROM billing_ledgerentry WHERE kind = 'charge'"
      f" AND start = '{POSTED}'"],
     {"each instant is posted once", "totals = sum"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("statements", "expected"),
    [damage[1:] for damage in DAMAGES],
    ids=[damage[0] for damage in DAMAGES],
)
def test_damage_is_found_and_named(meter: Meter, statements: list[str], expected: set[str]) -> None:
    execute(*statements)

    assert set(found()) == expected
    with pytest.raises(CommandError, match="not whole"):
        call_command("ledger", "verify", stdout=io.StringIO())


def test_only_the_month_and_the_meter_that_are_asked_for_are_looked_at(meter: Meter) -> None:
    execute("UPDATE billing_meteredinterval SET use = 'idle' WHERE is_settled AND condition = 'bills'")
    other = cost_factories.make_meter(metered_from=None)
    post_spans(other, [bills(0, None)], since=START, settled_until=START, now=NOW)

    def ask(*more: str) -> None:
        call_command("ledger", "verify", *more, stdout=io.StringIO())

    ask("--month", "2026-10")
    ask("--meter", other.remote_id)
    for asked in (["--month", f"{NOW:%Y-%m}"], ["--meter", str(meter.pk)], ["--meter", meter.remote_id]):
        with pytest.raises(CommandError, match="not whole"):
            ask(*asked)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--month", "2026-13"], "no month"),
        (["--month", "May"], "no month"),
        (["--meter", "none"], "No meter"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: list[str], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        call_command("ledger", "verify", *arguments, stdout=io.StringIO())


def test_checking_changes_nothing(meter: Meter) -> None:
    before = (list(MeteredInterval.objects.values()), list(LedgerEntry.objects.values()))

    call_command("ledger", "verify", stdout=io.StringIO())

    assert (list(MeteredInterval.objects.values()), list(LedgerEntry.objects.values())) == before


def test_figures_of_nothing_are_zero() -> None:
    figures = count_checked(Scope())

    assert (figures.intervals, figures.entries, figures.settled_low, figures.net_high) == (0, 0, 0, 0)
