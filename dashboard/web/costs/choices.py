"""What the bar above the explorer offers: periods, groupings, bar widths, filters."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from django.db import connection
from django.urls import reverse

from billing.costs import GroupBy, visible_meters
from billing.costs.labels import load_labels
from billing.models import Meter
from dashboard.accounts.models import Team, User
from dashboard.accounts.visibility import team_filter
from dashboard.core import period_words, periods
from dashboard.core.periods import PeriodName
from dashboard.web.chips import Chip, FacetMenu
from dashboard.web.costs.asked import DEFAULT_PERIOD, FILTERS, NOTHING, Question, parameter_of

# In the bar; the others are in the address only.
NAMED_PERIODS = (
    PeriodName.TODAY,
    PeriodName.SEVEN_DAYS,
    PeriodName.MONTH,
    PeriodName.LAST_MONTH,
    PeriodName.QUARTER,
)
MAIN_GROUPS: Mapping[GroupBy, str] = {
    GroupBy.TEAM: "Team",
    GroupBy.MODEL: "Model",
    GroupBy.HARDWARE: "Hardware",
    GroupBy.ENDPOINT: "Endpoint",
}
MORE_GROUPS: Mapping[GroupBy, str] = {
    GroupBy.KIND: "Kind",
    GroupBy.PROJECT: "Project",
    GroupBy.OWNER: "Owner",
    GroupBy.COST_CENTRE: "Cost centre",
    GroupBy.SKU: "SKU",
    GroupBy.METER: "Resource",
}
LABELS: Mapping[GroupBy, str] = {**MAIN_GROUPS, **MORE_GROUPS, GroupBy.TAG: "Tag"}
# Filters that the bar offers values of; the others are set by opening a row.
OFFERED = (GroupBy.TEAM, GroupBy.PROJECT, GroupBy.KIND, GroupBy.MODEL, GroupBy.HARDWARE)
MOST_OFFERED = 60
MOST_TAG_KEYS = 20
# What PostgreSQL's bigint holds for sure.
MOST_DIGITS = 18
# Groupings whose keys number rows that have names -> column of Meter that holds the number.
_NAMED_ROWS: Mapping[GroupBy, str] = {
    GroupBy.TEAM: "",
    GroupBy.PROJECT: "project_id",
    GroupBy.ENDPOINT: "endpoint_id",
    GroupBy.METER: "pk",
}


@dataclass(frozen=True, slots=True)
class Choices:
    """Everything that changes the question, as addresses."""

    periods: tuple[Chip, ...]
    groups: tuple[Chip, ...]
    more_groups: tuple[Chip, ...]
    tag_groups: tuple[Chip, ...]
    buckets: tuple[Chip, ...]
    chosen: tuple[Chip, ...]
    facets: tuple[FacetMenu, ...]
    group_label: str

    @property
    def is_more(self) -> bool:
        """True when the present grouping is in the menu, not in the bar."""
        return any(one.is_current for one in (*self.more_groups, *self.tag_groups))


def build_choices(question: Question, *, user: User) -> Choices:
    """Return the bar's choices. Up to seven queries: the values of the filters and what they are called."""
    group = question.query.group_by
    zone, now = question.query.zone, question.now

    def chip(label: str, *, is_current: bool, **changes: str | Iterable[str]) -> Chip:
        return Chip(label, f"{reverse('costs')}?{question.url_query(**changes)}", None, is_current)

    def group_chip(one: GroupBy, label: str) -> Chip:
        value = "" if one is GroupBy.TEAM else one.value
        return chip(label, is_current=group is one, group=value, tag="")

    return Choices(
        periods=tuple(
            chip(
                period_words.describe_name(name, now=now, zone=zone),
                is_current=question.period_name is name,
                period="" if name is DEFAULT_PERIOD else name.value,
            )
            for name in NAMED_PERIODS
        ),
        groups=tuple(group_chip(one, label) for one, label in MAIN_GROUPS.items()),
        more_groups=tuple(group_chip(one, label) for one, label in MORE_GROUPS.items()),
        tag_groups=tuple(
            chip(
                f"Tag {key}",
                is_current=group is GroupBy.TAG and question.query.tag_key == key,
                group=GroupBy.TAG.value,
                tag=key,
            )
            for key in _list_tag_keys()
        ),
        buckets=tuple(
            chip(bucket.value.capitalize(), is_current=question.query.bucket is bucket, by=bucket.value)
            for bucket in periods.fitting_buckets(question.query.period)
        ),
        chosen=tuple(list_chosen(question, path=reverse("costs"))),
        facets=tuple(_list_facets(question, user=user, chip=chip)),
        group_label=question.query.tag_key if group is GroupBy.TAG else LABELS.get(group, "Cost"),
    )


