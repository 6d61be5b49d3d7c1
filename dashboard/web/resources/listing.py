"""The list of resources of some kinds: search, filters, sort, pages. What differs per page is a ListSpec."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django import forms
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from dashboard.mirror import resource_querysets
from dashboard.mirror.models import Resource, ResourceKind, SyncRun
from dashboard.mirror.querysets import Facet, one_snapshot
from dashboard.mirror.resource_querysets import SORTS, present_resources, visible_resources
from dashboard.web.chips import Chip, FacetMenu, build_query_url
from dashboard.web.htmx import render_page
from dashboard.web.page import group_context
from dashboard.web.resources.rows import build_rows
from dashboard.web.resources.totals import ResourceTotals, StatusChoice
from dashboard.web.snapshot import take_snapshot

ROWS_PER_PAGE = 50
TEAM = "team"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: `template` prints the content of one cell (context: row). `place` is its part of a phone's row.

    `width` and `css` are classes of the style sheet (ui-w-140, ui-col-hw); `sort` a key of resource_querysets.SORTS,
    empty = not sortable; `foot` prints the cell of the footer (context: shown). `is_rate`: a phone adds "$/h".
    """

    label: str
    template: str
    width: str = ""
    sort: str = ""
    is_number: bool = False
    css: str = ""
    place: str = ""
    title: str = ""
    foot: str = ""
    is_rate: bool = False


@dataclass(frozen=True, slots=True)
class FacetSpec:
    """A further filter over a text column of Resource; ``team`` is the team that owns it."""

    name: str
    label: str


TEAM_FACET = FacetSpec(TEAM, "Team")
OWNER_FACET = FacetSpec("owner", "Owner")


@dataclass(frozen=True, slots=True)
class ListSpec:
    """What one list page is: its words, kinds, columns, chips. `groups` are those whose age is the page's age."""

    route: str
    title: str
    noun: str
    pretitle: str
    placeholder: str
    icon: str
    kinds: tuple[ResourceKind, ...]
    groups: tuple[SyncRun.Resource, ...]
    columns: tuple[Column, ...]
    choices: tuple[StatusChoice, ...]
    empty_text: str
    facets: tuple[FacetSpec, ...] = (TEAM_FACET,)
    # Labels of kind chips; empty = no such chips.
    kind_chips: Mapping[ResourceKind, str] = field(default_factory=dict)
    default_sort: str = resource_querysets.DEFAULT_SORT
    footnote: str = ""
    # A template that extends resources/page.html may add buttons to the head.
    page_template: str = "resources/page.html"
    # Rows need `resource`, `url`, `name`, `key`, `menu`, `menu_label`, and what their cells print.
    build_rows: Callable[..., Sequence[Any]] = build_rows

    @property
    def url(self) -> str:
        """The page's address."""
        return reverse(self.route)

    @property
    def topics(self) -> str:
        """What the live part listens to: its kinds, acts, and owners of projects."""
        return ",".join([*(kind.value for kind in self.kinds), "actions", "projects", "connections"])

    @property
    def has_foot(self) -> bool:
        """True when a column sums something up."""
        return any(column.foot for column in self.columns)

    @property
    def plural(self) -> str:
        """The noun for any number but one."""
        return f"{self.noun}s"


class ListFilter(forms.Form):
    """What a list shows. Every field may stay empty; what makes no sense counts as empty."""

    q = forms.CharField(required=False, max_length=200)

    def __init__(self, data: Any, *, spec: ListSpec) -> None:
        super().__init__(data)
        choices = {
            "kind": [kind.value for kind in spec.kind_chips],
            "status": [choice.value for choice in spec.choices],
            "sort": [one for one in SORTS if one.removeprefix("-") in {col.sort for col in spec.columns}],
        }
        for name, values in choices.items():
            self.fields[name] = forms.ChoiceField(required=False, choices=[(one, one) for one in values])
        for facet in spec.facets:
            self.fields[facet.name] = forms.CharField(required=False, max_length=200)
        self.default_sort = spec.default_sort

    def read(self) -> dict[str, str]:
        """Return the usable values by name; `sort` is never empty."""
        self.is_valid()
        values = {name: self.cleaned_data.get(name) or "" for name in self.fields}
        values["sort"] = values["sort"] or self.default_sort
        return values


