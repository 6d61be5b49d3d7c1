"""Clusters, volumes, containers and RL through the 3.x SDK, with strict validation of the declared types."""

import itertools

import pytest
from together import BadRequestError, ConflictError, NotFoundError

NUMBERS = itertools.count()
GIVEN = {"region": "us-central-8", "gpu_type": "H100_SXM", "billing_type": "ON_DEMAND"}


def order(client, **fields):
    region = next(one for one in client.clusters.list_regions().regions if one.name == "us-central-8")
    body = {**GIVEN, "num_gpus": 8, "nvidia_version_id": region.driver_versions[0].id, **fields}
    return client.clusters.create(cluster_name=f"made-{next(NUMBERS)}", **body)


def test_every_cluster_of_the_demo_parses(client):
    clusters = client.clusters.list().clusters

    assert {cluster.cluster_name for cluster in clusters} >= {"train-h100", "research-b200", "docs-index"}
    for cluster in clusters:
        assert client.clusters.retrieve(cluster.cluster_id) == cluster
    assert client.clusters.list(project_id="proj_other").clusters == []


def test_a_cluster_is_ordered_grown_and_deleted(client, process):
    volume = {"volume_name": "inline", "size_tib": 2, "region": "us-central-8"}
    cluster = order(client, shared_volume=volume, add_ons=[{"add_on_type": "ingress", "name": "ingress"}])
    process.advance(30)
    ready = client.clusters.retrieve(cluster.cluster_id)
    grown = client.clusters.update(cluster.cluster_id, num_gpus=16)

    assert (cluster.status, ready.status) == ("WaitingForControlPlaneNodes", "Ready")
    assert ready.phase_transitions[-1].phase == "CLUSTER_PHASE_READY"
    assert ready.volumes[0].status == "bound"
    assert [add_on.name for add_on in ready.add_ons] == ["ingress"]
    assert len(grown.gpu_worker_nodes) == 2
    assert client.clusters.delete(cluster.cluster_id).cluster_id == cluster.cluster_id
    assert client.clusters.retrieve(cluster.cluster_id).status == "Deleting"
    process.advance(10)
    with pytest.raises(NotFoundError):
        client.clusters.retrieve(cluster.cluster_id)


def test_a_wrong_order_raises_what_the_sdk_declares(client):
    with pytest.raises(BadRequestError, match="multiple of 8"):
        order(client, num_gpus=12)
    with pytest.raises(ConflictError, match="Out of stock"):
        order(client, num_gpus=4096)


def test_repairs_are_listed_approved_and_asked_for(client, process):
    made = order(client, num_gpus=16).cluster_id
    process.advance(30)
    process.admin("POST", f"/clusters/{made}/fail-node", propose=True)
    cluster = client.clusters.retrieve(made)
    node = next(node for node in cluster.gpu_worker_nodes if node.latest_remediation)
    names = {"cluster_id": cluster.cluster_id, "instance_id": node.instance_id}
    listed = client.clusters.remediations.list("-", cluster_id=cluster.cluster_id, state=["PENDING_APPROVAL"])

    approved = client.clusters.remediations.approve(listed.remediations[0].id, **names, comment="go")
    process.advance(30)
    finished = client.clusters.remediations.retrieve(approved.id, **names)

    assert (cluster.status, node.status) == ("Degraded", "Failed")
    assert (approved.state, finished.state) == ("PENDING", "SUCCEEDED")
    assert client.clusters.retrieve(cluster.cluster_id).status == "Ready"
    other = client.clusters.retrieve(made).gpu_worker_nodes[0].instance_id
    asked = client.clusters.remediations.create(
        other, cluster_id=cluster.cluster_id, mode="REMEDIATION_MODE_REBOOT_VM"
    )
    cancelled = client.clusters.remediations.cancel(
        asked.id, cluster_id=cluster.cluster_id, instance_id=other
    )
    assert (asked.state, cancelled.state) == ("PENDING", "CANCELLED")


