"""New volumes and imported models against the real client and a running simulator."""

import itertools
from typing import Any

import pytest

from dashboard.accounts.audit import Actor
from dashboard.accounts.models import AuditEvent
from dashboard.lifecycle import actions, makings, receipts
from dashboard.lifecycle.errors import InvalidValueError, NotFittingError, UnderWayError
from dashboard.lifecycle.models import ActionStep, StopAction
from dashboard.lifecycle.provider.creations import hide
from dashboard.lifecycle.reconcile import reconcile_once
from dashboard.mirror.models import ResourceKind
from tests import factories
from tests.lifecycle.conftest import Provider, drive, is_ended, let_pass

pytestmark = pytest.mark.timeout(90)
State = StopAction.State
SECRET_URL = "https://bucket.example.com/model.tar?signature=s3cr3t-signature"
TOKEN = "hf_s3cr3t_token"
_numbers = itertools.count(1)


def create_volume(provider: Provider, actor: Actor, **fields: Any) -> StopAction:
    number = next(_numbers)
    asked = {"name": f"data-{number}", "size_tib": 3, "region": "us-central-8"} | fields
    return makings.request_create_volume(
        provider.project(), actor=actor, idempotency_key=f"volume-{number}", **asked
    ).action


def upload(provider: Provider, actor: Actor, **fields: Any) -> StopAction:
    number = next(_numbers)
    base = provider.simulator.call("GET", "/v2/supported-models")["data"][0]["id"]
    asked = {
        "model_name": f"tuned-{number}",
        "model_type": "model",
        "base_model_id": base,
        "remote_url": SECRET_URL,
        "token": TOKEN,
    } | fields
    return makings.request_upload(
        provider.project(), actor=actor, idempotency_key=f"upload-{number}", **asked
    ).action


def volumes(provider: Provider, name: str) -> list[dict[str, Any]]:
    listing = provider.simulator.call("GET", "/v1/compute/clusters/storage/volumes")["volumes"]
    return [one for one in listing if one["volume_name"] == name]


def posts(provider: Provider) -> list[str]:
    return [one["path"].rsplit("/", 1)[-1] for one in provider.writes() if one["method"] == "POST"]


def test_a_volume_is_made_and_becomes_the_acts_resource(provider: Provider, actor: Actor) -> None:
    action = create_volume(provider, actor, nano_usd_per_tib_hour=100)

    action = drive(action, until=is_ended)

    assert action.state == State.OBSERVED
    (made,) = volumes(provider, action.target_name)
    assert made["size_tib"] == 3
    assert action.resource is not None
    assert (action.resource.kind, action.resource.remote_id) == (ResourceKind.VOLUME, made["volume_id"])
    assert action.burn_low_at_request == 300
    assert AuditEvent.objects.filter(action="volume.create_requested", target_type="project").count() == 1
    assert AuditEvent.objects.filter(action="volume.create_observed", target_type="resource").count() == 1


def test_a_volume_belongs_to_the_project_that_it_was_made_for(provider: Provider, actor: Actor) -> None:
    project = provider.project()
    factories.make_project(connection=project.connection, is_key_project=True)

    action = drive(create_volume(provider, actor), until=is_ended)

    assert action.resource is not None
    assert action.resource.project == project


def test_a_volume_name_that_exists_is_refused(provider: Provider, actor: Actor) -> None:
    there = provider.simulator.call("GET", "/v1/compute/clusters/storage/volumes")["volumes"][0]

    action = drive(create_volume(provider, actor, name=there["volume_name"]), until=is_ended)

    assert action.state == State.REFUSED
    assert "exists already" in action.outcome
    assert provider.writes() == []


def test_a_lost_answer_makes_one_volume(provider: Provider, actor: Actor) -> None:
    provider.simulator.add_fault("answer_lost", method="POST", times=1)

    action = drive(create_volume(provider, actor), until=is_ended)

    assert action.state == State.OBSERVED
    assert len(volumes(provider, action.target_name)) == 1


def test_a_create_that_never_arrived_is_not_sent_twice(provider: Provider, actor: Actor) -> None:
    provider.simulator.add_fault("timeout", method="POST", times=1, delay_seconds=0.1)
    action = drive(create_volume(provider, actor), until=lambda one: bool(one.last_error))

    let_pass(seconds=121)
    action = drive(action, until=is_ended)

    assert action.state == State.REFUSED
    assert "look at the list before you ask again" in action.outcome
    assert len(posts(provider)) == 1
    assert volumes(provider, action.target_name) == []


def test_a_refusal_for_certain_is_tried_again(provider: Provider, actor: Actor) -> None:
    provider.simulator.add_fault("rate_limit", method="POST", times=1)

    action = drive(create_volume(provider, actor), until=is_ended, timeout_seconds=30)

    assert action.state == State.OBSERVED
    assert len(volumes(provider, action.target_name)) == 1


def test_an_unknown_region_is_refused_in_the_providers_words(provider: Provider, actor: Actor) -> None:
    action = drive(create_volume(provider, actor, region="atlantis"), until=is_ended)

    assert action.state == State.REFUSED
    assert "atlantis" in action.outcome


def test_an_upload_registers_imports_and_follows(provider: Provider, actor: Actor) -> None:
    action = drive(upload(provider, actor), until=is_ended, timeout_seconds=40)

    assert (action.state, action.last_error) == (State.OBSERVED, "")
    assert posts(provider) == ["models", "uploads"]
    made = action.made["ids"]
    path = f"/v2/projects/{action.project.remote_id}/models/uploads/{made['upload']}"  # type: ignore[union-attr]
    assert provider.simulator.call("GET", path)["status"].endswith("SUCCEEDED")
    assert action.resource is not None
    assert action.resource.kind == ResourceKind.UPLOAD
    events = AuditEvent.objects.order_by("at").values_list("action", flat=True)
    assert list(events) == ["model.upload_requested", "model.upload_observed"]
    receipt = receipts.read_receipt(action.public_id, now=action.requested_at)
    assert dict(receipt.wanted)["From"] == "bucket.example.com"
    assert {label for label, _ in receipt.made} == {"Model", "Upload"}


