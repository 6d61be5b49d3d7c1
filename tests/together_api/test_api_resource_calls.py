"""What writes to jobs, models, clusters, volumes, containers and RL put on the wire, and what may be repeated."""

from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest

from dashboard.together_api.calls import clusters, containers, fine_tunes, jobs, rl
from dashboard.together_api.errors import ApiError, MalformedResponseError
from dashboard.together_api.requests import ApiCall
from tests.together_api import resource_bodies as bodies
from tests.together_api.api_doubles import FakeTime, answering, client_for, error_answer
from tests.together_api.resource_reads import ANY_BODY, CLUSTERS, MODELS, RL

ONE = httpx.Response(200, json={**ANY_BODY, "data": {"job_id": "x"}})
MOMENT = datetime(2026, 12, 1, tzinfo=UTC)

WRITES: list[tuple[str, Any, str, str, Any]] = [
    ("cancel fine-tune", lambda c: c.cancel_fine_tune("f"), "POST", "/v1/fine-tunes/f/cancel", None),
    ("cancel batch", lambda c: c.cancel_batch("b"), "POST", "/v1/batches/b/cancel", None),
    (
        "upload over v1",
        lambda c: c.upload_v1_model(
            model_name="n", model_source="acme/m", model_type="adapter", hf_token="hf_x", base_model="b"
        ),
        "POST",
        "/v1/models",
        {
            "model_name": "n",
            "model_source": "acme/m",
            "model_type": "adapter",
            "hf_token": "hf_x",
            "base_model": "b",
        },
    ),
    (
        "upload",
        lambda c: c.create_upload("p", model_id="ml", remote_url="https://h/x", token="t"),
        "POST",
        f"{MODELS}/uploads",
        {"modelId": "ml", "remoteUrl": "https://h/x", "token": "t"},
    ),
    (
        "create model",
        lambda c: c.create_model("p", name="n", base_model_id="ml", description="d"),
        "POST",
        MODELS,
        {"name": "n", "baseModelId": "ml", "type": "model", "description": "d"},
    ),
    ("delete model", lambda c: c.delete_model("p", "ml"), "DELETE", f"{MODELS}/ml", None),
    (
        "scale cluster",
        lambda c: c.update_cluster("c", num_gpus=16, num_reserved_gpus=0, reservation_end_time=MOMENT),
        "PUT",
        f"{CLUSTERS}/c",
        {"num_gpus": 16, "num_reserved_gpus": 0, "reservation_end_time": "2026-12-01T00:00:00Z"},
    ),
    (
        "retype cluster",
        lambda c: c.update_cluster("c", num_preemptible_gpus=8, cluster_type="SLURM"),
        "PUT",
        f"{CLUSTERS}/c",
        {"num_preemptible_gpus": 8, "cluster_type": "SLURM"},
    ),
    ("delete cluster", lambda c: c.delete_cluster("c"), "DELETE", f"{CLUSTERS}/c", None),
    (
        "create volume",
        lambda c: c.create_volume(
            name="n", size_tib=2, region="r", is_lifecycle_independent=False, project_id="p"
        ),
        "POST",
        f"{CLUSTERS}/storage/volumes",
        {
            "volume_name": "n",
            "size_tib": 2,
            "region": "r",
            "is_lifecycle_independent": False,
            "project_id": "p",
        },
    ),
    (
        "resize volume",
        lambda c: c.resize_volume("v", size_tib=3),
        "PUT",
        f"{CLUSTERS}/storage/volumes",
        {"volume_id": "v", "size_tib": 3},
    ),
    ("delete volume", lambda c: c.delete_volume("v"), "DELETE", f"{CLUSTERS}/storage/volumes/v", None),
    (
        "scale container",
        lambda c: c.patch_container("d", min_replicas=0),
        "PATCH",
        "/v1/deployments/d",
        {"min_replicas": 0},
    ),
    ("stop RL", lambda c: c.stop_rl_resource("r", force=True), "POST", f"{RL}/r/stop?force=true", None),
    ("stop RL gently", lambda c: c.stop_rl_resource("r"), "POST", f"{RL}/r/stop", None),
]
ESTIMATES: list[tuple[str, Any, str, str, Any]] = [
    (
        "estimate fine-tune",
        lambda c: c.estimate_fine_tune_price(
            training_file="file-1", model="m", n_epochs=3, training_type={"type": "Full"}
        ),
        "POST",
        "/v1/fine-tunes/estimate-price",
        {"training_file": "file-1", "model": "m", "n_epochs": 3, "training_type": {"type": "Full"}},
    ),
    (
        "estimate RL",
        lambda c: c.estimate_rl_cost(base_model="m", gpu_type="B200-SXM", num_generator_replicas=0),
        "POST",
        f"{RL}/estimate-cost",
        {"base_model": "m", "compute_config": {"gpu_type": "B200-SXM", "num_generator_replicas": 0}},
    ),
    ("estimate RL default", lambda c: c.estimate_rl_cost(base_model="m"), "POST", f"{RL}/estimate-cost",
     {"base_model": "m"}),
    (
        "dry run",
        lambda c: c.create_deployment(
            "p", "e", name="n", model="m", config="c", min_replicas=1, max_replicas=1, validate_only=True
        ),
        "POST",
        "/v2/projects/p/endpoints/e/deployments?validateOnly=true",
        {"name": "n", "model": "m", "config": "c", "autoscaling": {"minReplicas": 1, "maxReplicas": 1}},
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "method", "target", "body"),
    [c[1:] for c in WRITES + ESTIMATES],
    ids=[c[0] for c in WRITES + ESTIMATES],
)
def test_writes_are_spelled_as_the_contract_says(call, method, target, body):
    provider = answering(ONE)

    call(client_for(provider))

    (request,) = provider.requests
    assert (request.method, request.url.raw_path.decode()) == (method, target)
    assert (orjson.loads(request.content) if request.content else None) == body


