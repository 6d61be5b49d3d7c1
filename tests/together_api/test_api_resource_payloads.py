"""Bodies of jobs, models, clusters, volumes, containers and RL survive what real APIs do to them."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.together_api.payloads import (
    Batch,
    Cluster,
    Container,
    Evaluation,
    File,
    FineTune,
    FineTuneCheckpoint,
    FineTuneEvent,
    FineTuneMetrics,
    FineTunePriceEstimate,
    ModelConfig,
    ModelFiles,
    ModelRevision,
    Resource,
    RlCost,
    RlResource,
    RlSession,
    UsageWindow,
    V1Job,
    Volume,
    nano_dollars,
    parse_items,
)
from tests.together_api import resource_bodies as bodies

BODIES = bodies.BODIES
NAMES = [model.__name__ for model, _, _ in BODIES]
IDENTIFIED = [(model, body, key) for model, body, key in BODIES if key is not None]
IDENTIFIED_NAMES = [model.__name__ for model, _, _ in IDENTIFIED]


def known_fields(parsed: Resource) -> dict[str, Any]:
    return {name: getattr(parsed, name) for name in type(parsed).model_fields}


def test_a_fine_tune_reads_its_parts_and_its_price_in_nano_dollars():
    job = FineTune.parse(bodies.FINE_TUNE)

    assert (job.total_price, job.batch_size, job.steps_completed) == (6_710_000_000, "max", 40)
    assert job.training_type is not None
    assert (job.training_type.type, job.training_type.lora_r) == ("Lora", 8)
    assert job.training_method is not None
    assert job.training_method.train_on_inputs == "auto"
    assert job.progress is not None
    assert job.progress.seconds_remaining == 5400
    assert [event.type for event in job.events] == ["epoch_complete"]
    assert job.events[0].id == FineTuneEvent.identify(bodies.FINE_TUNE_EVENT)


@pytest.mark.parametrize("events", [None, "none", 5, {}, [], ["text", {"type": 5}, {}]])
def test_odd_events_never_cost_the_job(events: Any):
    job = FineTune.parse({**bodies.FINE_TUNE, "events": events})

    assert all(event.type == "" for event in job.events)


@pytest.mark.parametrize("value", [True, False, "auto", None])
def test_training_on_inputs_is_a_choice_or_a_word(value: Any):
    method = {"method": "sft", "train_on_inputs": value}

    job = FineTune.parse({"id": "ft-1", "training_method": method})

    assert job.training_method is not None
    assert job.training_method.train_on_inputs is value or job.training_method.train_on_inputs == value


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-18T08:40:00Z", datetime(2026, 11, 18, 8, 40, tzinfo=UTC)),
        ("2026-11-18 08:40:00", datetime(2026, 11, 18, 8, 40, tzinfo=UTC)),
        (1_763_600_000, datetime(2025, 11, 20, 0, 53, 20, tzinfo=UTC)),
        ("last Tuesday", None),
        ("", None),
        ({"seconds": 5}, None),
        (None, None),
    ],
)
def test_times_that_the_contract_does_not_promise_are_read_or_unknown(text: Any, moment: datetime | None):
    event = FineTuneEvent.parse({"type": "job_start", "created_at": text})
    checkpoint = FineTuneCheckpoint.parse({"step": 1, "created_at": text})

    assert (event.created_at, checkpoint.created_at) == (moment, moment)


def test_metrics_keep_any_name_and_unknown_values():
    metrics = FineTuneMetrics.parse({"metrics": [{"train/loss": 0.5, "odd": None}, {}]})

    assert metrics.metrics == ({"train/loss": 0.5, "odd": None}, {})
    assert FineTuneMetrics.parse({"metrics": None}).metrics == ()


@given(st.decimals(min_value=0, max_value=10**7, places=4))
def test_dollars_on_the_wire_become_exact_nano_dollars(dollars: Decimal):
    wire = orjson.loads(orjson.dumps({**bodies.ESTIMATE, "estimated_total_price": float(dollars)}))

    assert FineTunePriceEstimate.parse(wire).total_nano_dollars == int(dollars * 10**9)
    assert RlCost.parse({"currency": "usd", "price_per_hour": float(dollars)}).nano_dollars_per_hour == int(
        dollars * 10**9
    )


@pytest.mark.parametrize(
    ("dollars", "nano"),
    [
        (None, None),
        (Decimal("1.0399999999999998"), 1_040_000_000),
        (Decimal("0.0000000005"), 0),
        (Decimal("0.0000000015"), 2),
        (Decimal(4), 4_000_000_000),
    ],
)
def test_nano_dollars_round_half_to_even_and_unknown_stays_unknown(dollars: Decimal | None, nano: int | None):
    assert nano_dollars(dollars) == nano


def test_an_estimate_that_is_not_there_is_not_zero():
    body = {"estimation_available": False, "unavailable_reason": "train_file_not_validated"}

    estimate = FineTunePriceEstimate.parse(body)

    assert estimate.estimation_available is False
    assert (estimate.total_nano_dollars, estimate.limit_nano_dollars) == (None, None)
    assert estimate.unavailable_reason == "train_file_not_validated"


def test_a_price_in_another_currency_is_no_dollar_price():
    assert RlCost.parse({"currency": "EUR", "price_per_hour": 1.0}).nano_dollars_per_hour is None
    assert RlCost.parse(bodies.RL_COST).nano_dollars_per_hour == 21_960_000_000


@pytest.mark.parametrize(
    ("results", "field", "value"),
    [
        ({"label_counts": '{"good": 3}', "pass_percentage": 75.0}, "label_counts", '{"good": 3}'),
        ({"label_counts": {"good": 3}}, "label_counts", {"good": 3}),
        ({"A_wins": 3, "B_wins": "4", "Ties": 0}, "b_wins", 4),
        ({"error": "the judge failed"}, "error", "the judge failed"),
        ({}, "ties", None),
    ],
)
def test_results_of_every_type_of_evaluation_are_read(results: Any, field: str, value: Any):
    evaluation = Evaluation.parse({**bodies.EVALUATION, "results": results})

    assert evaluation.results is not None
    assert getattr(evaluation.results, field) == value


def test_files_read_both_words_for_processing_and_epoch_seconds():
    file = File.parse(bodies.FILE)
    older = File.parse({"id": "file-1", "Processed": True, "FileType": "csv", "purpose": "batch-generated"})

    assert file.created_at == datetime(2025, 11, 20, 0, 53, 20, tzinfo=UTC)
    assert (file.file_type, file.processing_status, file.processed) == ("jsonl", "COMPLETED", None)
    assert (older.file_type, older.processing_status, older.processed) == ("csv", None, True)


def test_clusters_read_nodes_volumes_and_their_reservation():
    cluster = Cluster.parse(bodies.CLUSTER)

    assert cluster.id == cluster.cluster_id == bodies.CLUSTER["cluster_id"]
    assert [node.num_gpus for node in cluster.gpu_worker_nodes] == [8]
    assert cluster.gpu_worker_nodes[0].phase_transitions[0].phase == "NODE_PHASE_RUNNING"
    assert [node.network for node in cluster.control_plane_nodes] == ["10.0.0.1"]
    assert [volume.size_tib for volume in cluster.volumes] == [10]
    assert cluster.reservation_end_time == datetime(2026, 12, 1, tzinfo=UTC)


def test_sizes_beyond_double_precision_stay_exact():
    files = ModelFiles.parse(bodies.MODEL_FILES)

    assert files.total_size_bytes == 9007199254740993
    assert files.data[0].size_bytes == 9007199254740000


def test_a_config_names_its_hardware_as_deployments_do():
    assert ModelConfig.parse(bodies.CONFIG).hardware == "2xnvidia-h100-80gb"
    assert ModelConfig.parse({"id": "cr_1"}).hardware is None


@pytest.mark.parametrize(("model", "body", "key"), BODIES, ids=NAMES)
def test_null_in_any_field_but_the_identity_is_survived(
    model: type[Resource], body: bodies.Body, key: str | None
):
    for name in body.keys() - {key}:
        model.parse({**body, name: None})
    model.parse({key: body[key]} if key is not None else {})


def as_digits(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: as_digits(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_digits(item) for item in value]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


@pytest.mark.parametrize(("model", "body", "key"), BODIES, ids=NAMES)
def test_any_number_may_travel_as_digits(model: type[Resource], body: bodies.Body, key: str | None):
    assert known_fields(model.parse(as_digits(body))) == known_fields(model.parse(body))


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
unknown_fields = st.dictionaries(
    st.text(alphabet="abcxyz", min_size=1, max_size=6).map("zz".__add__), json_values, max_size=4
)


@given(st.sampled_from(BODIES), unknown_fields)
def test_unknown_fields_change_nothing_and_are_kept(
    sample: tuple[type[Resource], bodies.Body, str | None], extra: bodies.Body
):
    model, body, _ = sample

    parsed = model.parse({**body, **extra})

    assert known_fields(parsed) == known_fields(model.parse(body))
    assert parsed.raw == {**body, **extra}


@given(st.sampled_from(BODIES), st.data())
def test_no_value_of_any_field_can_break_a_list(
    sample: tuple[type[Resource], bodies.Body, str | None], data: st.DataObject
):
    model, body, _ = sample
    name = data.draw(st.sampled_from(sorted(body)))
    odd = {**body, name: data.draw(json_values)}

    items, malformed = parse_items(model, [body, odd, data.draw(json_values)])

    assert len(items) + len(malformed) == 3
    assert known_fields(items[0]) == known_fields(model.parse(body))


@given(st.text(min_size=1))
def test_unknown_words_survive_as_plain_text(word: str):
    for model, body, _ in BODIES:
        for name in {"status", "type", "purpose", "billing_type"} & body.keys():
            assert getattr(model.parse({**body, name: word}), name) == word


@pytest.mark.parametrize(("model", "body", "key"), IDENTIFIED, ids=IDENTIFIED_NAMES)
def test_raw_and_parsed_items_name_the_same_identity(model: type[Resource], body: bodies.Body, key: str):
    parsed: Any = model.parse(body)

    assert parsed.id == model.identify(body)
    assert model.identify({name: item for name, item in body.items() if name != key}) is None
    assert model.identify({**body, key: None}) is None
    assert model.identify({**body, key: ""}) is None
    for odd in (None, [], "text", 5):
        assert model.identify(odd) is None


@pytest.mark.parametrize(
    ("model", "raw", "identity"),
    [
        (ModelRevision, {"revision_id": "rv_1"}, "rv_1"),
        (ModelRevision, {"revisionId": "rv_1"}, "rv_1"),
        (V1Job, {"jobId": "job-1"}, "job-1"),
        (Volume, {"volume_id": 7}, None),
        (UsageWindow, {"start_time": "2026-11-19T00:00:00Z"}, "2026-11-19T00:00:00Z"),
        (FineTuneCheckpoint, {"step": 0, "checkpoint": "model"}, "0/model"),
        (FineTuneCheckpoint, {"step": "40", "checkpoint_type": "Final"}, "40/Final"),
        (FineTuneCheckpoint, {"step": True}, None),
    ],
)
def test_identities_are_found_in_both_casings(model: type[Resource], raw: bodies.Body, identity: str | None):
    assert model.identify(raw) == identity


def test_two_checkpoints_of_a_step_and_two_events_of_a_kind_are_different():
    adapter = {**bodies.CHECKPOINT, "checkpoint": "model"}
    later = {**bodies.FINE_TUNE_EVENT, "step": 80}

    assert FineTuneCheckpoint.identify(adapter) != FineTuneCheckpoint.identify(bodies.CHECKPOINT)
    assert FineTuneEvent.identify(later) != FineTuneEvent.identify(bodies.FINE_TUNE_EVENT)
    assert FineTuneEvent.identify(dict(reversed(later.items()))) == FineTuneEvent.identify(later)


def test_a_malformed_item_is_known_by_its_own_kind_of_identity():
    _, malformed = parse_items(Cluster, [{"cluster_id": "c1", "num_gpus": "many"}, {"id": "c2"}])

    assert [item.id for item in malformed] == ["c1", None]


NOISE: list[tuple[type[Resource], bodies.Body, list[str], Any, bool]] = [
    (Container, bodies.CONTAINER, ["replica_events", "r-1", "volume_preload_status"], "Completed", False),
    (Container, bodies.CONTAINER, ["replica_events", "r-1", "volume_preload_started_at"], "x", False),
    (Container, bodies.CONTAINER, ["replica_events", "r-1", "replica_status"], "Waiting", True),
    (Container, bodies.CONTAINER, ["ready_replicas"], 2, True),
    (RlSession, bodies.RL_SESSION, ["policy_state", "trainer_step"], 13, False),
    (RlSession, bodies.RL_SESSION, ["step"], "13", True),
    (RlResource, bodies.RL_RESOURCE, ["status_details", "queue_position"], 2, True),
    (FineTune, bodies.FINE_TUNE, ["progress", "seconds_remaining"], 5340, True),
    (Batch, bodies.BATCH, ["progress"], 43.0, True),
]


@pytest.mark.parametrize(("model", "body", "path", "value", "counts"), NOISE)
def test_only_what_somebody_sees_counts_as_a_change(model, body, path, value, counts):
    changed = orjson.loads(orjson.dumps(body))
    *parents, last = path
    target = changed
    for step in parents:
        target = target[step]
    target[last] = value

    assert (model.fingerprint_of(changed) != model.fingerprint_of(body)) is counts
    assert model.parse(changed).fingerprint == model.fingerprint_of(changed)


@given(st.sampled_from([Container, RlSession]), json_values)
def test_a_fingerprint_exists_for_any_value_and_leaves_it_alone(model: type[Resource], value: Any):
    raw = {"replica_events": value, "policy_state": value, "id": "x"}
    before = orjson.dumps(raw)

    assert len(model.fingerprint_of(raw)) == len(model.fingerprint_of(value)) == 16
    assert orjson.dumps(raw) == before
