"""The enforcer's memory and its journal: stops without a database, replayed once."""

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from dashboard.accounts.audit import Actor
from dashboard.lifecycle import actions
from dashboard.lifecycle.journal import FILE_NAME, Entry, Journal
from dashboard.lifecycle.memory import Memory
from dashboard.lifecycle.models import ActionStep, StopAction
from tests import factories
from tests.lifecycle.conftest import Provider

State = StopAction.State


@contextmanager
def no_database() -> Iterator[None]:
    """Fail on any statement of this thread."""

    def refuse(execute: Any, sql: str, *args: Any) -> None:
        raise AssertionError(f"a statement without a database: {sql}")

    with connection.execute_wrapper(refuse):
        yield


def make_stop(actor: Actor) -> StopAction:
    return actions.request_stop(factories.make_deployment(), actor=actor, idempotency_key="stop").action


def make_entry(action: StopAction, what: str = "sent", **fields: Any) -> Entry:
    return Entry(action_id=action.pk, at=action.requested_at, what=what, **fields)


def test_stops_from_memory_and_journals_before_the_call(
    provider: Provider, actor: Actor, tmp_path: Path
) -> None:
    deployment = provider.v2("docs-qa-gpt-oss-120b")
    action = actions.request_stop(deployment, actor=actor, idempotency_key="stop").action
    memory = Memory(Journal(tmp_path))
    memory.refresh()

    with no_database():
        assert memory.act() == 1

    assert [one["method"] for one in provider.writes(deployment)] == ["PATCH"]
    lines = [json.loads(line) for line in (tmp_path / FILE_NAME).read_text().splitlines()]
    assert [line["what"] for line in lines] == ["seen", "sent", "answered"]
    assert memory.journal.replay() == 3
    action.refresh_from_db()
    assert (action.state, action.send_count) == (State.SENT, 1)
    assert action.sent_at is not None
    assert action.answered_at is not None
    assert action.answered_at >= action.sent_at


def test_what_is_not_due_or_ended_is_not_stopped_from_memory(
    provider: Provider, actor: Actor, tmp_path: Path
) -> None:
    ended = actions.request_stop(provider.v2("docs-qa-gpt-oss-120b"), actor=actor, idempotency_key="a").action
    actions.cancel_action(ended, actor=actor)
    future = actions.request_stop(provider.v2("evals-judge-32b"), actor=actor, idempotency_key="b").action
    StopAction.objects.filter(pk=future.pk).update(due_at="2099-01-01T00:00:00Z")
    memory = Memory(Journal(tmp_path))
    memory.refresh()

    assert (memory.count, memory.act()) == (1, 0)
    assert provider.writes() == []


@pytest.mark.django_db
def test_replay_adds_each_line_once(actor: Actor, tmp_path: Path) -> None:
    action = make_stop(actor)
    journal = Journal(tmp_path)
    entry = make_entry(action, note="Still READY", entry_id=uuid.uuid4())
    journal.append(entry)

    assert journal.replay() == 1
    # As after a crash between commit and unlink: the same lines come again.
    journal.append(entry)
    assert journal.replay() == 0

    assert action.steps.filter(what=ActionStep.What.SENT).count() == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.django_db
def test_a_cut_line_and_a_foreign_act_cost_nothing_else(actor: Actor, tmp_path: Path) -> None:
    action = make_stop(actor)
    journal = Journal(tmp_path)
    journal.append(make_entry(action))
    journal.append(Entry(action_id=10**9, at=action.requested_at, what="sent"))
    with (tmp_path / FILE_NAME).open("a") as file:
        file.write('{"id": "cut')

    assert journal.replay() == 1


@pytest.mark.django_db
def test_replay_does_not_reopen_what_has_ended(actor: Actor, tmp_path: Path) -> None:
    action = make_stop(actor)
    journal = Journal(tmp_path)
    journal.append(make_entry(action))
    actions.cancel_action(action, actor=actor)

    journal.replay()

    action.refresh_from_db()
    assert (action.state, action.sent_at) == (State.CANCELLED, None)


@pytest.mark.django_db
def test_an_unwritable_folder_is_logged_and_no_error(
    actor: Actor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Journal(tmp_path / "missing").append(make_entry(make_stop(actor)))

    assert "cannot be written" in caplog.text
