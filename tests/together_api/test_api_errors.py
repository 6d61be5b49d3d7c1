"""Which answer becomes which error, and what each error permits."""

import pickle

import httpx
import pytest

from dashboard.together_api import errors
from dashboard.together_api.errors import ApiError, ErrorKind, absent_resource, is_absent, is_retryable
from dashboard.together_api.redaction import drop_secrets, may_hold_secrets, redact_text
from dashboard.together_api.retries import read_error_body
from tests.together_api.api_doubles import KEY, answering, client_for, error_answer

ERROR_TABLE = [
    # status, class, kind, retryable, outcome of a write unknown
    (400, errors.InvalidRequestError, ErrorKind.INVALID, False, False),
    (401, errors.AuthenticationError, ErrorKind.DENIED, False, False),
    (402, errors.PaymentRequiredError, ErrorKind.PAYMENT, False, False),
    (403, errors.PermissionDeniedError, ErrorKind.DENIED, False, False),
    (404, errors.NotFoundError, ErrorKind.ABSENT, False, False),
    (405, errors.InvalidRequestError, ErrorKind.INVALID, False, False),
    (408, errors.ServerError, ErrorKind.SERVER, True, True),
    (409, errors.ConflictError, ErrorKind.CONFLICT, False, False),
    (418, errors.UnexpectedStatusError, ErrorKind.UNEXPECTED, False, False),
    (422, errors.InvalidRequestError, ErrorKind.INVALID, False, False),
    (429, errors.RateLimitedError, ErrorKind.RATE, True, False),
    (500, errors.ServerError, ErrorKind.SERVER, True, True),
    (503, errors.ServerError, ErrorKind.SERVER, True, True),
    (524, errors.ServerError, ErrorKind.SERVER, True, True),
    (529, errors.ServerError, ErrorKind.SERVER, True, True),
]


@pytest.mark.parametrize(("status", "error_class", "kind", "retryable", "unknown"), ERROR_TABLE)
def test_status_becomes_its_error(status, error_class, kind, retryable, unknown):
    client = client_for(answering(error_answer(status, "why")))

    with pytest.raises(error_class) as caught:
        client.stop_deployment("p", "e", "d")

    error = caught.value
    assert type(error) is error_class
    assert (error.kind, is_retryable(error), error.outcome_unknown) == (kind, retryable, unknown)
    assert (error.status, error.message) == (status, "why")
    assert f"({status})" in error.sentence


def test_error_carries_what_support_will_ask_for():
    answer = error_answer(
        403, "No rights here", type="permission", code="endpoints_v1_create_access_disabled"
    )
    answer.headers["x-request-id"] = "req-7"
    client = client_for(answering(answer))

    with pytest.raises(ApiError) as caught:
        client.create_v1_endpoint(model="m", hardware="h", min_replicas=1, max_replicas=1)

    error = caught.value
    assert (error.code, error.type, error.request_id) == (
        "endpoints_v1_create_access_disabled",
        "permission",
        "req-7",
    )
    assert (error.call.method, error.call.path) == ("POST", "/v1/endpoints")
    assert error.sentence == "The key lacks the right for this (403): No rights here."
    assert str(error) == (
        "POST /v1/endpoints: The key lacks the right for this (403): No rights here. [request req-7]"
    )


@pytest.mark.parametrize(
    ("body", "message", "code", "structured"),
    [
        (b'{"error":{"message":"m","type":"t","param":null,"code":"c"}}', "m", "c", True),
        (b'{"error":{"message":"Unauthorized"}}', "Unauthorized", None, True),
        (b'{"error":"text of the batch API"}', "text of the batch API", None, True),
        (
            b'{"code":6,"message":"Already Exists","details":[{"status":409,"detail":"name is taken"}]}',
            "name is taken",
            "6",
            True,
        ),
        (b'{"code":5,"message":"Not Found"}', "Not Found", "5", True),
        (b'{"detail":"d"}', "d", None, True),
        (b"<html><body>502</body></html>", "the body is no JSON (a proxy's page?)", None, False),
        (b"", "", None, False),
        (b"[1]", "the body is no error object", None, False),
        (b'{"error":null,"details":"odd"}', "the body is no error object", None, False),
    ],
)
def test_every_error_body_of_the_contract_is_read(body, message, code, structured):
    details = read_error_body(body)

    assert (details.message, details.code, details.is_structured) == (message, code, structured)


def error_of(call, answer: httpx.Response) -> ApiError:
    with pytest.raises(ApiError) as caught:
        call(client_for(answering(answer), max_retries=0))
    return caught.value


