"""Read from the provider, many calls at a time. Network only: no database in this module.

A call that fails costs what it would have told and nothing else: results and errors come back side by side.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from dashboard.together_api import payloads
from dashboard.together_api.client import AsyncTogetherClient
from dashboard.together_api.errors import ApiError, absent_resource
from dashboard.together_api.pagination import Listing

# Calls of one pass under way at once. The provider's limits are not documented (contract 16); the request
# budget slows everything down when it says 429.
CONCURRENCY = 16

KeyT = TypeVar("KeyT")
ResultT = TypeVar("ResultT")
Clock = Callable[[], datetime]
EndpointListing = Listing[payloads.Endpoint] | Listing[payloads.V1Endpoint]
# Generation and project.
ListKey = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Answer(Generic[ResultT]):
    """What one call brought: a value or an error, and the times just before it was sent and after it was answered.

    What the answer says was true at some instant between the two.
    """

    fetched_at: datetime
    answered_at: datetime
    value: ResultT | None = None
    error: ApiError | None = None


DeploymentsAnswer = Answer[Listing[payloads.Deployment]]


@dataclass(frozen=True, slots=True)
class EndpointRef:
    """The remote ids that address an endpoint of either generation."""

    generation: str
    project_id: str
    endpoint_id: str


async def gather(
    calls: Mapping[KeyT, Callable[[], Awaitable[ResultT]]],
    *,
    clock: Clock,
    take: Callable[[KeyT, Answer[ResultT]], None] | None = None,
    gate: asyncio.Semaphore | None = None,
) -> dict[KeyT, Answer[ResultT]]:
    """Make the calls, at most CONCURRENCY at a time (or as many as `gate`, shared with others, lets through).

    Returns an answer for each. `take` gets each while others are still on their way: reading bodies then costs no
    time of its own.
    """
    gate = gate or asyncio.Semaphore(CONCURRENCY)

    async def make(key: KeyT, call: Callable[[], Awaitable[ResultT]]) -> Answer[ResultT]:
        async with gate:
            fetched_at = clock()
            try:
                value = await call()
            except ApiError as error:
                answer: Answer[ResultT] = Answer(fetched_at, clock(), error=error)
            else:
                answer = Answer(fetched_at, clock(), value=value)
        if take is not None:
            take(key, answer)
        return answer

    answers = await asyncio.gather(*(make(key, call) for key, call in calls.items()))
    return dict(zip(calls, answers, strict=True))


async def list_endpoints(
    client: AsyncTogetherClient,
    project_ids: Iterable[str],
    *,
    home_id: str,
    rotation: Iterable[EndpointRef],
    clock: Clock,
    take: Callable[[ListKey, Answer[EndpointListing]], None],
) -> dict[EndpointRef, DeploymentsAnswer]:
    """Read the v2 listing of each project and the key's own dedicated v1 endpoints, which belong to `home_id`.

    Meanwhile the deployments of `rotation` are read, which needs no listing; returns those.
    """

    def call(project_id: str) -> Callable[[], Awaitable[EndpointListing]]:
        return lambda: client.list_endpoints(project_id)

    def call_v1() -> Awaitable[EndpointListing]:
        return client.list_v1_endpoints(endpoint_type="dedicated", mine=True)

    calls = {("v2", project_id): call(project_id) for project_id in project_ids}
    if calls:
        calls["v1", home_id] = call_v1
    gate = asyncio.Semaphore(CONCURRENCY)
    _, deployments = await asyncio.gather(
        gather(calls, clock=clock, take=take, gate=gate),
        gather(_describe_reads(client, rotation), clock=clock, gate=gate),
    )
    return deployments


async def list_project_models(
    client: AsyncTogetherClient, project_ids: Iterable[str], *, clock: Clock
) -> dict[str, Answer[Listing[payloads.ProjectModel]]]:
    """Return the models that each project owns."""

    def call(project_id: str) -> Callable[[], Awaitable[Listing[payloads.ProjectModel]]]:
        return lambda: client.list_project_models(project_id)

    return await gather({project_id: call(project_id) for project_id in project_ids}, clock=clock)


async def read_deployments(
    client: AsyncTogetherClient,
    endpoints: Iterable[EndpointRef],
    *,
    clock: Clock,
    take: Callable[[EndpointRef, DeploymentsAnswer], None],
) -> None:
    """Read the full deployment listing of each v2 endpoint."""
    await gather(_describe_reads(client, endpoints), clock=clock, take=take)


def _describe_reads(
    client: AsyncTogetherClient, endpoints: Iterable[EndpointRef]
) -> dict[EndpointRef, Callable[[], Awaitable[Listing[payloads.Deployment]]]]:
    def call(ref: EndpointRef) -> Callable[[], Awaitable[Listing[payloads.Deployment]]]:
        return lambda: client.list_deployments(ref.project_id, ref.endpoint_id)

    return {ref: call(ref) for ref in endpoints}


async def read_v1_endpoints(
    client: AsyncTogetherClient, endpoints: Iterable[EndpointRef], *, clock: Clock
) -> dict[EndpointRef, Answer[payloads.V1Endpoint]]:
    """Return the full body of each v1 endpoint."""

    def call(ref: EndpointRef) -> Callable[[], Awaitable[payloads.V1Endpoint]]:
        return lambda: client.get_v1_endpoint(ref.endpoint_id)

    return await gather({ref: call(ref) for ref in endpoints}, clock=clock)


async def confirm_endpoints_gone(
    client: AsyncTogetherClient, endpoints: Iterable[EndpointRef], *, clock: Clock
) -> set[EndpointRef]:
    """Return those endpoints that a GET by id answers with "gone"."""

    def call(ref: EndpointRef) -> Callable[[], Awaitable[object]]:
        if ref.generation == "v1":
            return lambda: client.get_v1_endpoint(ref.endpoint_id)
        return lambda: client.get_endpoint(ref.project_id, ref.endpoint_id)

    answers = await gather({ref: call(ref) for ref in endpoints}, clock=clock)
    return {ref for ref, answer in answers.items() if _says_gone(answer)}


async def confirm_deployments_gone(
    client: AsyncTogetherClient, deployments: Iterable[tuple[EndpointRef, str]], *, clock: Clock
) -> set[str]:
    """Return the ids of those deployments that a GET by id answers with "gone"."""

    def call(ref: EndpointRef, deployment_id: str) -> Callable[[], Awaitable[object]]:
        return lambda: client.get_deployment(ref.project_id, ref.endpoint_id, deployment_id)

    answers = await gather({(ref, one): call(ref, one) for ref, one in deployments}, clock=clock)
    return {deployment_id for (_, deployment_id), answer in answers.items() if _says_gone(answer)}


def _says_gone(answer: Answer[ResultT]) -> bool:
    return answer.error is not None and absent_resource(answer.error) is not None
