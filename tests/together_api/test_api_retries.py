"""The life of a call: what is repeated, how long is waited, what is never repeated. Both drivers, one table."""

import logging

import httpx
import pytest

from dashboard.together_api.budget import RequestBudget
from dashboard.together_api.errors import (
    ApiError,
    CallTimeoutError,
    ConnectionFailedError,
    MalformedResponseError,
    QuotaExceededError,
    RateLimitedError,
    UnexpectedStatusError,
    is_retryable,
)
from tests.together_api.api_doubles import (
    KEY,
    FakeTime,
    Provider,
    answering,
    async_client_for,
    client_for,
    error_answer,
)

OK = httpx.Response(200, json={"id": "dep_1"})


async def read(driver: str, provider: Provider, time: FakeTime, **settings) -> None:
    if driver == "sync":
        client_for(provider, time=time, **settings).get_deployment("p", "e", "d")
        return
    async with async_client_for(provider, time=time, **settings) as client:
        await client.get_deployment("p", "e", "d")


async def write(driver: str, provider: Provider, time: FakeTime) -> None:
    if driver == "sync":
        client_for(provider, time=time).stop_deployment("p", "e", "d")
        return
    async with async_client_for(provider, time=time) as client:
        await client.stop_deployment("p", "e", "d")


def status(code: int, **headers: str) -> httpx.Response:
    answer = error_answer(code)
    answer.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return answer


drivers = pytest.mark.parametrize("driver", ["sync", "async"])

RECOVERING_READS = [
    ("500 once", [status(500), OK], [1.0]),
    ("two failures", [status(503), status(529), OK], [1.0, 2.0]),
    ("408", [status(408), OK], [1.0]),
    ("409", [status(409), OK], [1.0]),
    ("no connection", [httpx.ConnectError("refused"), OK], [1.0]),
    ("connect timeout", [httpx.ConnectTimeout("slow"), OK], [1.0]),
    ("read timeout", [httpx.ReadTimeout("slow"), OK], [1.0]),
    ("reset", [httpx.ReadError("reset"), OK], [1.0]),
    ("closed before an answer", [httpx.RemoteProtocolError("disconnected"), OK], [1.0]),
    ("503 with Retry-After", [status(503, retry_after="7"), OK], [7.0]),
    ("milliseconds win", [status(503, retry_after_ms="1500", retry_after="7"), OK], [1.5]),
    ("x-ratelimit-reset", [status(503, x_ratelimit_reset="3"), OK], [3.0]),
    ("fraction", [status(503, retry_after="0.25"), OK], [0.25]),
    ("nonsense", [status(503, retry_after="soon"), OK], [1.0]),
    ("negative", [status(503, retry_after="-5"), OK], [1.0]),
    ("zero", [status(503, retry_after="0"), OK], [1.0]),
    ("infinite", [status(503, retry_after="inf"), OK], [1.0]),
    ("asked to retry a 400", [status(400, x_should_retry="true"), OK], [1.0]),
    (
        "date, by the server's clock",
        [
            status(503, retry_after="Fri, 20 Nov 2026 09:00:09 GMT", date="Fri, 20 Nov 2026 09:00:00 GMT"),
            OK,
        ],
        [9.0],
    ),
]


@drivers
@pytest.mark.parametrize(
    ("answers", "sleeps"), [c[1:] for c in RECOVERING_READS], ids=[c[0] for c in RECOVERING_READS]
)
async def test_reads_recover(driver, answers, sleeps):
    provider, time = answering(*answers), FakeTime()

    await read(driver, provider, time)

    assert time.sleeps == sleeps
    assert len(provider.requests) == len(answers)


@drivers
@pytest.mark.parametrize("code", [400, 401, 402, 403, 404, 418, 422])
async def test_refusals_of_a_read_are_not_repeated(driver, code):
    provider, time = answering(status(code)), FakeTime()

    with pytest.raises(ApiError):
        await read(driver, provider, time)

    assert len(provider.requests) == 1


@drivers
async def test_x_should_retry_false_is_obeyed(driver):
    provider = answering(status(503, x_should_retry="false"), OK)

    with pytest.raises(ApiError):
        await read(driver, provider, FakeTime())

    assert len(provider.requests) == 1


