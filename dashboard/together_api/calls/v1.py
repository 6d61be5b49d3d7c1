"""v1 endpoints, hardware and zones (contract section 4). Bodies are snake_case; nothing is paged."""

from collections.abc import Mapping
from typing import Any, Literal

from dashboard.together_api.calls.reading import fetch_all, fetch_one, without_none
from dashboard.together_api.pagination import Listing
from dashboard.together_api.payloads.v1 import V1Endpoint, V1EndpointState, V1Hardware
from dashboard.together_api.requests import ApiCall, Flow

_ENDPOINT = "/v1/endpoints/{endpoint_id}"


def list_v1_endpoints(
    *,
    endpoint_type: Literal["dedicated", "serverless"] | None = "dedicated",
    usage_type: Literal["on-demand", "reserved"] | None = None,
    mine: bool | None = None,
) -> Flow[Listing[V1Endpoint]]:
    """Return v1 endpoints; items lack hardware, autoscaling and display_name (read each with get_v1_endpoint)."""
    call = ApiCall(
        template="/v1/endpoints", query={"type": endpoint_type, "usage_type": usage_type, "mine": mine}
    )
    return (yield from fetch_all(V1Endpoint, call))


def get_v1_endpoint(endpoint_id: str) -> Flow[V1Endpoint]:
    """Return one endpoint in full; is_absent(error) when it is gone."""
    return (yield from fetch_one(V1Endpoint, ApiCall(template=_ENDPOINT, ids={"endpoint_id": endpoint_id})))


def patch_v1_endpoint(
    endpoint_id: str,
    *,
    display_name: str | None = None,
    state: Literal["STARTED", "STOPPED"] | None = None,
    min_replicas: int | None = None,
    max_replicas: int | None = None,
    inactive_timeout: int | None = None,
) -> Flow[V1Endpoint]:
    """Change what is given and return the endpoint; `inactive_timeout` in minutes, 0 = off.

    Both bounds or neither (ValueError). A stop travels with priority. Starting answers 403 since v1 is closing.
    """
    if (min_replicas is None) != (max_replicas is None):
        raise ValueError("v1 takes both replica bounds or neither.")
    autoscaling = (
        None if min_replicas is None else {"min_replicas": min_replicas, "max_replicas": max_replicas}
    )
    body = without_none(
        {
            "display_name": display_name,
            "state": state,
            "autoscaling": autoscaling,
            "inactive_timeout": inactive_timeout,
        }
    )
    call = ApiCall(
        method="PATCH",
        template=_ENDPOINT,
        ids={"endpoint_id": endpoint_id},
        body=body,
        priority="stop" if state == V1EndpointState.STOPPED else "normal",
    )
    return (yield from fetch_one(V1Endpoint, call))


def stop_v1_endpoint(endpoint_id: str) -> Flow[V1Endpoint]:
    """Ask for state STOPPED, with priority. Accepted is not stopped: read back."""
    return (yield from patch_v1_endpoint(endpoint_id, state="STOPPED"))


def delete_v1_endpoint(endpoint_id: str) -> Flow[None]:
    """Delete an endpoint, with priority (a running one costs); 204 has no body."""
    yield ApiCall(method="DELETE", template=_ENDPOINT, ids={"endpoint_id": endpoint_id}, priority="stop")


def create_v1_endpoint(
    *,
    model: str,
    hardware: str,
    min_replicas: int,
    max_replicas: int,
    display_name: str | None = None,
    inactive_timeout: int | None = None,
    availability_zone: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Flow[V1Endpoint]:
    """Create a v1 endpoint; answers 403 `endpoints_v1_create_access_disabled` for most organisations by now."""
    body = {
        **(options or {}),
        "model": model,
        "hardware": hardware,
        "autoscaling": {"min_replicas": min_replicas, "max_replicas": max_replicas},
        **without_none(
            {
                "display_name": display_name,
                "inactive_timeout": inactive_timeout,
                "availability_zone": availability_zone,
            }
        ),
    }
    return (yield from fetch_one(V1Endpoint, ApiCall(method="POST", template="/v1/endpoints", body=body)))


def list_v1_hardware(*, model: str | None = None) -> Flow[Listing[V1Hardware]]:
    """Return hardware with prices; availability only when `model` is given."""
    return (yield from fetch_all(V1Hardware, ApiCall(template="/v1/hardware", query={"model": model})))


def list_availability_zones() -> Flow[tuple[str, ...]]:
    """Return the names of the zones."""
    reply = yield ApiCall(template="/v1/clusters/availability-zones")
    zones = reply.json_object().get("avzones")
    if not isinstance(zones, list):
        raise reply.malformed("expected avzones")
    return tuple(zone for zone in zones if isinstance(zone, str))
