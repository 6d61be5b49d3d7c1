"""v2 endpoints: list, create, read, change, delete, and the list of an organisation."""

import math
from typing import Any

from starlette.responses import Response

from simulator import lifecycle
from simulator.call import Call, json_answer, route
from simulator.errors import ApiError, GatewayError, bad_request
from simulator.fields import ENDPOINT_CREATE, ENDPOINT_UPDATE, check_name, read_fields, read_mask
from simulator.filters import parse_filter, parse_order
from simulator.paging import cut_page, list_answer_encoded
from simulator.resources.deployment_bodies import encode_endpoint
from simulator.world import Action, Endpoint

VISIBILITIES = frozenset({"VISIBILITY_PRIVATE", "VISIBILITY_INTERNAL"})
_FILTER_FIELDS = frozenset({"name", "created_at", "updated_at"})


def check_etag(call: Call, given: str | None, etag: str) -> None:
    """Raise 409 for a stale etag; an omitted one is no check."""
    if given and given != etag and not call.world.any_id:
        raise ApiError(409, "etag does not match the current version of the resource", code="aborted")


def answer_endpoint(call: Call, endpoint: Endpoint) -> Response:
    return json_answer(encode_endpoint(call.world, endpoint, now_ms=call.now_ms))


def _list(call: Call, endpoints: list[Endpoint]) -> Response:
    matches = None if call.world.any_id else parse_filter(call.query.get("filter"), fields=_FILTER_FIELDS)
    field, descending = ("created_at", False) if call.world.any_id else parse_order(call.query.get("orderBy"))
    if matches is not None:
        endpoints = [endpoint for endpoint in endpoints if matches(_filter_row(endpoint))]
    sign = -1 if descending else 1

    def sort_key(endpoint: Endpoint) -> tuple[Any, ...]:
        at_ms = endpoint.updated_ms if field == "updated_at" else endpoint.created_ms
        return (sign * at_ms, endpoint.endpoint_id)

    endpoints.sort(key=sort_key)
    page, cursor = cut_page(call, endpoints, key=sort_key)
    return list_answer_encoded(
        [encode_endpoint(call.world, endpoint, now_ms=call.now_ms) for endpoint in page], cursor
    )


def _filter_row(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "name": endpoint.name,
        "created_at": endpoint.created_ms,
        "updated_at": endpoint.updated_ms,
    }


def list_endpoints(call: Call) -> Response:
    project = call.project()
    return _list(
        call, [endpoint for endpoint in call.world.endpoints.values() if endpoint.project == project]
    )


def list_organization_endpoints(call: Call) -> Response:
    organization = call.identity.organization
    call.check_organization(call.path["organization_id"])
    return _list(
        call,
        [
            endpoint
            for endpoint in call.world.endpoints.values()
            if endpoint.project.organization == organization
        ],
    )


def create_endpoint(call: Call) -> Response:
    project = call.project()
    if call.world.any_id:
        return answer_endpoint(call, next(iter(call.world.endpoints.values())))
    fields = read_fields(call.fields(), ENDPOINT_CREATE)
    if "name" not in fields:
        raise bad_request("name is required", param="name")
    slug = check_name(fields["name"].removeprefix(f"{project.slug}/"))
    _check_visibility(fields)
    if f"{project.slug}/{slug}" in call.world.by_inference_name:
        raise GatewayError(409, f'an endpoint named "{slug}" already exists')
    endpoint = call.world.add_endpoint(
        project=project, slug=slug, at_ms=call.now_ms, endpoint_id=call.world.new_id("ep")
    )
    endpoint.visibility = fields.get("visibility", endpoint.visibility)
    return answer_endpoint(call, endpoint)


def _check_visibility(fields: dict[str, Any]) -> None:
    if fields.get("visibility", "VISIBILITY_PRIVATE") not in VISIBILITIES:
        raise bad_request("unknown visibility", param="visibility")


def read_endpoint(call: Call) -> Response:
    return answer_endpoint(call, call.endpoint())


