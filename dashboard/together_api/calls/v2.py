"""v2 endpoints, deployments, events and analytics (contract section 3). Bodies are camelCase."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from dashboard.together_api.calls.reading import fetch_all, fetch_one, without_none
from dashboard.together_api.config import MAX_PAGES, PAGE_SIZE
from dashboard.together_api.pagination import Listing, PageWalk, collect
from dashboard.together_api.payloads.analytics import Analytics
from dashboard.together_api.payloads.v2 import Deployment, Endpoint, EndpointEvent
from dashboard.together_api.requests import ApiCall, Flow, Priority

EVENTS_PAGE_SIZE = 500
"""The documented maximum; the SDK allows 10,000 (contract 1.4)."""
SHORTEST_TIMEOUT_MINUTES = 30
LONGEST_TIMEOUT_MINUTES = 1_440
"""Of `inactiveTimeout`, beside 0 = off (contract 3.3, SDK `deployment_update_params`)."""

_ENDPOINTS = "/v2/projects/{project_id}/endpoints"
_ENDPOINT = f"{_ENDPOINTS}/{{endpoint_id}}"
_DEPLOYMENTS = f"{_ENDPOINT}/deployments"
_DEPLOYMENT = f"{_DEPLOYMENTS}/{{deployment_id}}"

Granularity = Literal["1m", "1h", "1d"]
EventLevel = Literal["LEVEL_DEBUG", "LEVEL_INFO", "LEVEL_WARN", "LEVEL_ERROR"]


def list_endpoints(
    project_id: str, *, order_by: str | None = None, filter_expression: str | None = None
) -> Flow[Listing[Endpoint]]:
    """Return all endpoints of a project, each with summaries of its ten newest deployments."""
    call = ApiCall(
        template=_ENDPOINTS,
        ids={"project_id": project_id},
        query={"limit": PAGE_SIZE, "orderBy": order_by, "filter": filter_expression},
    )
    return (yield from fetch_all(Endpoint, call))


def list_organization_endpoints(organization_id: str) -> Flow[Listing[Endpoint]]:
    """Return the endpoints of all projects of an organisation."""
    call = ApiCall(
        template="/v2/organizations/{organization_id}/endpoints",
        ids={"organization_id": organization_id},
        query={"limit": PAGE_SIZE},
    )
    return (yield from fetch_all(Endpoint, call))


def get_endpoint(project_id: str, endpoint_id: str) -> Flow[Endpoint]:
    """Return one endpoint; is_absent(error) when it is gone."""
    return (yield from fetch_one(Endpoint, ApiCall(template=_ENDPOINT, ids=_ids(project_id, endpoint_id))))


def create_endpoint(
    project_id: str,
    *,
    name: str,
    visibility: Literal["VISIBILITY_PRIVATE", "VISIBILITY_INTERNAL"] | None = None,
) -> Flow[Endpoint]:
    """Create an endpoint (free by itself). After `outcome_unknown` look for the name before repeating."""
    call = ApiCall(
        method="POST",
        template=_ENDPOINTS,
        ids={"project_id": project_id},
        body=without_none({"name": name, "visibility": visibility}),
    )
    return (yield from fetch_one(Endpoint, call))


def set_traffic_split(
    project_id: str, endpoint_id: str, *, weights: Mapping[str, float], etag: str | None = None
) -> Flow[Endpoint]:
    """Replace the traffic split {deployment id: weight}; an empty one stops routing. A stale etag is a 409."""
    split = [{"deploymentId": deployment_id, "weight": weight} for deployment_id, weight in weights.items()]
    call = ApiCall(
        method="PATCH",
        template=_ENDPOINT,
        ids=_ids(project_id, endpoint_id),
        # Without the mask an empty split would be read as "not given" (contract 1.7).
        query={"updateMask": "trafficSplit"},
        body=without_none({"trafficSplit": split, "etag": etag}),
    )
    return (yield from fetch_one(Endpoint, call))


def rename_endpoint(
    project_id: str, endpoint_id: str, *, name: str, etag: str | None = None
) -> Flow[Endpoint]:
    """Give the endpoint another name (its `model` value for inference changes with it)."""
    call = ApiCall(
        method="PATCH",
        template=_ENDPOINT,
        ids=_ids(project_id, endpoint_id),
        query={"updateMask": "name"},
        body=without_none({"name": name, "etag": etag}),
    )
    return (yield from fetch_one(Endpoint, call))


def delete_endpoint(project_id: str, endpoint_id: str, *, etag: str | None = None) -> Flow[None]:
    """Delete an endpoint; refused (400) while a deployment of it runs."""
    yield ApiCall(
        method="DELETE", template=_ENDPOINT, ids=_ids(project_id, endpoint_id), query={"etag": etag}
    )


def list_deployments(project_id: str, endpoint_id: str) -> Flow[Listing[Deployment]]:
    """Return all deployments of an endpoint, FAILED and STOPPED ones included."""
    call = ApiCall(template=_DEPLOYMENTS, ids=_ids(project_id, endpoint_id), query={"limit": PAGE_SIZE})
    return (yield from fetch_all(Deployment, call))


def get_deployment(project_id: str, endpoint_id: str, deployment_id: str) -> Flow[Deployment]:
    """Return one deployment; is_absent(error) when it or its endpoint is gone."""
    call = ApiCall(template=_DEPLOYMENT, ids=_ids(project_id, endpoint_id, deployment_id))
    return (yield from fetch_one(Deployment, call))


def create_deployment(
    project_id: str,
    endpoint_id: str,
    *,
    name: str,
    model: str,
    config: str,
    min_replicas: int,
    max_replicas: int,
    autoscaling: Mapping[str, Any] | None = None,
    inactive_timeout: int | None = None,
    placement: Mapping[str, Any] | None = None,
    max_concurrent_requests_per_replica: int | None = None,
    validate_only: bool = False,
) -> Flow[Deployment]:
    """Create a deployment (it costs from its first ready replica); `validate_only` is the provider's dry run.

    `model` and `config` are resource names, `inactive_timeout` minutes (0 = off, or 30-1440; else ValueError),
    `autoscaling` further camelCase fields beside the bounds. It gets no traffic until it is in the endpoint's traffic
    split.
    """
    _check_timeout(inactive_timeout)
    limit = max_concurrent_requests_per_replica
    body = without_none(
        {
            "name": name,
            "model": model,
            "config": config,
            "autoscaling": _bounds(autoscaling, min_replicas=min_replicas, max_replicas=max_replicas),
            "inactiveTimeout": inactive_timeout,
            "placement": placement,
            "maxConcurrentRequestsPerReplica": None if limit is None else str(limit),
        }
    )
    call = ApiCall(
        method="POST",
        template=_DEPLOYMENTS,
        ids=_ids(project_id, endpoint_id),
        query={"validateOnly": True if validate_only else None},
        body=body,
        read_only=validate_only,
    )
    return (yield from fetch_one(Deployment, call))


def patch_deployment(
    project_id: str,
    endpoint_id: str,
    deployment_id: str,
    *,
    autoscaling: Mapping[str, Any] | None = None,
    inactive_timeout: int | None = None,
    name: str | None = None,
    max_concurrent_requests_per_replica: int | None = None,
    etag: str | None = None,
    priority: Priority = "normal",
) -> Flow[Deployment]:
    """Change what is given and return the deployment; the update mask names exactly those fields.

    `autoscaling` is camelCase and replaces the whole block, so pass along what should stay. `inactive_timeout` in
    minutes, 0 = off, or 30-1440 (else ValueError). A stale `etag` is a ConflictError.
    """
    _check_timeout(inactive_timeout)
    limit = max_concurrent_requests_per_replica
    changes = without_none(
        {
            "autoscaling": dict(autoscaling) if autoscaling is not None else None,
            "inactiveTimeout": inactive_timeout,
            "name": name,
            "maxConcurrentRequestsPerReplica": None if limit is None else str(limit),
        }
    )
    if not changes:
        raise ValueError("Nothing to change.")
    call = ApiCall(
        method="PATCH",
        template=_DEPLOYMENT,
        ids=_ids(project_id, endpoint_id, deployment_id),
        query={"updateMask": list(changes)},
        body={**changes, **without_none({"etag": etag})},
        priority=priority,
    )
    return (yield from fetch_one(Deployment, call))


def stop_deployment(
    project_id: str, endpoint_id: str, deployment_id: str, *, etag: str | None = None
) -> Flow[Deployment]:
    """Ask for 0/0 replicas, with priority, exactly as the official CLI does. Accepted is not stopped: read back."""
    bounds = {"minReplicas": 0, "maxReplicas": 0}
    return (
        yield from patch_deployment(
            project_id, endpoint_id, deployment_id, autoscaling=bounds, etag=etag, priority="stop"
        )
    )


def start_deployment(
    project_id: str,
    endpoint_id: str,
    deployment_id: str,
    *,
    min_replicas: int,
    max_replicas: int,
    autoscaling: Mapping[str, Any] | None = None,
    etag: str | None = None,
) -> Flow[Deployment]:
    """Start a STOPPED deployment with bounds of at least 1 (ValueError otherwise).

    `autoscaling` is the block from before the stop (camelCase), so that windows and metrics come back.
    """
    if not 1 <= min_replicas <= max_replicas:
        raise ValueError("Starting needs 1 <= min_replicas <= max_replicas.")
    block = _bounds(autoscaling, min_replicas=min_replicas, max_replicas=max_replicas)
    return (yield from patch_deployment(project_id, endpoint_id, deployment_id, autoscaling=block, etag=etag))


def delete_deployment(
    project_id: str, endpoint_id: str, deployment_id: str, *, etag: str | None = None
) -> Flow[None]:
    """Delete a deployment; refused (400) unless it is stopped and out of the traffic split."""
    yield ApiCall(
        method="DELETE",
        template=_DEPLOYMENT,
        ids=_ids(project_id, endpoint_id, deployment_id),
        query={"etag": etag},
    )


def walk_events(
    project_id: str,
    endpoint_id: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    types: Sequence[str] = (),
    deployment_ids: Sequence[str] = (),
    min_level: EventLevel | None = None,
    limit: int = EVENTS_PAGE_SIZE,
    max_pages: int = MAX_PAGES,
) -> PageWalk[EndpointEvent]:
    """Describe a walk over `[since, until)`, newest first; give it to `client.iterate_pages` or `list_events`."""
    call = ApiCall(
        template=f"{_ENDPOINT}/events",
        ids=_ids(project_id, endpoint_id),
        query={
            "limit": limit,
            "since": since,
            "until": until,
            "types": types or None,
            "deploymentIds": deployment_ids or None,
            "minLevel": min_level,
        },
    )
    return PageWalk(model=EndpointEvent, next_call=call, max_pages=max_pages)


def list_events(
    project_id: str,
    endpoint_id: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    types: Sequence[str] = (),
    deployment_ids: Sequence[str] = (),
    min_level: EventLevel | None = None,
    max_pages: int = MAX_PAGES,
) -> Flow[Listing[EndpointEvent]]:
    """Return the events of `[since, until)`, newest first; order them by `created_at` before use."""
    walk = walk_events(
        project_id,
        endpoint_id,
        since=since,
        until=until,
        types=types,
        deployment_ids=deployment_ids,
        min_level=min_level,
        max_pages=max_pages,
    )
    return (yield from collect(walk))


def get_analytics(
    project_id: str,
    endpoint_id: str,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    granularity: Granularity | None = None,
    include_time_series: bool = False,
    deployment_id: str | None = None,
) -> Flow[Analytics]:
    """Return sums (and series, if asked for) over `[start, end)`, default the last 24 hours in days."""
    call = ApiCall(
        template=f"{_ENDPOINT}/analytics",
        ids=_ids(project_id, endpoint_id),
        query={
            "startTime": start,
            "endTime": end,
            "granularity": granularity,
            "includeTimeSeries": True if include_time_series else None,
            "deploymentId": deployment_id,
        },
    )
    return (yield from fetch_one(Analytics, call))


def _ids(project_id: str, endpoint_id: str, deployment_id: str | None = None) -> dict[str, str]:
    ids = {"project_id": project_id, "endpoint_id": endpoint_id}
    return ids if deployment_id is None else {**ids, "deployment_id": deployment_id}


def _check_timeout(minutes: int | None) -> None:
    if minutes and not SHORTEST_TIMEOUT_MINUTES <= minutes <= LONGEST_TIMEOUT_MINUTES:
        raise ValueError("inactive_timeout is 0 (off) or 30 to 1440 minutes.")


def _bounds(autoscaling: Mapping[str, Any] | None, *, min_replicas: int, max_replicas: int) -> dict[str, Any]:
    return {**(autoscaling or {}), "minReplicas": min_replicas, "maxReplicas": max_replicas}
