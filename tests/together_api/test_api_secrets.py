"""No secret of a provider's body survives in what anybody stores, wherever in the body it stood."""

from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.together_api.payloads.base import decode_body, parse_items
from dashboard.together_api.redaction import REDACTED, drop_secrets, may_hold_secrets
from tests.together_api import resource_bodies as bodies
from tests.together_api.api_doubles import answering, client_for

CANARY = "c4n4ryc4n4ryc4n4ry"

# What a body would carry, with the canary as the secret part.
PLANTS: list[tuple[str, Any]] = [
    ("kube_config", f"users: [{{token: {CANARY}}}]"),
    ("kubeConfig", {"users": [{"user": {"token": CANARY}}]}),
    ("remoteUrl", f"https://bucket.example/{CANARY}/model.tar?sig=1"),
    ("remote_url", f"https://bucket.example/{CANARY}"),
    ("token", CANARY),
    ("hf_token", CANARY),
    ("hf_api_token", CANARY),
    ("external_api_token", CANARY),
    ("wandb_api_key", CANARY),
    ("secret_access_key", CANARY),
    ("clientSecret", CANARY),
    ("dbPassword", CANARY),
    ("credentials", CANARY),
    ("environment_variables", [{"name": "KEY", "value": CANARY}, {"name": "B", "value_from_secret": CANARY}]),
    ("environmentVariables", {"KEY": CANARY}),
    ("env", f"KEY={CANARY}"),
    ("args", ["serve", f"--api-key={CANARY}"]),
    ("command", ["/bin/sh", "-c", f"TOKEN={CANARY} run"]),
    ("slurm_startup_scripts", {"login_init_script": f"export TOKEN={CANARY}"}),
    ("url", f"https://h.example/out.jsonl?X-Amz-Signature={CANARY}&X-Amz-Date=1"),
    ("url", f"s3://h.example/out.jsonl?{CANARY}"),
    ("path", f"https://h.example/x?key={CANARY}#part"),
    ("path", f"https://h.example/x#access_token={CANARY}"),
    ("message", f"Could not read https://h.example/x?sig={CANARY}: try 'https://h.example/y?token={CANARY}'"),
    ("repository", f"https://robot:{CANARY}@git.example/x.git"),
    ("statusMessage", f"denied for hf_{CANARY}"),
    ("message", f"Authorization: Bearer {CANARY} was refused"),
    ("message", f"key tgp_v1_{CANARY} is revoked"),
    ("message", f"the judge refused sk-{CANARY}"),
    ("message", f"clone with ghp_{CANARY}"),
    ("message", f"clone with github_pat_{CANARY}"),
    ("message", f"signed by AKIA{CANARY.upper()}"),
    ("log_excerpt", f"starting with sk-{CANARY}"),
]

wrappings = st.lists(
    st.sampled_from(
        [
            lambda value: {"data": [value]},
            lambda value: [value, None, 5],
            lambda value: {"nested": value, "id": "x"},
            lambda value: {"ft-1": {"deep": [value]}},
        ]
    ),
    max_size=4,
)


@pytest.mark.parametrize("plant", PLANTS, ids=[name for name, _ in PLANTS])
def test_a_secret_is_gone_from_every_kind_of_body(plant: tuple[str, Any]):
    name, value = plant

    for model, body, _ in bodies.BODIES:
        items, malformed = parse_items(model, [decode_body(orjson.dumps({**body, name: value}))])
        kept = [item.raw for item in (*items, *malformed)]
        assert len(kept) == 1
        assert CANARY not in f"{kept} {items} {malformed}".lower(), model.__name__


