"""What an address under Costs asks for: period, zone, grouping, filters. The one vocabulary of explorer and export.

What makes no sense counts as absent: a stale bookmark shows something true instead of an error.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from functools import cache
from urllib.parse import parse_qsl, urlencode
from zoneinfo import ZoneInfo, available_timezones

from django.http import QueryDict

from billing.costs import CostFilters, CostQuery, GroupBy
from dashboard.accounts.models import User
from dashboard.core import period_words, periods
from dashboard.core.periods import Bucket, Period, PeriodName

DEFAULT_PERIOD = PeriodName.MONTH
# A longer custom period counts as nonsense: no ledger is that old.
LONGEST = timedelta(days=10 * 366)
# In an address an empty key (unowned, not told) is written so: empty values go without saying.
NOTHING = "-"
NUL = "\x00"
# Parameter -> field of CostFilters.
FILTERS: Mapping[str, str] = {
    "team": "teams",
    "owner": "owners",
    "project": "projects",
    "model": "models",
    "hardware": "hardware",
    "endpoint": "endpoints",
    "kind": "kinds",
    "sku": "skus",
    "cost_centre": "cost_centres",
    "meter": "meters",
    "tags": "tags",
}
MOST_VALUES = 50
# Characters; no key is longer.
LONGEST_VALUE = 500
# Up to which length of a period bars are so wide when nobody says.
_MOST_BARS = (
    (Bucket.HOUR, timedelta(hours=49)),
    (Bucket.DAY, timedelta(days=93)),
    (Bucket.WEEK, timedelta(days=190)),
)


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked for, as one query, with what is needed to ask for something near it."""

    query: CostQuery
    period_name: PeriodName
    zone_name: str
    zone_default: str
    now: datetime
    # As written in the address, for a custom period.
    first_day: date | None = None
    last_day: date | None = None
    # True when the address says how wide bars are.
    is_bucket_asked: bool = False

    @property
    def is_running(self) -> bool:
        """True when the period goes on: its end moves with the clock."""
        return self.query.period.end >= self.now

    @property
    def previous(self) -> Period:
        """The same stretch before."""
        return periods.previous(self.query.period, self.period_name, self.query.zone)

    @property
    def label(self) -> str:
        """The period in words: `1–18 November, 13:49`."""
        return period_words.describe_period(self.query.period, zone=self.query.zone, now=self.now)

    @property
    def previous_label(self) -> str:
        """The same stretch before, in words."""
        return period_words.describe_period(self.previous, zone=self.query.zone, now=self.now)

    @property
    def previous_head(self) -> str:
        """The same, short, for the head of a column: `1–18 Oct, $`."""
        words = period_words.describe_piece(self.previous, bucket=Bucket.WEEK, zone=self.query.zone)
        return f"{words}, $"

    @property
    def shown_first_day(self) -> date:
        """What the form for custom days starts with."""
        return self.query.period.start.astimezone(self.query.zone).date()

    @property
    def shown_last_day(self) -> date:
        """What the form for custom days ends with: the last day, included."""
        return (self.query.period.end - timedelta(microseconds=1)).astimezone(self.query.zone).date()

    @property
    def kept_fields(self) -> list[tuple[str, str]]:
        """What a form that changes days and zone must send along: names and values."""
        return parse_qsl(self.url_query(period="", zone="", by=""))

    def url_query(self, **changes: str | Iterable[str]) -> str:
        """Return the query string of this question with changes; "" or an empty list takes a parameter out."""
        values: dict[str, str | Iterable[str]] = {
            "period": "" if self.period_name is DEFAULT_PERIOD else self.period_name.value,
            "from": self.first_day.isoformat() if self.first_day else "",
            "to": self.last_day.isoformat() if self.last_day else "",
            "zone": "" if self.zone_name == self.zone_default else self.zone_name,
            "group": "" if self.query.group_by is GroupBy.TEAM else self.query.group_by.value,
            "tag": self.query.tag_key,
            "by": self.query.bucket.value if self.is_bucket_asked and self.query.bucket else "",
            **{
                name: sorted(key or NOTHING for key in getattr(self.query.filters, field))
                for name, field in FILTERS.items()
            },
            **changes,
        }
        if "period" in changes and changes["period"] != PeriodName.CUSTOM:
            # Bars that fitted the one period need not fit the next.
            values |= {"from": "", "to": "", "by": changes.get("by", "")}
        pairs = [
            (name, value)
            for name, given in values.items()
            for value in ([given] if isinstance(given, str) else given)
            if value
        ]
        return urlencode(pairs)


