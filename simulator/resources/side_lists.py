"""Lists that clients walk before they delete something: experiments, rollouts, adapters."""

from starlette.responses import Response

from simulator.call import Call, route
from simulator.paging import NO_ITEMS, cut_page, list_answer
from simulator.resources.deployments import find_deployment


def list_nothing(call: Call) -> Response:
    """Answer an empty list: the simulator has no experiments and no rollouts (yet)."""
    call.endpoint()
    page, cursor = cut_page(call, NO_ITEMS, key=lambda item: (item,))
    return list_answer(page, cursor)


def list_adapters(call: Call) -> Response:
    find_deployment(call)
    page, cursor = cut_page(call, NO_ITEMS, key=lambda item: (item,))
    return list_answer(page, cursor)


_PROJECT = "/v2/projects/{project_id}"
_ENDPOINT = f"{_PROJECT}/endpoints/{{endpoint_id}}"
ROUTES = [
    route(f"{_ENDPOINT}/abExperiments", list_nothing),
    route(f"{_ENDPOINT}/shadowExperiments", list_nothing),
    route(f"{_ENDPOINT}/rollouts", list_nothing),
    route(f"{_ENDPOINT}/deployments/{{deployment_id}}/adapters", list_adapters),
]
