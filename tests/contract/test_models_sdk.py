"""Models, imports and what rides on endpoints, through the 3.x SDK with strict validation, and through both CLIs."""

import itertools
import json

import pytest
from together import BadRequestError, ConflictError, NotFoundError

from tests.contract.conftest import client_environment, run_python

BASE = "openai/gpt-oss-20b"
CLI = "from together.lib.cli import main; main()"
V1_UPLOAD = """
import json
from together import Together

client = Together(max_retries=0, _strict_response_validation=True)
answer = client.models.upload(model_name="from-sdk", model_source="unsloth/gpt-oss-20b", description="Tuned")
print(json.dumps({"job": answer.data.job_id, "name": answer.data.x_model_name, "message": answer.message}))
"""
NAMES = itertools.count()


@pytest.fixture
def model(client):
    """Return a registered model without files."""
    base = next(item for item in client.models.list_supported(search=BASE))
    name = f"own-{next(NAMES)}"
    return client.models.create(name=name, base_model_id=base.base_model_id, type="model", description="Ours")


def import_files(client, process, model, address="https://huggingface.co/acme/bot"):
    upload = client.models.remote_uploads.create(model_id=model.id, remote_url=address)
    process.advance(60)
    return client.models.remote_uploads.retrieve(upload.id)


def test_a_model_from_registration_to_a_deployment(client, process, model):
    upload = import_files(client, process, model)
    revision = client.models.list_revisions(model.id).data[0]
    config = next(
        iter(client.models.configs.list(reference_model=f"projects/{model.project_id}/models/{model.id}"))
    )
    endpoint = client.endpoints.create(name=f"for-{next(NAMES)}")
    wanted = {
        "endpoint_id": endpoint.id,
        "name": "main",
        "model": f"projects/{model.project_id}/models/{model.id}",
        "config": f"projects/{config.project_id}/configs/{config.id}",
        "autoscaling": {
            "min_replicas": 1,
            "max_replicas": 2,
            "scale_down_window": "5m",
            "scaling_metrics": [
                {"name": "inflight_requests", "type": "METRIC_TARGET_TYPE_AVERAGE_VALUE", "target": 8}
            ],
        },
        "inactive_timeout": 60,
    }

    dry = client.endpoints.deployments.create(**wanted, validate_only=True)
    real = client.endpoints.deployments.create(**wanted)

    assert upload.status == "REMOTE_UPLOAD_STATUS_SUCCEEDED"
    assert revision.validation_status == "REVISION_VALIDATION_STATUS_SUCCESS"
    assert (dry.api_model_revision_id, real.api_model_revision_id) == (revision.revision_id,) * 2
    assert [item.id for item in client.endpoints.deployments.list(endpoint.id)] == [real.id]
    assert int(client.models.list_files(model.id).total_size_bytes) == 40_000_000_000
    with pytest.raises(BadRequestError, match="in use"):
        client.models.delete(model.id)


def test_a_model_is_changed_shared_and_deleted(client, model):
    changed = client.models.update(model.id, visibility="VISIBILITY_INTERNAL", update_mask="visibility")
    organization = client.whoami().organization.id

    assert changed.description == "Ours"
    assert model.id in {item.id for item in client.models.list_org_scoped(organization)}
    with pytest.raises(ConflictError):
        client.models.create(name=model.name, base_model_id=model.base_model_id, type="model")
    client.models.delete(model.id)
    with pytest.raises(NotFoundError):
        client.models.retrieve(model.id)


def test_a_failed_import_says_why(client, process, model):
    upload = import_files(client, process, model, "https://huggingface.co/acme/private-bot")
    events = client.models.remote_uploads.events(upload.id).data

    assert upload.status == "REMOTE_UPLOAD_STATUS_FAILED"
    assert "token" in upload.status_message
    assert events[-1].level == "LEVEL_ERROR"
    assert upload.id in {item.id for item in client.models.remote_uploads.list()}


def test_the_imports_of_every_project_parse(client):
    seen = {
        item.status.rpartition("_")[2]
        for project in client.projects.list()
        for item in client.models.remote_uploads.list(project_id=project.id)
    }

    assert seen >= {"SUCCEEDED", "FAILED"}


@pytest.fixture
def tg(process, tmp_path):
    def run(*arguments, expect=0):
        environment = client_environment(process, tmp_path)
        return json.loads(
            run_python(CLI, *arguments, "--json", environment=environment, expect=expect).stdout
        )

    return run


def test_the_command_line_registers_imports_and_deploys(tg, process):
    project = process.call("GET", "/v3/whoami")["project"]["id"]
    where = ("--project", project)
    model = tg("models", "create", "from-cli", "--base-model", BASE, *where)
    upload = tg(
        "models", "remote-uploads", "create", model["id"], "--from", "https://huggingface.co/acme/cli", *where
    )
    process.advance(60)

    assert tg("models", "remote-uploads", "get", upload["id"])["status"].endswith("SUCCEEDED")
    assert model["id"] in {item["id"] for item in tg("models", "ls")["data"]}
    config = tg("models", "configs", model["id"], *where)["data"][0]["id"]
    options = ("--endpoint", "own-model", "--config", config, *where, "--non-interactive")
    made = tg("endpoints", "deploy", model["id"], *options, "--min-replicas", "1", "--traffic-weight", "1")
    assert made["deployment"]["modelId"] == model["id"]
    refused = tg("models", "rm", model["id"], *where, expect=1)
    assert "in use" in json.dumps(refused)


def test_the_command_line_attaches_an_adapter(tg, process):
    project = process.call("GET", "/v3/whoami")["project"]["id"]
    where = ("--project", project)
    adapter = tg("models", "create", "cli-lora", "--base-model", BASE, "--type", "adapter", *where)
    tg(
        "models",
        "remote-uploads",
        "create",
        adapter["id"],
        "--from",
        "https://huggingface.co/acme/lora",
        *where,
    )
    process.advance(60)

    tg("endpoints", "deploy", adapter["id"], "--endpoint", "with-lora", "--attach-adapter",
       "--non-interactive", *where)  # fmt: skip

    endpoints = process.call("GET", f"/v2/projects/{project}/endpoints")["data"]
    endpoint = next(item for item in endpoints if item["name"].endswith("/with-lora"))
    path = f"/v2/projects/{project}/endpoints/{endpoint['id']}/deployments"
    found = process.call("GET", f"{path}/{endpoint['deployments'][0]['id']}/adapters")["data"]
    assert [item["adapterModelId"] for item in found] == [adapter["id"]]


def test_the_v1_client_uploads_as_a_job(process, v1_client_folder, tmp_path):
    environment = client_environment(process, tmp_path, v1_folder=v1_client_folder)
    seen = json.loads(run_python(V1_UPLOAD, environment=environment).stdout)
    process.advance(60)

    job = process.call("GET", f"/v1/jobs/{seen['job']}")
    listed = {item["id"] for item in process.call("GET", "/v1/models")}
    again = run_python(
        CLI, "models", "upload", "from-sdk", "unsloth/gpt-oss-20b", "--json",
        environment=environment, expect=1,
    )  # fmt: skip

    assert (job["status"], seen["name"]) == ("Complete", "fernhill/from-sdk")
    assert seen["name"] in listed
    assert "taken" in again.stdout + again.stderr
