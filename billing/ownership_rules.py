"""Who owns the cost of a thing: what a person decided, else the first rule that matches, else its project's team. Pure.

Tags come from everything that speaks of the thing: those set by hand first, then those of all matching rules in order;
of two with the same key the earlier one holds.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fnmatch import fnmatchcase

Tags = Mapping[str, str]


class DecidedBy(StrEnum):
    """Where a decision comes from; the values of `models.Ownership.Source`."""

    MANUAL = "manual"
    RULE = "rule"
    PROJECT = "project"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class MeterFacts:
    """What rules may ask of a metered thing. `project_id` is the provider's id; empty = not told."""

    name: str
    kind: str
    endpoint_name: str = ""
    creator: str = ""
    project_id: str = ""
    project_name: str = ""


@dataclass(frozen=True, slots=True)
class TeamRef:
    """A team; `pk` None = it was deleted, the name is what it was called."""

    pk: int | None
    name: str


@dataclass(frozen=True, slots=True)
class Rule:
    """Conditions, all of which must hold (an empty one holds always), and what they lead to.

    `team` None: the rule only adds its tags. `pk` None: a draft that is not stored yet.
    """

    pk: int | None
    name: str
    project_id: str = ""
    project_name: str = ""
    name_pattern: str = ""
    creator: str = ""
    kind: str = ""
    team: TeamRef | None = None
    cost_centre: str = ""
    tags: Tags = field(default_factory=dict)

    def matches(self, facts: MeterFacts) -> bool:
        """Tell whether all conditions hold. Patterns ignore case; an endpoint's name counts for its deployments."""
        if self.project_id and self.project_id != facts.project_id:
            return False
        if self.kind and self.kind != facts.kind:
            return False
        if self.creator and self.creator.casefold() != facts.creator.casefold():
            return False
        if not self.name_pattern:
            return True
        pattern = self.name_pattern.casefold()
        return any(
            fnmatchcase(name.casefold(), pattern) for name in (facts.name, facts.endpoint_name) if name
        )

    def describe_conditions(self, *, kind_label: str = "") -> str:
        """Return the conditions in words: ``name like prod-*, project search``."""
        parts = [
            f"name like {self.name_pattern}" if self.name_pattern else "",
            f"project {self.project_name or self.project_id}" if self.project_id else "",
            f"made by {self.creator}" if self.creator else "",
            f"kind {kind_label or self.kind}" if self.kind else "",
        ]
        return ", ".join(part for part in parts if part) or "everything"


@dataclass(frozen=True, slots=True)
class Hand:
    """What a person decided. Without a team the rules go on deciding, and owner and tags are added."""

    team: TeamRef | None = None
    owner: str = ""
    cost_centre: str = ""
    tags: Tags = field(default_factory=dict)


NO_HAND = Hand()


@dataclass(frozen=True, slots=True)
class Decision:
    """Who owns it from now on. `team_id` None = nobody; `reason` is one sentence without a full stop."""

    team_id: int | None
    team_name: str
    owner: str
    cost_centre: str
    tags: Tags
    source: DecidedBy
    rule_id: int | None
    reason: str


def decide(
    facts: MeterFacts, *, rules: Sequence[Rule], hand: Hand = NO_HAND, project_team: TeamRef | None = None
) -> Decision:
    """Return who owns the thing, given the rules in order.

    What a deleted team held, by hand or by a rule, is nobody's until somebody decides: it does not slip to the next
    in line unseen.
    """
    matching = [rule for rule in rules if rule.matches(facts)]
    nobody = Decision(
        None, "", hand.owner, "", _merge_tags(hand, matching), DecidedBy.NOBODY, None, "nothing speaks of it"
    )
    if hand.team is not None:
        if hand.team.pk is None:
            return replace(nobody, source=DecidedBy.MANUAL, reason="the team that it was given to is gone")
        return replace(
            nobody,
            team_id=hand.team.pk,
            team_name=hand.team.name,
            cost_centre=hand.cost_centre,
            source=DecidedBy.MANUAL,
            reason="assigned by hand",
        )
    for rule in matching:
        if rule.team is None:
            continue
        if rule.team.pk is None:
            gone = f"the rule “{rule.name}” gives it to {rule.team.name}, a team that is gone"
            return replace(nobody, rule_id=rule.pk, reason=gone)
        return replace(
            nobody,
            team_id=rule.team.pk,
            team_name=rule.team.name,
            cost_centre=rule.cost_centre,
            source=DecidedBy.RULE,
            rule_id=rule.pk,
            reason=f"the rule “{rule.name}” is the first that matches",
        )
    project = facts.project_name or facts.project_id
    if project_team is None or project_team.pk is None:
        where = f"its project {project} belongs to no team" if project else "its project is not told"
        return replace(nobody, reason=f"no rule gives it to a team, and {where}")
    return replace(
        nobody,
        team_id=project_team.pk,
        team_name=project_team.name,
        source=DecidedBy.PROJECT,
        reason=f"no rule gives it to a team; its project {project} belongs to {project_team.name}",
    )


def _merge_tags(hand: Hand, rules: Iterable[Rule]) -> dict[str, str]:
    merged = dict(hand.tags)
    for rule in rules:
        for key, value in rule.tags.items():
            merged.setdefault(key, value)
    return merged


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing as the preview asks about it."""

    meter_id: int
    facts: MeterFacts
    hand: Hand = NO_HAND
    project_team: TeamRef | None = None


@dataclass(frozen=True, slots=True)
class Handover:
    """A thing about which two sets of rules disagree."""

    subject: Subject
    before: Decision
    after: Decision

    @property
    def changes_team(self) -> bool:
        """True when another team would pay, not only another cost centre or other tags."""
        return self.before.team_id != self.after.team_id


def preview(before: Sequence[Rule], after: Sequence[Rule], subjects: Iterable[Subject]) -> list[Handover]:
    """Return the things whose team, cost centre or tags would change, in the given order."""
    found = []
    for subject in subjects:
        was, would = (
            decide(subject.facts, rules=rules, hand=subject.hand, project_team=subject.project_team)
            for rules in (before, after)
        )
        if (was.team_id, was.cost_centre, was.tags) != (would.team_id, would.cost_centre, would.tags):
            found.append(Handover(subject, was, would))
    return found


@dataclass(frozen=True, slots=True)
class Move:
    """Everything that would go from one team to another; the empty name is nobody."""

    from_team: str
    to_team: str
    handovers: tuple[Handover, ...]


def group_moves(handovers: Iterable[Handover]) -> list[Move]:
    """Return those that change the team, by the two teams, largest group first."""
    groups: dict[tuple[int | None, int | None], list[Handover]] = {}
    for one in handovers:
        if one.changes_team:
            groups.setdefault((one.before.team_id, one.after.team_id), []).append(one)
    moves = [Move(some[0].before.team_name, some[0].after.team_name, tuple(some)) for some in groups.values()]
    return sorted(moves, key=lambda move: (-len(move.handovers), move.from_team, move.to_team))