@given(st.sampled_from(PLANTS), wrappings, st.booleans())
def test_a_secret_is_gone_at_any_depth_and_in_any_spelling(
    plant: tuple[str, Any], wraps: list[Any], escapes: bool
):
    value: Any = {plant[0]: plant[1], "id": "kept"}
    for wrap in wraps:
        value = wrap(value)
    wire = orjson.dumps(value)
    if escapes:
        # As some encoders write it: the slashes and a letter of every key escaped.
        wire = wire.replace(b"/", rb"\/").replace(b'"k', rb'"\u006b').replace(b'"e', rb'"\u0065')

    assert may_hold_secrets(wire)
    cleaned = orjson.dumps(decode_body(wire)).decode()
    assert CANARY not in cleaned.lower()
    assert '"id":"kept"' in cleaned


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@given(st.sampled_from(PLANTS), json_values)
def test_cleaning_twice_is_cleaning_once(plant: tuple[str, Any], value: Any):
    once = drop_secrets({plant[0]: plant[1], "other": value})

    assert drop_secrets(once) == once


@pytest.mark.parametrize(("model", "body", "key"), bodies.BODIES, ids=[b[0].__name__ for b in bodies.BODIES])
def test_a_body_without_secrets_stays_as_it_is(model: Any, body: bodies.Body, key: str | None):
    expected = {**body}
    if "environment_variables" in body:
        expected["environment_variables"] = [{"name": "MODE"}]

    assert decode_body(orjson.dumps(body)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "registry.together.ai/acme/whisper@sha256:" + "ab" * 32,
        "ab" * 32,
        "https://huggingface.co/acme/model",
        "https://docs.together.ai/docs#limits",
        "see a.b@example.org?",
        "from_hf_model hf_model_revision task-list disk-size",
        "AKIA",
        "Bearer of bad news",
        "s3://bucket/ft/40",
    ],
)
def test_harmless_texts_are_kept(text: str):
    assert drop_secrets({"message": text}) == {"message": text}


def test_names_stay_where_values_go():
    cleaned = drop_secrets(
        {
            "environment_variables": [{"name": "A", "value": "x"}],
            "args": ["serve", "--key=x"],
            "slurm_startup_scripts": {"worker_prolog": "echo"},
            "args_of_v1_jobs": 1,
        }
    )

    assert cleaned == {
        "environment_variables": [{"name": "A"}],
        "args": [REDACTED, REDACTED],
        "slurm_startup_scripts": {"worker_prolog": REDACTED},
        "args_of_v1_jobs": 1,
    }
    assert drop_secrets({"args": bodies.V1_JOB["args"]}) == {"args": bodies.V1_JOB["args"]}


def test_a_signed_url_keeps_what_tells_files_apart():
    assert (
        drop_secrets("https://h.example/a/b.jsonl?X-Amz-Signature=1")
        == f"https://h.example/a/b.jsonl?{REDACTED}"
    )


def test_what_a_model_wrote_is_not_rewritten():
    content = "Open https://h.example/search?q=cats and use hf_aaaaaaaaaaaaaaaaaaaa as a placeholder."
    message = {"role": "assistant", "content": content}
    answer = httpx.Response(200, json={"id": "1", "choices": [{"index": 0, "message": message}]})

    assert (
        client_for(answering(answer)).complete_chat({"model": "m", "messages": []}).summary.content == content
    )


def test_what_is_sent_for_an_upload_comes_back_without_it():
    echoed = {**bodies.UPLOAD, "remoteUrl": f"https://h.example/x?sig={CANARY}", "token": CANARY}
    provider = answering(httpx.Response(200, json=echoed))

    upload = client_for(provider).create_upload(
        "proj_1", model_id="ml_1", remote_url=f"https://h.example/x?sig={CANARY}", token=CANARY
    )

    assert CANARY in provider.requests[0].content.decode()
    assert CANARY not in repr(upload)
    assert upload.raw == bodies.UPLOAD


def test_a_refused_upload_does_not_tell_its_token():
    refusal = httpx.Response(
        400, json={"error": {"message": f"hf_{CANARY} may not read https://u:{CANARY}@h/x"}}
    )

    with pytest.raises(Exception, match="refused") as caught:
        client_for(answering(refusal)).upload_v1_model(
            model_name="m", model_source="s", model_type="model", hf_token=f"hf_{CANARY}"
        )

    assert CANARY not in f"{caught.value} {caught.value!r}"
