"""Chat completions, whole and streamed, on serverless models and on dedicated endpoints of both generations."""

import asyncio
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from simulator import lifecycle
from simulator.call import Call, route
from simulator.catalogue import Model
from simulator.clock import SECOND_MS, format_time
from simulator.errors import ApiError, bad_request
from simulator.generation import Answer, compose_answer, count_prompt_tokens
from simulator.identifiers import derive_number
from simulator.metering import resource_id
from simulator.traffic import Usage
from simulator.world import Count, Deployment, Endpoint, Generation, LegacyEndpoint

_ROUTING: Final = "routing_error"
_FORMATS: Final = frozenset({"text", "json_object", "json_schema", "regex"})
#: Breaks in the middle of a stream, and how long a stalled one says nothing (seconds).
STALL_SECONDS: Final = 3_600.0
Chunk = dict[str, Any]


@dataclass(frozen=True)
class Target:
    """What answers: a model, and the deployment or v1 endpoint that runs it (None = serverless)."""

    model: Model
    resource: Deployment | LegacyEndpoint | None


def complete_chat(call: Call) -> Response:
    body = call.fields()
    if call.world.any_id:
        body = {"messages": body["messages"], "stream": body.get("stream", False), "max_tokens": 16}
        target = Target(call.world.catalogue.by_name["openai/gpt-oss-20b"], None)
    else:
        _check(body)
        target = find_target(call, body["model"])
    prompt_tokens = count_prompt_tokens(body["messages"])
    limit = target.model.context_length
    if limit and prompt_tokens + (body.get("max_tokens") or 0) > limit:
        if body.get("context_length_exceeded_behavior") != "truncate":
            raise ApiError(
                403,
                f"prompt and max_tokens exceed the context of {limit} tokens",
                kind="invalid_request_error",
            )
        prompt_tokens = limit // 2
    answers = [
        compose_answer(body, reasons=target.model.reasons, choice=index)
        for index in range(body.get("n") or 1)
    ]
    return ChatResponse(call, body, target, answers, prompt_tokens)


def _check(body: dict[str, Any]) -> None:
    if not isinstance(body.get("model"), str):
        raise bad_request("model is required", param="model")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(m, dict) for m in messages):
        raise bad_request("messages must be a list of at least one message", param="messages")
    for message in messages:
        if message.get("role") not in {"system", "user", "assistant", "tool", "function", "developer"}:
            raise bad_request("unknown role", param="messages")
    max_tokens = body.get("max_tokens")
    if max_tokens is not None and (not isinstance(max_tokens, int) or max_tokens < 0):
        raise bad_request("max_tokens must be a whole number", param="max_tokens")
    if not 1 <= (body.get("n") or 1) <= 16:
        raise bad_request("n must be between 1 and 16", param="n")
    response_format = body.get("response_format") or {}
    if response_format and response_format.get("type") not in _FORMATS:
        raise bad_request("unknown response_format type", param="response_format")


def find_target(call: Call, name: str) -> Target:
    """Return what a `model` value addresses. Raises the documented 400, 404 and 503 of routing."""
    world, found = call.world, call.world.by_inference_name.get(name)
    if found is not None and found.project.organization != call.identity.organization:
        found = None
    if isinstance(found, Endpoint):
        return _pick_deployment(call, found)
    if isinstance(found, Deployment):
        found.workload.advance(call.now_ms)
        if not found.workload.present.ready:
            raise ApiError(503, f"deployment {name} is not ready", code=_ROUTING, kind=_ROUTING)
        return Target(found.model, found)
    if isinstance(found, LegacyEndpoint):
        found.workload.advance(call.now_ms)
        if found.workload.state not in lifecycle.RUNNING:
            raise bad_request(f"endpoint {name} is not running", code="endpoint_not_running")
        return Target(found.model, found)
    model = world.catalogue.by_name.get(name)
    if model is None:
        raise ApiError(404, f"Unable to access model {name}", code="model_not_available")
    if model.serverless_price is None:
        raise bad_request(
            f"Unable to access non-serverless model {name}. Create and start a dedicated endpoint for it.",
            code="model_not_available",
        )
    return Target(model, None)


