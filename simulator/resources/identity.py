"""Who a key is, and the projects it may see."""

from typing import Any

from starlette.responses import Response

from simulator.call import Call, json_answer, route
from simulator.paging import cut_page, list_answer
from simulator.world import Project


def describe_key(call: Call) -> Response:
    identity = call.identity
    project = identity.project
    return json_answer(
        {
            "type": "project_api_key",
            "api_key": {"id": identity.api_key_id},
            "organization": {
                "id": identity.organization.organization_id,
                "name": identity.organization.name,
            },
            "project": {"id": project.project_id, "name": project.name, "slug": project.slug},
        }
    )


def describe_key_flat(call: Call) -> Response:
    identity = call.identity
    return json_answer(
        {
            "api_key_id": identity.api_key_id,
            "organization_id": identity.organization.organization_id,
            "organization_name": identity.organization.name,
            "project_id": identity.project.project_id,
            "project_name": identity.project.name,
            "project_slug": identity.project.slug,
        }
    )


def list_projects(call: Call) -> Response:
    mine = [
        project
        for project in call.world.projects.values()
        if project.organization == call.identity.organization
    ]
    mine.sort(key=lambda project: project.project_id)
    page, cursor = cut_page(call, mine, key=lambda project: (project.project_id,))
    return list_answer([_describe_project(project) for project in page], cursor)


def _describe_project(project: Project) -> dict[str, Any]:
    return {
        "id": project.project_id,
        "name": project.name,
        "slug": project.slug,
        "organization_id": project.organization.organization_id,
        "organization_name": project.organization.name,
    }


ROUTES = [
    route("/v3/whoami", describe_key),
    route("/v1/whoami", describe_key_flat),
    route("/v1/projects", list_projects),
]
