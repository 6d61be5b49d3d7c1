"""Do what a budget's reached thresholds say: tell people, ask again before starts, stop what is idle, stop everything.

Level-triggered: each pass looks at what is reached now and at what runs now. What stops goes through the same requests
as a click; a crossing is told once per period. While a price is in doubt nothing is stopped for it.
"""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.core.mail import send_mail
from django.db import transaction
from django.db.models import Q, QuerySet

from billing import budgets
from billing.budget_rules import STOPPING, Action, Basis, Threshold
from billing.budgets import Status
from billing.models import Budget, BudgetCrossing, Meter
from billing.rules import load_rules, reporting_zone
from dashboard.accounts.audit import Actor
from dashboard.accounts.models import User
from dashboard.accounts.permissions import RIGHTS, Right
from dashboard.core import live, money
from dashboard.core.locks import Lock, try_lock
from dashboard.lifecycle.actions import request_stop
from dashboard.lifecycle.errors import ActionError
from dashboard.lifecycle.idleness import idle_filter
from dashboard.lifecycle.models import StopAction
from dashboard.lifecycle.wishes import Requested
from dashboard.mirror.models import Deployment, Endpoint, Project

logger = logging.getLogger(__name__)
ACTOR = Actor.for_process("budgets")


def enforce_budgets(*, now: datetime) -> int:
    """Look at every enabled budget and act; return how many stops were asked for. One pass at a time."""
    asked = 0
    with try_lock(Lock.BUDGETS) as is_held:
        if not is_held:
            return 0
        zone = reporting_zone(load_rules())
        for budget in list(budgets.list_enabled()):
            try:
                asked += enforce(budgets.load_status(budget, now=now, zone=zone), now=now)
            except Exception:  # one budget that cannot be read must not keep the others from acting
                logger.exception("budget %s could not be enforced", budget.pk)
    return asked


def enforce(found: Status, *, now: datetime) -> int:
    """Do what the budget's reached thresholds say; return how many stops were asked for."""
    if not found.is_current:
        return 0
    if budgets.set_hold(found.budget, found.hold_reason, actor=ACTOR):
        live.announce(["budgets"])
        if found.hold_reason:
            _tell_held(found)
    known = budgets.list_known(found.budget, found.period)
    asked = 0
    for threshold in found.reached:
        requested: list[Requested] = []
        is_held = threshold.action in STOPPING and bool(found.hold_reason)
        if not is_held and threshold.action in STOPPING:
            requested = stop_targets(found, threshold, now=now)
            asked += len(requested)
        if threshold not in known:
            _note(found, threshold, requested, now=now, is_held=is_held)
        elif not is_held and threshold.action in STOPPING:
            _go_on(found, threshold, requested)
    return asked


def stop_targets(found: Status, threshold: Threshold, *, now: datetime) -> list[Requested]:
    """Ask for the stops of a reached threshold; what is asked for already, or cannot be, is left alone."""
    requested = []
    for deployment in find_targets(found.budget, threshold.action, now=now):
        reason = _reason(found, threshold)
        since = deployment.state_since.isoformat() if deployment.state_since else ""
        key = (
            f"budget:{found.budget.pk}:{found.period.start:%Y-%m-%d}:{threshold.percent}:{threshold.basis}"
            f":{threshold.action}:{deployment.pk}:{since}"
        )
        try:
            made = request_stop(
                deployment,
                actor=ACTOR,
                idempotency_key=key,
                origin=StopAction.Origin.BUDGET,
                reason=reason,
            )
        except ActionError as error:
            logger.info("budget %s leaves deployment %s: %s", found.budget.pk, deployment.pk, error)
            continue
        if made.created:
            requested.append(made)
    return requested


def find_targets(
    budget: Budget, action: Action, *, now: datetime, exempt: Iterable[Meter] | None = None
) -> QuerySet[Deployment]:
    """Return the running deployments of the scope that an action would stop now; exempt ones never.

    Idle is what the evidence says of the endpoint: without evidence it is active. `exempt` None = as it was saved; a
    budget that was not saved yet needs it.
    """
    running = Deployment.objects.filter(
        pk__in=budgets.meters_of(budget, exempt=exempt)
        .filter(deployment__isnull=False)
        .values("deployment_id"),
        absent_since=None,
        billable_high__gt=0,
    ).select_related("endpoint")
    if action is Action.DRAIN_IDLE:
        idle = Endpoint.objects.filter(idle_filter(now), absent_since=None)
        running = running.filter(endpoint__in=idle)
    return running.order_by("pk")


