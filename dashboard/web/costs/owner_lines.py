"""Who owns a cost, in a line: for pages of endpoints and resources, and for tables of owners."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Q
from django.urls import reverse

from billing.models import Ownership

OPEN = Q(valid_until=None)


@dataclass(frozen=True, slots=True)
class OwnerLine:
    """One owner of what a page shows: the team (empty = nobody), why, and where it is changed."""

    team: str
    reason: str
    owner: str
    url: str
    things: int


def load_owner_lines(meters: Q) -> tuple[OwnerLine, ...]:
    """Return who owns the meters now; `meters` is a condition on Ownership. Empty = not metered yet. One query."""
    rows = list(
        Ownership.objects.filter(OPEN, meters)
        .select_related("team", "rule", "decided_by")
        .order_by("meter_id")
    )
    groups: dict[tuple[object, ...], list[Ownership]] = {}
    for row in rows:
        groups.setdefault((row.team_id, row.source, row.rule_id, row.owner), []).append(row)
    return tuple(_describe(some) for some in groups.values())


def _describe(rows: Sequence[Ownership]) -> OwnerLine:
    first = rows[0]
    return OwnerLine(
        team=name_team(first),
        reason=describe_source(first),
        owner=first.owner,
        url=reverse("costs_owner", args=[first.meter_id]),
        things=len(rows),
    )


def name_team(row: Ownership) -> str:
    """Return the owning team; one that is deleted is called by the name it had. Empty = nobody."""
    if row.team is not None:
        return row.team.name
    return f"{row.team_name} (deleted)" if row.team_name else ""


def describe_source(row: Ownership) -> str:
    """Return why it is theirs, in words that go on a sentence; rule and person must be loaded."""
    if row.source == Ownership.Source.RULE:
        return f"rule “{row.rule.name}”" if row.rule else "a rule"
    if row.source == Ownership.Source.MANUAL:
        if row.team_id is None and not row.team_name:
            return "its team was deleted"
        return f"by hand, {row.decided_by}" if row.decided_by else "by hand"
    if row.source == Ownership.Source.PROJECT:
        return "its project’s team"
    return (
        f"rule “{row.rule.name}” names a team that is gone" if row.rule else "no rule, no team of its project"
    )
