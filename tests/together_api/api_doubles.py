"""A scripted provider behind httpx's own transport seam, and a clock that only moves when told."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import httpx

from dashboard.together_api.budget import RequestBudget
from dashboard.together_api.client import AsyncTogetherClient, TogetherClient
from dashboard.together_api.config import ApiConfig
from dashboard.together_api.retries import Clocks
from dashboard.together_api.transport import AsyncTransport, SyncTransport

KEY = "tgp_v1_verysecretkey0123456789"

Script = Callable[[httpx.Request], httpx.Response]


@dataclass
class FakeTime:
    """A monotonic and a wall clock; sleeping moves both and is recorded."""

    now: float = 1_000.0
    sleeps: list[float] = field(default_factory=list)

    @property
    def clocks(self) -> Clocks:
        return Clocks(monotonic=lambda: self.now, wall=lambda: self.now, jitter=lambda: 0.0)

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)


@dataclass
class Provider:
    """Answers requests from a list of answers, in order; the last one repeats. An exception is raised instead."""

    answers: list[httpx.Response | Exception]
    requests: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        # A response object cannot be read twice.
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)

    async def answer_async(self, request: httpx.Request) -> httpx.Response:
        return self(request)


def answering(*answers: httpx.Response | Exception) -> Provider:
    return Provider(list(answers))


def listing(items: Iterable[Any], cursor: str | None = None) -> httpx.Response:
    return httpx.Response(200, json={"object": "list", "data": list(items), "next_cursor": cursor})


def error_answer(status: int, message: str = "no", **fields: Any) -> httpx.Response:
    body = {"message": message, "type": "invalid_request_error", "param": None, "code": None, **fields}
    return httpx.Response(status, json={"error": body})


def client_for(
    provider: Script, *, time: FakeTime | None = None, budget: RequestBudget | None = None, **settings: Any
) -> TogetherClient:
    time = time or FakeTime()
    config = ApiConfig(api_key=KEY, **settings)
    transport = SyncTransport(
        config,
        budget=budget or RequestBudget(),
        http_transport=httpx.MockTransport(provider),
        clocks=time.clocks,
        sleep=time.sleep,
    )
    return TogetherClient(config, transport=transport)


def async_client_for(
    provider: Script, *, time: FakeTime | None = None, budget: RequestBudget | None = None, **settings: Any
) -> AsyncTogetherClient:
    time = time or FakeTime()
    config = ApiConfig(api_key=KEY, **settings)
    transport = AsyncTransport(
        config,
        budget=budget or RequestBudget(),
        http_transport=httpx.MockTransport(provider),
        clocks=time.clocks,
        sleep=time.sleep_async,
    )
    return AsyncTogetherClient(config, transport=transport)