def show_list(
    request: HttpRequest, spec: ListSpec, *, extra: Callable[[Any], Mapping[str, object]] | None = None
) -> HttpResponse:
    """Show a list, or its live part. `extra` adds to the context; it gets the snapshot."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        wanted = ListFilter(request.GET, spec=spec).read()
        everyone = present_resources(visible_resources(snapshot.user, spec.kinds))
        searched = _narrow(everyone, wanted, spec)
        totals = ResourceTotals(resource_querysets.group_resources(searched))
        choice = next((one for one in spec.choices if one.value == wanted["status"]), None)
        shown = totals.add(kind=wanted["kind"], statuses=choice.statuses if choice else ())
        rows = searched
        if wanted["kind"]:
            rows = rows.filter(kind=wanted["kind"])
        if choice is not None:
            rows = rows.filter(status__in=choice.statuses)
        paginator = Paginator(resource_querysets.sort_resources(rows, wanted["sort"]), ROWS_PER_PAGE)
        # The chips have counted the same rows already.
        paginator.count = shown.count
        page = paginator.get_page(request.GET.get("page"))
        facets = tuple(_build_facet(facet, everyone, wanted, spec) for facet in spec.facets)
        is_filtered = any(value for name, value in wanted.items() if name != "sort")
        context = group_context(request, snapshot, spec.groups) | {
            "spec": spec,
            "page": page,
            "rows": spec.build_rows(list(page.object_list), user=snapshot.user, now=snapshot.now),
            "shown": shown,
            "totals": totals,
            "wanted": wanted,
            "choice": choice,
            "kind_chips": _list_kind_chips(totals, wanted, spec, choice=choice),
            "chips": _list_chips(totals, wanted, spec),
            "facets": facets,
            "is_filtered": is_filtered,
            "clear_url": spec.url,
            "hidden_count": everyone.count() if is_filtered and not shown.count else 0,
        }
        if extra is not None:
            context |= extra(snapshot)
        return render_page(request, spec.page_template, "resources/_list.html", context)


def _narrow(resources: QuerySet[Resource], wanted: Mapping[str, str], spec: ListSpec) -> QuerySet[Resource]:
    found = resource_querysets.search_resources(resources, wanted["q"])
    for facet in spec.facets:
        value = wanted[facet.name]
        if not value:
            continue
        if facet.name == TEAM:
            found = resource_querysets.filter_resource_team(found, value)
        else:
            found = found.filter(**{facet.name: value})
    return found


def _list_kind_chips(
    totals: ResourceTotals, wanted: dict[str, str], spec: ListSpec, *, choice: StatusChoice | None
) -> tuple[Chip, ...]:
    """Return "All kinds" and a chip per kind, counted within the chosen status."""
    if not spec.kind_chips:
        return ()
    statuses = choice.statuses if choice else ()
    current = wanted["kind"]
    every = Chip(
        "All kinds",
        build_list_url(spec, wanted, kind=""),
        totals.add(statuses=statuses).count,
        is_current=not current,
    )
    chips = (
        Chip(
            label,
            build_list_url(spec, wanted, kind=kind.value),
            totals.add(kind=kind.value, statuses=statuses).count,
            is_current=kind.value == current,
        )
        for kind, label in spec.kind_chips.items()
    )
    return every, *chips


def _list_chips(totals: ResourceTotals, wanted: dict[str, str], spec: ListSpec) -> tuple[Chip, ...]:
    """Return "All" and a chip per choice that has rows, is always shown, or is the present one."""
    current, kind = wanted["status"], wanted["kind"]
    chips = [
        Chip(
            "All",
            build_list_url(spec, wanted, status=""),
            totals.add(kind=kind).count,
            is_current=not current,
        )
    ]
    for choice in spec.choices:
        count = totals.add(kind=kind, statuses=choice.statuses).count
        if count or choice.is_standing or choice.value == current:
            url = build_list_url(spec, wanted, status=choice.value)
            chips.append(Chip(choice.label, url, count, is_current=choice.value == current))
    return tuple(chips)


def _build_facet(
    facet: FacetSpec, everyone: QuerySet[Resource], wanted: dict[str, str], spec: ListSpec
) -> FacetMenu:
    values: tuple[Facet, ...] = (
        resource_querysets.list_resource_teams(everyone)
        if facet.name == TEAM
        else resource_querysets.list_values(everyone, facet.name)
    )
    current = wanted[facet.name]
    labels = {one.value: one.label for one in values}
    chips = tuple(
        Chip(
            one.label,
            build_list_url(spec, wanted, **{facet.name: one.value}),
            one.count,
            is_current=one.value == current,
        )
        for one in values
    )
    return FacetMenu(
        facet.name,
        facet.label,
        labels.get(current, current),
        build_list_url(spec, wanted, **{facet.name: ""}),
        chips,
    )


def build_list_url(spec: ListSpec, wanted: dict[str, str], **changes: str) -> str:
    """Return the list's address with changes; another filter begins at the first page."""
    return build_query_url(spec.url, wanted | changes, leave_out={"sort": spec.default_sort})
