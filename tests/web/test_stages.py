"""Stages of a fine-tune: any feed of events gives six stages, and none says more than was told."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.web.resources.stages import Entry, read_stages
from tests.factories import NOW

MINUTE = timedelta(minutes=1)
WHOLE = (
    "job_pending", "job_start", "model_downloading", "training_data_downloading", "training_start", "checkpoint_save",
    "training_complete", "model_compressing", "model_compression_complete", "model_uploading", "model_upload_complete",
    "job_complete",
)  # fmt: skip


def feed(*types: str) -> list[Entry]:
    """Return the events, ten minutes apart, the first two hours ago."""
    return [Entry(word, NOW - 120 * MINUTE + 10 * MINUTE * place) for place, word in enumerate(types)]


def states(entries: list[Entry], status: str, **times: object) -> list[str]:
    defaults = {"created_at": NOW - 130 * MINUTE, "finished_at": None}
    stages = read_stages(entries, status=status, now=NOW, **(defaults | times))  # type: ignore[arg-type]
    return [stage.state for stage in stages]


@pytest.mark.parametrize(
    ("events", "status", "expected"),
    [
        ((), "pending", "now ahead ahead ahead ahead ahead"),
        (WHOLE[:1], "queued", "now ahead ahead ahead ahead ahead"),
        (WHOLE[:2], "running", "done now ahead ahead ahead ahead"),
        ((), "running", "done now ahead ahead ahead ahead"),
        (WHOLE[:5], "running", "done done now ahead ahead ahead"),
        (WHOLE[:8], "compressing", "done done done now ahead ahead"),
        (WHOLE[:10], "uploading", "done done done done now ahead"),
        (WHOLE, "completed", "done done done done done done"),
        # Without events only what follows from the status is said.
        ((), "completed", "done skipped skipped skipped skipped done"),
        ((*WHOLE[:5], "job_error"), "error", "done done failed skipped skipped skipped"),
        ((*WHOLE[:1], "cancel_requested"), "cancelled", "failed skipped skipped skipped skipped skipped"),
        ((*WHOLE[:5], "cancel_requested"), "cancel_requested", "done done now skipped skipped skipped"),
        ((*WHOLE[:6], "job_restarted", "model_downloading"), "running", "done now ahead ahead ahead ahead"),
        # It goes on from a checkpoint: nothing is downloaded or begun anew.
        ((*WHOLE[:6], "job_restarted"), "running", "done done now ahead ahead ahead"),
        ((*WHOLE[:6], "job_restarted", *WHOLE[6:]), "completed", "done done done done done done"),
    ],
)
def test_stages(events: tuple[str, ...], status: str, expected: str):
    assert states(feed(*events), status) == expected.split()


def test_each_stage_lasts_from_its_own_event_to_its_end():
    stages = read_stages(feed(*WHOLE), status="completed", created_at=None, finished_at=NOW, now=NOW)

    lasted = {stage.word: stage.lasted for stage in stages}
    assert lasted == {
        "Queued": 10 * MINUTE, "Downloading": 20 * MINUTE, "Training": 20 * MINUTE, "Compressing": 10 * MINUTE,
        "Uploading": 10 * MINUTE, "Completed": None,
    }  # fmt: skip


def test_after_a_restart_the_new_attempt_counts_and_the_queue_stays_that_of_the_first():
    events = feed(*WHOLE[:6], "job_restarted", "model_downloading", "training_start")

    stages = read_stages(events, status="running", created_at=None, finished_at=None, now=NOW)

    assert stages[0].lasted == 10 * MINUTE
    assert stages[2].started_at == events[8].at


def test_events_without_a_time_tell_the_stage_but_no_duration():
    events = [Entry(word, None) for word in WHOLE[:5]]

    stages = read_stages(events, status="running", created_at=None, finished_at=None, now=NOW)

    assert [stage.state for stage in stages][:3] == ["done", "done", "now"]
    assert all(stage.lasted is None for stage in stages)


@given(
    types=st.lists(
        st.sampled_from([*WHOLE, "job_restarted", "job_error", "refund", "unheard_of"]), max_size=20
    ),
    status=st.sampled_from(
        ["pending", "queued", "running", "compressing", "uploading", "completed", "error", "cancelled", "NEW"]
    ),
)
def test_any_feed_gives_six_stages_of_which_at_most_one_is_now(types: list[str], status: str):
    found = states(feed(*types), status)

    assert len(found) == 6
    assert found.count("now") + found.count("failed") <= 1
    assert "done" not in found[found.index("ahead") :] if "ahead" in found else True
