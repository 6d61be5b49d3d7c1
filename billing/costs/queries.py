"""What may be asked of costs, and what the answer looks like."""

from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum

from billing.amounts import Cost
from dashboard.accounts.models import User
from dashboard.core.periods import Bucket, Period

# Key of what is not there any more: the name that was kept stands behind it.
GONE = "gone:"


class GroupBy(StrEnum):
    """What a row of costs stands for; values stand in addresses."""

    NONE = "none"
    TEAM = "team"
    OWNER = "owner"
    PROJECT = "project"
    MODEL = "model"
    HARDWARE = "hardware"
    ENDPOINT = "endpoint"
    KIND = "kind"
    SKU = "sku"
    TAG = "tag"
    COST_CENTRE = "cost-centre"
    METER = "meter"


Keys = frozenset[str]
_ANY: Keys = frozenset()


@dataclass(frozen=True, slots=True)
class CostFilters:
    """Keys of rows that are wanted, by what the rows stand for; an empty set wants all.

    The keys are those of `CostRow.key`: primary keys as text, names, `""` for what has none. Tags read `key=value`,
    `key=` for what does not have the tag; uses are values of `Use`. Within a set any of
    them will do, between sets all must hold.
    """

    teams: Keys = _ANY
    owners: Keys = _ANY
    projects: Keys = _ANY
    models: Keys = _ANY
    hardware: Keys = _ANY
    endpoints: Keys = _ANY
    kinds: Keys = _ANY
    skus: Keys = _ANY
    uses: Keys = _ANY
    tags: Keys = _ANY
    cost_centres: Keys = _ANY
    meters: Keys = _ANY

    @property
    def need_owners(self) -> bool:
        """True when they ask whose cost it is."""
        return bool(self.teams or self.owners or self.tags or self.cost_centres)


NO_FILTERS = CostFilters()


@dataclass(frozen=True, slots=True)
class CostQuery:
    """A period, cut and grouped, as `user` may see it; user None = everything, for tasks."""

    period: Period
    zone: tzinfo
    group_by: GroupBy = GroupBy.NONE
    bucket: Bucket | None = None
    tag_key: str = ""
    filters: CostFilters = NO_FILTERS
    user: User | None = None


@dataclass(frozen=True, slots=True)
class CostRow:
    """The cost of one key: in all, and in each piece of the period (empty without a bucket)."""

    key: str
    label: str
    total: Cost
    buckets: list[Cost]


@dataclass(frozen=True, slots=True)
class CostTable:
    """Rows, dearest first, and their sums; `buckets` and `periods` are empty without a bucket."""

    rows: list[CostRow]
    total: Cost
    buckets: list[Cost]
    periods: list[Period]
