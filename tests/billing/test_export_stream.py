"""The row stream: what a file is written from, held to the ledger's own sums."""

import tracemalloc
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from billing.costs import CostFilters, sum_costs
from billing.exports.formats import Format, Order, write_file
from billing.exports.lines import Grain
from billing.exports.stream import Wanted, stream_lines
from billing.models import Condition, CostShare, CostSplit, MeteredInterval, Use
from dashboard.core.periods import Period
from tests import factories
from tests.cost_factories import make_interval, make_meter, make_ownership
from tests.factories import H100_NANO_USD_PER_HOUR, NOW

pytestmark = pytest.mark.django_db
DAY = datetime(2026, 11, 2, tzinfo=UTC)
PERIOD = Period(DAY, DAY + timedelta(days=1))
HOUR_US = 3_600_000_000
RATE = H100_NANO_USD_PER_HOUR


def _at(hours: float) -> datetime:
    return DAY + timedelta(hours=hours)


def _lines(**wanted):
    return list(stream_lines(Wanted(**({"period": PERIOD} | wanted)), now=NOW))


@pytest.mark.parametrize("grain", list(Grain))
def test_lines_add_up_to_what_the_explorer_shows(grain, team, other_team):
    meter, shared = make_meter(), make_meter()
    make_ownership(meter, team=team, valid_until=_at(9.3))
    make_interval(meter, start=_at(-3), end=_at(10.25), rounding_us=7)
    make_interval(
        meter, start=_at(10.25), end=_at(11), units=0, condition=Condition.UNKNOWN, nano_usd_per_hour=None
    )
    make_interval(shared, start=_at(1.7), end=_at(2.1), rate_high=3 * H100_NANO_USD_PER_HOUR, units_high=3)
    make_interval(shared, start=_at(3), end=_at(4), nano_usd_per_hour=None)
    make_interval(
        shared,
        start=_at(5),
        end=_at(5) + timedelta(microseconds=1),
        units=0,
        nano_usd_per_hour=None,
        lump_nano_usd=4_000_000_001,
    )
    make_interval(shared, start=_at(23), end=None, use=Use.IDLE)
    split = CostSplit.objects.create(meter=shared, method="fixed", valid_from=_at(1.9))
    CostShare.objects.create(split=split, team=team, percent=Decimal("33.33"))
    CostShare.objects.create(split=split, team=other_team, percent=Decimal("66.67"))

    lines = _lines(grain=grain)

    total = sum_costs(PERIOD, now=NOW)
    assert sum(line.ticks_low for line in lines) == total.low
    assert sum(line.ticks_high for line in lines) == total.high
    assert sum(line.unpriced_us for line in lines) == total.unpriced_us
    assert sum(line.unknown_us for line in lines) == total.unknown_us
    assert {line.team for line in lines} == {"Search", "Legal", ""}
    for one in (team, other_team):
        told = sum_costs(PERIOD, now=NOW, filters=CostFilters(teams=frozenset({str(one.pk)})))
        assert sum(line.ticks_low for line in lines if line.team == one.name) == told.low


def _peak_kib(hours: int, *, kind: Format) -> float:
    order = Order(Wanted(Period(DAY, _at(hours)), grain=Grain.HOUR), kind)
    tracemalloc.start()
    try:
        size = sum(len(part) for part in write_file(order, now=NOW))
        assert size > 100_000
        return tracemalloc.get_traced_memory()[1] / 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", [Format.INTERVALS, Format.FOCUS_1_4])
def test_memory_does_not_grow_with_the_rows(kind):
    meters = [make_meter() for _ in range(40)]
    MeteredInterval.objects.bulk_create(
        MeteredInterval(
            meter=meter, start=_at(hour), end=_at(hour + 1), condition="bills", source="event", units_low=1,
            units_high=1, nano_usd_per_hour=RATE, list_nano_usd_per_hour=RATE, rate_low=RATE, rate_high=RATE,
        )
        for meter in meters
        for hour in range(300)
    )  # fmt: skip

    some = _peak_kib(120, kind=kind)

    assert _peak_kib(300, kind=kind) < some * 1.2


def test_a_person_of_one_team_gets_its_part_of_what_is_shared(team, other_team):
    shared = make_meter()
    make_ownership(shared, team=other_team)
    make_interval(shared, start=_at(1), end=_at(2))
    split = CostSplit.objects.create(meter=shared, method="fixed", valid_from=DAY)
    CostShare.objects.create(split=split, team=team, percent=Decimal(25))
    CostShare.objects.create(split=split, team=other_team, percent=Decimal(75))

    lines = _lines(user=factories.make_viewer(teams=(team,)))

    assert [(line.team, line.ticks_low) for line in lines] == [
        ("Search", H100_NANO_USD_PER_HOUR * HOUR_US // 4)
    ]


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"teams": {""}}, {"lonely"}),
        ({"kinds": {"cluster"}}, {"rack"}),
        ({"tags": {"env=prod"}}, {"rack"}),
        ({"tags": {"env="}}, {"lonely", "plain"}),
        ({"skus": {"cluster/H100/ON_DEMAND"}}, {"rack"}),
        ({"cost_centres": {"CC-1"}, "kinds": {"other"}}, {"plain"}),
    ],
)
def test_filters_narrow_as_in_the_explorer(filters, names, team):
    rack = make_meter(name="rack", kind="cluster", sku="cluster/H100/ON_DEMAND")
    plain, lonely = make_meter(name="plain"), make_meter(name="lonely")
    make_ownership(rack, team=team, tags={"env": "prod"}, cost_centre="CC-1")
    make_ownership(plain, team=team, cost_centre="CC-1")
    for meter in (rack, plain, lonely):
        make_interval(meter, start=_at(1), end=_at(2))
    wanted = CostFilters(**{name: frozenset(keys) for name, keys in filters.items()})

    lines = _lines(filters=wanted)

    assert {line.name for line in lines} == names
    assert sum(line.ticks_low for line in lines) == sum_costs(PERIOD, now=NOW, filters=wanted).low


def test_days_are_those_of_the_zone():
    make_interval(make_meter(), start=_at(-3), end=_at(0))
    make_interval(make_meter(), start=_at(0), end=_at(3))
    berlin = ZoneInfo("Europe/Berlin")
    period = Period(DAY - timedelta(hours=25), DAY + timedelta(hours=23))

    lines = _lines(period=period, grain=Grain.DAY, zone=berlin)

    midnight = DAY - timedelta(hours=1)
    assert {(line.start, line.end) for line in lines} == {
        (period.start, midnight),
        (midnight, midnight + timedelta(days=1)),
    }
