"""Cost per million tokens, and where an endpoint gets cheaper than serverless."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from billing.amounts import Cost
from billing.costs import CostQuery
from billing.costs.break_even import TokenPrice, Traffic, UnitCost, break_even, price_serverless
from billing.costs.unit_costs import load_serverless_prices, load_unit_costs, narrow
from dashboard.accounts.models import Team, User
from dashboard.core.periods import Period
from dashboard.mirror.models import CatalogueModel, Endpoint, TrafficHalfHour
from tests import factories
from tests.cost_factories import make_interval, make_meter, make_ownership

DAY = datetime(2026, 11, 10, tzinfo=UTC)
NOW = DAY + timedelta(days=5)
HOUR = timedelta(hours=1)
WHOLE_DAY = Period(DAY, DAY + timedelta(days=1))
DOLLAR = 1_000_000_000
TICKS = 3_600_000_000


def dollars(amount: int, *, idle: int = 0, **more: int) -> Cost:
    return Cost(
        amount * DOLLAR * TICKS, amount * DOLLAR * TICKS, idle * DOLLAR * TICKS, idle * DOLLAR * TICKS, **more
    )


def test_idle_time_makes_the_difference_between_busy_and_all_in() -> None:
    unit = UnitCost(dollars(20), dollars(10, idle=4), Traffic(5, 1_500_000, 500_000))

    assert unit.all_in == (Decimal(5 * DOLLAR), Decimal(5 * DOLLAR))
    assert unit.busy == (Decimal(3 * DOLLAR), Decimal(3 * DOLLAR))
    assert unit.known_percent == 50


@pytest.mark.parametrize(
    "unit",
    [
        UnitCost(dollars(10), dollars(10), Traffic()),
        UnitCost(dollars(10), dollars(10, unpriced_us=1), Traffic(1, 1, 1)),
        UnitCost(dollars(10), Cost(), Traffic(1, 1, 1)),
    ],
    ids=["no token seen", "price unknown", "traffic unknown"],
)
def test_what_is_not_known_has_no_unit_cost(unit: UnitCost) -> None:
    assert unit.all_in is None
    assert unit.busy is None


def test_break_even_follows_the_mix_that_was_seen() -> None:
    # 3 parts input at $1, 1 part output at $5: $2 a million.
    traffic = Traffic(requests=1_000, input_tokens=3_000_000, output_tokens=1_000_000)
    price = TokenPrice(1 * DOLLAR, 5 * DOLLAR)

    found = break_even(nano_per_hour=6 * DOLLAR, traffic=traffic, price=price)

    assert price_serverless(traffic, price) == 8 * DOLLAR
    assert found is not None
    assert found.tokens_per_hour == 3_000_000
    assert found.requests_per_hour == 750
    assert found.serverless_nano_per_million == 2 * DOLLAR


def test_without_a_token_or_a_price_there_is_no_break_even() -> None:
    free = TokenPrice(0, 0)

    assert break_even(nano_per_hour=DOLLAR, traffic=Traffic(), price=TokenPrice(1, 1)) is None
    assert break_even(nano_per_hour=DOLLAR, traffic=Traffic(1, 1, 1), price=free) is None


def test_periods_are_narrowed_to_whole_half_hours() -> None:
    minute = timedelta(minutes=1)

    assert narrow(Period(DAY + minute, DAY + 119 * minute)) == Period(DAY + 30 * minute, DAY + 90 * minute)
    assert narrow(Period(DAY, DAY + HOUR)) == Period(DAY, DAY + HOUR)
    assert narrow(Period(DAY + minute, DAY + 59 * minute)) is None


@pytest.fixture
def endpoint(team: Team) -> Endpoint:
    """Two hours at $10: one busy with a million tokens, one idle; an hour at $10 of unknown traffic."""
    endpoint = factories.make_endpoint(project=factories.make_project(team=team))
    meter = make_meter(kind="deployment", endpoint=endpoint, project=endpoint.project)
    make_ownership(meter, team=team)
    for place, use in enumerate(("busy", "idle", "unknown")):
        start = DAY + place * HOUR
        make_interval(meter, start=start, end=start + HOUR, nano_usd_per_hour=10 * DOLLAR, use=use)
    TrafficHalfHour.objects.create(
        endpoint=endpoint, start=DAY, requests=4, input_tokens=750_000, output_tokens=250_000
    )
    TrafficHalfHour.objects.create(
        endpoint=endpoint, start=DAY - HOUR, requests=9, input_tokens=9, output_tokens=9
    )
    return endpoint


@pytest.mark.django_db
def test_time_of_unknown_traffic_stays_out(endpoint: Endpoint) -> None:
    unit = load_unit_costs(CostQuery(WHOLE_DAY, UTC), now=NOW)[str(endpoint.pk)]

    assert (unit.total, unit.known) == (dollars(30, idle=10), dollars(20, idle=10))
    assert unit.traffic == Traffic(4, 750_000, 250_000)
    assert unit.all_in == (20 * DOLLAR, 20 * DOLLAR)
    assert unit.busy == (10 * DOLLAR, 10 * DOLLAR)
    assert unit.known_percent == 66


@pytest.mark.django_db
def test_who_sees_a_part_of_the_cost_reads_no_unit_cost(
    endpoint: Endpoint, viewer: User, other_team: Team
) -> None:
    query = CostQuery(WHOLE_DAY, UTC, user=viewer)
    assert set(load_unit_costs(query, now=NOW)) == {str(endpoint.pk)}
    other = make_meter(kind="deployment", endpoint=endpoint, project=endpoint.project)
    make_interval(other, start=DAY, end=DAY + HOUR, nano_usd_per_hour=DOLLAR)
    make_ownership(other, team=other_team)

    assert load_unit_costs(query, now=NOW) == {}
    assert set(load_unit_costs(CostQuery(WHOLE_DAY, UTC), now=NOW)) == {str(endpoint.pk)}


@pytest.mark.django_db
def test_a_period_without_a_whole_half_hour_has_none(endpoint: Endpoint) -> None:
    early = Period(DAY, DAY + timedelta(minutes=29))

    assert load_unit_costs(CostQuery(early, UTC), now=NOW) == {}
    assert load_unit_costs(CostQuery(WHOLE_DAY, UTC), now=DAY - HOUR) == {}


@pytest.mark.django_db
def test_serverless_prices_are_those_of_models_offered_now() -> None:
    connection = factories.make_connection()
    for name, fields in {
        "offered": {},
        "gone": {"absent_since": NOW},
        "dedicated only": {"is_serverless": False},
        "no price": {"output_nano_usd": None},
    }.items():
        known = {"is_serverless": True, "input_nano_usd": 1, "output_nano_usd": 2} | fields
        CatalogueModel.objects.create(
            connection=connection,
            origin=CatalogueModel.Origin.SERVERLESS,
            remote_id=name,
            name=name,
            observed_at=NOW,
            first_observed_at=NOW,
            payload={},
            **known,
        )

    prices = load_serverless_prices(["offered", "gone", "dedicated only", "no price", "never heard of"])

    assert prices == {"offered": TokenPrice(1, 2)}
