"""The notes above every mirrored page: what is late, refused, silent or unconfirmed. Words pure, one reader."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from django.urls import reverse

from billing import bill_alerts
from billing.budget_alerts import BudgetAlert, read_alerts
from dashboard.accounts.models import User
from dashboard.accounts.permissions import Right, user_may
from dashboard.accounts.visibility import project_filter
from dashboard.core import durations, heartbeats, money
from dashboard.lifecycle.receipts import Overdue, overdue
from dashboard.lifecycle.verdicts.limits import UNCONFIRMED_AFTER
from dashboard.mirror.freshness import ConnectionAge, Freshness
from dashboard.mirror.group_freshness import GroupFreshness

# Seconds without a heartbeat after which somebody should know; both beat every few seconds while they work.
SILENT_AFTER_SECONDS = 60.0
STOPPERS = ("enforcer", "worker-stops")
# As many budgets are named in a note.
MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Notice:
    """One note: bold ``lead``, ``text``, one link."""

    tone: Literal["warn", "fail", "quiet"]
    lead: str
    text: str
    action: str = ""
    url: str = ""


def gather_notices(user: User, *, freshness: Freshness, now: datetime) -> tuple[Notice, ...]:
    """Return the notes that hold now, worst first; unconfirmed stops stand apart (they have a button). Two queries."""
    may_manage = user_may(user, Right.MANAGE_CONNECTIONS)
    notices = [
        *describe_stoppers(heartbeats.read_ages(), may_see=user_may(user, Right.VIEW_HEALTH)),
        *describe_connections(freshness.connections, may_manage=may_manage, now=now),
        *describe_budgets(read_alerts(user, now=now)),
        *(describe_bill(bill_alerts.read_notice()) if user_may(user, Right.MANAGE_COSTS) else ()),
    ]
    return tuple(sorted(notices, key=lambda notice: notice.tone != "fail"))


def describe_connections(
    connections: Iterable[ConnectionAge], *, may_manage: bool, now: datetime
) -> Iterable[Notice]:
    """Yield a note per connection whose reading fails or is late."""
    for one in connections:
        replace = reverse("settings_connection_replace_key", args=[one.connection_id]) if may_manage else ""
        until = (
            f" Figures stop at {durations.format_moment(one.synced_at, now=now)} UTC."
            if one.synced_at
            else ""
        )
        age = now - one.synced_at if one.synced_at else None
        if one.is_refused:
            yield Notice(
                "fail",
                f"Together AI refuses the key of {one.name}.",
                f"{one.health_detail}{until}".strip(),
                "Replace the key" if replace else "",
                replace,
            )
        elif age is not None and age > durations.LATE_AFTER:
            cause = one.error or "The provider answers slowly, or no worker is running."
            yield Notice(
                "fail" if age > durations.STALE_AFTER and one.error else "warn",
                f"Figures of {one.name} are {durations.format_age(age)} old.",
                f"{cause} Nothing is called idle on old evidence.",
            )
        elif one.error:
            yield Notice("warn", f"The last reading of {one.name} was not complete.", one.error)


def describe_groups(freshness: GroupFreshness) -> Iterable[Notice]:
    """Yield a note per group of resources whose newest reading was not complete; "not offered" is none."""
    for one in freshness.failing:
        yield Notice(
            "warn",
            f"The last reading of {one.label.lower()} of {one.connection} was not complete.",
            one.error,
        )


def describe_stoppers(ages: Mapping[str, float], *, may_see: bool) -> Iterable[Notice]:
    """Yield a note when what sends stops is silent; either of the two alone is enough."""
    silent = [name for name in STOPPERS if ages.get(name, float("inf")) > SILENT_AFTER_SECONDS]
    url, action = (reverse("settings_health"), "Health") if may_see else ("", "")
    if len(silent) == len(STOPPERS):
        text = "Neither the enforcer nor the stop worker has reported for a minute: a stop would wait."
        yield Notice("fail", "Nothing sends stops now.", text, action, url)
    elif silent:
        name, other = ("enforcer", "stop worker") if silent[0] == "enforcer" else ("stop worker", "enforcer")
        age = ages.get(silent[0])
        since = f"for {durations.format_duration(timedelta(seconds=age))}" if age is not None else "at all"
        text = f"The {other} still sends stops."
        yield Notice("warn", f"The {name} has not reported {since}.", text, action, url)


def describe_budgets(alerts: Sequence[BudgetAlert]) -> Iterable[Notice]:
    """Yield a note for budgets that are held, and one for those that were crossed in their present period."""
    held = [alert for alert in alerts if alert.is_held]
    crossed = [alert for alert in alerts if not alert.is_held]
    if held:
        url = reverse("budget", args=[held[0].pk]) if len(held) == 1 else reverse("budgets")
        lead = (
            f"Budget {held[0].name} stops nothing now:"
            if len(held) == 1
            else f"{len(held)} budgets stop nothing now:"
        )
        yield Notice("warn", lead, "a price behind it may be wrong.", "Look at it", url)
    if len(crossed) == 1:
        one = crossed[0]
        word = "spent" if one.is_spent else "forecast"
        text = f"{money.format_dollars(one.nano_usd)} {word}, {one.percent}% of it or more."
        yield Notice("warn", f"Budget {one.name}:", text, "Open it", reverse("budget", args=[one.pk]))
    elif crossed:
        names = ", ".join(one.name for one in crossed[:MOST_NAMED])
        more = f" and {len(crossed) - MOST_NAMED} more" if len(crossed) > MOST_NAMED else ""
        lead = f"{len(crossed)} budgets are crossed:"
        yield Notice("warn", lead, f"{names}{more}.", "Budgets", reverse("budgets"))


def describe_bill(notice: bill_alerts.BillNotice | None) -> Iterable[Notice]:
    """Yield a note when days of the bill stay unexplained above the limit."""
    if notice is None:
        return
    amount = money.format_dollars(notice.nano)
    if notice.count == 1:
        lead = f"{amount} of the bill of {notice.day.day} {notice.day:%B} is unexplained."
        url = reverse("costs_bill_day", args=[notice.day.isoformat()])
    else:
        lead = f"{amount} of the bill of {notice.count} days is unexplained."
        url = reverse("costs_bill")
    yield Notice("warn", lead, "What was metered does not account for it.", "Open it", url)


@dataclass(frozen=True, slots=True)
class LateStop:
    """A stop that the provider has not shown yet: the red note with its button."""

    act: Overdue
    lead: str
    text: str
    receipt_url: str
    again_url: str


def find_late_stops(user: User, *, now: datetime) -> tuple[LateStop, ...]:
    """Return the stops the user sees that are not confirmed after five minutes, dearest first. One query."""
    late = overdue(now=now, visible=project_filter(user, path="project__"))
    return tuple(describe_late_stop(one, now=now) for one in late if now - one.due_at >= UNCONFIRMED_AFTER)


def describe_late_stop(act: Overdue, *, now: datetime) -> LateStop:
    """Return the words: what it still reports and what that burns."""
    name = act.endpoint_name
    if act.deployment_name and act.deployment_name != name:
        name = f"{name}, {act.deployment_name},"
    reports = f"still reports {act.seen_state}" if act.seen_state else "has not been read"
    if act.burn_low is None or act.burn_high is None:
        burns = "at an unknown price"
    elif not act.burn_high:
        burns = "and bills nothing"
    else:
        burns = f"and burns {money.format_per_hour(act.burn_low, act.burn_high)}"
    minutes = durations.format_age(now - act.due_at)
    error = f" {act.last_error}" if act.last_error else ""
    return LateStop(
        act=act,
        lead=f"Stop not confirmed after {minutes}.",
        text=f"{name} {reports} {burns}.{error}",
        receipt_url=reverse("action", args=[act.public_id]),
        again_url=reverse("action_send_again", args=[act.public_id]),
    )
