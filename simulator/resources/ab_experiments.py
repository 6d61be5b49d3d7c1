"""v2 A/B experiments: a control's live traffic, split among it and its variants."""

from typing import Any

from starlette.responses import Response

from simulator.call import Call, json_answer, route
from simulator.clock import format_time
from simulator.errors import GatewayError, bad_request, not_found
from simulator.experiments import AbExperiment
from simulator.fields import read_fields
from simulator.paging import cut_page, list_answer
from simulator.resources.endpoints import check_etag
from simulator.world import Endpoint

_MEMBERS = [{"deploymentId": str, "percent": int, "role": str}]
_CREATE = {"name": str, "description": str, "members": _MEMBERS}
_UPDATE = {"description": str, "members": _MEMBERS, "etag": str}
_CONTROL, _VARIANT = (f"AB_EXPERIMENT_MEMBER_ROLE_{role}" for role in ("CONTROL", "VARIANT"))
_MOST_MEMBERS = 20
LONGEST_NAME = 256


def check_title(name: str | None, taken: set[str]) -> str:
    """Return a name for an experiment. Raises 400, and 409 for one that the endpoint has already."""
    if not name or len(name) > LONGEST_NAME:
        raise bad_request(f"name must have 1 to {LONGEST_NAME} characters", param="name")
    if name in taken:
        raise GatewayError(409, f'"{name}" already exists')
    return name


def _describe(call: Call, endpoint: Endpoint, experiment: AbExperiment) -> dict[str, Any]:
    return {
        "id": experiment.rider_id,
        "projectId": endpoint.project.project_id,
        "endpointId": endpoint.endpoint_id,
        "name": experiment.name,
        "members": experiment.members,
        "etag": experiment.etag,
        "createdBy": experiment.created_by,
        "createdAt": format_time(experiment.created_ms),
        "updatedAt": format_time(experiment.updated_ms),
        **({"description": experiment.description} if experiment.description else {}),
    }


def _find(call: Call) -> tuple[Endpoint, AbExperiment]:
    endpoint = call.endpoint()
    if call.world.any_id:
        deployment_id = next(iter(endpoint.deployments))
        members = [{"deploymentId": deployment_id, "percent": 100, "role": _CONTROL}]
        stamp = (call.identity.api_key_id, call.now_ms, call.now_ms)
        return endpoint, AbExperiment("abx_any", endpoint.endpoint_id, *stamp, "any", None, members)
    experiment = call.world.experiments.ab.get(call.path["experiment_id"])
    if experiment is None or experiment.endpoint_id != endpoint.endpoint_id:
        raise not_found("A/B experiment", call.path["experiment_id"])
    return endpoint, experiment


def _check_members(endpoint: Endpoint, members: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the members. Raises 400 unless there is one control and the percentages make 100."""
    if not 2 <= len(members) <= _MOST_MEMBERS:
        raise bad_request(f"an experiment has 2 to {_MOST_MEMBERS} members", param="members")
    for member in members:
        if member.get("deploymentId") not in endpoint.deployments:
            raise bad_request(
                f"deployment {member.get('deploymentId')} does not belong to the endpoint", param="members"
            )
        if member.get("role") not in {_CONTROL, _VARIANT}:
            raise bad_request("unknown role", param="members")
        if not 1 <= member.get("percent", 0) <= 100:
            raise bad_request("percent lies between 1 and 100", param="members")
    if len({member["deploymentId"] for member in members}) != len(members):
        raise bad_request("a deployment appears twice", param="members")
    if sum(member["role"] == _CONTROL for member in members) != 1:
        raise bad_request("an experiment has exactly one control", param="members")
    if sum(member["percent"] for member in members) != 100:
        raise bad_request("the percentages must add up to 100", param="members")
    return members


def list_experiments(call: Call) -> Response:
    endpoint = call.endpoint()
    found = call.world.experiments.ab.of(endpoint.endpoint_id)
    page, cursor = cut_page(call, found, key=lambda item: (item.created_ms, item.rider_id))
    return list_answer([_describe(call, endpoint, item) for item in page], cursor)


def create_experiment(call: Call) -> Response:
    endpoint = call.endpoint()
    if call.world.any_id:
        return read_experiment(call)
    fields = read_fields(call.fields(), _CREATE)
    shelf = call.world.experiments.ab
    experiment = AbExperiment(
        name=check_title(fields.get("name"), {item.name for item in shelf.of(endpoint.endpoint_id)}),
        description=fields.get("description"),
        members=_check_members(endpoint, fields.get("members", [])),
        rider_id=call.world.new_id("abx"),
        endpoint_id=endpoint.endpoint_id,
        created_by=call.identity.api_key_id,
        created_ms=call.now_ms,
        updated_ms=call.now_ms,
    )
    shelf[experiment.rider_id] = experiment
    return json_answer(_describe(call, endpoint, experiment))


def read_experiment(call: Call) -> Response:
    return json_answer(_describe(call, *_find(call)))


def update_experiment(call: Call) -> Response:
    if call.world.any_id:
        return read_experiment(call)
    endpoint, experiment = _find(call)
    fields = read_fields(call.fields(), _UPDATE)
    check_etag(call, fields.pop("etag", None), experiment.etag)
    if "members" in fields:
        experiment.members = _check_members(endpoint, fields["members"])
    experiment.description = fields.get("description", experiment.description)
    experiment.touch(call.now_ms)
    return json_answer(_describe(call, endpoint, experiment))


def delete_experiment(call: Call) -> Response:
    _, experiment = _find(call)
    if not call.world.any_id:
        check_etag(call, call.query.get("etag"), experiment.etag)
        del call.world.experiments.ab[experiment.rider_id]
    return json_answer({})


_BASE = "/v2/projects/{project_id}/endpoints/{endpoint_id}/abExperiments"
ROUTES = [
    route(_BASE, list_experiments),
    route(_BASE, create_experiment, "POST"),
    route(f"{_BASE}/{{experiment_id}}", read_experiment),
    route(f"{_BASE}/{{experiment_id}}", update_experiment, "PATCH"),
    route(f"{_BASE}/{{experiment_id}}", delete_experiment, "DELETE"),
]