@drivers
async def test_a_read_gives_up_after_two_retries(driver):
    provider, time = answering(status(500)), FakeTime()

    with pytest.raises(ApiError, match="problem of its own"):
        await read(driver, provider, time)

    assert len(provider.requests) == 3
    assert time.sleeps == [1.0, 2.0]


@drivers
@pytest.mark.parametrize(
    "answer",
    [
        status(408), status(409), status(429), status(500), status(503, x_should_retry="true"),
        status(503, retry_after="1"), httpx.ReadTimeout("slow"), httpx.WriteError("reset"),
        httpx.ReadError("reset"), httpx.RemoteProtocolError("disconnected"), httpx.WriteTimeout("slow"),
    ],
    ids=repr,
)  # fmt: skip
async def test_a_write_that_may_have_arrived_is_never_repeated(driver, answer):
    provider = answering(answer, OK)

    with pytest.raises(ApiError):
        await write(driver, provider, FakeTime())

    assert len(provider.requests) == 1


@drivers
@pytest.mark.parametrize(
    "failure", [httpx.ConnectError("refused"), httpx.ConnectTimeout("s"), httpx.PoolTimeout("s")]
)
async def test_a_write_that_was_never_sent_is_repeated(driver, failure):
    provider = answering(failure, OK)

    await write(driver, provider, FakeTime())

    assert len(provider.requests) == 2


OUTCOMES = [
    (httpx.ConnectError("refused"), ConnectionFailedError, False),
    (httpx.ConnectTimeout("slow"), CallTimeoutError, False),
    (httpx.ReadTimeout("slow"), CallTimeoutError, True),
    (httpx.ReadError("reset"), ConnectionFailedError, True),
    (httpx.RemoteProtocolError("gone"), ConnectionFailedError, True),
    (httpx.Response(200, text="<html>"), MalformedResponseError, True),
    (httpx.Response(200), MalformedResponseError, True),
    (status(429), RateLimitedError, False),
]


@drivers
@pytest.mark.parametrize(("answer", "error_class", "unknown"), OUTCOMES, ids=repr)
async def test_a_failed_write_says_whether_it_may_have_happened(driver, answer, error_class, unknown):
    with pytest.raises(error_class) as caught:
        await write(driver, answering(answer), FakeTime())

    assert caught.value.outcome_unknown is unknown


@drivers
@pytest.mark.parametrize(
    ("body", "headers", "words"),
    [
        (b"<html><body>Bad gateway</body></html>", {"content-type": "text/html"}, "HTML page"),
        (b"", {}, "empty"),
        (b'{"id": "dep_1", "sta', {}, "not valid JSON"),
        (b"[]", {}, "expected a JSON object"),
        (b'{"name": "no id"}', {}, "id: Field required"),
        (b"not gzip at all", {"content-encoding": "gzip"}, "compression"),
    ],
)
async def test_unusable_bodies_are_malformed_and_not_repeated(driver, body, headers, words):
    answered: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        answered.append(request)
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(body))

    with pytest.raises(MalformedResponseError, match=words):
        await read(driver, answer, FakeTime())

    assert len(answered) == 1


@drivers
async def test_a_body_over_the_cap_is_refused(driver):
    provider = answering(httpx.Response(200, content=b" " * 2_000))

    with pytest.raises(MalformedResponseError, match="larger than we accept"):
        await read(driver, provider, FakeTime(), max_body_bytes=1_000)


@drivers
@pytest.mark.parametrize("code", [301, 302, 307, 308])
async def test_redirects_are_never_followed(driver, code):
    provider = answering(httpx.Response(code, headers={"location": "https://elsewhere.example/x"}), OK)

    with pytest.raises(UnexpectedStatusError, match="redirects elsewhere"):
        await read(driver, provider, FakeTime())

    assert [str(request.url.host) for request in provider.requests] == ["api.together.ai"]


@drivers
async def test_a_wait_beyond_the_deadline_ends_the_call_and_tells_the_wait(driver):
    provider, time = answering(status(429, retry_after="50"), OK), FakeTime()

    with pytest.raises(RateLimitedError) as caught:
        await read(driver, provider, time, deadline_seconds=30)

    assert caught.value.retry_after_seconds == 50
    assert time.sleeps == []