def _pick_deployment(call: Call, endpoint: Endpoint) -> Target:
    if not endpoint.traffic_split and not endpoint.was_routed:
        raise ApiError(
            400,
            f"endpoint {endpoint.name} has no traffic split",
            code="endpoint_not_configured",
            kind=_ROUTING,
        )
    candidates = []
    for deployment_id, weight in endpoint.traffic_split:
        deployment = endpoint.deployments[deployment_id]
        deployment.workload.advance(call.now_ms)
        if weight > 0 and deployment.workload.present.ready:
            candidates.append((deployment, weight * deployment.workload.present.ready))
    if not candidates:
        raise ApiError(503, f"no ready deployment behind {endpoint.name}", code=_ROUTING, kind=_ROUTING)
    point = derive_number(call.request_id) / 2**64 * sum(weight for _, weight in candidates)
    chosen = candidates[-1][0]
    for deployment, weight in candidates:
        point -= weight
        if point < 0:
            chosen = deployment
            break
    return Target(chosen.model, chosen)


class ChatResponse(Response):
    """Produce an answer in time, token by token, and stop producing it when the client goes away."""

    def __init__(
        self, call: Call, body: dict[str, Any], target: Target, answers: list[Answer], prompt_tokens: int
    ) -> None:
        super().__init__()
        self.call = call
        self.request = body
        self.target = target
        self.answers = answers
        self.prompt_tokens = prompt_tokens
        self.streamed = bool(body.get("stream"))
        number = derive_number(call.request_id, call.now_ms)
        self.generation = Generation(
            f"o{number:016x}", str(body.get("model", "")), format_time(call.now_ms), self.streamed
        )
        call.world.keep_generation(self.generation)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        _count_request(self.call, self.target, self.prompt_tokens)
        gone = asyncio.ensure_future(receive())  # the body is read, so the next message is "client went away"
        try:
            if self.streamed:
                await self._stream(send, gone)
            else:
                await self._answer_whole(send, gone)
        finally:
            gone.cancel()
            if self.generation.state == "running":
                self.generation.state = "cancelled"
            _count_tokens(self.call, self.target, self.prompt_tokens, self.generation.tokens)

    async def _answer_whole(self, send: Send, gone: "asyncio.Future[Any]") -> None:
        for token in range(sum(answer.tokens for answer in self.answers)):
            if not await self._produce_token(gone, first=token == 0):
                return
        body = orjson.dumps(
            {
                "id": self.generation.generation_id,
                "object": "chat.completion",
                "created": self.call.now_ms // SECOND_MS,
                "model": self.request.get("model", self.target.model.name),
                "prompt": [],
                "choices": [
                    _describe_choice(i, answer, self.request) for i, answer in enumerate(self.answers)
                ],
                "usage": self._usage(),
                "metadata": {"weight_version": "default"},
            }
        )
        self.generation.state = "finished"
        headers = [*self._header_pairs(), (b"content-type", b"application/json")]
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _stream(self, send: Send, gone: "asyncio.Future[Any]") -> None:
        headers = [*self._header_pairs(), (b"content-type", b"text/event-stream;charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        breaks_at = sum(answer.tokens for answer in self.answers) // 2
        first = True
        for chunk, tokens in self._chunks():
            if tokens:
                if self.generation.tokens >= breaks_at and not await self._survives_faults(send):
                    return
                if not await self._produce_token(gone, first=first):
                    return
                first = False
            await _send_data(send, orjson.dumps(chunk))
        await _send_data(send, b"[DONE]")
        self.generation.state = "finished"
        await send({"type": "http.response.body", "body": b""})

    async def _survives_faults(self, send: Send) -> bool:
        """Apply a fault in the middle of the stream; False = the stream is over."""
        kinds = self.call.fault_kinds
        if "stream_stall" in kinds:
            await asyncio.sleep(STALL_SECONDS)
        if "stream_error" in kinds:
            error = {
                "message": "The model server failed",
                "type": "server_error",
                "param": None,
                "code": None,
            }
            await _send_data(send, orjson.dumps({"error": error}))
        if kinds & {"stream_error", "stream_cut", "stream_stall"}:
            self.generation.state = "failed"
            await send({"type": "http.response.body", "body": b""})
            return False
        return True

    async def _produce_token(self, gone: "asyncio.Future[Any]", *, first: bool) -> bool:
        """Wait as long as one token takes; False = the client went away, nothing more is produced."""
        world = self.call.world
        wait = world.first_token_seconds if first else 0.0
        if world.tokens_per_second:
            wait += 1 / world.tokens_per_second
        if wait:
            await asyncio.wait([gone], timeout=wait)
        else:
            await asyncio.sleep(0)
        if gone.done():
            return False
        self.generation.tokens += 1
        return True

    def _usage(self) -> dict[str, Any]:
        completion = sum(answer.tokens for answer in self.answers)
        return {
            "prompt_tokens": self.prompt_tokens,
            "total_tokens": self.prompt_tokens + completion,
            "completion_tokens": completion,
            "reasoning_tokens": sum(len(answer.reasoning) for answer in self.answers),
            "prompt_tokens_details": {"cached_tokens": 0},
        }

    def _chunks(self) -> Iterator[tuple[Chunk, int]]:
        """Yield (chunk, tokens in it): role, deltas, finish for each choice, then usage."""
        for index, answer in enumerate(self.answers):
            yield self._chunk(index, {"role": "assistant", "content": ""}, usage=False), 0
            for piece in answer.reasoning:
                yield self._chunk(index, _delta(content="", reasoning=piece)), 1
            for piece in answer.content:
                yield self._chunk(index, _delta(content=piece)), 1
            if answer.tool_name is not None:
                head = {"name": answer.tool_name, "arguments": ""}
                call = {
                    "index": 0,
                    "id": f"call_{self.generation.generation_id}",
                    "type": "function",
                    "function": head,
                }
                yield self._chunk(index, {**_delta(content=""), "tool_calls": [call]}), 0
            for piece in answer.tool_arguments:
                more = {"name": None, "arguments": piece}
                call = {"index": 0, "id": None, "type": "function", "function": more}
                yield self._chunk(index, {**_delta(content=""), "tool_calls": [call]}), 1
            yield self._chunk(index, _delta(content=""), finish=answer.finish_reason), 0
        yield {**self._envelope(), "choices": [], "usage": self._usage()}, 0

    def _envelope(self) -> Chunk:
        return {
            "id": self.generation.generation_id,
            "object": "chat.completion.chunk",
            "created": self.call.now_ms // SECOND_MS,
            "model": self.request.get("model", self.target.model.name),
        }

    def _chunk(self, index: int, delta: Chunk, *, finish: str | None = None, usage: bool = True) -> Chunk:
        choice = {
            "index": index,
            "text": delta.get("content", ""),
            "logprobs": None,
            "finish_reason": finish,
            "delta": delta,
        }
        return {**self._envelope(), "choices": [choice], **({"usage": None} if usage else {})}

    def _header_pairs(self) -> list[tuple[bytes, bytes]]:
        headers = {
            "x-together-traceid": f"{derive_number(self.generation.generation_id):016x}",
            "x-api-received": format_time(self.call.now_ms),
            "x-api-call-start": format_time(self.call.now_ms),
            "x-inference-version": "v2",
        }
        if self.target.resource is None:
            headers["x-ratelimit-reset"] = "1"
        else:
            headers["x-cluster"] = "sim-cluster-1"
            headers["x-i-router-log-event"] = "1"
        return [(name.encode(), value.encode()) for name, value in headers.items()]


def _delta(*, content: str, reasoning: str | None = None) -> Chunk:
    token = derive_number(content or reasoning) % 100_000 if content or reasoning else 2
    return {"token_id": token, "role": "assistant", "content": content, "reasoning": reasoning}


async def _send_data(send: Send, payload: bytes) -> None:
    await send({"type": "http.response.body", "body": b"data: " + payload + b"\n\n", "more_body": True})


def _describe_choice(index: int, answer: Answer, request: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "".join(answer.content), "tool_calls": []}
    if answer.reasoning:
        message["reasoning"] = "".join(answer.reasoning)
    if answer.tool_name is not None:
        arguments = "".join(answer.tool_arguments)
        slug = re.sub(r"\W", "", answer.tool_name)
        message["tool_calls"] = [
            {
                "index": 0,
                "id": f"call_{slug}{derive_number(arguments) & 0xFFFFFF:06x}",
                "type": "function",
                "function": {"name": answer.tool_name, "arguments": arguments},
            }
        ]
    return {
        "index": index,
        "finish_reason": answer.finish_reason,
        "seed": request.get("seed"),
        "logprobs": None,
        "message": message,
    }


def _count_request(call: Call, target: Target, prompt_tokens: int) -> None:
    if target.resource is not None:
        usage = Usage(1, prompt_tokens, 0, 0)
        call.world.count_traffic(Count(call.now_ms, [resource_id(target.resource)], list(usage)))


def _count_tokens(call: Call, target: Target, prompt_tokens: int, tokens: int) -> None:
    if target.resource is not None:
        place, usage = [resource_id(target.resource)], Usage(0, 0, tokens, 0)
    else:
        identity = call.identity
        place = [target.model.name, identity.project.project_id, identity.api_key_id]
        usage = Usage(1, prompt_tokens, tokens, 0)
    call.world.count_traffic(Count(call.world.now_ms(), place, list(usage)))


ROUTES = [route("/v1/chat/completions", complete_chat, "POST")]