def find_start_guards(project: Project, *, endpoint: Endpoint | None = None) -> list[Budget]:
    """Return the budgets that want a start there confirmed: those whose threshold for it was crossed this period.

    Of an endpoint that exists its owner counts; of a new one its project and the project's team.
    """
    team_ids = {project.team_id} if project.team_id else set()
    tags: list[str] = []
    if endpoint is not None:
        rows = Meter.objects.filter(endpoint=endpoint, ownerships__valid_until=None).values_list(
            "ownerships__team_id", "ownerships__tags"
        )
        for team_id, owned_tags in rows:
            team_ids |= {team_id} if team_id else set()
            tags += [f"{key}={value}" for key, value in (owned_tags or {}).items()]
    scope = (
        Q(scope=Budget.Scope.ORGANISATION)
        | Q(scope=Budget.Scope.TEAM, team_id__in=team_ids)
        | Q(scope=Budget.Scope.PROJECT, project=project)
        | Q(scope=Budget.Scope.TAG, tag__in=tags)
    )
    return list(budgets.list_enabled().filter(scope, thresholds__action=Action.CONFIRM_STARTS).distinct())


def list_reached_guards(project: Project, *, endpoint: Endpoint | None = None, now: datetime) -> list[Status]:
    """Return the budgets, with their figures, over whose limit a start there goes."""
    guards = find_start_guards(project, endpoint=endpoint)
    if not guards:
        return []
    found = budgets.load_statuses(guards, now=now, zone=reporting_zone(load_rules()))
    return [one for one in found if any(each.action is Action.CONFIRM_STARTS for each in one.reached)]


def _note(
    found: Status, threshold: Threshold, requested: Sequence[Requested], *, now: datetime, is_held: bool
) -> None:
    outcome = BudgetCrossing.Outcome.HELD if is_held else BudgetCrossing.Outcome.DONE
    detail = found.hold_reason if is_held else _describe_done(threshold, requested)
    with transaction.atomic():
        crossing = budgets.note_crossing(found, threshold, outcome=outcome, detail=detail, now=now)
        if crossing is not None:
            _tell_crossed(found, threshold, detail, is_held=is_held)
            live.announce(["budgets"])


def _go_on(found: Status, threshold: Threshold, requested: Sequence[Requested]) -> None:
    """Say that a threshold which waited has acted after all."""
    held = BudgetCrossing.objects.filter(
        budget=found.budget,
        period_start=found.period.start,
        percent=threshold.percent,
        basis=threshold.basis,
        action=threshold.action,
        outcome=BudgetCrossing.Outcome.HELD,
    ).first()
    if held is not None:
        detail = _describe_done(threshold, requested)
        budgets.update_crossing(held, outcome=BudgetCrossing.Outcome.DONE, detail=detail)
        live.announce(["budgets"])


def _describe_done(threshold: Threshold, requested: Sequence[Requested]) -> str:
    if threshold.action is Action.NOTIFY:
        return "Told the people."
    if threshold.action is Action.CONFIRM_STARTS:
        return "Starts ask for a confirmation until the period ends."
    if not requested:
        return "Nothing ran that it would stop."
    names = ", ".join(one.action.title for one in requested[:5])
    more = f" and {len(requested) - 5} more" if len(requested) > 5 else ""  # as many as are named
    return f"Asked for {len(requested)} stop{'' if len(requested) == 1 else 's'}: {names}{more}."


def _reason(found: Status, threshold: Threshold) -> str:
    """Return why, as it stands on the receipt."""
    amount = found.figures.of(threshold.basis)
    figure = money.format_dollars(amount or 0)
    word = "spent" if threshold.basis is Basis.ACTUAL else "forecast"
    limit = money.format_dollars(threshold.amount(found.budget.nano_usd), places=0)
    return f"Budget {found.budget.name}: {figure} {word}, {limit} or more stops this"


def _tell_crossed(found: Status, threshold: Threshold, detail: str, *, is_held: bool) -> None:
    name = found.budget.name
    figure = money.format_dollars(found.figures.of(threshold.basis) or 0)
    word = "spent" if threshold.basis is Basis.ACTUAL else "forecast"
    subject = f"Budget {name}: {figure} {word}, {threshold.percent}% of it"
    lines = [
        f"{subject}.",
        "",
        budgets.describe(threshold, found.budget).capitalize() + ".",
        f"This waits: {detail}" if is_held else detail,
    ]
    _mail(found.budget, subject, lines)


def _tell_held(found: Status) -> None:
    subject = f"Budget {found.budget.name}: its acts wait"
    lines = [
        found.hold_reason + ".",
        "",
        "Nothing is stopped for this budget until somebody says that the prices are right, or mends them.",
    ]
    _mail(found.budget, subject, lines)


def _mail(budget: Budget, subject: str, lines: Iterable[str]) -> None:
    """Hand a mail to each of those who should know; one each, so that nobody reads who else got it."""
    body = "\n".join([*lines, "", "The budget stands in Endpoint Desk under Budgets."])
    for address in list_recipients(budget):
        send_mail(subject, body, None, [address])


def list_recipients(budget: Budget) -> list[str]:
    """Return the addresses of who manages costs, and of the people of the team that the budget is for. One query."""
    roles = [role for role, rights in RIGHTS.items() if Right.MANAGE_COSTS in rights]
    who = Q(role__in=roles)
    team_id = budget.team_id or (budget.project.team_id if budget.project else None)
    if team_id is not None:
        who |= Q(teams=team_id)
    people = User.objects.filter(who, is_active=True).distinct().order_by("pk")
    return list(people.values_list("email", flat=True))
