"""Overview: what burns, what idles, what runs, what happened."""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from billing.burn import share_percent
from dashboard.accounts.models import User
from dashboard.accounts.visibility import project_filter
from dashboard.core import resource_states, status
from dashboard.lifecycle.idleness import idle_filter
from dashboard.lifecycle.models import StopAction
from dashboard.mirror.models import Resource
from dashboard.mirror.querysets import DEFAULT_SORT, one_snapshot, present, sort_endpoints, visible_endpoints
from dashboard.mirror.resource_querysets import present_resources, visible_resources
from dashboard.web.costs.money_strip import read_money
from dashboard.web.feed import find_last_stopped, read_recent
from dashboard.web.htmx import is_partial, render_page
from dashboard.web.page import group_context, page_context, read_groups
from dashboard.web.resources.addresses import resolve
from dashboard.web.resources.rows import build_rows as build_resource_rows
from dashboard.web.rows import build_rows
from dashboard.web.snapshot import Snapshot, take_snapshot

# Rows of the overview: what costs most. The rest is one click away.
MOST_ROWS = 20
MOST_BESIDE = 8
MOST_JOBS = 6
RECENT_EVENTS = 8
# What rests costs nothing and needs no place here.
_RESTING = (status.STOPPED.value, status.FAILED.value, status.EMPTY.value)


_UNDER_WAY = tuple(one.value for one in status.ALL if one.is_moving)
_MAY_BILL = tuple(one.value for one in status.ALL if one.may_bill)
# Kind -> route of its page, and what people call it.
_BILLING_KINDS = {
    "cluster": ("clusters", "cluster"),
    "volume": ("volumes", "volume"),
    "container": ("containers", "container"),
    "rl-resource": ("rl", "RL set"),
}

_STATE_WORDS = {
    "requested": "requested",
    "sent": "sent, not confirmed yet",
    "observed": "confirmed",
    "refused": "refused",
}


@dataclass(frozen=True, slots=True)
class LastAct:
    """The newest act in what the user sees, for the fourth cell of the stat strip."""

    action: StopAction
    open_count: int

    @property
    def words(self) -> str:
        """Return how far it is, as people say it."""
        return _STATE_WORDS.get(self.action.state, self.action.state)


@dataclass(frozen=True, slots=True)
class Billing:
    """How many of one kind bill by the hour, in words, and their page."""

    url: str
    words: str


def show_overview(request: HttpRequest) -> HttpResponse:
    """Show the front page, or its live part."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        user, totals = snapshot.user, snapshot.totals
        running = (
            present(visible_endpoints(user)).exclude(status__in=_RESTING).select_related("project__team")
        )
        dearest = sort_endpoints(running, DEFAULT_SORT, idle=idle_filter(snapshot.now))[:MOST_ROWS]
        rows = build_rows(list(dearest), user=user, now=snapshot.now)
        everything, resting = totals.everything(), sum(totals.of_status(one).count for one in _RESTING)
        beside = find_billing_resources(user)
        under_way = find_jobs_under_way(user)
        context = page_context(request, snapshot) | {
            "rows": rows,
            "running_count": everything.count - resting,
            "everything": everything,
            "burn": snapshot.burn,
            "resources": snapshot.resources.add(),
            "billing": _name_billing(snapshot),
            "billing_rows": build_resource_rows(beside[:MOST_BESIDE], user=user, now=snapshot.now),
            "has_more_billing": len(beside) > MOST_BESIDE,
            "jobs_url": resolve("jobs"),
            "job_rows": build_resource_rows(under_way, user=user, now=snapshot.now),
            "serving": totals.serving(),
            "idle": totals.idle(),
            "idle_percent": share_percent(totals.idle().burn, whole=snapshot.burn),
            "starting": totals.of_status(status.STARTING.value),
            "failed": totals.of_status(status.FAILED.value),
            "last_act": find_last_act(user),
            "recent": read_recent(user, limit=RECENT_EVENTS),
            "last_stopped": None if rows else find_last_stopped(user),
            **_money_context(snapshot),
        }
        return render_page(request, "overview/page.html", "overview/_overview.html", context)


def find_billing_resources(user: User) -> list[Resource]:
    """Return what bills beside endpoints, dearest first, of unknown price before what is free. One query.

    One more than the page lists, so that it can say that there are more.
    """
    rows = present_resources(visible_resources(user)).filter(units__gt=0)
    return list(rows.order_by("-burn", "-unpriced_units", "name", "pk")[: MOST_BESIDE + 1])


def find_jobs_under_way(user: User) -> list[Resource]:
    """Return the jobs that are under way, newest first. One query."""
    rows = present_resources(visible_resources(user, kinds=resource_states.JOB_KINDS))
    return list(rows.filter(status__in=_UNDER_WAY).order_by("-remote_created_at", "-pk")[:MOST_JOBS])


def _name_billing(snapshot: Snapshot) -> tuple[Billing, ...]:
    """Return, of each kind that bills by the hour, how many do; kinds without one are left out."""
    found = []
    for kind, (route, noun) in _BILLING_KINDS.items():
        count = snapshot.resources.add(kind=kind, statuses=_MAY_BILL).count
        if count and (url := resolve(route)):
            found.append(Billing(url, f"{count} {noun}{'' if count == 1 else 's'}"))
    return tuple(found)


def _money_context(snapshot: Snapshot) -> dict[str, object]:
    return {
        "money": read_money(snapshot.user, now=snapshot.now),
        "burn": snapshot.burn,
        "costs_url": resolve("costs"),
    }


def show_money(request: HttpRequest) -> HttpResponse:
    """Refresh what was spent and what the month will cost."""
    if not is_partial(request):
        return redirect("overview")
    with one_snapshot():
        snapshot = take_snapshot(request)
        return render(request, "overview/_money.html", {"now": snapshot.now, **_money_context(snapshot)})


def show_notices(request: HttpRequest) -> HttpResponse:
    """Refresh age and notes of an open page, and tell which of the watched acts have ended."""
    if not is_partial(request):
        return redirect("overview")
    with one_snapshot():
        snapshot, groups = take_snapshot(request), read_groups(request)
        context = group_context(request, snapshot, groups)
        return render(request, "overview/_notices.html", context | {"is_refresh": True})


def show_meter(request: HttpRequest) -> HttpResponse:
    """Refresh the burn meter of the sidebar."""
    if not is_partial(request):
        return redirect("overview")
    with one_snapshot():
        take_snapshot(request)
        return render(request, "overview/_meter.html")


def find_last_act(user: User) -> LastAct | None:
    """Return the newest act on what the user sees and how many are under way; None before the first. Two queries."""
    acts = StopAction.objects.filter(project_filter(user, path="project__"))
    newest = (
        acts.select_related("endpoint", "deployment", "resource")
        .defer("endpoint__payload", "deployment__payload", "resource__payload")
        .order_by("-pk")
        .first()
    )
    if newest is None:
        return None
    return LastAct(newest, acts.filter(state__in=StopAction.OPEN_STATES).count())
