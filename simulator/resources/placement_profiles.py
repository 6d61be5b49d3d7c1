"""Saved placement profiles of a project: ordered preferences of regions."""

from dataclasses import dataclass

from starlette.responses import Response

from simulator.call import Call, json_answer, route
from simulator.errors import not_found
from simulator.identifiers import derive_id
from simulator.paging import cut_page, list_answer


@dataclass(frozen=True)
class Profile:
    """One saved placement."""

    profile_id: str
    project_id: str
    organization_id: str
    name: str
    regions: tuple[str, ...]


def find_profiles(call: Call) -> list[Profile]:
    """Return the profiles of the path's project. Raises 404."""
    project = call.project()
    identifier = derive_id("pp", call.world.seed, project.project_id)
    regions = ("us-east-1", "us-central-4b")
    organization_id = project.organization.organization_id
    return [Profile(identifier, project.project_id, organization_id, "US regions", regions)]


def _describe(profile: Profile) -> dict[str, object]:
    return {
        "id": profile.profile_id,
        "name": profile.name,
        "organizationId": profile.organization_id,
        "projectId": profile.project_id,
        "preferredRegions": list(profile.regions),
    }


def list_profiles(call: Call) -> Response:
    page, cursor = cut_page(call, find_profiles(call), key=lambda profile: (profile.profile_id,))
    return list_answer([_describe(profile) for profile in page], cursor)


def read_profile(call: Call) -> Response:
    for profile in find_profiles(call):
        if call.world.any_id or profile.profile_id == call.path["profile_id"]:
            return json_answer(_describe(profile))
    raise not_found("placement profile", call.path["profile_id"])


_PROFILES = "/v2/projects/{project_id}/placement-profiles"
ROUTES = [route(_PROFILES, list_profiles), route(f"{_PROFILES}/{{profile_id}}", read_profile)]
