"""Budgets over the ledger: figures of each scope and period, and which prices make acts wait."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from billing import budgets
from billing.budget_rules import Action, Basis, Threshold
from billing.models import Budget, CostShare, CostSplit, Meter, PriceEntry
from dashboard.accounts.audit import Actor
from dashboard.accounts.models import AuditEvent, Team
from dashboard.mirror.models import HardwarePrice
from tests import cost_factories, factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
DOLLAR = 10**9
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ACTOR = Actor.for_process("test")
STOP = Threshold(100, Basis.ACTUAL, Action.STOP_ALL)
DRAIN = Threshold(50, Basis.ACTUAL, Action.DRAIN_IDLE)
SKU = "v2/1xnvidia-h100-80gb"
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.fixture
def team(db: None) -> Team:
    return factories.make_team("Research")


def spend(
    *,
    start: datetime = NOW - 10 * HOUR,
    end: datetime | None = NOW,
    dollars: int | None = 10,
    team: Team | None = None,
    meter: Meter | None = None,
    tags: dict[str, str] | None = None,
    **fields: object,
) -> Meter:
    if meter is None:
        meter = cost_factories.make_meter(sku=SKU, metered_from=NOW - 90 * DAY)
        cost_factories.make_ownership(meter, team=team, tags=tags or {})
    price = None if dollars is None else dollars * DOLLAR
    cost_factories.make_interval(meter, start=start, end=end, nano_usd_per_hour=price, **fields)
    return meter


def make(
    *thresholds: Threshold, dollars: int = 100, exempt: tuple[Meter, ...] = (), **fields: object
) -> Budget:
    values = {"name": "Budget", "scope": Budget.Scope.ORGANISATION, "nano_usd": dollars * DOLLAR} | fields
    return budgets.save_budget(Budget(**values), thresholds=thresholds, exempt=exempt, actor=ACTOR)


def load(budget: Budget, *, now: datetime = NOW, zone: ZoneInfo | None = None) -> budgets.Status:
    return budgets.load_status(budget, now=now, zone=zone or UTC)


def enter(dollars: int, *, valid_from: datetime, entered_at: datetime | None = None) -> PriceEntry:
    entry = PriceEntry.objects.create(sku=SKU, nano_usd=dollars * DOLLAR, valid_from=valid_from, note="quote")
    PriceEntry.objects.filter(pk=entry.pk).update(entered_at=entered_at or valid_from)
    return entry


def tell_catalogue(dollars: int) -> None:
    """Let the catalogue tell a price since long ago."""
    connection = factories.make_connection()
    hardware = factories.make_hardware(connection=connection, name="1xnvidia-h100-80gb")
    HardwarePrice.objects.filter(hardware=hardware).update(
        nano_usd_per_hour=dollars * DOLLAR, valid_from=NOW - 90 * DAY
    )


# --- Figures --------------------------------------------------------------------------------------------------------


def test_each_scope_counts_its_own(team: Team) -> None:
    spend(team=team, tags={"env": "prod"})
    spend(dollars=3)

    for fields, dollars in (
        ({}, 130),
        ({"scope": "team", "team": team}, 100),
        ({"scope": "tag", "tag": "env=prod"}, 100),
        ({"scope": "tag", "tag": "env=dev"}, 0),
    ):
        budget = make(STOP, name=str(fields), **fields)
        assert load(budget).figures.spent_low == dollars * DOLLAR


def test_what_runs_counts_until_now_and_as_burn() -> None:
    spend(end=None)

    found = load(make(STOP, DRAIN))

    assert found.figures.spent_low == 100 * DOLLAR
    assert found.figures.nano_usd_per_hour == 10 * DOLLAR
    assert found.percent == 100
    assert found.reached == (DRAIN, STOP)


def test_the_next_threshold_comes_with_the_hour_in_which_the_burn_reaches_it() -> None:
    spend(end=None)

    found = load(make(STOP, dollars=150))

    assert found.next_words(now=NOW) == (
        "at $150 spent: stop all endpoints of the whole organisation; at the burn now that is on "
        f"{NOW + 5 * HOUR:%-d %B, %H:%M} UTC"
    )


def test_a_month_is_that_of_the_zone() -> None:
    # 1 November began in Berlin at 23:00 UTC of the day before.
    midnight = datetime(2026, 10, 31, 23, tzinfo=UTC)
    spend(start=midnight - HOUR, end=midnight + HOUR)
    budget = make(STOP)

    assert load(budget, zone=BERLIN).figures.spent_low == 10 * DOLLAR
    assert load(budget).figures.spent_low == 0


@pytest.mark.parametrize(
    ("now", "is_current", "dollars"),
    [
        (datetime(2026, 10, 23, 12, tzinfo=UTC), False, 0),
        (datetime(2026, 10, 24, 12, tzinfo=UTC), True, 140),
        (datetime(2026, 10, 25, 22, tzinfo=UTC), True, 480),
        (datetime(2026, 10, 25, 23, 0, tzinfo=UTC), False, 490),
        (datetime(2026, 11, 20, 12, tzinfo=UTC), False, 490),
    ],
)
def test_days_of_a_custom_budget_have_23_to_25_hours(now: datetime, is_current: bool, dollars: int) -> None:
    # 24 and 25 October in Berlin: 49 hours, since clocks go back on the 25th.
    start, end = datetime(2026, 10, 23, 22, tzinfo=UTC), datetime(2026, 10, 25, 23, tzinfo=UTC)
    meter = cost_factories.make_meter(sku=SKU, metered_from=start - DAY)
    at = start - DAY
    while at < min(end + DAY, now):
        cost_factories.make_interval(
            meter, start=at, end=min(at + DAY, end + DAY, now), nano_usd_per_hour=10 * DOLLAR
        )
        at += DAY
    budget = make(STOP, cycle="custom", starts_on=date(2026, 10, 24), ends_on=date(2026, 10, 25))

    found = load(budget, now=now, zone=BERLIN)

    assert (found.period.start, found.period.end) == (start, end)
    assert found.is_current is is_current
    assert found.figures.spent_low == dollars * DOLLAR
    assert found.reached == ((STOP,) if is_current and dollars >= 100 else ())
    assert (found.forecast is None) or is_current


def test_v1_bounds_count_as_the_lower_one_and_unknown_prices_as_nothing() -> None:
    spend(rate_high=20 * DOLLAR, units_high=2)
    spend(dollars=None)

    found = load(make(STOP, dollars=101))

    assert (found.figures.spent_low, found.figures.spent_high) == (100 * DOLLAR, 200 * DOLLAR)
    assert found.spent.unpriced_us
    assert found.reached == ()


def test_budgets_read_together_are_what_each_is_alone(team: Team) -> None:
    other = factories.make_team("Docs")
    shared = spend(team=team)
    spend(team=other, dollars=3)
    split = CostSplit.objects.create(meter=shared, method=CostSplit.Method.FIXED, valid_from=NOW - 5 * HOUR)
    CostShare.objects.create(split=split, team=team, percent=25)
    CostShare.objects.create(split=split, team=other, percent=75)
    project = factories.make_project(connection=factories.make_connection(), team=team, name="lab")
    Meter.objects.filter(pk=shared.pk).update(project=project)
    days = {"cycle": "custom", "starts_on": date(2026, 11, 20), "ends_on": date(2026, 11, 20)}
    listed = [
        make(STOP, name=str(number), **fields)
        for number, fields in enumerate(
            (
                {"scope": "team", "team": team},
                {"scope": "team", "team": other},
                {"scope": "team", "team": team, **days},
                {"scope": "project", "project": project},
                {"scope": "project", "project": factories.make_project(connection=project.connection)},
                {},
            )
        )
    ]

    together = budgets.load_statuses(listed, now=NOW, zone=UTC)

    assert [one.spent for one in together] == [load(budget).spent for budget in listed]
    assert [one.figures.spent_low // DOLLAR for one in together][:2] == [62, 67]


# --- Doubtful prices ------------------------------------------------------------------------------------------------


def test_a_price_that_finance_typed_wrong_makes_acts_wait() -> None:
    tell_catalogue(5)
    spend(start=NOW - 2 * HOUR, dollars=500)
    enter(500, valid_from=NOW - 3 * HOUR)

    assert "rose from $5.00 to $500.00" in load(make(STOP)).hold_reason


def test_an_unknown_price_that_became_known_makes_acts_wait() -> None:
    spend(dollars=500)
    enter(500, valid_from=NOW - 60 * DAY, entered_at=NOW - HOUR)

    assert "had no known price before $500.00 was entered" in load(make(STOP)).hold_reason


def test_a_price_that_was_entered_long_ago_is_no_reason_to_wait() -> None:
    spend(dollars=500)
    enter(500, valid_from=NOW - 80 * DAY)

    assert load(make(STOP)).hold_reason == ""


def test_a_lower_price_entered_now_casts_no_doubt_on_the_catalogues_before() -> None:
    tell_catalogue(5)
    spend(dollars=5, start=NOW - 20 * HOUR)
    enter(4, valid_from=NOW - HOUR)

    assert load(make(STOP)).hold_reason == ""


def test_a_wrong_price_of_last_month_that_nobody_confirmed_stops_nothing_in_this_one() -> None:
    tell_catalogue(5)
    typed_at = datetime(2026, 10, 30, tzinfo=UTC)
    spend(dollars=500)
    enter(500, valid_from=typed_at)

    assert "rose from $5.00 to $500.00" in load(make(STOP)).hold_reason


def test_a_confirmation_counts_for_what_was_entered_before_it_only() -> None:
    tell_catalogue(5)
    meter = spend(start=NOW - 4 * HOUR, end=NOW - 2 * HOUR, dollars=50)
    enter(50, valid_from=NOW - 5 * HOUR)
    budget = make(STOP)
    assert load(budget).hold_reason
    budgets.confirm_prices(budget, actor=ACTOR, now=NOW - 2 * HOUR)
    assert load(budget).hold_reason == ""
    assert AuditEvent.objects.filter(action="budget.prices_confirmed").count() == 1

    PriceEntry.objects.update(valid_until=NOW - HOUR)
    enter(5_000, valid_from=NOW - HOUR)
    spend(meter=meter, start=NOW - HOUR, dollars=5_000)

    assert "to $5,000.00" in load(budget).hold_reason


def test_a_doubt_about_little_of_the_cost_holds_nothing() -> None:
    tell_catalogue(5)
    other = cost_factories.make_meter(sku="v2/8xnvidia-b200")
    spend(meter=other, dollars=1_000)
    spend(start=NOW - HOUR, dollars=50)
    enter(50, valid_from=NOW - 2 * HOUR)

    assert load(make(STOP)).hold_reason == ""


def test_only_acts_that_stop_something_wait() -> None:
    tell_catalogue(5)
    spend(start=NOW - 2 * HOUR, dollars=500)
    enter(500, valid_from=NOW - 3 * HOUR)

    assert load(make(Threshold(50, Basis.ACTUAL, Action.NOTIFY))).hold_reason == ""


# --- Writing --------------------------------------------------------------------------------------------------------


def test_a_crossing_is_written_once_in_a_period() -> None:
    spend()
    found = load(make(STOP))

    first = budgets.note_crossing(found, STOP, outcome="done", detail="Asked.", now=NOW)
    second = budgets.note_crossing(found, STOP, outcome="done", detail="Asked again.", now=NOW)

    assert first is not None
    assert first.amount_nano_usd == Decimal(100 * DOLLAR)
    assert second is None
    assert budgets.list_known(found.budget, found.period) == {STOP}
    assert AuditEvent.objects.filter(action="budget.crossed").count() == 1


def test_saving_again_replaces_thresholds_and_is_a_change() -> None:
    budget = make(STOP, DRAIN, DRAIN)

    budgets.save_budget(budget, thresholds=[STOP], exempt=(), actor=ACTOR)

    assert budget.thresholds.count() == 1
    assert sorted(AuditEvent.objects.values_list("action", flat=True)) == ["budget.added", "budget.changed"]
