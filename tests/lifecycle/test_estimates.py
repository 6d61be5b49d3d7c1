"""Price estimates: asked once, answered once, against the real client and a running simulator."""

import threading
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from dashboard.accounts.audit import Actor
from dashboard.lifecycle import estimates
from dashboard.lifecycle.errors import InvalidValueError
from dashboard.lifecycle.models import PriceEstimate
from tests import factories
from tests.lifecycle.conftest import Provider

pytestmark = pytest.mark.timeout(60)
State = PriceEstimate.State


def find_file(provider: Provider, status: str) -> str:
    files = provider.simulator.call("GET", "/v1/files")["data"]
    return str(
        next(
            one["id"]
            for one in files
            if one["purpose"] == "fine-tune" and one.get("processing_status") == status
        )
    )


def ask(provider: Provider, actor: Actor, **fields: Any) -> PriceEstimate:
    asked = {
        "training_file": find_file(provider, "COMPLETED"),
        "model": provider.simulator.call("GET", "/v1/fine-tunes/models/supported")["models"][0],
    } | fields
    return estimates.request_estimate(provider.project(), actor=actor, **asked)


def settle(estimate: PriceEstimate) -> PriceEstimate:
    PriceEstimate.objects.filter(state=State.PENDING).update(next_try_at=estimate.requested_at)
    estimates.answer_pending()
    estimate.refresh_from_db()
    return estimate


def test_an_estimate_is_exact_nano_dollars(provider: Provider, actor: Actor) -> None:
    one = settle(ask(provider, actor, n_epochs=1))
    three = settle(ask(provider, actor, n_epochs=3))

    assert (one.state, one.is_allowed, one.reason) == (State.ANSWERED, True, "")
    assert isinstance(one.nano_usd, int)
    assert one.nano_usd > 0
    assert three.train_tokens == 3 * (one.train_tokens or 0)
    assert one.limit_nano_usd is not None
    assert one.answered_at is not None


def test_what_cannot_be_estimated_has_no_price_but_a_reason(provider: Provider, actor: Actor) -> None:
    estimate = settle(ask(provider, actor, training_file=find_file(provider, "INVALID_FORMAT")))

    assert (estimate.state, estimate.nano_usd) == (State.ANSWERED, None)
    assert estimate.reason == "train_file_invalid"


def test_a_refusal_is_told_in_the_providers_words(provider: Provider, actor: Actor) -> None:
    estimate = settle(ask(provider, actor, model="nobody/knows-it"))

    assert (estimate.state, estimate.nano_usd) == (State.FAILED, None)
    assert "nobody/knows-it" in estimate.reason


def test_passing_trouble_is_asked_again_and_given_up_in_the_end(provider: Provider, actor: Actor) -> None:
    provider.simulator.add_fault("server_error", route="*/estimate-price", times=1)
    estimate = ask(provider, actor)

    first = settle(estimate)
    assert (first.state, first.attempts) == (State.PENDING, 1)
    assert settle(estimate).state == State.ANSWERED

    provider.simulator.add_fault("server_error", route="*/estimate-price")
    other = ask(provider, actor)
    for _ in range(estimates.MAX_ATTEMPTS):
        settle(other)
    assert (other.state, other.attempts) == (State.FAILED, estimates.MAX_ATTEMPTS)
    assert other.reason


def test_two_workers_ask_once(provider: Provider, actor: Actor) -> None:
    estimate = ask(provider, actor)
    provider.simulator.admin("DELETE", "/requests")

    def work() -> None:
        estimates.answer_pending()
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    estimate.refresh_from_db()
    assert estimate.state == State.ANSWERED
    assert len(provider.writes()) == 1


@pytest.mark.django_db
def test_old_questions_are_dropped(actor: Actor) -> None:
    project = factories.make_project()
    old = estimates.request_estimate(project, training_file="file-1", model="m", actor=actor)
    PriceEstimate.objects.filter(pk=old.pk).update(
        requested_at=timezone.now() - 2 * estimates.KEPT_FOR, state=State.ANSWERED
    )

    estimates.answer_pending()

    assert not PriceEstimate.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"training_file": ""}, "training_file"),
        ({"model": ""}, "model"),
        ({"n_epochs": -1}, "n_epochs"),
    ],
)
def test_a_question_that_makes_no_sense_names_its_field(
    actor: Actor, fields: dict[str, Any], field: str
) -> None:
    asked: dict[str, Any] = {"training_file": "file-1", "model": "m"} | fields
    with pytest.raises(InvalidValueError) as caught:
        estimates.request_estimate(factories.make_project(), actor=actor, **asked)

    assert caught.value.field == field
    assert not PriceEstimate.objects.exists()
