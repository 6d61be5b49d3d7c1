"""Budgets act: told once, idle ones stopped while it stays reached, exempt ones never, nothing on a doubtful price."""

from datetime import timedelta

import pytest
from django.core import mail

from billing import budgets
from billing.budget_rules import Action, Basis, Threshold
from billing.models import Budget, BudgetCrossing, Meter
from dashboard.accounts.audit import Actor
from dashboard.accounts.models import Team
from dashboard.lifecycle import budget_acts
from dashboard.lifecycle.models import StopAction
from dashboard.mirror.models import Endpoint, HardwarePrice
from tests import cost_factories, factories
from tests.factories import H100_NANO_USD_PER_HOUR, NOW
from tests.web.conftest import Desk, desk, frozen

__all__ = ["desk", "frozen"]

DOLLAR = 1_000_000_000
DRAIN = Threshold(50, Basis.ACTUAL, Action.DRAIN_IDLE)
STOP = Threshold(100, Basis.ACTUAL, Action.STOP_ALL)
TELL = Threshold(50, Basis.ACTUAL, Action.NOTIFY)
ASK = Threshold(50, Basis.ACTUAL, Action.CONFIRM_STARTS)


@pytest.fixture
def team() -> Team:
    return factories.make_team("search")


@pytest.fixture(autouse=True)
def in_process_mail(settings, mailoutbox) -> None:  # type: ignore[no-untyped-def]
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


def spend(endpoint: Endpoint, *, hours: float = 10, **fields: object) -> Meter:
    meter = cost_factories.make_meter(deployment=endpoint.deployments.get())
    cost_factories.make_ownership(meter, team=endpoint.project.team)
    start = NOW - timedelta(hours=hours)
    cost_factories.make_interval(meter, start=start, end=NOW, **fields)
    return meter


def make_budget(
    *thresholds: Threshold, dollars: int = 100, team: Team | None = None, exempt: tuple[Meter, ...] = ()
) -> Budget:
    budget = Budget(
        name=f"budget {Budget.objects.count()}",
        scope=Budget.Scope.TEAM if team else Budget.Scope.ORGANISATION,
        team=team,
        nano_usd=dollars * DOLLAR,
    )
    return budgets.save_budget(budget, thresholds=thresholds, exempt=exempt, actor=Actor.for_process("test"))


def stops() -> list[str]:
    rows = StopAction.objects.filter(kind=StopAction.Kind.STOP).order_by("endpoint__display_name")
    return [row.endpoint.display_name for row in rows if row.endpoint]


def test_below_its_thresholds_nothing_happens(desk: Desk) -> None:
    spend(desk.idle("docs-qa"), hours=9)
    make_budget(DRAIN, STOP, TELL)

    assert budget_acts.enforce_budgets(now=NOW) == 0

    assert stops() == []
    assert not BudgetCrossing.objects.exists()
    assert mail.outbox == []


def test_idle_endpoints_are_stopped_and_busy_ones_are_not(desk: Desk) -> None:
    spend(desk.idle("docs-qa"))
    spend(desk.endpoint("support"))
    make_budget(DRAIN)

    assert budget_acts.enforce_budgets(now=NOW) == 1

    assert stops() == ["docs-qa"]
    action = StopAction.objects.get()
    assert action.origin == StopAction.Origin.BUDGET
    assert "$108.00 spent" in action.reason
    assert "docs-qa" in BudgetCrossing.objects.get().detail


def test_what_becomes_idle_later_is_stopped_then(desk: Desk) -> None:
    endpoint = desk.endpoint("docs-qa")
    spend(endpoint)
    make_budget(DRAIN)
    budget_acts.enforce_budgets(now=NOW)
    assert stops() == []

    Endpoint.objects.filter(pk=endpoint.pk).update(last_request_at=NOW - timedelta(hours=1))

    assert budget_acts.enforce_budgets(now=NOW) == 1
    assert stops() == ["docs-qa"]


def test_twice_in_a_row_asks_and_tells_once(desk: Desk) -> None:
    factories.make_finance(email="ines@example.com")
    spend(desk.idle("docs-qa"))
    make_budget(DRAIN)

    assert budget_acts.enforce_budgets(now=NOW) == 1
    assert budget_acts.enforce_budgets(now=NOW) == 0

    assert BudgetCrossing.objects.count() == 1
    assert [one.to for one in mail.outbox] == [["ines@example.com"]]


def test_everything_of_the_scope_is_stopped_but_what_is_exempt_and_what_is_anothers(desk: Desk) -> None:
    other = factories.make_team("research")
    project = factories.make_project(connection=desk.connection, team=other, name="lab")
    spend(Desk(desk.connection, project, other).endpoint("theirs"))
    spend(desk.endpoint("support"))
    exempt = spend(desk.endpoint("status-page"))
    make_budget(STOP, team=desk.team, exempt=(exempt,))

    budget_acts.enforce_budgets(now=NOW)

    assert stops() == ["support"]


def test_a_price_that_rose_steeply_stops_nothing_until_somebody_confirms_it(desk: Desk) -> None:
    factories.make_finance(email="ines@example.com")
    endpoint = desk.endpoint("support")
    hardware = factories.make_hardware(connection=desk.connection, name=endpoint.deployments.get().hardware)
    rose_at = NOW - timedelta(hours=2)
    HardwarePrice.objects.filter(hardware=hardware).update(
        nano_usd_per_hour=H100_NANO_USD_PER_HOUR, valid_from=NOW - timedelta(days=60), valid_until=rose_at
    )
    HardwarePrice.objects.create(
        hardware=hardware, nano_usd_per_hour=100 * H100_NANO_USD_PER_HOUR, valid_from=rose_at
    )
    meter = cost_factories.make_meter(deployment=endpoint.deployments.get())
    cost_factories.make_interval(
        meter, start=rose_at, end=NOW, nano_usd_per_hour=100 * H100_NANO_USD_PER_HOUR
    )
    budget = make_budget(STOP)

    assert budget_acts.enforce_budgets(now=NOW) == 0
    held = BudgetCrossing.objects.get()
    assert held.outcome == BudgetCrossing.Outcome.HELD
    assert "rose from $5.40 to $540.00" in held.detail
    budget.refresh_from_db()
    assert "rose from" in budget.paused_reason
    assert any("wait" in one.subject for one in mail.outbox)

    budgets.confirm_prices(budget, actor=Actor.for_process("test"), now=NOW)

    assert budget_acts.enforce_budgets(now=NOW) == 1
    assert stops() == ["support"]
    held.refresh_from_db()
    assert held.outcome == BudgetCrossing.Outcome.DONE


def test_a_switched_off_budget_does_nothing(desk: Desk) -> None:
    spend(desk.endpoint("support"), hours=20)
    budget = make_budget(STOP)
    budgets.set_enabled(budget, is_enabled=False, actor=Actor.for_process("test"))

    assert budget_acts.enforce_budgets(now=NOW) == 0
    assert stops() == []


def test_starts_ask_again_once_the_threshold_is_reached(desk: Desk) -> None:
    endpoint = desk.stopped("docs-qa")
    make_budget(ASK, team=desk.team)
    assert budget_acts.list_reached_guards(desk.project, endpoint=endpoint, now=NOW) == []

    spend(desk.endpoint("support"))

    found = budget_acts.list_reached_guards(desk.project, endpoint=endpoint, now=NOW)
    assert [one.budget.team for one in found] == [desk.team]
    other = factories.make_project(connection=desk.connection, name="lab")
    assert budget_acts.list_reached_guards(other, now=NOW) == []