def list_chosen(question: Question, *, path: str) -> list[Chip]:
    """Return a chip per filter value that is set; its address is the question without it. Two queries per filter.

    What the person may not see keeps the number from the address: a name is told of what is theirs alone.
    """
    chosen = []
    for group in LABELS:
        name = parameter_of(group)
        keys: frozenset[str] = getattr(question.query.filters, FILTERS[name])
        labels = (
            dict.fromkeys(keys, "")
            if group is GroupBy.TAG
            else load_labels(group, _keep_visible(group, keys, user=question.query.user))
        )
        for key in sorted(keys):
            rest = sorted(one or NOTHING for one in keys - {key})
            url = f"{path}?{question.url_query(**{name: rest})}"
            chosen.append(Chip(f"{LABELS[group]}: {labels.get(key) or key}", url, None, True))
    return chosen


def _keep_visible(group: GroupBy, keys: Iterable[str], *, user: User | None) -> set[str]:
    """Return the keys whose name the person may read: rows are asked for, other keys are what they say."""
    column = _NAMED_ROWS.get(group)
    if column is None:
        return set(keys)
    numbers = {key for key in keys if key.isascii() and key.isdecimal() and len(key) <= MOST_DIGITS}
    words = {key for key in keys if not key.isdecimal()}
    mine = None if user is None else team_filter(user)
    if user is None or mine is None or not numbers:
        return words | numbers
    if group is GroupBy.TEAM:
        return words | numbers & {str(pk) for pk in mine}
    found = Meter.objects.filter(visible_meters(user), **{f"{column}__in": [int(one) for one in numbers]})
    return words | {str(pk) for pk in found.values_list(column, flat=True).distinct().order_by()}


def _list_facets(question: Question, *, user: User, chip: Callable[..., Chip]) -> Iterable[FacetMenu]:
    """Yield a menu per filter that has more than one value and none chosen."""
    meters = Meter.objects.filter(visible_meters(user)).values_list("project_id", "kind", "model", "hardware")
    found = list(meters.distinct().order_by()[: MOST_OFFERED * MOST_OFFERED])
    values = {
        GroupBy.TEAM: [*_list_team_keys(user), ""],
        GroupBy.PROJECT: ["" if one is None else str(one) for one, *_ in found],
        GroupBy.KIND: [one for _, one, *_ in found],
        GroupBy.MODEL: [one for *_, one, _ in found],
        GroupBy.HARDWARE: [one for *_, one in found],
    }
    for group in OFFERED:
        name = parameter_of(group)
        keys = set(values[group])
        if len(keys) < 2 or getattr(question.query.filters, FILTERS[name]):  # one is no choice
            continue
        labels = load_labels(group, keys)
        ordered = sorted(keys, key=lambda key: (not key, labels[key].casefold()))[:MOST_OFFERED]
        chips = tuple(chip(labels[key], is_current=False, **{name: [key or NOTHING]}) for key in ordered)
        yield FacetMenu(name, LABELS[group], "", "", chips)


def _list_team_keys(user: User) -> list[str]:
    mine = team_filter(user)
    teams = Team.objects.all() if mine is None else Team.objects.filter(pk__in=mine)
    return [str(pk) for pk in teams.values_list("pk", flat=True)]


def _list_tag_keys() -> list[str]:
    """Return the keys of tags that somebody set. One query; tags are few and not secret."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT jsonb_object_keys(tags) FROM billing_ownership WHERE tags <> '{}' ORDER BY 1 LIMIT %s",
            [MOST_TAG_KEYS],
        )
        return [key for (key,) in cursor.fetchall()]
