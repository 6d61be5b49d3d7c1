"""The list of endpoints: search, filters, sort, pages, bulk selection."""

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from dashboard.lifecycle.idleness import idle_filter
from dashboard.mirror import querysets
from dashboard.mirror.models import Endpoint
from dashboard.mirror.querysets import DEFAULT_SORT, Facet, one_snapshot, present, visible_endpoints
from dashboard.web.chips import Chip, FacetMenu, build_query_url
from dashboard.web.forms import EndpointFilter
from dashboard.web.htmx import render_page
from dashboard.web.labels import shorten_hardware
from dashboard.web.page import page_context
from dashboard.web.rows import build_rows
from dashboard.web.snapshot import Snapshot, take_snapshot
from dashboard.web.totals import CHOICE_BY_VALUE, CHOICES, Totals

ROWS_PER_PAGE = 50


def list_endpoints(request: HttpRequest) -> HttpResponse:
    """Show the list, or its live part."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        wanted = EndpointFilter(request.GET).read()
        everyone = present(visible_endpoints(snapshot.user))
        searched = _search(everyone, wanted)
        totals = _count(
            searched, snapshot, is_all=not any(wanted[name] for name in ("q", "team", "hardware"))
        )
        choice = CHOICE_BY_VALUE.get(wanted["status"])
        shown = totals.of_choice(choice)
        rows = searched.select_related("project__team")
        if choice is not None:
            rows = querysets.filter_statuses(
                rows, choice.statuses, is_idle=choice.is_idle, idle=idle_filter(snapshot.now)
            )
        rows = querysets.sort_endpoints(rows, wanted["sort"], idle=idle_filter(snapshot.now))
        paginator = Paginator(rows, ROWS_PER_PAGE)
        # The chips have counted the same rows already.
        paginator.count = shown.count
        page = paginator.get_page(request.GET.get("page"))
        context = page_context(request, snapshot) | {
            "page": page,
            "rows": build_rows(list(page.object_list), user=snapshot.user, now=snapshot.now),
            "shown": shown,
            "wanted": wanted,
            "choice": choice,
            "chips": list_chips(totals, wanted),
            "facets": (
                build_facet("team", "Team", querysets.list_teams(everyone), wanted),
                build_facet("hardware", "Hardware", querysets.list_hardware(everyone), wanted),
            ),
            "hidden_count": snapshot.totals.everything().count - shown.count,
            "is_filtered": any(wanted[name] for name in ("q", "team", "hardware", "status")),
            "clear_url": build_url(wanted, q="", team="", hardware="", status=""),
        }
        return render_page(request, "endpoints/page.html", "endpoints/_list.html", context)


def _search(endpoints: QuerySet[Endpoint], wanted: dict[str, str]) -> QuerySet[Endpoint]:
    found = querysets.search_endpoints(endpoints, wanted["q"])
    if wanted["team"]:
        found = querysets.filter_team(found, wanted["team"])
    if wanted["hardware"]:
        found = found.filter(hardware=wanted["hardware"])
    return found


def _count(searched: QuerySet[Endpoint], snapshot: Snapshot, *, is_all: bool) -> Totals:
    """Return the groups of what the search left; those of the snapshot when it left everything."""
    if is_all:
        return snapshot.totals
    return Totals(querysets.group_by_status(searched, idle=idle_filter(snapshot.now)))


def list_chips(totals: Totals, wanted: dict[str, str]) -> tuple[Chip, ...]:
    """Return "All" and a chip per choice that has rows, is always shown, or is the present one."""
    current = wanted["status"]
    chips = [Chip("All", build_url(wanted, status=""), totals.everything().count, is_current=not current)]
    for choice in CHOICES:
        count = totals.of_choice(choice).count
        if count or choice.is_standing or choice.value == current:
            url = build_url(wanted, status=choice.value)
            chips.append(Chip(choice.label, url, count, is_current=choice.value == current))
    return tuple(chips)


def build_facet(name: str, label: str, values: tuple[Facet, ...], wanted: dict[str, str]) -> FacetMenu:
    """Return the menu of one further filter."""
    labels = {one.value: shorten_hardware(one.label) if name == "hardware" else one.label for one in values}
    current = wanted[name]
    chips = tuple(
        Chip(
            labels[one.value],
            build_url(wanted, **{name: one.value}),
            one.count,
            is_current=one.value == current,
        )
        for one in values
    )
    chosen = labels.get(current, current)
    return FacetMenu(name, label, chosen, build_url(wanted, **{name: ""}), chips)


def build_url(wanted: dict[str, str], **changes: str) -> str:
    """Return the list's address with changes; another filter begins at the first page."""
    return build_query_url(reverse("endpoints"), wanted | changes, leave_out={"sort": DEFAULT_SORT})
