"""Who owns each metered thing: sole writer of Ownership.

History is kept: a change ends the present row at `now` and begins another. The first ownership of a thing reaches back
for ever. Only what a person assigns may begin in the past, as far as no month is closed.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Max, Q

from billing.models import Meter, Ownership
from billing.ownership_facts import closed_until, load_rules, load_standing, load_subjects, read_hand
from billing.ownership_rules import Decision, Hand, TeamRef, decide
from dashboard.accounts import audit
from dashboard.accounts.models import Team
from dashboard.core import live
from dashboard.core.locks import Lock, hold_until_commit

TOPIC = "ownership"
PROCESS = audit.Actor.for_process("metering")
_BATCH = 2_000


class OwnershipRefusedError(Exception):
    """The assignment cannot be made; the message is for people."""

    retryable = False


@transaction.atomic
def assign_owners(*, now: datetime, actor: audit.Actor = PROCESS) -> int:
    """Decide anew about everything, write what changed, and return how many things that were.

    Follows new things, changed rules, projects that went to another team, teams that are gone. Five queries when
    nothing changed.
    """
    hold_until_commit(Lock.OWNERSHIP)
    standing = load_standing()
    rules = load_rules()
    ended: list[int] = []
    replaced: list[int] = []
    begun: list[Ownership] = []
    for subject in load_subjects(standing):
        decision = decide(subject.facts, rules=rules, hand=subject.hand, project_team=subject.project_team)
        row = standing.get(subject.meter_id)
        if row is not None and _says(row, decision):
            continue
        since: datetime | None = None
        if row is not None and row.valid_from is not None and row.valid_from >= now:
            replaced.append(row.pk)
            since = row.valid_from
        elif row is not None:
            ended.append(row.pk)
            since = now
        begun.append(_draft(subject.meter_id, decision, hand=subject.hand, valid_from=since, before=row))
    _continue_ended(begun, standing=standing)
    for some in _batches(ended):
        Ownership.objects.filter(pk__in=some).update(valid_until=now)
    for some in _batches(replaced):
        Ownership.objects.filter(pk__in=some).delete()
    Ownership.objects.bulk_create(begun, batch_size=_BATCH)
    _rename_teams(standing)
    if begun:
        audit.record("ownership.assigned", actor=actor, detail=_count(begun, known=standing.keys()))
        live.announce([TOPIC])
    return len(begun)


@transaction.atomic
def assign_by_hand(
    meter: Meter,
    *,
    team: Team | None,
    owner: str,
    cost_centre: str,
    tags: Mapping[str, str],
    valid_from: datetime | None,
    actor: audit.Actor,
    now: datetime,
) -> Ownership:
    """Give the thing to a team from `valid_from` on (None = as far back as it is metered), and return what holds.

    Without a team it goes back to the rules, and only owner and tags are kept. What was recorded for later than
    `valid_from` is replaced; the audit trail keeps it. Raises OwnershipRefusedError for a moment in the future or in
    a closed month.
    """
    hold_until_commit(Lock.OWNERSHIP)
    _check_moment(meter, valid_from, now=now)
    hand = Hand(
        team=None if team is None else TeamRef(team.pk, team.name),
        owner=owner,
        cost_centre=cost_centre if team is not None else "",
        tags=tags,
    )
    row = _begin(meter, hand, valid_from=valid_from, actor=actor)
    live.announce([TOPIC])
    return row


@transaction.atomic
def retag(meter: Meter, *, tags: Mapping[str, str], actor: audit.Actor, now: datetime) -> Ownership:
    """Set the tags that people keep on the thing from now on; who owns it stays, and so do tags of rules."""
    hold_until_commit(Lock.OWNERSHIP)
    present = load_standing([meter.pk]).get(meter.pk)
    before = read_hand(present, dict(Team.objects.values_list("pk", "name")))
    hand = Hand(before.team, before.owner, before.cost_centre, tags)
    row = _begin(meter, hand, valid_from=None if present is None else now, actor=actor)
    live.announce([TOPIC])
    return row


@transaction.atomic
def claim(meters: Iterable[Meter], *, team: Team, actor: audit.Actor) -> list[Ownership]:
    """Give what nobody owns to the team, and return what was given.

    The claim reaches back to where nobody began to own it, but not into closed months. What has an owner meanwhile
    is left alone.
    """
    hold_until_commit(Lock.OWNERSHIP)
    chosen = list(meters)
    standing = load_standing([meter.pk for meter in chosen])
    closed = closed_until()
    given = []
    for meter in chosen:
        present = standing.get(meter.pk)
        if present is not None and present.team_id is not None:
            continue
        since = present.valid_from if present is not None else None
        if closed is not None and (since is None or since < closed) and _was_metered(meter, before=closed):
            since = closed
        hand = Hand(
            team=TeamRef(team.pk, team.name),
            owner=present.owner if present else "",
            tags=(present.hand_tags or {}) if present else {},
        )
        given.append(_begin(meter, hand, valid_from=since, actor=actor))
    if given:
        live.announce([TOPIC])
    return given


def _begin(meter: Meter, hand: Hand, *, valid_from: datetime | None, actor: audit.Actor) -> Ownership:
    """Decide about one thing with what a person said, and let it hold from then on."""
    subject = next(iter(load_subjects({}, meter_ids=[meter.pk])))
    decision = decide(subject.facts, rules=load_rules(), hand=hand, project_team=subject.project_team)
    following = Ownership.objects.filter(meter=meter)
    covering = following.none()
    if valid_from is not None:
        since = Q(valid_until=None) | Q(valid_until__gt=valid_from)
        covering = following.filter(since).filter(Q(valid_from=None) | Q(valid_from__lt=valid_from))
        following = following.filter(valid_from__gte=valid_from)
    before = [_describe(row) for row in (*covering, *following.order_by("valid_from"))]
    covering.update(valid_until=valid_from)
    following.delete()
    row = _draft(meter.pk, decision, hand=hand, valid_from=valid_from, before=None)
    row.decided_by = actor.user
    row.save(force_insert=True)
    audit.record(
        "ownership.assigned",
        actor=actor,
        target=meter,
        detail={"before": before, "after": _describe(row), "reason": decision.reason},
    )
    return row


def _check_moment(meter: Meter, valid_from: datetime | None, *, now: datetime) -> None:
    if valid_from is not None and valid_from > now:
        raise OwnershipRefusedError(
            "This moment lies in the future: an owner is assigned from now on, or back"
        )
    closed = closed_until()
    if closed is None or (valid_from is not None and valid_from >= closed):
        return
    if _was_metered(meter, before=closed):
        raise OwnershipRefusedError(
            f"The months before {closed:%-d %B %Y} are closed: their statements do not change. "
            f"Assign it from {closed:%-d %B %Y} on, or later"
        )


def _was_metered(meter: Meter, *, before: datetime) -> bool:
    return meter.metered_from is not None and meter.metered_from < before


def _says(row: Ownership, decision: Decision) -> bool:
    """Tell whether the row holds the decision already; the name of a team that exists may have changed."""
    return (
        row.team_id == decision.team_id
        and (row.team_id is not None or row.team_name == "")
        and row.owner == decision.owner
        and row.cost_centre == decision.cost_centre
        and row.tags == decision.tags
        and row.source == decision.source.value
        and row.rule_id == decision.rule_id
    )


def _draft(
    meter_id: int, decision: Decision, *, hand: Hand, valid_from: datetime | None, before: Ownership | None
) -> Ownership:
    still_manual = before is not None and before.source == decision.source == Ownership.Source.MANUAL
    return Ownership(
        meter_id=meter_id,
        valid_from=valid_from,
        team_id=decision.team_id,
        team_name=decision.team_name,
        owner=decision.owner,
        cost_centre=decision.cost_centre,
        tags=dict(decision.tags),
        hand_tags=dict(hand.tags),
        source=decision.source.value,
        rule_id=decision.rule_id,
        decided_by_id=before.decided_by_id if still_manual and before else None,
    )


def _continue_ended(begun: Sequence[Ownership], *, standing: Mapping[int, Ownership]) -> None:
    """Let the first row of a thing begin where an ended one left off, if there is any."""
    fresh = [row for row in begun if row.meter_id not in standing]
    for some in _batches([row.meter_id for row in fresh]):
        ends = dict(
            Ownership.objects.filter(meter_id__in=some)
            .values("meter_id")
            .annotate(last=Max("valid_until"))
            .values_list("meter_id", "last")
        )
        for row in fresh:
            if row.meter_id in ends:
                row.valid_from = ends[row.meter_id]


def _rename_teams(standing: Mapping[int, Ownership]) -> None:
    """Follow a team's new name in the rows that hold: it is the same team."""
    held = {(row.team_id, row.team_name) for row in standing.values() if row.team_id is not None}
    names = dict(Team.objects.filter(pk__in={pk for pk, _ in held}).values_list("pk", "name")) if held else {}
    for pk in {pk for pk, name in held if names.get(pk, name) != name}:
        Ownership.objects.filter(team_id=pk, valid_until=None).update(team_name=names[pk])


def _count(begun: Sequence[Ownership], *, known: Collection[int]) -> dict[str, object]:
    teams = Counter(row.team_name or "nobody" for row in begun)
    new = sum(row.meter_id not in known for row in begun)
    return {"things": len(begun), "seen first": new, "given to": dict(teams.most_common())}


def _describe(row: Ownership) -> dict[str, object]:
    return {
        "team": row.team_name or "nobody",
        "owner": row.owner,
        "cost_centre": row.cost_centre,
        "tags": row.tags,
        "source": row.source,
        "from": row.valid_from.isoformat() if row.valid_from else "ever",
    }


def _batches(ids: list[int]) -> Iterable[list[int]]:
    return (ids[start : start + _BATCH] for start in range(0, len(ids), _BATCH))
