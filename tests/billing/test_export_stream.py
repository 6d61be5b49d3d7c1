"""The row stream: what a file is written from, held to the ledger's own sums."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from billing.costs import CostFilters, sum_costs
from billing.exports.lines import Grain
from billing.exports.stream import Wanted, stream_lines
from billing.models import Condition, CostShare, CostSplit, Use
from dashboard.core.periods import Period
from tests.cost_factories import make_interval, make_meter, make_ownership
from tests.factories import H100_NANO_USD_PER_HOUR, NOW

pytestmark = pytest.mark.django_db
DAY = datetime(2026, 11, 2, tzinfo=UTC)
PERIOD = Period(DAY, DAY + timedelta(days=1))
HOUR_US = 3_600_000_000


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
