"""A budget from the ledger to the provider: its stop is sent, read back as stopped, and shown with its receipt."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from billing import budgets
from billing.budget_rules import Action, Basis, Threshold
from billing.models import Budget, BudgetCrossing, Meter
from dashboard.accounts.audit import Actor
from dashboard.lifecycle import budget_acts
from dashboard.lifecycle.models import StopAction
from dashboard.mirror.models import Deployment
from tests import cost_factories
from tests.conftest import sign_in
from tests.factories import make_finance
from tests.lifecycle.conftest import Provider, drive, is_ended

pytestmark = pytest.mark.django_db(transaction=True)
STOP = Threshold(100, Basis.ACTUAL, Action.STOP_ALL)


@pytest.fixture(autouse=True)
def in_process_mail(settings: Any) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


def spend(deployment: Deployment) -> Meter:
    """Write a cost of $600 within the last minute."""
    now = timezone.now()
    meter = cost_factories.make_meter(deployment=deployment)
    start = now - timedelta(minutes=1)
    cost_factories.make_interval(meter, start=start, end=now, nano_usd_per_hour=36_000 * 10**9)
    return meter


def test_what_a_budget_stops_is_read_back_as_stopped_and_what_is_exempt_runs_on(provider: Provider) -> None:
    spent, kept = provider.fresh(), provider.fresh()
    spend(spent)
    exempt = spend(kept)
    today = timezone.now().date()
    budget = Budget(
        name="Everything",
        scope=Budget.Scope.ORGANISATION,
        nano_usd=100 * 10**9,
        cycle=Budget.Cycle.CUSTOM,
        starts_on=today - timedelta(days=1),
        ends_on=today + timedelta(days=1),
    )
    budgets.save_budget(budget, thresholds=[STOP], exempt=(exempt,), actor=Actor.for_process("test"))

    assert budget_acts.enforce_budgets(now=timezone.now()) == 1
    action = drive(StopAction.objects.get(), until=is_ended)

    assert action.state == StopAction.State.OBSERVED
    assert action.origin == StopAction.Origin.BUDGET
    assert provider.tell(spent) == "STOPPED"
    assert provider.tell(kept) == "READY"
    assert len(provider.writes()) == 1
    assert BudgetCrossing.objects.get().outcome == BudgetCrossing.Outcome.DONE
    # It stays reached, and there is nothing left to stop.
    assert budget_acts.enforce_budgets(now=timezone.now()) == 0

    html = sign_in(make_finance()).get(f"/budgets/{budget.pk}/").content.decode()
    assert f'href="/actions/{action.public_id}/"' in html
