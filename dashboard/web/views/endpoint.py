"""One endpoint: what it costs now, whether it is used, its deployments, its last days, what happened."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.dateparse import parse_datetime

from billing.burn import Burn
from dashboard.accounts.visibility import may_operate
from dashboard.core import status
from dashboard.lifecycle import evidence
from dashboard.lifecycle.idleness import gather_facts
from dashboard.lifecycle.models import StopAction
from dashboard.lifecycle.receipts import OpenAct, Receipt, assemble_receipt, open_actions
from dashboard.mirror.deprecations import load_deprecations
from dashboard.mirror.models import Deployment, Endpoint
from dashboard.mirror.querysets import one_snapshot
from dashboard.mirror.state_history import load_edges
from dashboard.mirror.traffic_history import BUCKET, TrafficDay, load_days, load_rates, next_half_hour
from dashboard.web import lanes
from dashboard.web.charts import Chart, Series
from dashboard.web.costs.owner_lines import load_owner_lines
from dashboard.web.costs.what_if import build_panel
from dashboard.web.feed import read_feed
from dashboard.web.htmx import render_page
from dashboard.web.labels import describe_replicas, shorten_hardware
from dashboard.web.models.deprecated import load_candidates, suggest
from dashboard.web.nav import MenuItem
from dashboard.web.page import page_context
from dashboard.web.rows import choose_status, may_start
from dashboard.web.snapshot import take_snapshot
from dashboard.web.targets import address_on_v2, burn_of_deployment, burn_of_endpoint, find_endpoint

EVENTS_ON_PAGE = 8
EVENTS_PER_PAGE = 50


@dataclass(frozen=True, slots=True)
class DeploymentRow:
    """A line of the deployments table."""

    deployment: Deployment
    status: status.Status
    hardware: str
    replicas: str
    limits: str
    burn: Burn
    menu: tuple[MenuItem, ...]
    is_gone: bool


@dataclass(frozen=True, slots=True)
class Act:
    """An act under way as the page shows it."""

    act: OpenAct
    url: str
    target: str
    # What the provider must show for it to be done.
    awaited: str
    is_sent: bool


def show_endpoint(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one endpoint, or its live part."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        now = snapshot.now
        endpoint = find_endpoint(request, pk)
        every = list(endpoint.deployments.defer("payload", "fingerprint").order_by("absent_since", "pk"))
        present = [one for one in every if one.absent_since is None]
        acts = open_actions([pk], now=now).get(pk, [])
        may_act = (
            may_operate(snapshot.user, team_id=endpoint.project.team_id) and endpoint.absent_since is None
        )
        weighed = evidence.weigh(gather_facts(endpoint), now=now)
        mirrored = status.ABSENT if endpoint.absent_since else status.read_value(endpoint.status)
        day = load_days([pk], end=next_half_hour(now)).get(pk)
        chart = build_traffic_chart(day) if day and day.is_known else None
        deprecation = load_deprecations().find(endpoint.model)
        ends = {one.pk: one.absent_since for one in every if one.absent_since is not None}
        edges = load_edges([one.pk for one in every], since=lanes.first_day(now))
        context = page_context(request, snapshot) | {
            "endpoint": endpoint,
            "status": choose_status(mirrored, is_idle=weighed.verdict is evidence.Verdict.IDLE, acts=acts),
            "raw_state": present[0].state if len(present) == 1 else "",
            "evidence": weighed,
            "burn": burn_of_endpoint(endpoint),
            "hardware": shorten_hardware(endpoint.hardware),
            "limits": _describe_limits(present),
            "timeout": _describe_timeout(present),
            "rows": [_build_row(one, endpoint=endpoint, may_act=may_act) for one in every],
            "present_count": len(present),
            "lanes": lanes.build_lanes(edges, ends=ends, now=now),
            "ticks": lanes.TICKS,
            "day": day,
            "rate": load_rates([pk]).get(pk),
            "chart": chart,
            "chart_rows": list(zip(chart.labels, chart.series[0].values, strict=True)) if chart else [],
            "feed": read_feed(endpoint, before=now + timedelta(minutes=5), limit=EVENTS_ON_PAGE),
            "owner_lines": load_owner_lines(Q(meter__endpoint=pk)),
            "acts": [_describe_act(one, present) for one in acts],
            "last_stop": find_last_stop(endpoint, now=now),
            "may_act": may_act,
            "deprecation": deprecation,
            "suggestion": suggest(deprecation, load_candidates()) if deprecation else "",
            "v2_url": address_on_v2(endpoint, present) if may_act and not may_start(endpoint) else "",
            "buttons": _choose_buttons(endpoint, mirrored, acts=acts) if may_act else frozenset(),
            "what_if": build_panel(
                request, endpoint, present, user=snapshot.user, now=now, may_start=may_start(endpoint)
            ),
        }
        return render_page(request, "endpoints/detail.html", "endpoints/_detail.html", context)


def list_events(request: HttpRequest, pk: int) -> HttpResponse:
    """Show all that happened to one endpoint, page by page into the past."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        endpoint = find_endpoint(request, pk)
        before = _read_before(request) or snapshot.now + timedelta(minutes=5)
        context = page_context(request, snapshot) | {
            "endpoint": endpoint,
            "feed": read_feed(endpoint, before=before, limit=EVENTS_PER_PAGE),
            "is_newest": "before" not in request.GET,
        }
        return render_page(request, "endpoints/events.html", "endpoints/_events.html", context)