def update_endpoint(call: Call) -> Response:
    endpoint = call.endpoint()
    if call.world.any_id:
        return answer_endpoint(call, endpoint)
    fields = read_fields(call.fields(), ENDPOINT_UPDATE)
    check_etag(call, fields.pop("etag", None), endpoint.etag)
    mask = read_mask(call.query.get("updateMask", call.query.get("update_mask")))
    if mask is None:
        if not fields.get("trafficSplit", True):
            del fields["trafficSplit"]  # documented: an empty split is applied only when the mask names it
    else:
        named = {path[0] for path in mask}
        for name in named - ENDPOINT_UPDATE.keys():
            raise bad_request(f'invalid updateMask path "{name}"', param="updateMask")
        fields = {name: value for name, value in fields.items() if name in named}
        if "trafficSplit" in named:
            fields.setdefault("trafficSplit", [])
    _check_visibility(fields)
    _apply(call, endpoint, fields)
    return answer_endpoint(call, endpoint)


def _apply(call: Call, endpoint: Endpoint, fields: dict[str, Any]) -> None:
    world = call.world
    if "trafficSplit" in fields:
        split = _read_split(endpoint, fields["trafficSplit"])
        endpoint.was_routed = endpoint.was_routed or bool(endpoint.traffic_split)
        endpoint.traffic_split = split
    if "visibility" in fields:
        endpoint.visibility = fields["visibility"]
    if "name" in fields:
        slug = check_name(fields["name"].removeprefix(f"{endpoint.project.slug}/"))
        if slug != endpoint.slug:
            if f"{endpoint.project.slug}/{slug}" in world.by_inference_name:
                raise GatewayError(409, f'an endpoint named "{slug}" already exists')
            del world.by_inference_name[endpoint.name]
            endpoint.slug = slug
            world.by_inference_name[endpoint.name] = endpoint
            for deployment in endpoint.deployments.values():
                world.by_inference_name.pop(deployment.name, None)
                deployment.name = f"{endpoint.name}/{deployment.name.rpartition('/')[2]}"
                world.by_inference_name[deployment.name] = deployment
    if fields:
        endpoint.touch(call.now_ms)
        paths = tuple(sorted(fields))
        endpoint.actions.append(Action(call.now_ms, "endpoint.updated", "Endpoint updated", paths=paths))


def _read_split(endpoint: Endpoint, entries: list[dict[str, Any]]) -> list[tuple[str, float]]:
    split = []
    for entry in entries:
        deployment_id, weight = entry.get("deploymentId"), entry.get("weight", 0)
        if deployment_id not in endpoint.deployments:
            raise bad_request(
                f"deployment {deployment_id} does not belong to the endpoint", param="trafficSplit"
            )
        if weight < 0 or not math.isfinite(weight):
            raise bad_request("weight must be a finite number that is not negative", param="trafficSplit")
        split.append((str(deployment_id), weight))
    if len({deployment_id for deployment_id, _ in split}) != len(split):
        raise bad_request("a deployment appears twice in trafficSplit", param="trafficSplit")
    return split


def delete_endpoint(call: Call) -> Response:
    endpoint = call.endpoint()
    if call.world.any_id:
        return json_answer({})
    check_etag(call, call.query.get("etag"), endpoint.etag)
    for deployment in endpoint.deployments.values():
        deployment.workload.advance(call.now_ms)
        if deployment.workload.state not in {lifecycle.STOPPED, lifecycle.FAILED}:
            raise bad_request("endpoint has running deployments")
    call.world.remove_endpoint(endpoint, at_ms=call.now_ms)
    return json_answer({})


_BASE = "/v2/projects/{project_id}/endpoints"
ROUTES = [
    route(_BASE, list_endpoints),
    route(_BASE, create_endpoint, "POST"),
    route(f"{_BASE}/{{endpoint_id}}", read_endpoint),
    route(f"{_BASE}/{{endpoint_id}}", update_endpoint, "PATCH"),
    route(f"{_BASE}/{{endpoint_id}}", delete_endpoint, "DELETE"),
    route("/v2/organizations/{organization_id}/endpoints", list_organization_endpoints),
]