ABSENT_TABLE = [
    ("v1 endpoint", lambda c: c.get_v1_endpoint("e"), error_answer(404), "endpoint"),
    ("v1 delete", lambda c: c.delete_v1_endpoint("e"), error_answer(404), "endpoint"),
    ("v2 endpoint", lambda c: c.get_endpoint("p", "e"), error_answer(404), "endpoint"),
    ("deployment", lambda c: c.get_deployment("p", "e", "d"), error_answer(404), "deployment"),
    ("stop", lambda c: c.stop_deployment("p", "e", "d"), error_answer(404), "deployment"),
    (
        "gRPC shape",
        lambda c: c.get_deployment("p", "e", "d"),
        httpx.Response(404, json={"code": 5, "message": "Not Found"}),
        "deployment",
    ),
    # Closed by default: none of the following proves that something is gone.
    ("list", lambda c: c.list_endpoints("p"), error_answer(404), None),
    ("child list", lambda c: c.list_deployments("p", "e"), error_answer(404), None),
    ("events", lambda c: c.list_events("p", "e"), error_answer(404), None),
    ("usage not enabled", lambda c: c.get_billing_usage(), error_answer(404), None),
    (
        "proxy page",
        lambda c: c.get_deployment("p", "e", "d"),
        httpx.Response(404, text="<html>gone</html>"),
        None,
    ),
    ("empty 404", lambda c: c.get_endpoint("p", "e"), httpx.Response(404), None),
    (
        "another thing is missing",
        lambda c: c.get_endpoint("p", "e"),
        error_answer(404, code="model_not_available"),
        None,
    ),
    ("410", lambda c: c.get_endpoint("p", "e"), error_answer(410), None),
    ("403", lambda c: c.get_endpoint("p", "e"), error_answer(403), None),
    ("500", lambda c: c.get_endpoint("p", "e"), error_answer(500, "not found"), None),
]


@pytest.mark.parametrize(
    ("case", "call", "answer", "resource"), ABSENT_TABLE, ids=[r[0] for r in ABSENT_TABLE]
)
def test_absence_is_concluded_only_from_the_table(case, call, answer, resource):
    error = error_of(call, answer)

    assert absent_resource(error) == resource
    assert is_absent(error) is (resource is not None)


def test_errors_survive_the_way_between_worker_processes():
    error = error_of(lambda c: c.get_deployment("p", "e", "d"), error_answer(404, "gone", code="c"))

    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is type(error)
    assert (str(copy), copy.sentence, copy.args, is_absent(copy)) == (
        str(error),
        error.sentence,
        error.args,
        True,
    )


def test_errors_of_other_kinds_are_neither_absent_nor_retryable():
    assert not is_absent(KeyError("x"))
    assert not is_retryable(KeyError("x"))


def test_betas_that_are_off_are_told_apart_from_absence():
    usage = error_of(lambda c: c.get_billing_usage(), error_answer(404))
    metrics = error_of(lambda c: c.get_metrics("org"), error_answer(404))
    endpoint = error_of(lambda c: c.get_endpoint("p", "e"), error_answer(404))

    assert errors.is_not_enabled(usage)
    assert errors.is_not_enabled(metrics)
    assert not errors.is_not_enabled(endpoint)


@pytest.mark.parametrize(
    "secret",
    [
        KEY,
        "Bearer abc.def",
        "tgp_v1_0123456789abcdef",
        "hf_0123456789abcdef",
        "sk-0123456789abcdef",
        "a" * 64,
        "https://user:pass@host/x",
    ],
)
def test_secrets_in_provider_texts_never_reach_an_error(secret):
    error = error_of(lambda c: c.whoami(), error_answer(400, f"bad: {secret} (see logs)", code=secret))

    for text in (str(error), repr(error), error.sentence, error.message, error.code or ""):
        assert secret not in text
    assert "[redacted]" in error.message


def test_presigned_urls_lose_their_signature_and_long_texts_their_end():
    assert redact_text("see https://h/p?X-Amz-Signature=abc&x=1") == "see https://h/p?[redacted]&x=1"
    assert len(redact_text("x " * 5_000)) == 500


def test_secret_fields_are_dropped_from_bodies():
    body = {
        "id": "c1",
        "kube_config": {"users": ["..."]},
        "remoteUrl": "https://bucket/x?sig=1",
        "token": "t",
        "hf_token": "t",
        "token_count": 5,
        "api_key": {"id": "key_1"},
        "environment_variables": [{"name": "A", "value": "secret"}, {"name": "B", "value_from_secret": "s"}],
        "nested": [{"wandb_api_key": "w", "keep": 1}],
        "logExcerpt": "starting with hf_0123456789abcdef now",
    }

    cleaned = drop_secrets(body)

    assert cleaned == {
        "id": "c1",
        "token_count": 5,
        "api_key": {"id": "key_1"},
        "environment_variables": [{"name": "A"}, {"name": "B"}],
        "nested": [{"keep": 1}],
        "logExcerpt": "starting with [redacted] now",
    }


@pytest.mark.parametrize(
    "body",
    [
        b'{"kube_config":1}', b'{"KubeConfig":1}', b'{"remoteUrl":""}', b'{"remote_url":""}', b'{"token":"x"}',
        b'{"hf_token":"x"}', b'{"environment_variables":[]}', b'{"logExcerpt":""}', b'{"password":"x"}',
        rb'{"\u006bube_config":1}', b'{"privateKey":"x"}', b'{"client_secret":"x"}', b'{"Authorization":"x"}',
    ],
)  # fmt: skip
def test_the_quick_scan_sees_every_secret_field(body):
    assert may_hold_secrets(body)


def test_the_quick_scan_lets_a_clean_list_pass():
    assert not may_hold_secrets(b'{"data":[{"id":"dep_1","token_count":3,"status":{"state":"READY"}}]}')


def test_items_of_a_page_arrive_without_their_secrets():
    answer = httpx.Response(200, json={"data": [{"id": "dep_1", "remoteUrl": "https://x?sig=1"}]})

    listing = client_for(answering(answer)).list_deployments("p", "e")

    assert listing.raw_items == ({"id": "dep_1"},)
    assert listing.items[0].raw == {"id": "dep_1"}