@drivers
async def test_more_than_a_minute_is_not_slept_within_a_call(driver):
    provider, time = answering(status(503, retry_after="61"), OK), FakeTime()

    with pytest.raises(ApiError) as caught:
        await read(driver, provider, time, deadline_seconds=300)

    assert caught.value.retry_after_seconds == 61
    assert len(provider.requests) == 1


@drivers
async def test_a_429_is_waited_out_and_slows_the_budget(driver):
    budget, time = RequestBudget(), FakeTime()
    provider = answering(status(429, retry_after="5"), OK)

    if driver == "sync":
        client_for(provider, time=time, budget=budget).get_deployment("p", "e", "d")
    else:
        await async_client_for(provider, time=time, budget=budget).get_deployment("p", "e", "d")

    assert sum(time.sleeps) >= 5
    assert budget.look(now=time.now).limited_count == 1
    assert budget.look(now=time.now).rate_per_second is not None


def test_a_used_up_gpu_quota_is_no_reason_to_slow_down():
    budget, time = RequestBudget(), FakeTime()
    refusal = httpx.Response(429, json={"code": 8, "message": "GPU quota exceeded", "details": []})

    with pytest.raises(QuotaExceededError) as caught:
        client_for(answering(refusal), time=time, budget=budget).start_deployment(
            "p", "e", "d", min_replicas=1, max_replicas=1
        )

    assert not is_retryable(caught.value)
    assert budget.look(now=time.now).rate_per_second is None


def test_a_used_up_budget_is_an_error_without_a_request():
    budget, time = RequestBudget(), FakeTime()
    budget.note_limited(now=time.now, retry_after_seconds=60)
    provider = answering(OK)

    with pytest.raises(RateLimitedError, match="budget of this connection"):
        client_for(provider, time=time, budget=budget, deadline_seconds=20).get_deployment("p", "e", "d")

    assert provider.requests == []


def test_a_stop_is_sent_at_once_while_reads_have_to_pause():
    budget, time = RequestBudget(), FakeTime()
    budget.note_limited(now=time.now, retry_after_seconds=60)
    client = client_for(answering(OK), time=time, budget=budget)

    client.stop_deployment("p", "e", "d")
    client.with_options(priority="stop").get_deployment("p", "e", "d")

    assert time.sleeps == []


def test_each_call_leaves_one_line_without_ids_or_keys(caplog):
    provider = answering(
        status(500), httpx.Response(200, json={"id": "dep_1"}, headers={"x-request-id": "r1"})
    )

    with caplog.at_level(logging.DEBUG, logger="dashboard.together_api"):
        client_for(provider).get_deployment("proj_secretive", "ep_1", "dep_1")

    (record,) = [record for record in caplog.records if record.name == "dashboard.together_api"]
    assert (record.api_method, record.api_status, record.api_attempts) == ("GET", 200, 2)  # type: ignore[attr-defined]
    assert record.api_request_id == "r1"  # type: ignore[attr-defined]
    assert "proj_secretive" not in record.getMessage()
    assert KEY not in caplog.text


def test_failures_are_logged_as_warnings_without_the_key(caplog):
    provider = answering(error_answer(401, f"key {KEY} is bad"))

    with caplog.at_level(logging.DEBUG), pytest.raises(ApiError):
        client_for(provider).whoami()

    assert KEY not in caplog.text
    assert [record.levelno for record in caplog.records if record.name == "dashboard.together_api"] == [
        logging.WARNING
    ]


def test_the_key_is_sent_to_the_configured_host_only_as_bearer():
    provider = answering(OK)

    client_for(provider, base_url="http://127.0.0.1:9000/v1/").get_deployment("p", "e", "d")

    (request,) = provider.requests
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert str(request.url) == "http://127.0.0.1:9000/v2/projects/p/endpoints/e/deployments/d"
    assert KEY not in str(request.url)


def test_the_environment_cannot_redirect_the_client(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    client = client_for(answering(OK))

    assert client.get_deployment("p", "e", "d").id == "dep_1"
    assert client.transport._http.trust_env is False
