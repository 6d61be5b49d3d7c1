"""What decides about owners, read from the database: rules in order, metered things, closed months. Writes nothing."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from billing.models import Meter, Ownership, OwnershipRule, Statement
from billing.ownership_rules import NO_HAND, Hand, MeterFacts, Rule, Subject, TeamRef
from dashboard.accounts.models import Team
from dashboard.core import periods

_BATCH = 5_000


def load_rules() -> list[Rule]:
    """Return the rules that hold, in order. One query."""
    rows = OwnershipRule.objects.filter(retired_at=None).select_related("team").order_by("position", "pk")
    return [read_rule(row) for row in rows]


def read_rule(row: OwnershipRule) -> Rule:
    """Return a stored rule as it is decided by; its team must be loaded."""
    team = TeamRef(row.team.pk, row.team.name) if row.team else None
    if team is None and row.team_name:
        team = TeamRef(None, row.team_name)
    return Rule(
        pk=row.pk,
        name=row.name,
        project_id=row.project_remote_id,
        project_name=row.project_name,
        name_pattern=row.name_pattern,
        creator=row.creator,
        kind=row.kind,
        team=team,
        cost_centre=row.cost_centre,
        tags=row.tags,
    )


def load_standing(meter_ids: list[int] | None = None) -> dict[int, Ownership]:
    """Return the ownership that holds now and on, by meter; None = of all meters. One query."""
    rows = Ownership.objects.filter(valid_until=None)
    if meter_ids is not None:
        rows = rows.filter(meter_id__in=meter_ids)
    return {row.meter_id: row for row in rows}


def load_subjects(
    standing: Mapping[int, Ownership], *, meter_ids: list[int] | None = None
) -> Iterator[Subject]:
    """Yield everything that is metered with what was decided by hand; None = all meters. Two queries."""
    teams = dict(Team.objects.values_list("pk", "name"))
    meters = Meter.objects.order_by("pk")
    if meter_ids is not None:
        meters = meters.filter(pk__in=meter_ids)
    for pk, name, kind, endpoint, creator, project_id, project_name, team_id in meters.values_list(
        "pk",
        "name",
        "kind",
        "endpoint_name",
        "creator",
        "sub_account_id",
        "sub_account_name",
        "project__team_id",
    ).iterator(chunk_size=_BATCH):
        yield Subject(
            meter_id=pk,
            facts=MeterFacts(
                name=name,
                kind=kind,
                endpoint_name=endpoint,
                creator=creator,
                project_id=project_id,
                project_name=project_name,
            ),
            hand=read_hand(standing.get(pk), teams),
            project_team=None if team_id is None else TeamRef(team_id, teams.get(team_id, "")),
        )


def read_hand(row: Ownership | None, teams: Mapping[int, str]) -> Hand:
    """Return what a person decided, as the open ownership keeps it. `teams` are the names of those that exist."""
    if row is None:
        return NO_HAND
    if row.source != Ownership.Source.MANUAL:
        return Hand(owner=row.owner, tags=row.hand_tags or {})
    exists = row.team_id is not None and row.team_id in teams
    team = TeamRef(row.team_id, teams[row.team_id]) if exists else TeamRef(None, row.team_name)  # type: ignore[index]
    tags = row.tags if row.hand_tags is None else row.hand_tags
    return Hand(team, row.owner, row.cost_centre, tags)


def closed_until() -> datetime | None:
    """Return the end of the last month that a statement closed, in its zone; None = none is closed. One query."""
    last = Statement.objects.order_by("-month").values_list("month", "zone").first()
    if last is None:
        return None
    month, zone = last
    following, held = periods.add_months(month, 1), ZoneInfo(zone)
    return periods.reach(datetime(following.year, following.month, 1), zone=held).astimezone(held)  # noqa: DTZ001 - wall time
