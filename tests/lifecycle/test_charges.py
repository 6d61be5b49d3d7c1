"""What a cancel is charged, and which acts fit: words only, from what the provider tells."""

import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest

from dashboard.core import resource_states
from dashboard.lifecycle import charges


@dataclass
class Thing:
    kind: str = "fine-tune"
    state: str = "running"
    name: str = "thing"
    total_nano_usd: int | None = None
    progress: float | None = None
    payload: dict[str, Any] = field(default_factory=dict)


@pytest.mark.parametrize("state", ["pending", "queued"])
def test_a_job_that_has_not_started_is_not_known_to_cost(state: str) -> None:
    charge = charges.describe_cancel_charge(Thing(state=state))

    assert "nothing is known to be charged" in charge.sentence


def test_a_running_fine_tune_pays_its_steps_and_at_least_four_dollars() -> None:
    job = Thing(payload={"steps_completed": 120}, total_nano_usd=6_710_000_000, progress=0.4)

    charge = charges.describe_cancel_charge(job)

    assert "at least $4.00" in charge.sentence
    assert "120 steps are done so far." in charge.details
    assert "The whole job is priced at $6.71." in charge.details


def test_progress_stands_in_for_steps_and_what_is_not_told_is_not_said() -> None:
    assert "About 40% is done so far." in charges.describe_cancel_charge(Thing(progress=0.4)).details
    assert len(charges.describe_cancel_charge(Thing()).details) == 1


@pytest.mark.parametrize(
    ("state", "words"),
    [("VALIDATING", "nothing is known to be charged"), ("IN_PROGRESS", "requests that are done")],
)
def test_a_batch_pays_what_was_processed(state: str, words: str) -> None:
    assert words in charges.describe_cancel_charge(Thing(kind="batch", state=state)).sentence


@pytest.mark.parametrize(
    ("kind", "state", "expected"),
    [
        ("fine-tune", "running", {"cancel"}),
        ("fine-tune", "uploading", set()),
        ("fine-tune", "completed", set()),
        ("batch", "IN_PROGRESS", {"cancel"}),
        ("evaluation", "running", set()),
        ("cluster", "Ready", {"resize", "delete"}),
        ("cluster", "Deleting", set()),
        ("cluster", "OnDemandComputePaused", {"delete"}),
        ("volume", "bound", {"resize", "delete"}),
        ("volume", "failed", {"delete"}),
        ("container", "Ready", {"stop"}),
        ("container", "ScaledToZero", set()),
        ("rl-resource", "MODEL_RESOURCES_STATUS_READY", {"stop"}),
        ("rl-resource", "MODEL_RESOURCES_STATUS_STOPPED", set()),
        ("model", "", {"delete"}),
        ("file", "", set()),
    ],
)
def test_acts_that_fit(kind: str, state: str, expected: set[str]) -> None:
    asked = {
        "cancel": charges.may_cancel,
        "stop": charges.may_stop_resource,
        "resize": charges.may_resize,
        "delete": charges.may_delete,
    }

    assert {name for name, may in asked.items() if may(Thing(kind=kind, state=state))} == expected


def test_a_state_that_nobody_documents_can_be_ended() -> None:
    assert resource_states.read_state("fine-tune", "hovering").may_bill
    assert charges.may_cancel(Thing(state="hovering"))
    assert charges.may_stop_resource(Thing(kind="container", state="hovering"))


def test_volumes_of_a_cluster_are_told_apart_as_far_as_the_bodies_tell() -> None:
    told = {True: "stays", False: "goes"}
    volumes = [
        Thing(name=name, payload={"is_lifecycle_independent": is_own}) for is_own, name in told.items()
    ]

    goes, stays, untold = charges.describe_cluster_deletion([*volumes, Thing(name="who knows")])

    assert (goes, stays, untold) == (("goes",), ("stays",), ("who knows",))
    for order in itertools.permutations(volumes):
        assert charges.describe_cluster_deletion(order)[0] == ("goes",)
