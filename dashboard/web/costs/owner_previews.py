"""What a change of rules would move, before it is made: sentences, and a table of things with their cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from billing.amounts import ZERO, Cost, add_costs
from billing.costs import CostQuery, GroupBy, load_costs
from billing.models import MeterKind
from billing.ownership_facts import load_standing, load_subjects
from billing.ownership_rules import Handover, Move, Rule, group_moves, preview
from dashboard.core.periods import Period

LOOKED_BACK = timedelta(days=30)
MOST_SHOWN = 50
_PLURALS = {
    MeterKind.DEPLOYMENT.value: ("endpoint", "endpoints"),
    MeterKind.FINE_TUNE.value: ("fine-tune", "fine-tunes"),
    MeterKind.BATCH.value: ("batch", "batches"),
    MeterKind.EVALUATION.value: ("evaluation", "evaluations"),
    MeterKind.CLUSTER.value: ("GPU cluster", "GPU clusters"),
    MeterKind.VOLUME.value: ("shared volume", "shared volumes"),
    MeterKind.CONTAINER.value: ("container", "containers"),
}


@dataclass(frozen=True, slots=True)
class MoveLine:
    """One sentence: how many things, which cost so much in the last 30 days, go from whom to whom."""

    count: int
    noun: str
    cost: Cost
    from_team: str
    to_team: str


@dataclass(frozen=True, slots=True)
class HandoverLine:
    """A thing of the dry-run table."""

    handover: Handover
    kind_label: str
    cost: Cost


@dataclass(frozen=True, slots=True)
class RulePreview:
    """All that would change; `only_details` counts what keeps its team but gets another cost centre or tags."""

    moves: list[MoveLine]
    rows: list[HandoverLine]
    count: int
    only_details: int

    @property
    def hidden(self) -> int:
        """How many things the table leaves out."""
        return self.count - len(self.rows)


def load_meter_costs(*, now: datetime) -> dict[int, Cost]:
    """Return what each thing cost in the last 30 days, all owners together. One query, or a few."""
    query = CostQuery(Period(now - LOOKED_BACK, now), UTC, group_by=GroupBy.METER)
    return {int(row.key): row.total for row in load_costs(query, now=now).rows if row.key}


def build_preview(before: Sequence[Rule], after: Sequence[Rule], *, costs: Mapping[int, Cost]) -> RulePreview:
    """Return what the rules would change of all things that are metered. Three queries."""
    handovers = preview(before, after, load_subjects(load_standing()))
    dearest = sorted(
        handovers, key=lambda one: (-costs.get(one.subject.meter_id, ZERO).high, one.subject.facts.name)
    )
    labels = dict(MeterKind.choices)
    return RulePreview(
        moves=[_tell(move, costs) for move in group_moves(handovers)],
        rows=[
            HandoverLine(
                one, str(labels.get(one.subject.facts.kind, "")), costs.get(one.subject.meter_id, ZERO)
            )
            for one in dearest[:MOST_SHOWN]
        ],
        count=len(handovers),
        only_details=sum(not one.changes_team for one in handovers),
    )


def _tell(move: Move, costs: Mapping[int, Cost]) -> MoveLine:
    count = len(move.handovers)
    return MoveLine(
        count=count,
        noun=name_things([one.subject.facts.kind for one in move.handovers]),
        cost=add_costs(costs.get(one.subject.meter_id, ZERO) for one in move.handovers),
        from_team=move.from_team or "nobody",
        to_team=move.to_team or "nobody",
    )


def name_things(kinds: Sequence[str]) -> str:
    """Return the noun for so many things of these kinds: ``endpoint``, ``endpoints``, ``things``."""
    singular, plural = (
        _PLURALS.get(kinds[0], ("thing", "things")) if len(set(kinds)) == 1 else ("thing", "things")
    )
    return singular if len(kinds) == 1 else plural
