"""Changing the rules of ownership: sole writer of OwnershipRule. Each change takes effect at once, from now on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime

from django.db import transaction
from django.db.models import F

from billing.models import OwnershipRule
from billing.ownership import TOPIC, assign_owners
from billing.ownership_rules import Rule, TeamRef
from dashboard.accounts import audit
from dashboard.accounts.models import Team
from dashboard.core import live
from dashboard.core.locks import Lock, hold_until_commit
from dashboard.mirror.models import Project


class RuleGoneError(Exception):
    """The rule was retired meanwhile; the message is for people."""

    retryable = False

    def __init__(self) -> None:
        super().__init__("This rule is retired: it decides nothing any more")


@dataclass(frozen=True, slots=True)
class RuleDraft:
    """What a rule shall say. `project_id` is the provider's id; `team` None = it only adds its tags."""

    name: str
    project_id: str = ""
    name_pattern: str = ""
    creator: str = ""
    kind: str = ""
    team: Team | None = None
    cost_centre: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    def as_rule(self, *, pk: int | None) -> Rule:
        """Return it as the preview asks for it."""
        return Rule(
            pk=pk,
            name=self.name,
            project_id=self.project_id,
            name_pattern=self.name_pattern,
            creator=self.creator,
            kind=self.kind,
            team=None if self.team is None else TeamRef(self.team.pk, self.team.name),
            cost_centre=self.cost_centre,
            tags=self.tags,
        )


@transaction.atomic
def add_rule(draft: RuleDraft, *, actor: audit.Actor, now: datetime) -> OwnershipRule:
    """Append the rule as the last one, and decide anew."""
    hold_until_commit(Lock.OWNERSHIP)
    position = OwnershipRule.objects.filter(retired_at=None).count() + 1
    rule = OwnershipRule(position=position, created_by=actor.user)
    _fill(rule, draft)
    rule.save()
    audit.record("ownership.rule_added", actor=actor, detail=_describe(rule))
    _apply(actor=actor, now=now)
    return rule


@transaction.atomic
def change_rule(pk: int, draft: RuleDraft, *, actor: audit.Actor, now: datetime) -> OwnershipRule:
    """Let the rule say something else, and decide anew. Raises RuleGoneError."""
    hold_until_commit(Lock.OWNERSHIP)
    rule = _find(pk)
    before = _describe(rule)
    _fill(rule, draft)
    rule.save()
    audit.record("ownership.rule_changed", actor=actor, detail={"before": before, "after": _describe(rule)})
    _apply(actor=actor, now=now)
    return rule


@transaction.atomic
def move_rule(pk: int, *, by: int, actor: audit.Actor, now: datetime) -> bool:
    """Move the rule so many places (-1 = one up), and decide anew. False at the end. Raises RuleGoneError."""
    hold_until_commit(Lock.OWNERSHIP)
    rules = list(OwnershipRule.objects.filter(retired_at=None))
    place = next((number for number, rule in enumerate(rules) if rule.pk == pk), None)
    if place is None:
        raise RuleGoneError
    wanted = place + by
    if not 0 <= wanted < len(rules):
        return False
    rules.insert(wanted, rules.pop(place))
    _number(rules)
    audit.record(
        "ownership.rule_changed",
        actor=actor,
        detail={
            "rule": rules[wanted].name,
            "before": {"position": place + 1},
            "after": {"position": wanted + 1},
        },
    )
    _apply(actor=actor, now=now)
    return True


@transaction.atomic
def retire_rule(pk: int, *, actor: audit.Actor, now: datetime) -> OwnershipRule:
    """Let the rule decide nothing from now on; history goes on naming it. Raises RuleGoneError."""
    hold_until_commit(Lock.OWNERSHIP)
    rule = _find(pk)
    rule.retired_at = now
    rule.save(update_fields=["retired_at"])
    _number(list(OwnershipRule.objects.filter(retired_at=None)))
    audit.record("ownership.rule_retired", actor=actor, detail=_describe(rule))
    _apply(actor=actor, now=now)
    return rule


def replace_in(rules: list[Rule], draft: Rule) -> list[Rule]:
    """Return the rules with the draft in the place of the one that it changes; a new one comes last."""
    if draft.pk is None:
        return [*rules, draft]
    return [replace(draft, pk=rule.pk) if rule.pk == draft.pk else rule for rule in rules]


def _find(pk: int) -> OwnershipRule:
    rule = OwnershipRule.objects.filter(pk=pk, retired_at=None).first()
    if rule is None:
        raise RuleGoneError
    return rule


def _fill(rule: OwnershipRule, draft: RuleDraft) -> None:
    project = (
        Project.objects.filter(remote_id=draft.project_id)
        .order_by(F("absent_since").asc(nulls_first=True), "-pk")
        .first()
        if draft.project_id
        else None
    )
    if project is not None:
        rule.project_name = project.name
    elif draft.project_id != rule.project_remote_id:
        rule.project_name = ""
    rule.project = project
    rule.project_remote_id = draft.project_id
    rule.name = draft.name
    rule.name_pattern = draft.name_pattern
    rule.creator = draft.creator
    rule.kind = draft.kind
    rule.team = draft.team
    rule.team_name = draft.team.name if draft.team else ""
    rule.cost_centre = draft.cost_centre
    rule.tags = dict(draft.tags)


def _number(rules: list[OwnershipRule]) -> None:
    for position, rule in enumerate(rules, start=1):
        rule.position = position
    OwnershipRule.objects.bulk_update(rules, ["position"])


def _apply(*, actor: audit.Actor, now: datetime) -> None:
    assign_owners(now=now, actor=actor)
    live.announce([TOPIC])


def _describe(rule: OwnershipRule) -> dict[str, object]:
    draft = RuleDraft(
        name=rule.name,
        project_id=rule.project_remote_id,
        name_pattern=rule.name_pattern,
        creator=rule.creator,
        kind=rule.kind,
        cost_centre=rule.cost_centre,
        tags=rule.tags,
    )
    return asdict(draft) | {"team": rule.team_name}