def parameter_of(group: GroupBy) -> str:
    """Return the filter parameter that a grouping's keys belong to; empty for no grouping."""
    if group is GroupBy.TAG:
        return "tags"
    return "" if group is GroupBy.NONE else group.value.replace("-", "_")


def read_question(
    params: Mapping[str, str] | QueryDict, *, user: User | None, now: datetime, zone_default: str
) -> Question:
    """Return what the address asks for, as `user` may see it (None: everything). No query."""
    given = _drop_nul(params if isinstance(params, QueryDict) else QueryDict(urlencode(params)))
    zone_name = given.get("zone", "")
    if zone_name not in list_zones():
        zone_name = zone_default
    zone = ZoneInfo(zone_name)
    name, first, last, period = _read_period(given, now=now, zone=zone)
    group = _read_group(given)
    bucket, is_bucket_asked = _read_bucket(given.get("by", ""), period=period)
    query = CostQuery(
        period=period,
        zone=zone,
        group_by=group,
        bucket=bucket,
        tag_key=given.get("tag", "")[:100] if group is GroupBy.TAG else "",
        filters=_read_filters(given),
        user=user,
    )
    return Question(query, name, zone_name, zone_default, now, first, last, is_bucket_asked)


def _drop_nul(params: QueryDict) -> QueryDict:
    """Return the parameters without the values that no text column can hold."""
    if not any(NUL in value for _, values in params.lists() for value in values):
        return params
    kept = QueryDict(mutable=True)
    for name, values in params.lists():
        kept.setlist(name, [value for value in values if NUL not in value])
    return kept


@cache
def list_zones() -> frozenset[str]:
    """Return the names of all IANA zones."""
    return frozenset(available_timezones())


def _read_period(
    params: QueryDict, *, now: datetime, zone: tzinfo
) -> tuple[PeriodName, date | None, date | None, Period]:
    try:
        name = PeriodName(params.get("period", "") or DEFAULT_PERIOD)
    except ValueError:
        name = DEFAULT_PERIOD
    if name is PeriodName.CUSTOM:
        first, last = _read_day(params.get("from", "")), _read_day(params.get("to", ""))
        if first and last and first <= last and last - first <= LONGEST:
            period = periods.days_between(first, last, zone=zone)
            if not period.is_empty:
                return name, first, last, period
        name = DEFAULT_PERIOD
    return name, None, None, periods.name_period(name, now=now, zone=zone)


def _read_day(text: str) -> date | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 2000 <= day.year <= 2200 else None


def _read_group(params: QueryDict) -> GroupBy:
    try:
        group = GroupBy(params.get("group", "") or GroupBy.TEAM.value)
    except ValueError:
        return GroupBy.TEAM
    return GroupBy.TEAM if group is GroupBy.TAG and not params.get("tag") else group


def _read_bucket(text: str, *, period: Period) -> tuple[Bucket, bool]:
    """Return the bars' width, and whether the address asked for it: one that gives too many bars does not count."""
    fitting = periods.fitting_buckets(period)
    if text in {one.value for one in fitting}:
        return Bucket(text), True
    for bucket, most in _MOST_BARS:
        if bucket in fitting and period.duration <= most:
            return bucket, False
    return Bucket.MONTH, False


def _read_filters(params: QueryDict) -> CostFilters:
    given = {
        field: frozenset(
            "" if value == NOTHING else value
            for value in params.getlist(name)[:MOST_VALUES]
            if value and len(value) <= LONGEST_VALUE
        )
        for name, field in FILTERS.items()
    }
    return CostFilters(**given)
