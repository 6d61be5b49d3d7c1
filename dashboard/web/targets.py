"""What an act is about: found among what the person sees, with the facts that a confirmation must name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.urls import reverse

from billing.burn import Burn, add_burns, price_replicas
from dashboard.accounts.models import User
from dashboard.accounts.visibility import may_operate, operable_team_ids
from dashboard.core import durations, status
from dashboard.lifecycle import evidence
from dashboard.lifecycle.idleness import gather_facts
from dashboard.lifecycle.models import StopAction
from dashboard.mirror.models import Deployment, Endpoint, Generation
from dashboard.mirror.querysets import visible_endpoints
from dashboard.mirror.traffic_history import load_rates

AT_REST = (status.STOPPED, status.FAILED)
# One click stops at most as many as one page of the list shows.
MOST_TARGETS = 50
# What names of v2 endpoints do not hold (contract 3.4: refused with 400).
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9._-]+")


@dataclass(frozen=True, slots=True)
class Target:
    """One endpoint, or one of its deployments, as a confirmation shows it."""

    endpoint: Endpoint
    deployments: tuple[Deployment, ...]
    # The chosen deployment; None = the whole endpoint.
    deployment: Deployment | None
    burn: Burn
    last_request: str
    requests_per_minute: float
    is_idle: bool

    @property
    def name(self) -> str:
        """Return what people call it."""
        if self.deployment is None or len(self.deployments) == 1:
            return self.endpoint.display_name
        return f"{self.endpoint.display_name}, {self.deployment.name}"

    @property
    def running(self) -> tuple[Deployment, ...]:
        """Return the concerned deployments that are not at rest."""
        return tuple(one for one in self.concerned if status.read_state(one.state) not in AT_REST)

    @property
    def concerned(self) -> tuple[Deployment, ...]:
        """Return the chosen deployment, or all of the endpoint."""
        return self.deployments if self.deployment is None else (self.deployment,)

    @property
    def is_v1(self) -> bool:
        """True for the generation whose endpoints cannot be started again."""
        return self.endpoint.generation == Generation.V1


def find_endpoint(request: HttpRequest, pk: int) -> Endpoint:
    """Return the endpoint if the person sees it, its project and team loaded; Http404 otherwise. One query."""
    assert isinstance(request.user, User)  # noqa: S101 - the permission table lets nobody else in
    endpoint = (
        visible_endpoints(request.user)
        .select_related("project__team", "connection")
        .filter(pk=pk)
        .defer("payload", "fingerprint", "project__payload")
        .first()
    )
    if endpoint is None:
        raise Http404("no such endpoint, or not one of your teams'")
    return endpoint


def find_operable_endpoint(request: HttpRequest, pk: int) -> Endpoint:
    """Return the endpoint if the person may act on it. Http404 when not seen, PermissionDenied when only seen."""
    endpoint = find_endpoint(request, pk)
    assert isinstance(request.user, User)  # noqa: S101 - as above
    if not may_operate(request.user, team_id=endpoint.project.team_id):
        team = endpoint.project.team
        owner = f"the team {team.name}" if team else "nobody yet, so only Admins act on it"
        raise PermissionDenied(f"{endpoint.display_name} belongs to {owner}")
    return endpoint


def find_operable_endpoints(user: User, ids: Sequence[str]) -> list[Endpoint]:
    """Return those of the given endpoints on which the person may act, dearest first. At most two queries."""
    numbers = [int(one) for one in ids[:MOST_TARGETS] if one.isdecimal() and len(one) < 19]
    endpoints = (
        visible_endpoints(user).filter(pk__in=numbers, absent_since=None).select_related("project__team")
    )
    teams = operable_team_ids(user)
    return [
        one
        for one in endpoints.order_by("-burn_high", "display_name", "id")
        if teams is None or one.project.team_id in teams
    ]


def load_targets(endpoints: Sequence[Endpoint], *, now: datetime, deployment_id: str = "") -> list[Target]:
    """Return the endpoints as targets; `deployment_id` narrows a single one. Http404 for a foreign id. Two queries."""
    ids = [endpoint.pk for endpoint in endpoints]
    by_endpoint: dict[int, list[Deployment]] = {one: [] for one in ids}
    for row in (
        Deployment.objects.filter(endpoint_id__in=ids, absent_since=None)
        .defer("payload", "fingerprint")
        .order_by("pk")
    ):
        by_endpoint[row.endpoint_id].append(row)
    rates = load_rates(ids)
    return [
        _build_target(
            endpoint,
            by_endpoint[endpoint.pk],
            rate=rates.get(endpoint.pk, 0.0),
            deployment_id=deployment_id,
            now=now,
        )
        for endpoint in endpoints
    ]


def _build_target(
    endpoint: Endpoint, deployments: list[Deployment], *, rate: float, deployment_id: str, now: datetime
) -> Target:
    chosen = None
    if deployment_id:
        chosen = next((one for one in deployments if str(one.pk) == deployment_id), None)
        if chosen is None:
            raise Http404("no such deployment here")
    for one in deployments:
        one.endpoint = endpoint
    weighed = evidence.weigh(gather_facts(endpoint), now=now)
    return Target(
        endpoint=endpoint,
        deployments=tuple(deployments),
        deployment=chosen,
        burn=burn_of_endpoint(endpoint) if chosen is None else burn_of_deployment(chosen),
        last_request=_describe_last_request(endpoint, now=now),
        requests_per_minute=rate,
        is_idle=weighed.verdict is evidence.Verdict.IDLE,
    )


def burn_of_endpoint(endpoint: Endpoint) -> Burn:
    """Return what all of the endpoint burns now. No query."""
    return Burn(endpoint.burn_low, endpoint.burn_high, endpoint.unpriced_replicas)


def burn_of_deployment(deployment: Deployment) -> Burn:
    """Return what the deployment burns now. No query."""
    return price_replicas(
        low=deployment.billable_low,
        high=deployment.billable_high,
        nano_usd_per_hour=deployment.nano_usd_per_hour,
    )


def add_targets(targets: Sequence[Target]) -> Burn:
    """Return what the targets burn together."""
    return add_burns(target.burn for target in targets)


def recall_bounds(deployment: Deployment) -> tuple[int, int]:
    """Return the bounds to offer for a start: what it had before our last stop, else its own, at least 1. One query."""
    before = (
        StopAction.objects.filter(deployment=deployment, autoscaling_before__isnull=False)
        .order_by("-requested_at")
        .values_list("autoscaling_before", flat=True)
        .first()
    ) or {}
    low = before.get("minReplicas") or deployment.min_replicas or 1
    high = before.get("maxReplicas") or deployment.max_replicas or low
    return max(1, int(low)), max(1, int(low), int(high))


def _describe_last_request(endpoint: Endpoint, *, now: datetime) -> str:
    if endpoint.last_request_at is None:
        return "not known" if endpoint.traffic_read_until is None else "none seen"
    moment = durations.format_moment(endpoint.last_request_at, now=now)
    return f"{moment}, {durations.format_duration(now - endpoint.last_request_at)} ago"


def address_on_v2(endpoint: Endpoint, deployments: Sequence[Deployment]) -> str:
    """Return the wizard's address with what a v1 endpoint has: model, hardware, bounds, project, name. No query."""
    first = next(iter(deployments), None)
    values = {
        "model": endpoint.model,
        "project": endpoint.project_id,
        "hardware": endpoint.hardware,
        "low": first.min_replicas if first else None,
        "high": first.max_replicas if first else None,
        "endpoint_name": _NOT_IN_A_NAME.sub("-", endpoint.display_name.lower()).strip("-._")[:50],
    }
    return f"{reverse('deploy')}?{urlencode({name: value for name, value in values.items() if value})}"
