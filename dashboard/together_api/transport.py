"""Send calls over httpx: per-phase timeouts within a total deadline, a body cap, no redirects, no environment.

Two drivers of `retries.attempt_call`, one blocking and one async; everything else about a call is in `exchange`.
Each call leaves one log line (method, path template, status, milliseconds, request id); templates carry no ids and
no query, and keys never reach a log. `http_transport` is httpx's own seam for tests; `clocks` and `sleep` are ours.
"""

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager

import httpx

from dashboard.together_api.budget import RequestBudget
from dashboard.together_api.config import ApiConfig
from dashboard.together_api.deadlines import DeadlineTransport
from dashboard.together_api.errors import ApiError
from dashboard.together_api.exchange import (
    CAUGHT_ERRORS,
    BodyCutError,
    BodyReader,
    Exchange,
    OpenAnswer,
    build_client_options,
    build_limits,
    build_timeouts,
    classify,
    tls_of,
)
from dashboard.together_api.requests import ApiCall, Reply
from dashboard.together_api.retries import (
    DEADLINE_PASSED,
    Clocks,
    Failure,
    Outcome,
    Sleep,
    attempt_call,
)


class SyncTransport:
    """Blocking driver; may be used by several threads."""

    def __init__(
        self,
        config: ApiConfig,
        *,
        budget: RequestBudget,
        http_transport: httpx.BaseTransport | None = None,
        clocks: Clocks | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.config = config
        self.budget = budget
        self._clocks = clocks or Clocks()
        self._sleep = sleep
        self._http = httpx.Client(
            transport=http_transport or DeadlineTransport(verify=tls_of(config), limits=build_limits(config)),
            **build_client_options(config),
        )

    def send(self, call: ApiCall) -> Reply:
        """Return the 2xx reply of `call`; raises ApiError."""
        exchange = Exchange(call, self.config)
        try:
            reply = self._drive(exchange, functools.partial(self._attempt, exchange))
        except ApiError as error:
            exchange.log(error)
            raise
        exchange.log(reply)
        return reply

    @contextmanager
    def open(self, call: ApiCall) -> Iterator[OpenAnswer]:
        """Yield the 2xx answer of `call` with its body unread, closed at the end; raises ApiError."""
        exchange = Exchange(call, self.config)
        answers: list[OpenAnswer] = []
        try:
            with ExitStack() as stack:
                reply = self._drive(
                    exchange, functools.partial(self._attempt_open, exchange, stack=stack, answers=answers)
                )
                yield answers[-1]
        except ApiError as error:
            exchange.log(error)
            raise
        exchange.log(reply)

    def close(self) -> None:
        """Close idle connections."""
        self._http.close()

    def _drive(self, exchange: Exchange, attempt: Callable[[float], Reply | Failure]) -> Reply:
        steps = attempt_call(exchange.call, config=self.config, budget=self.budget, clocks=self._clocks)
        outcome: Outcome = None
        try:
            while True:
                step = steps.send(outcome)
                if isinstance(step, Sleep):
                    self._sleep(step.seconds)
                    outcome = None
                else:
                    exchange.send_count += 1
                    outcome = attempt(step.seconds_left)
        except StopIteration as stop:
            reply: Reply = stop.value
            return reply

    def _attempt(self, exchange: Exchange, seconds_left: float) -> Reply | Failure:
        deadline_at = time.monotonic() + seconds_left
        try:
            with ExitStack() as stack:
                response = self._start(
                    exchange,
                    stack=stack,
                    read_seconds=self.config.read_timeout_seconds,
                    deadline_at=deadline_at,
                )
                return exchange.reply(response, self._read(response))
        except CAUGHT_ERRORS as error:
            return classify(error, deadline_passed=time.monotonic() >= deadline_at)

    def _attempt_open(
        self, exchange: Exchange, seconds_left: float, *, stack: ExitStack, answers: list[OpenAnswer]
    ) -> Reply | Failure:
        sent_at = time.monotonic()
        deadline_at = sent_at + seconds_left
        try:
            response = self._start(
                exchange,
                stack=stack,
                read_seconds=self.config.stream_silence_seconds,
                deadline_at=deadline_at,
            )
            reply = exchange.reply(response, b"" if response.is_success else self._read(response))
        except CAUGHT_ERRORS as error:
            return classify(error, deadline_passed=time.monotonic() >= deadline_at)
        answers.append(OpenAnswer(reply=reply, response=response, sent_at=sent_at, deadline_at=deadline_at))
        return reply

    def _start(
        self, exchange: Exchange, *, stack: ExitStack, read_seconds: float, deadline_at: float
    ) -> httpx.Response:
        timeouts = build_timeouts(
            self.config,
            read_seconds=read_seconds,
            seconds_left=deadline_at - time.monotonic(),
            deadline_at=deadline_at,
        )
        request = self._http.build_request(**exchange.request_parts(), timeout=timeouts)
        response = self._http.send(request, stream=True)
        stack.callback(response.close)
        return response

    def _read(self, response: httpx.Response) -> bytes:
        reader = BodyReader(max_bytes=self.config.max_body_bytes)
        try:
            for piece in response.iter_bytes():
                reader.add(piece)
        except (httpx.NetworkError, httpx.RemoteProtocolError) as error:
            raise BodyCutError from error
        return reader.body()


class AsyncTransport:
    """Async driver; may be used by several tasks of one event loop."""

    def __init__(
        self,
        config: ApiConfig,
        *,
        budget: RequestBudget,
        http_transport: httpx.AsyncBaseTransport | None = None,
        clocks: Clocks | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.config = config
        self.budget = budget
        self._clocks = clocks or Clocks()
        self._sleep = sleep
        default = httpx.AsyncHTTPTransport(
            verify=tls_of(config), limits=build_limits(config), trust_env=False
        )
        self._http = httpx.AsyncClient(transport=http_transport or default, **build_client_options(config))

    async def send(self, call: ApiCall) -> Reply:
        """Return the 2xx reply of `call`; raises ApiError."""
        exchange = Exchange(call, self.config)
        try:
            reply = await self._drive(exchange, functools.partial(self._attempt, exchange))
        except ApiError as error:
            exchange.log(error)
            raise
        exchange.log(reply)
        return reply

    @asynccontextmanager
    async def open(self, call: ApiCall) -> AsyncIterator[OpenAnswer]:
        """Yield the 2xx answer of `call` with its body unread, closed at the end; raises ApiError."""
        exchange = Exchange(call, self.config)
        answers: list[OpenAnswer] = []
        try:
            async with AsyncExitStack() as stack:
                reply = await self._drive(
                    exchange, functools.partial(self._attempt_open, exchange, stack=stack, answers=answers)
                )
                yield answers[-1]
        except ApiError as error:
            exchange.log(error)
            raise
        exchange.log(reply)

    async def aclose(self) -> None:
        """Close idle connections."""
        await self._http.aclose()

    async def _drive(
        self, exchange: Exchange, attempt: Callable[[float], Awaitable[Reply | Failure]]
    ) -> Reply:
        steps = attempt_call(exchange.call, config=self.config, budget=self.budget, clocks=self._clocks)
        outcome: Outcome = None
        try:
            while True:
                step = steps.send(outcome)
                if isinstance(step, Sleep):
                    await self._sleep(step.seconds)
                    outcome = None
                else:
                    exchange.send_count += 1
                    outcome = await attempt(step.seconds_left)
        except StopIteration as stop:
            reply: Reply = stop.value
            return reply

    async def _attempt(self, exchange: Exchange, seconds_left: float) -> Reply | Failure:
        deadline_at = time.monotonic() + seconds_left
        scope = asyncio.timeout(seconds_left)
        try:
            async with scope, AsyncExitStack() as stack:
                response = await self._start(
                    exchange,
                    stack=stack,
                    read_seconds=self.config.read_timeout_seconds,
                    deadline_at=deadline_at,
                )
                return exchange.reply(response, await self._read(response))
        except TimeoutError:
            if not scope.expired():
                raise
            return DEADLINE_PASSED
        except CAUGHT_ERRORS as error:
            return classify(error, deadline_passed=time.monotonic() >= deadline_at)

    async def _attempt_open(
        self, exchange: Exchange, seconds_left: float, *, stack: AsyncExitStack, answers: list[OpenAnswer]
    ) -> Reply | Failure:
        sent_at = time.monotonic()
        deadline_at = sent_at + seconds_left
        scope = asyncio.timeout(seconds_left)
        try:
            async with scope:
                response = await self._start(
                    exchange,
                    stack=stack,
                    read_seconds=self.config.stream_silence_seconds,
                    deadline_at=deadline_at,
                )
                reply = exchange.reply(response, b"" if response.is_success else await self._read(response))
        except TimeoutError:
            if not scope.expired():
                raise
            return DEADLINE_PASSED
        except CAUGHT_ERRORS as error:
            return classify(error, deadline_passed=time.monotonic() >= deadline_at)
        answers.append(OpenAnswer(reply=reply, response=response, sent_at=sent_at, deadline_at=deadline_at))
        return reply

    async def _start(
        self, exchange: Exchange, *, stack: AsyncExitStack, read_seconds: float, deadline_at: float
    ) -> httpx.Response:
        timeouts = build_timeouts(
            self.config,
            read_seconds=read_seconds,
            seconds_left=deadline_at - time.monotonic(),
            deadline_at=deadline_at,
        )
        request = self._http.build_request(**exchange.request_parts(), timeout=timeouts)
        response = await self._http.send(request, stream=True)
        stack.push_async_callback(response.aclose)
        return response

    async def _read(self, response: httpx.Response) -> bytes:
        reader = BodyReader(max_bytes=self.config.max_body_bytes)
        try:
            async for piece in response.aiter_bytes():
                reader.add(piece)
        except (httpx.NetworkError, httpx.RemoteProtocolError) as error:
            raise BodyCutError from error
        return reader.body()