@pytest.mark.parametrize("call", [c[1] for c in WRITES], ids=[c[0] for c in WRITES])
def test_a_write_that_may_have_happened_is_sent_once_and_says_so(call):
    provider = answering(error_answer(503))

    with pytest.raises(ApiError) as caught:
        call(client_for(provider))

    assert len(provider.requests) == 1
    assert caught.value.outcome_unknown


@pytest.mark.parametrize("call", [c[1] for c in ESTIMATES], ids=[c[0] for c in ESTIMATES])
def test_a_post_that_changes_nothing_is_repeated_like_a_read(call):
    provider, time = answering(error_answer(503), httpx.ReadError("reset"), ONE), FakeTime()

    call(client_for(provider, time=time))

    assert len(provider.requests) == 3
    assert time.sleeps == [1.0, 2.0]


@pytest.mark.parametrize("call", [c[1] for c in ESTIMATES], ids=[c[0] for c in ESTIMATES])
def test_a_post_that_changes_nothing_has_no_unknown_outcome_and_no_second_try_on_a_conflict(call):
    for status, tries in ((500, 3), (409, 1)):
        provider = answering(error_answer(status))
        with pytest.raises(ApiError) as caught:
            call(client_for(provider))
        assert (len(provider.requests), caught.value.outcome_unknown) == (tries, False)
        assert not caught.value.call.is_write


def first_call(flow: Any) -> ApiCall:
    return next(flow)


def test_what_ends_costs_travels_with_priority_and_the_rest_does_not():
    urgent = [
        fine_tunes.cancel_fine_tune("f"),
        jobs.cancel_batch("b"),
        clusters.delete_cluster("c"),
        containers.patch_container("d", min_replicas=0, max_replicas=0),
        rl.stop_rl_resource("r"),
    ]
    usual = [
        clusters.update_cluster("c", num_gpus=8),
        containers.patch_container("d", max_replicas=3),
        clusters.resize_volume("v", size_tib=3),
        rl.estimate_rl_cost(base_model="m"),
    ]

    assert [first_call(flow).priority for flow in urgent] == ["stop"] * len(urgent)
    assert [first_call(flow).priority for flow in usual] == ["normal"] * len(usual)


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.update_cluster("c"),
        lambda c: c.update_cluster("c", reservation_end_time=datetime(2026, 12, 1)),  # noqa: DTZ001
        lambda c: c.patch_container("d"),
        lambda c: c.patch_deployment("p", "e", "d", inactive_timeout=29),
        lambda c: c.patch_deployment("p", "e", "d", inactive_timeout=1441),
        lambda c: c.patch_deployment("p", "e", "d", inactive_timeout=-30),
        lambda c: c.create_deployment(
            "p", "e", name="n", model="m", config="c", min_replicas=1, max_replicas=1, inactive_timeout=5
        ),
        lambda c: c.get_cluster(".."),
    ],
)
def test_requests_that_the_contract_forbids_never_leave(call):
    provider = answering(ONE)

    with pytest.raises(ValueError):
        call(client_for(provider))

    assert provider.requests == []


@pytest.mark.parametrize("minutes", [0, 30, 1440])
def test_every_idle_time_of_the_contract_is_sent(minutes):
    provider = answering(ONE)

    client_for(provider).patch_deployment("p", "e", "d", inactive_timeout=minutes)

    assert orjson.loads(provider.requests[0].content) == {"inactiveTimeout": minutes}


def test_an_upload_over_v1_returns_which_job_to_look_for():
    answer = httpx.Response(200, json={"data": bodies.V1_TICKET, "message": "Job created."})
    client = client_for(answering(answer))

    ticket = client.upload_v1_model(model_name="n", model_source="s", model_type="model")

    assert (ticket.id, ticket.model_id) == ("job-a15dad11", "model-c0e3")
    for wrong in ({}, {"data": []}, {"data": {"model_id": "m"}}):
        with pytest.raises(MalformedResponseError) as caught:
            client_for(answering(httpx.Response(200, json=wrong))).upload_v1_model(
                model_name="n", model_source="s", model_type="model"
            )
        assert caught.value.outcome_unknown


@pytest.mark.parametrize("answer", [httpx.Response(200, json={"success": True}), httpx.Response(204)])
def test_a_deleted_volume_has_nothing_to_return(answer):
    assert client_for(answering(answer)).delete_volume("v") is None


def test_a_volume_that_was_not_deleted_is_not_reported_as_gone():
    with pytest.raises(MalformedResponseError) as caught:
        client_for(answering(httpx.Response(200, json={"success": False}))).delete_volume("v")

    assert caught.value.outcome_unknown
