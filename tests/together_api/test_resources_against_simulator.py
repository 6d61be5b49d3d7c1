"""All kinds of resources, models, clusters and volumes through the client against a running simulator."""

import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from dashboard.together_api.client import AsyncTogetherClient, TogetherClient
from dashboard.together_api.config import ApiConfig
from dashboard.together_api.errors import ApiError, ConflictError, InvalidRequestError, is_absent
from dashboard.together_api.pagination import Listing, PageWalk
from dashboard.together_api.payloads import (
    Cluster,
    ClusterStatus,
    ContainerStatus,
    RlResource,
    RlSession,
    RlStatus,
    UploadStatus,
    VolumeStatus,
)
from dashboard.together_api.requests import ApiCall
from simulator.testing import SimulatorProcess

HOUR_SECONDS = 3_600


def own_project(client: TogetherClient) -> str:
    project_id = client.whoami().project_id
    assert project_id is not None
    return project_id


# What each kind is listed and read with; the project is the key's own.
KINDS: dict[str, tuple[Callable[[Any, str], Any], Callable[[Any, str, str], Any]]] = {
    "fine-tunes": (lambda c, p: c.list_fine_tunes(), lambda c, p, i: c.get_fine_tune(i)),
    "batches": (lambda c, p: c.list_batches(), lambda c, p, i: c.get_batch(i)),
    "evaluations": (lambda c, p: c.list_evaluations(), lambda c, p, i: c.get_evaluation(i)),
    "files": (lambda c, p: c.list_files(), lambda c, p, i: c.get_file(i)),
    "v1 jobs": (lambda c, p: c.list_v1_jobs(), lambda c, p, i: c.get_v1_job(i)),
    "uploads": (lambda c, p: c.list_uploads(p), lambda c, p, i: c.get_upload(p, i)),
    "models": (lambda c, p: c.list_project_models(p), lambda c, p, i: c.get_project_model(p, i)),
    "clusters": (lambda c, p: c.list_clusters(), lambda c, p, i: c.get_cluster(i)),
    "volumes": (lambda c, p: c.list_volumes(), lambda c, p, i: c.get_volume(i)),
    "containers": (lambda c, p: c.list_containers(), lambda c, p, i: c.get_container(i)),
    "RL resources": (lambda c, p: c.list_rl_resources(), lambda c, p, i: c.get_rl_resource(i)),
    "RL sessions": (lambda c, p: c.list_rl_sessions(), lambda c, p, i: c.get_rl_session(i)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_entry_of_every_list_is_read_and_can_be_read_alone(client: TogetherClient, kind: str):
    list_all, get_one = KINDS[kind]
    project_id = own_project(client)

    listing: Listing[Any] = list_all(client, project_id)

    assert (listing.complete, listing.incomplete_reason, listing.malformed) == (True, None, ())
    assert listing.items, f"the demo has no {kind}"
    identities = [listing.model.identify(raw) for raw in listing.raw_items]
    assert len(set(identities)) == len(listing.items)
    for item in listing.items[:5]:
        single = get_one(client, project_id, item.id)
        assert single.id == item.id
        assert type(single) is listing.model


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_id_of_every_kind_is_recognised_as_absent(client: TogetherClient, kind: str):
    _, get_one = KINDS[kind]

    with pytest.raises(ApiError) as caught:
        get_one(client, own_project(client), "nothing-of-that-name")

    assert is_absent(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_foreign_fields_words_and_nulls_are_survived_in_every_list(
    simulator, client: TogetherClient, kind: str
):
    list_all, _ = KINDS[kind]
    project_id = own_project(client)
    count = len(list_all(client, project_id).items)
    for fault in ("unknown_fields", "unknown_enums", "null_optionals"):
        simulator.add_fault(fault, route="/v*")

    listing = list_all(client, project_id)

    assert (len(listing.items), listing.complete, listing.malformed) == (count, True, ())


@pytest.mark.parametrize("kind", KINDS)
def test_a_malformed_entry_of_every_list_costs_only_itself(simulator, client: TogetherClient, kind: str):
    list_all, _ = KINDS[kind]
    project_id = own_project(client)
    whole = list_all(client, project_id)
    simulator.add_fault("malformed_item", route="/v*")

    listing = list_all(client, project_id)

    assert (len(listing.items), len(listing.malformed)) == (len(whole.items) - 1, 1)
    assert listing.complete, "its identity could be read, so nothing is missing"
    assert listing.malformed[0].id in {item.id for item in whole.items}


def test_regions_and_configs_offer_something_to_choose_from(client: TogetherClient):
    project_id = own_project(client)
    regions, configs = client.list_regions(), client.list_configs(project_id)

    assert regions.complete
    assert all(region.supported_instance_types and region.driver_versions for region in regions.items)
    assert configs.complete
    assert {config.hardware for config in configs.items} >= {"1xnvidia-h100-80gb"}
    narrowed = client.list_configs(project_id, reference_model=configs.items[0].reference_model)
    assert {config.reference_model for config in narrowed.items} == {configs.items[0].reference_model}


def test_the_credentials_of_a_cluster_never_arrive(simulator, client: TogetherClient):
    sent = simulator.call("GET", "/v1/compute/clusters")["clusters"]
    assert any(cluster["kube_config"] for cluster in sent), "otherwise this proves nothing"

    clusters = client.list_clusters()

    for cluster in (*clusters.items, client.get_cluster(clusters.items[0].id)):
        assert "kube_config" not in cluster.raw
        assert b"kube" not in orjson.dumps(cluster.raw).lower().replace(b"kubernetes", b"")
        assert "kube_config" not in repr(cluster)


def test_the_environment_of_a_container_arrives_without_its_values(simulator, client: TogetherClient):
    sent = simulator.call("GET", "/v1/deployments")["data"]
    values = [pair["value"] for one in sent for pair in one["environment_variables"] if "value" in pair]
    assert values, "otherwise this proves nothing"

    containers = client.list_containers()

    names = {variable.name for one in containers.items for variable in one.environment_variables}
    assert names == {pair["name"] for one in sent for pair in one["environment_variables"]}
    text = repr(containers) + repr(client.get_container(containers.items[0].id))
    assert not [value for value in values if repr(value) in text]


def test_a_container_is_scaled(simulator, client: TogetherClient):
    container = next(item for item in client.list_containers().items if item.status == ContainerStatus.READY)

    scaled = client.patch_container(container.id, min_replicas=2, max_replicas=2)
    simulator.advance(HOUR_SECONDS)

    assert (scaled.min_replicas, scaled.max_replicas) == (2, 2)
    assert client.get_container(container.id).ready_replicas == 2
    with pytest.raises(InvalidRequestError):
        client.patch_container(container.id, min_replicas=5, max_replicas=1)


def test_the_address_of_an_upload_never_arrives(simulator, client: TogetherClient):
    project_id = own_project(client)
    sent = simulator.call("GET", f"/v2/projects/{project_id}/models/uploads")["data"]
    assert any("Signature" in upload["remoteUrl"] for upload in sent), "otherwise this proves nothing"

    uploads = client.list_uploads(project_id)

    assert all("remoteUrl" not in upload.raw for upload in uploads.items)
    assert b"Signature" not in orjson.dumps(list(uploads.entries))


def test_a_model_is_registered_filled_read_and_deleted(simulator, client: TogetherClient):
    project_id = own_project(client)
    base = next(item for item in client.list_supported_models().items if item.name == "openai/gpt-oss-20b")
    base_id = client.list_configs(project_id).items[0].reference_model_id
    model = client.create_model(
        project_id, name=f"mine-{time.monotonic_ns()}", base_model_id=base_id, description="d"
    )
    assert base.id
    assert model.id in {item.id for item in client.list_project_models(project_id).items}
    assert client.list_revisions(project_id, model.id).items == ()

    upload = client.create_upload(
        project_id,
        model_id=model.id,
        remote_url="https://bucket.example/m.tar.gz?X-Amz-Signature=ab",
        token="secret-t",
    )
    assert upload.status == UploadStatus.PENDING
    simulator.advance(12 * HOUR_SECONDS)

    assert client.get_upload(project_id, upload.id).status == UploadStatus.SUCCEEDED
    events = client.list_upload_events(project_id, upload.id)
    assert {"download.started", "import.completed"} <= {event.type for event in events.items}
    revisions = client.list_revisions(project_id, model.id)
    assert [revision.validation_status for revision in revisions.items] == [
        "REVISION_VALIDATION_STATUS_SUCCESS"
    ]
    files = client.get_model_files(project_id, model.id, revision_id=revisions.items[0].id)
    assert files.total_size_bytes == sum(file.size_bytes or 0 for file in files.data) > 0

    client.delete_model(project_id, model.id)
    with pytest.raises(ApiError) as gone:
        client.get_project_model(project_id, model.id)
    assert is_absent(gone.value)


def test_an_upload_over_v1_leads_to_its_job(simulator, client: TogetherClient):
    ticket = client.upload_v1_model(
        model_name=f"v1-{time.monotonic_ns()}", model_source="fernhill/private-model", model_type="model",
        hf_token="hf_0123456789abcdef0123",
    )  # fmt: skip

    assert client.get_v1_job(ticket.id).status in {"Queued", "Running"}
    simulator.advance(12 * HOUR_SECONDS)
    job = client.get_v1_job(ticket.id)
    assert job.status == "Complete"
    assert [update.status for update in job.status_updates][-1] == "Complete"
    assert job.args is not None
    assert job.args.model_source == "fernhill/private-model"


def order_cluster(simulator: SimulatorProcess, **fields: Any) -> str:
    region = simulator.call("GET", "/v1/compute/regions")["regions"][0]
    body = {
        "cluster_name": "ours",
        "billing_type": "ON_DEMAND",
        "gpu_type": region["supported_instance_types"][0],
        "num_gpus": 8,
        "region": region["name"],
        "nvidia_version_id": region["driver_versions"][0]["id"],
        **fields,
    }
    return str(simulator.call("POST", "/v1/compute/clusters", body)["cluster_id"])


def wait_for_cluster(simulator: SimulatorProcess, client: TogetherClient, cluster_id: str) -> Cluster:
    for _ in range(24):
        cluster = client.get_cluster(cluster_id)
        if cluster.status == ClusterStatus.READY:
            return cluster
        simulator.advance(600)
    raise AssertionError(f"{cluster_id} is {cluster.status}")


def test_a_cluster_is_scaled_and_deleted(simulator, client: TogetherClient):
    cluster_id = order_cluster(simulator)
    ready = wait_for_cluster(simulator, client, cluster_id)
    assert sum(node.num_gpus or 0 for node in ready.gpu_worker_nodes) == ready.num_gpus == 8
    assert ready.phase_transitions[-1].phase == "CLUSTER_PHASE_READY"

    assert client.update_cluster(cluster_id, num_gpus=16).num_gpus == 16
    with pytest.raises(InvalidRequestError):
        client.update_cluster(cluster_id, num_gpus=12)
    with pytest.raises(ConflictError) as out_of_stock:
        client.update_cluster(cluster_id, num_gpus=80_000)
    assert not out_of_stock.value.outcome_unknown

    client.delete_cluster(cluster_id)
    simulator.advance(HOUR_SECONDS)
    with pytest.raises(ApiError) as gone:
        client.get_cluster(cluster_id)
    assert is_absent(gone.value)
    assert cluster_id not in {cluster.id for cluster in client.list_clusters().items}


def test_a_volume_is_created_grown_and_deleted(simulator, client: TogetherClient):
    region = client.list_regions().items[0].name
    created = client.create_volume(name="ours", size_tib=2, region=region, is_lifecycle_independent=True)
    simulator.advance(600)
    assert client.get_volume(created.id).status == VolumeStatus.AVAILABLE

    assert client.resize_volume(created.id, size_tib=3).size_tib == 3
    with pytest.raises(InvalidRequestError):
        client.resize_volume(created.id, size_tib=1)

    client.delete_volume(created.id)
    simulator.advance(600)
    with pytest.raises(ApiError) as gone:
        client.get_volume(created.id)
    assert is_absent(gone.value)


def test_a_bound_volume_is_not_deleted(client: TogetherClient):
    bound = next(volume for volume in client.list_volumes().items if volume.status == VolumeStatus.BOUND)

    with pytest.raises(InvalidRequestError):
        client.delete_volume(bound.id)

    assert client.get_volume(bound.id).id == bound.id


def start_rl(simulator: SimulatorProcess, client: TogetherClient, base_model: str) -> RlResource:
    body = {
        "base_model": base_model,
        "compute_config": {"num_generator_replicas": 1},
        "inactive_timeout": 86_400,
    }
    resource_id = simulator.call("POST", "/v1/rl/model-resources", body)["id"]
    for _ in range(24):
        resource = client.get_rl_resource(resource_id)
        if resource.status == RlStatus.READY:
            return resource
        simulator.advance(300)
    raise AssertionError(f"{resource_id} is {resource.status}")


def test_rl_is_estimated_and_stopped_with_its_sessions_only_by_force(simulator, client: TogetherClient):
    base_model = client.list_rl_resources().items[0].base_model
    cost = client.estimate_rl_cost(base_model=base_model, num_generator_replicas=1)
    dearer = client.estimate_rl_cost(base_model=base_model, num_generator_replicas=2)
    assert 0 < (cost.nano_dollars_per_hour or 0) < (dearer.nano_dollars_per_hour or 0)
    resource = start_rl(simulator, client, base_model)
    simulator.call("POST", "/v1/rl/training-sessions", {"model_resources_id": resource.id})
    assert resource.id in {session.model_resources_id for session in client.list_rl_sessions().items}

    with pytest.raises(InvalidRequestError):
        client.stop_rl_resource(resource.id)
    asked = client.stop_rl_resource(resource.id, force=True)

    assert asked.status in {RlStatus.STOPPING, RlStatus.STOPPED}
    simulator.advance(HOUR_SECONDS)
    assert client.get_rl_resource(resource.id).status == RlStatus.STOPPED


def test_small_pages_of_rl_give_the_same_list_as_one_big_page(client: TogetherClient):
    whole = client.list_rl_sessions()
    call = ApiCall(template="/v1/rl/training-sessions", query={"limit": 1})

    pages = list(client.iterate_pages(PageWalk(model=RlSession, next_call=call)))

    assert len(pages) == len(whole.items) > 1
    assert [item.id for page in pages for item in page.items] == [item.id for item in whole.items]


async def test_the_async_client_reads_the_same_lists(simulator: SimulatorProcess):
    async with AsyncTogetherClient(ApiConfig("sim-key", base_url=simulator.url)) as client:
        clusters = await client.list_clusters()
        single = await client.get_cluster(clusters.items[0].id)

    assert clusters.complete
    assert single.raw == clusters.items[0].raw
