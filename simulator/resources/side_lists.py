"""Lists that clients walk before they delete something: experiments, rollouts, profiles, adapters."""

from starlette.responses import Response

from simulator.call import Call, json_answer, route
from simulator.errors import not_found
from simulator.identifiers import derive_id
from simulator.paging import NO_ITEMS, cut_page, list_answer
from simulator.resources.deployments import find_deployment
from simulator.world import Project


def list_nothing(call: Call) -> Response:
    """Answer an empty list: the simulator has no experiments and no rollouts (yet)."""
    call.endpoint()
    page, cursor = cut_page(call, NO_ITEMS, key=lambda item: (item,))
    return list_answer(page, cursor)


def list_adapters(call: Call) -> Response:
    find_deployment(call)
    page, cursor = cut_page(call, NO_ITEMS, key=lambda item: (item,))
    return list_answer(page, cursor)


def _describe_profile(call: Call, project: Project) -> dict[str, object]:
    return {
        "id": derive_id("pp", call.world.seed, project.project_id),
        "name": "US regions",
        "organizationId": project.organization.organization_id,
        "projectId": project.project_id,
        "preferredRegions": ["us-east-1", "us-central-4b"],
    }


def list_profiles(call: Call) -> Response:
    profiles = [_describe_profile(call, call.project())]
    page, cursor = cut_page(call, profiles, key=lambda profile: (profile["id"],))
    return list_answer(page, cursor)


def read_profile(call: Call) -> Response:
    profile = _describe_profile(call, call.project())
    if profile["id"] != call.path["profile_id"] and not call.world.any_id:
        raise not_found("placement profile", call.path["profile_id"])
    return json_answer(profile)


_PROJECT = "/v2/projects/{project_id}"
_ENDPOINT = f"{_PROJECT}/endpoints/{{endpoint_id}}"
ROUTES = [
    route(f"{_ENDPOINT}/abExperiments", list_nothing),
    route(f"{_ENDPOINT}/shadowExperiments", list_nothing),
    route(f"{_ENDPOINT}/rollouts", list_nothing),
    route(f"{_ENDPOINT}/deployments/{{deployment_id}}/adapters", list_adapters),
    route(f"{_PROJECT}/placement-profiles", list_profiles),
    route(f"{_PROJECT}/placement-profiles/{{profile_id}}", read_profile),
]