def show_raw(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what the provider said of the endpoint and its deployments, word for word."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        endpoint = find_endpoint(request, pk)
        context = page_context(request, snapshot) | {
            "endpoint": endpoint,
            "payload_text": _print_json(Endpoint.objects.values_list("payload", flat=True).get(pk=pk)),
            "deployments": list(endpoint.deployments.only("name", "payload", "observed_at").order_by("pk")),
        }
        return render_page(request, "endpoints/raw.html", "endpoints/_raw.html", context)


def build_traffic_chart(day: TrafficDay) -> Chart:
    """Return the last 24 h as bars of half an hour."""
    labels = [f"{day.start + number * BUCKET:%H:%M}" for number in range(len(day.requests))]
    return Chart("bar", labels, [Series("requests", day.requests)])


def find_last_stop(endpoint: Endpoint, *, now: datetime) -> Receipt | None:
    """Return the receipt of the newest confirmed stop, None when there is none. One query."""
    action = (
        StopAction.objects.filter(
            endpoint=endpoint, kind=StopAction.Kind.STOP, state=StopAction.State.OBSERVED
        )
        .select_related("endpoint", "deployment")
        .defer("endpoint__payload", "deployment__payload")
        .order_by("-finished_at")
        .first()
    )
    return assemble_receipt(action, steps=(), now=now) if action else None


def _build_row(deployment: Deployment, *, endpoint: Endpoint, may_act: bool) -> DeploymentRow:
    is_gone = deployment.absent_since is not None
    found = status.ABSENT if is_gone else status.read_state(deployment.state)
    return DeploymentRow(
        deployment=deployment,
        status=found,
        hardware=shorten_hardware(deployment.hardware),
        replicas=describe_replicas(
            deployment.ready_replicas,
            deployment.desired_replicas,
            low=deployment.min_replicas,
            high=deployment.max_replicas,
        ),
        limits=_describe_limits([deployment]),
        burn=Burn() if is_gone else burn_of_deployment(deployment),
        menu=_list_menu(deployment, found, endpoint=endpoint) if may_act and not is_gone else (),
        is_gone=is_gone,
    )


def _list_menu(deployment: Deployment, found: status.Status, *, endpoint: Endpoint) -> tuple[MenuItem, ...]:
    def link(name: str) -> str:
        return f"{reverse(name, args=[endpoint.pk])}?deployment={deployment.pk}"

    items = []
    if found is status.STOPPED and may_start(endpoint):
        items.append(MenuItem("Start", link("endpoint_start"), "play", opens_dialog=True))
    if found not in (status.STOPPED, status.STOPPING, status.FAILED):
        items.append(MenuItem("Change replicas", link("endpoint_scale"), "sliders", opens_dialog=True))
        items.append(MenuItem("Settings", link("endpoint_configure"), "settings", opens_dialog=True))
        items.append(MenuItem("Stop", link("endpoint_stop"), "stop", is_destructive=True, opens_dialog=True))
    detail = "" if found in (status.STOPPED, status.FAILED) else "stops it first"
    items.append(
        MenuItem(
            "Delete", link("endpoint_delete"), "trash", detail=detail, is_destructive=True, opens_dialog=True
        )
    )
    return tuple(items)


def _describe_limits(deployments: Sequence[Deployment]) -> str:
    """Return ``1 to 3`` over all deployments; empty when one of them does not tell."""
    bounds = [(one.min_replicas, one.max_replicas) for one in deployments]
    if not bounds or any(low is None or high is None for low, high in bounds):
        return ""
    low, high = sum(one[0] or 0 for one in bounds), sum(one[1] or 0 for one in bounds)
    return str(low) if low == high else f"{low} to {high}"


def _describe_timeout(deployments: Sequence[Deployment]) -> str:
    """Return the provider's own idle limit in words; empty when no deployment tells one."""
    told = {one.inactive_timeout_minutes for one in deployments if one.inactive_timeout_minutes is not None}
    if not told:
        return ""
    if told == {0}:
        return "off"
    limits = " or ".join(f"{minutes} min" if minutes else "off" for minutes in sorted(told))
    return f"after {limits}"


def _describe_act(act: OpenAct, deployments: Sequence[Deployment]) -> Act:
    names = {one.pk: one.name for one in deployments}
    awaited = {
        "stop": "STOPPED",
        "start": "ready replicas",
        "scale": "the new bounds",
        "delete": "its absence",
        "configure": "the new settings",
        "split": "the new weights",
        "deploy": "READY",
    }
    return Act(
        act=act,
        url=reverse("action", args=[act.public_id]),
        target=names.get(act.deployment_id or 0, "") if len(deployments) > 1 else "",
        awaited=awaited.get(act.kind, "the provider's state"),
        is_sent=act.sent_at is not None,
    )


def _choose_buttons(
    endpoint: Endpoint, mirrored: status.Status, *, acts: Sequence[OpenAct]
) -> frozenset[str]:
    """Return which acts the head of the page offers: replicas, settings, stop, start, delete."""
    stopping = any(act.kind == "stop" for act in acts)
    if mirrored is status.STOPPED:
        is_starting = any(act.kind == "start" for act in acts)
        return frozenset(
            {"delete", "settings"}
            if is_starting or not may_start(endpoint)
            else {"start", "delete", "settings"}
        )
    if mirrored in (status.FAILED, status.EMPTY):
        return frozenset({"delete"})
    if stopping or mirrored is status.STOPPING:
        return frozenset()
    return frozenset({"stop", "replicas", "settings"})


def _print_json(payload: object) -> str:
    return json.dumps(payload, indent=2, ensure_ascii=False, sort_keys=True)


def _read_before(request: HttpRequest) -> datetime | None:
    try:
        found = parse_datetime(request.GET.get("before", ""))
    except ValueError:
        return None
    return found if found is None or found.tzinfo else found.replace(tzinfo=UTC)
