"""The client of the Together API, blocking and async, one method per call the product uses.

    config = ApiConfig(api_key=key)                        # base_url=... for the simulator or a proxy
    budget = budget_for(str(connection.pk))                # one per connection and process; slows down on 429
    with TogetherClient(config, budget=budget) as client:  # or: async with AsyncTogetherClient(config, budget=budget)
        me = client.whoami()                               # me.organization_id, me.project_id
        listing = client.list_deployments(project_id, endpoint_id)
        for raw in listing.raw_items:                      # unparsed: fingerprint(raw), Deployment.parse(raw)
            ...
        listing.complete                                   # only then may missing rows be called absent
        for page in client.iterate_pages(walk_events(project_id, endpoint_id, since=last_seen)):
            ...                                            # newest first, stop when you have seen enough
        client.stop_deployment(project_id, endpoint_id, deployment_id)     # travels with priority
        urgent = client.with_options(priority="stop", deadline_seconds=15) # same transport, other options
        urgent.get_deployment(project_id, endpoint_id, deployment_id)

Every method raises `ApiError`s only (ValueError for wrong arguments): ask `is_retryable(error)`, `is_absent(error)`,
`error.outcome_unknown`, show `error.sentence`. The methods and their documentation are the flows in `calls/`.
A client may be used by several threads (blocking) or tasks of one loop (async); never share one across a fork.
"""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from dashboard.together_api.budget import RequestBudget
from dashboard.together_api.chat import AsyncChatStream, ChatStream, open_chat, open_chat_async
from dashboard.together_api.config import ApiConfig
from dashboard.together_api.errors import ApiError
from dashboard.together_api.methods import Calls
from dashboard.together_api.pagination import PageWalk
from dashboard.together_api.payloads.base import Page, ResourceT
from dashboard.together_api.requests import ApiCall, Flow, Priority, ResultT
from dashboard.together_api.transport import AsyncTransport, SyncTransport


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What `with_options` changes on every call; None leaves the call's own choice."""

    priority: Priority | None = None
    deadline_seconds: float | None = None

    def apply(self, call: ApiCall) -> ApiCall:
        """Return `call` with these options."""
        return replace(
            call,
            priority=self.priority or call.priority,
            deadline_seconds=self.deadline_seconds or call.deadline_seconds,
        )


class TogetherClient(Calls):
    """Blocking client; close it or use it in a `with` block."""

    def __init__(
        self,
        config: ApiConfig,
        *,
        budget: RequestBudget | None = None,
        transport: SyncTransport | None = None,
        options: CallOptions | None = None,
    ) -> None:
        self.config = config
        self.transport = transport or SyncTransport(config, budget=budget or RequestBudget())
        self._options = options or CallOptions()

    def with_options(
        self, *, priority: Priority | None = None, deadline_seconds: float | None = None
    ) -> "TogetherClient":
        """Return a client over the same transport whose calls carry these options."""
        options = CallOptions(priority=priority, deadline_seconds=deadline_seconds)
        return TogetherClient(self.config, transport=self.transport, options=options)

    def run(self, flow: Flow[ResultT]) -> ResultT:
        """Drive a flow to its result."""
        try:
            call = next(flow)
            while True:
                try:
                    reply = self.transport.send(self._options.apply(call))
                except ApiError as error:
                    call = flow.throw(error)
                else:
                    call = flow.send(reply)
        except StopIteration as stop:
            result: ResultT = stop.value
            return result

    def iterate_pages(self, walk: PageWalk[ResourceT]) -> Iterator[Page[ResourceT]]:
        """Yield the pages of `walk` as they arrive; raises ApiError where the walk breaks."""
        while walk.next_call is not None:
            yield walk.accept(self.transport.send(self._options.apply(walk.next_call)))

    def stream_chat(
        self, body: Mapping[str, Any], *, deadline_seconds: float | None = None
    ) -> AbstractContextManager[ChatStream]:
        """Open a chat stream for `with`; see `chat`."""
        return open_chat(self.transport, body, deadline_seconds=deadline_seconds)

    def close(self) -> None:
        """Close idle connections."""
        self.transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncTogetherClient(Calls):
    """Async client; close it or use it in an `async with` block."""

    def __init__(
        self,
        config: ApiConfig,
        *,
        budget: RequestBudget | None = None,
        transport: AsyncTransport | None = None,
        options: CallOptions | None = None,
    ) -> None:
        self.config = config
        self.transport = transport or AsyncTransport(config, budget=budget or RequestBudget())
        self._options = options or CallOptions()

    def with_options(
        self, *, priority: Priority | None = None, deadline_seconds: float | None = None
    ) -> "AsyncTogetherClient":
        """Return a client over the same transport whose calls carry these options."""
        options = CallOptions(priority=priority, deadline_seconds=deadline_seconds)
        return AsyncTogetherClient(self.config, transport=self.transport, options=options)

    async def run(self, flow: Flow[ResultT]) -> ResultT:
        """Drive a flow to its result."""
        try:
            call = next(flow)
            while True:
                try:
                    reply = await self.transport.send(self._options.apply(call))
                except ApiError as error:
                    call = flow.throw(error)
                else:
                    call = flow.send(reply)
        except StopIteration as stop:
            result: ResultT = stop.value
            return result

    async def iterate_pages(self, walk: PageWalk[ResourceT]) -> AsyncIterator[Page[ResourceT]]:
        """Yield the pages of `walk` as they arrive; raises ApiError where the walk breaks."""
        while walk.next_call is not None:
            yield walk.accept(await self.transport.send(self._options.apply(walk.next_call)))

    def stream_chat(
        self, body: Mapping[str, Any], *, deadline_seconds: float | None = None
    ) -> AbstractAsyncContextManager[AsyncChatStream]:
        """Open a chat stream for `async with`; see `chat`."""
        return open_chat_async(self.transport, body, deadline_seconds=deadline_seconds)

    async def aclose(self) -> None:
        """Close idle connections."""
        await self.transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