def test_address_and_token_are_sealed_shown_nowhere_and_wiped(provider: Provider, actor: Actor) -> None:
    action = upload(provider, actor)
    assert action.sealed_arguments.startswith("gcm1.")

    action = drive(action, until=is_ended, timeout_seconds=40)

    assert action.sealed_arguments == ""
    sent = next(one for one in provider.writes() if one["path"].endswith("/uploads"))
    assert (sent["body"]["remoteUrl"], sent["body"]["token"]) == (SECRET_URL, TOKEN)
    told = [
        *ActionStep.objects.values_list("note", flat=True),
        *(str(event.detail) for event in AuditEvent.objects.all()),
        str(StopAction.objects.filter(pk=action.pk).values().get()),
        str(action.resource.payload if action.resource else ""),
    ]
    assert not [text for text in told if "s3cr3t" in text]


def test_secrets_that_the_provider_quotes_are_hidden() -> None:
    told = f"Could not read {SECRET_URL} with {TOKEN}"

    assert hide(told, [SECRET_URL, TOKEN]) == "Could not read … with …"


def test_a_cancelled_upload_forgets_its_secrets(provider: Provider, actor: Actor) -> None:
    action = upload(provider, actor)

    actions.cancel_action(action, actor=actor)

    action.refresh_from_db()
    assert action.sealed_arguments == ""
    reconcile_once("test/1")
    assert provider.writes() == []


@pytest.mark.parametrize(
    ("source", "words"),
    [("acme/private-model", "private or gated"), ("acme/broken.corrupt", "")],
)
def test_a_failed_import_ends_with_the_providers_words(
    provider: Provider, actor: Actor, source: str, words: str
) -> None:
    action = upload(provider, actor, remote_url=source, token="")

    action = drive(action, until=is_ended, timeout_seconds=40)

    if words:
        assert action.state == State.REFUSED
        assert words in action.outcome
    assert not action.is_open


@pytest.mark.parametrize("route", ["*/models", "*/uploads"])
@pytest.mark.parametrize("kind", ["answer_lost", "server_error"])
def test_lost_answers_make_one_model_and_one_import(
    provider: Provider, actor: Actor, kind: str, route: str
) -> None:
    provider.simulator.add_fault(kind, method="POST", route=route, times=1)

    action = drive(upload(provider, actor), until=is_ended, timeout_seconds=40)

    assert action.state == State.OBSERVED
    project_id = action.project.remote_id  # type: ignore[union-attr]
    models = provider.simulator.call("GET", f"/v2/projects/{project_id}/models?limit=500")["data"]
    assert len([one for one in models if one["name"].endswith(f"/{action.target_name}")]) == 1
    uploads = provider.simulator.call("GET", f"/v2/projects/{project_id}/models/uploads?limit=500")["data"]
    assert len([one for one in uploads if one["modelId"] == action.made["ids"]["model"]]) == 1


def test_a_model_name_that_exists_is_refused(provider: Provider, actor: Actor) -> None:
    first = drive(upload(provider, actor), until=is_ended, timeout_seconds=40)
    provider.simulator.admin("DELETE", "/requests")

    action = drive(upload(provider, actor, model_name=first.target_name), until=is_ended)

    assert action.state == State.REFUSED
    assert "exists already" in action.outcome
    assert provider.writes() == []


@pytest.mark.parametrize(
    ("given", "url", "shown"),
    [
        ("acme/model", "https://huggingface.co/acme/model", "acme/model"),
        (" https://huggingface.co/acme/model ", "https://huggingface.co/acme/model", "acme/model"),
        ("https://h.example/a/b.tar?sig=x", "https://h.example/a/b.tar?sig=x", "h.example"),
        ("https://huggingface.co/a/b?token=x", "https://huggingface.co/a/b?token=x", "huggingface.co"),
    ],
)
def test_only_what_is_no_secret_of_an_address_is_shown(given: str, url: str, shown: str) -> None:
    assert makings.read_source(given) == (url, shown)


@pytest.mark.parametrize(
    "given", ["", "model", "http://h.example/a", "ftp://h/a", "https://user:pw@h/a", "a b/c", "a/b/c"]
)
def test_an_address_that_cannot_be_imported_from_is_refused(given: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        makings.read_source(given)

    assert caught.value.field == "remote_url"


@pytest.mark.django_db
def test_a_name_known_here_or_being_made_is_refused_at_once(actor: Actor) -> None:
    there = factories.make_resource(kind=ResourceKind.VOLUME, name="datasets")
    asked: dict[str, Any] = {"size_tib": 1, "region": "us", "actor": actor}

    with pytest.raises(NotFittingError):
        makings.request_create_volume(there.project, name="datasets", idempotency_key="a", **asked)
    makings.request_create_volume(there.project, name="new", idempotency_key="b", **asked)
    with pytest.raises(UnderWayError):
        makings.request_create_volume(there.project, name="new", idempotency_key="c", **asked)
    for field, wrong in (("size_tib", 0), ("region", " "), ("name", "two words")):
        with pytest.raises(InvalidValueError) as caught:
            makings.request_create_volume(
                there.project, idempotency_key="d", **({"name": "x"} | asked | {field: wrong})
            )
        assert caught.value.field == field
    assert StopAction.objects.count() == 1
