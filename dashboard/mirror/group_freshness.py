"""How old the mirrored resources of some groups are, per connection and group (mirror/groups.py names the groups)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import JSONField, OuterRef, Subquery
from django.db.models.functions import JSONObject
from django.utils.dateparse import parse_datetime

from dashboard.accounts.models import Connection, User
from dashboard.accounts.permissions import Right, user_may
from dashboard.core import durations
from dashboard.mirror.models import SyncRun
from dashboard.mirror.querysets import visible_projects

Outcome = SyncRun.Outcome
_LEFT_OUT = (Outcome.RUNNING, Outcome.BUSY)


@dataclass(frozen=True, slots=True)
class AgeLimits:
    """From which age on a page says "late", and from which its states are of the past."""

    late: timedelta = durations.LATE_AFTER
    stale: timedelta = durations.STALE_AFTER


# What lies around is read every two minutes, catalogues every quarter of an hour (dashboard/celery.py): late is what
# missed its second turn.
_SLOW = AgeLimits(late=timedelta(minutes=5), stale=timedelta(minutes=10))
_RARE = AgeLimits(late=timedelta(minutes=40), stale=timedelta(hours=2))
_LIMITS = {
    SyncRun.Resource.FILES: _SLOW,
    SyncRun.Resource.MODELS: _SLOW,
    SyncRun.Resource.CATALOGUE: _RARE,
    SyncRun.Resource.UNIT_PRICES: _RARE,
}


def limits_of(groups: Sequence[SyncRun.Resource]) -> AgeLimits:
    """Return the limits of a page over these groups: those of the one that is read least often."""
    limits = [_LIMITS.get(group, AgeLimits()) for group in groups]
    return max(limits, key=lambda one: one.late, default=AgeLimits())


@dataclass(frozen=True, slots=True)
class GroupAge:
    """What is known of one group over one connection.

    `synced_at` is the start of the last reading that said all there is, "not offered to this key" included: None =
    never. `error` is the sentence of the newest reading when that was not complete, or lost the right to what was read
    before; empty otherwise.
    `unavailable` is the provider's sentence while it does not offer the group to the key, else empty.
    """

    connection: str
    group: str
    label: str
    synced_at: datetime | None
    error: str
    error_at: datetime | None
    unavailable: str


@dataclass(frozen=True, slots=True)
class GroupFreshness:
    """The ages of some groups over the enabled connections whose rows a person may see."""

    ages: tuple[GroupAge, ...]

    @property
    def synced_at(self) -> datetime | None:
        """Return the age of a page over all of it: that of its oldest part; None while any part was never read."""
        known = [one.synced_at for one in self.ages if one.synced_at is not None]
        return min(known) if known and len(known) == len(self.ages) else None

    @property
    def failing(self) -> tuple[GroupAge, ...]:
        """Return those whose newest reading was not complete."""
        return tuple(one for one in self.ages if one.error)

    @property
    def unavailable(self) -> tuple[GroupAge, ...]:
        """Return those that the provider does not offer to the key."""
        return tuple(one for one in self.ages if one.unavailable)

    @property
    def is_unavailable(self) -> bool:
        """True when nothing of the page is offered to any key: there is nothing to wait for."""
        return bool(self.ages) and len(self.unavailable) == len(self.ages)


def load_group_freshness(user: User, groups: Sequence[SyncRun.Resource]) -> GroupFreshness:
    """Return the ages of these groups for what the user may see. One query, two index look-ups a group."""
    connections = Connection.objects.filter(is_enabled=True)
    if not user_may(user, Right.SEE_ALL_PROJECTS):
        connections = connections.filter(pk__in=visible_projects(user).values("connection_id"))
    columns: dict[str, Any] = {}
    for group in groups:
        runs = SyncRun.objects.filter(connection=OuterRef("pk"), resource=group)
        columns[f"{group}_newest"] = _describe(
            runs.exclude(outcome__in=_LEFT_OUT).order_by("-started_at"), "outcome", "error", "started_at"
        )
        columns[f"{group}_complete"] = _describe(
            runs.filter(outcome=Outcome.COMPLETE).order_by("-finished_at"), "started_at"
        )
    rows = connections.order_by("name").annotate(**columns).values("name", *columns)
    return GroupFreshness(tuple(_read_age(row, group) for row in rows for group in groups))


def _read_age(row: dict[str, Any], group: SyncRun.Resource) -> GroupAge:
    newest: dict[str, str] = row[f"{group}_newest"] or {}
    complete: dict[str, str] = row[f"{group}_complete"] or {}
    outcome, error = newest.get("outcome", ""), newest.get("error", "")
    is_unavailable = outcome == Outcome.UNAVAILABLE
    # What was read before and is refused now goes on being shown: as old as it is, and with the refusal named.
    is_lost = is_unavailable and bool(complete)
    is_bad = is_lost or outcome in (Outcome.FAILED, Outcome.PARTIAL)
    newest_at = _read_time(newest.get("started_at"))
    return GroupAge(
        connection=row["name"],
        group=group.value,
        label=str(group.label),
        synced_at=newest_at if is_unavailable and not is_lost else _read_time(complete.get("started_at")),
        error=(error or "The last reading failed.") if is_bad else "",
        error_at=newest_at if is_bad else None,
        unavailable=(error or "The provider does not offer it to this key.") if is_unavailable else "",
    )


def _describe(runs: Any, *columns: str) -> Subquery:
    return Subquery(
        runs.values(found=JSONObject(**{column: column for column in columns}))[:1], output_field=JSONField()
    )


def _read_time(text: str | None) -> datetime | None:
    return parse_datetime(text) if text else None