def test_a_volume_is_made_grown_and_deleted(client, process):
    storage = client.clusters.storage
    volume = storage.create(region="us-central-8", size_tib=3, volume_name="made")
    process.advance(5)

    assert storage.retrieve(volume.volume_id).status == "available"
    assert storage.update(volume_id=volume.volume_id, size_tib=5).size_tib == 5
    with pytest.raises(BadRequestError, match="shrink"):
        storage.update(volume_id=volume.volume_id, size_tib=4)
    assert storage.delete(volume.volume_id).success is True
    process.advance(5)
    assert volume.volume_id not in {one.volume_id for one in storage.list().volumes}


def test_every_container_of_the_demo_parses(client):
    jig = client.beta.jig
    containers = jig.list().data

    assert {container.status for container in containers} >= {"Ready", "ScaledToZero", "Failed"}
    for container in containers:
        assert jig.retrieve(container.id).name == container.name
        event = jig.list_revisions(container.id).data[0]
        assert jig.retrieve_revision(event.revision_id, id=container.id).image == container.image
        assert jig.retrieve_logs(container.id).lines


def test_a_container_is_deployed_changed_rolled_back_and_removed(client, process):
    jig = client.beta.jig
    secret = jig.secrets.create(name="made-token", value="x")
    volume = jig.volumes.create(
        name="made", type="readOnly", content={"type": "files", "source_prefix": "a/"}
    )
    container = jig.deploy(
        gpu_type="h100-80gb",
        gpu_count=1,
        image="registry.together.ai/fernhill/made:1",
        name="made-worker",
        environment_variables=[{"name": "TOKEN", "value_from_secret": secret.name}],
        volumes=[{"name": volume.name, "mount_path": "/w"}],
        autoscaling={"metric": "QueueBacklogPerWorker", "target": 1.01},
    )
    process.advance(15)
    changed = jig.update(container.id, image="registry.together.ai/fernhill/made:2", max_replicas=3)
    process.advance(10)

    assert (container.status, changed.status) == ("Updating", "Updating")
    assert jig.rollback(container.id, revision_identifier="1").image.endswith(":1")
    request = jig.queue.submit(model="made-worker", payload={"n": 1}).request_id
    process.advance(10)
    assert jig.queue.retrieve(model="made-worker", request_id=request).status == "done"
    assert jig.queue.metrics(model="made-worker").total_jobs == 0
    assert jig.volumes.retrieve(volume.id).mounted_by == [container.id]
    jig.destroy(container.id)
    jig.volumes.delete(volume.id)
    jig.secrets.delete(secret.id)
    with pytest.raises(NotFoundError):
        jig.retrieve(container.id)


def test_rl_of_the_demo_parses(client):
    training = client.post_training
    resources = training.model_resources.list(limit=10).data
    sessions = training.sessions.list(status=["TRAINING_SESSION_STATUS_RUNNING"]).data

    assert len(resources) >= 2
    session = next(one for one in sessions if one.display_name == "triage-grpo-2")
    assert training.sessions.retrieve(session.id).resources_id in {resource.id for resource in resources}
    checkpoint = training.checkpoints.list(session_id=session.id, limit=1).data[0]
    assert training.checkpoints.retrieve(checkpoint.id) == checkpoint
    assert training.supported_models.get().data


def test_rl_is_estimated_rented_used_and_stopped(client, process):
    training = client.post_training
    layout = {"base_model": "Qwen/Qwen3-32B", "compute_config": {"num_generator_replicas": 0}}
    estimate = training.model_resources.estimate_cost(**layout)
    resource = training.model_resources.create(**layout, lora_enabled=True, inactive_timeout=7200)
    process.advance(15)
    session = training.sessions.create(model_resources_id=resource.id, display_name="made")
    process.advance(5)
    step = training.operations.optim_step(session.id, idempotency_key="once")
    process.advance(5)

    assert (estimate.currency, estimate.price_per_hour) == ("USD", 71.92)
    done = training.operations.retrieve_optim_step(step.id, session_id=session.id)
    assert (done.status, str(done.output.step)) == ("TRAINING_OPERATION_STATUS_COMPLETED", "1")
    assert training.model_resources.extend_expiry(resource.id, seconds=9000).expires_at
    with pytest.raises(BadRequestError, match="active training sessions"):
        training.model_resources.stop(resource.id)
    assert training.model_resources.stop(resource.id, force=True).status.endswith("STOPPING")
    assert training.sessions.retrieve(session.id).status.endswith("STOPPED")
