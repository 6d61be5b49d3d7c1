import pytest

from simulator.registry import imports
from simulator.registry.imports import plan_import, read_source

REPOSITORY = "https://huggingface.co/acme/support-bot"
ARCHIVE = "https://bucket.example/weights/bot.tar.gz?X-Amz-Signature=abc"
BASE = "openai/gpt-oss-20b"
GIB = 1 << 30


def models_path(sim):
    return f"/v2/projects/{sim.project.project_id}/models"


def register(sim, name="bot", **fields):
    base = sim.world.catalogue.by_name[BASE]
    body = {"name": name, "baseModelId": base.model_id, "type": "model", **fields}
    return sim.send("POST", models_path(sim), body)


def start_import(sim, model_id, address=REPOSITORY, **fields):
    body = {"modelId": model_id, "remoteUrl": address, **fields}
    return sim.send("POST", f"{models_path(sim)}/uploads", body)


def read_upload(sim, upload):
    return sim.get(f"{models_path(sim)}/uploads/{upload['id']}")


def status(sim, upload):
    return read_upload(sim, upload)["status"].removeprefix("REMOTE_UPLOAD_STATUS_")


def list_configs(sim, model):
    reference = f"projects/{model['projectId']}/models/{model['id']}"
    return sim.get(f"/v2/projects/{sim.project.project_id}/configs?referenceModel={reference}")["data"]


def deploy(sim, model, revision=None, *, expect=200):
    endpoint_id = sim.create_endpoint(f"for-{model['id']}-{sim.world.ids_given}")
    path = f"projects/{model['projectId']}/models/{model['id']}"
    body = sim.deployment_body(model=f"{path}/revisions/{revision['revisionId']}" if revision else path)
    return sim.send("POST", f"{sim.base}/{endpoint_id}/deployments", body, status=expect)


def test_a_registered_model_has_nothing_to_deploy(sim):
    model = register(sim, description="Answers tickets")

    assert model["name"] == "fernhill-support/bot"
    assert model["description"] == "Answers tickets"
    assert model["weights"] == {"type": "WEIGHTS_TYPE_DEFAULT"}
    assert sim.get(f"{models_path(sim)}/{model['id']}") == model
    assert sim.get(f"{models_path(sim)}/{model['id']}/revisions")["data"] == []
    assert sim.get(f"{models_path(sim)}/{model['id']}/files")["totalSizeBytes"] == "0"
    assert list_configs(sim, model) == []
    assert "no valid revision" in deploy(sim, model, expect=400)["error"]["message"]


def test_an_import_makes_a_revision_that_can_be_deployed_when_it_is_found_valid(sim):
    model = register(sim)
    upload = start_import(sim, model["id"])
    seen = [status(sim, upload)]
    sim.advance(8)
    seen.append(status(sim, upload))
    sim.advance(200)
    seen.append(status(sim, upload))
    revision = sim.get(f"{models_path(sim)}/{model['id']}/revisions")["data"][0]

    assert seen == ["PENDING", "RUNNING", "SUCCEEDED"]
    assert revision["validationStatus"] == "REVISION_VALIDATION_STATUS_PENDING"
    assert list_configs(sim, model) == []

    sim.advance(40)
    revision = sim.get(f"{models_path(sim)}/{model['id']}/revisions")["data"][0]
    assert revision["validationStatus"] == "REVISION_VALIDATION_STATUS_SUCCESS"
    assert len(list_configs(sim, model)) == 2
    assert deploy(sim, model)["modelRevisionId"] == revision["revisionId"]


def test_sizes_travel_as_digits_and_add_up(sim):
    model = register(sim)
    start_import(sim, model["id"])
    sim.advance(600)

    files = sim.get(f"{models_path(sim)}/{model['id']}/files")

    assert files["totalSizeBytes"] == "40000000000"
    assert sum(int(item["sizeBytes"]) for item in files["data"]) == 40_000_000_000


def test_the_address_comes_back_as_it_was_sent_and_the_token_never(sim):
    model = register(sim)
    upload = start_import(sim, model["id"], ARCHIVE, token="hf_secret")

    answers = [upload, read_upload(sim, upload), sim.get(f"{models_path(sim)}/uploads")]

    assert upload["remoteUrl"] == ARCHIVE
    assert "hf_secret" not in str(answers)


@pytest.mark.parametrize(
    ("address", "token", "ending", "message"),
    [
        ("https://huggingface.co/acme/private-bot", None, "FAILED", "private or gated"),
        ("https://huggingface.co/acme/private-bot", "hf_x", "SUCCEEDED", "revision created"),
        ("https://bucket.example/bot.unreachable", None, "FAILED", "Gave up after 3 restarts"),
        ("https://bucket.example/bot.flaky", None, "SUCCEEDED", "revision created"),
        (ARCHIVE, None, "SUCCEEDED", "revision created"),
    ],
)
def test_what_the_source_is_called_decides_the_end(sim, address, token, ending, message):
    upload = start_import(sim, register(sim)["id"], address, token=token)
    sim.advance(3600)

    final = read_upload(sim, upload)

    assert status(sim, upload) == ending
    assert message in final["statusMessage"]


def test_a_broken_connection_is_an_error_until_the_restart(sim):
    upload = start_import(sim, register(sim)["id"], "https://bucket.example/bot.flaky")
    seen = set()
    for _ in range(100):
        sim.advance(5)
        present = read_upload(sim, upload)
        seen.add((present["status"].rpartition("_")[2], present["restartCount"]))

    assert seen == {
        *(("PENDING", 0), ("RUNNING", 0), ("ERROR", 0), ("RUNNING", 1)),
        *(("ERROR", 1), ("RUNNING", 2), ("SUCCEEDED", 2)),
    }
    assert present["maxRestarts"] == 3


def test_files_that_are_not_valid_fail_the_revision_and_leave_the_older_one(sim):
    model = register(sim)
    start_import(sim, model["id"])
    sim.advance(600)
    start_import(sim, model["id"], "https://bucket.example/bot.corrupt?sig=1")
    sim.advance(600)

    newest, oldest = sim.get(f"{models_path(sim)}/{model['id']}/revisions")["data"]

    assert newest["validationStatus"] == "REVISION_VALIDATION_STATUS_FAILED"
    assert newest["validationErrors"][0]["message"]
    assert deploy(sim, model)["modelRevisionId"] == oldest["revisionId"]
    deploy(sim, model, newest, expect=400)


def test_an_older_revision_can_be_pinned(sim):
    model = register(sim)
    for _ in range(2):
        start_import(sim, model["id"])
        sim.advance(600)
    newest, oldest = sim.get(f"{models_path(sim)}/{model['id']}/revisions")["data"]

    assert deploy(sim, model)["modelRevisionId"] == newest["revisionId"]
    assert deploy(sim, model, oldest)["modelRevisionId"] == oldest["revisionId"]


def test_events_tell_the_story_in_pages(sim):
    upload = start_import(sim, register(sim)["id"])
    sim.advance(600)
    path = f"{models_path(sim)}/uploads/{upload['id']}/events"

    whole = sim.get(path)["data"]
    first = sim.get(f"{path}?limit=2")
    second = sim.get(f"{path}?limit=500&after={first['next_cursor']}")

    assert [item["type"] for item in whole] == [
        *("import.queued", "download.started", "download.progress", "download.progress"),
        *("download.progress", "import.completed"),
    ]
    assert first["data"] + second["data"] == whole
    assert len({item["id"] for item in whole}) == len(whole)


def test_an_adapter_is_small_and_says_what_it_is(sim):
    model = register(sim, type="adapters")
    start_import(sim, model["id"])
    sim.advance(600)

    assert model["weights"]["type"] == "WEIGHTS_TYPE_ADAPTER"
    assert int(sim.get(f"{models_path(sim)}/{model['id']}/files")["totalSizeBytes"]) < GIB
    assert len(list_configs(sim, model)) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"name": "white space"},
        {"type": "poem"},
        {"baseModelId": "ml_none"},
        {"colour": "red"},
        {"name": None},
    ],
)
def test_a_model_that_cannot_be_is_not_registered(sim, change):
    base = sim.world.catalogue.by_name[BASE]
    body = {"name": "bot", "baseModelId": base.model_id, "type": "model", **change}

    sim.send("POST", models_path(sim), body, status=400)

    assert sim.get(models_path(sim))["data"] == []


def test_a_model_name_is_taken_once(sim):
    register(sim, "bot")
    base = sim.world.catalogue.by_name[BASE]
    body = {"name": "fernhill-support/bot", "baseModelId": base.model_id, "type": "model"}

    refusal = sim.send("POST", models_path(sim), body, status=409)

    assert refusal["code"] == 6


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"remoteUrl": "ftp://bucket.example/bot"}, 400),
        ({"remoteUrl": "https://huggingface.co/acme"}, 400),
        ({"remoteUrl": None}, 400),
        ({"colour": "red"}, 400),
        ({"modelId": "ml_none"}, 404),
    ],
)
def test_an_import_that_cannot_be_is_refused(sim, change, expected):
    body = {"modelId": register(sim)["id"], "remoteUrl": REPOSITORY, **change}

    sim.send("POST", f"{models_path(sim)}/uploads", body, status=expected)

    assert sim.get(f"{models_path(sim)}/uploads")["data"] == []


def test_the_mask_decides_what_of_a_model_is_changed(sim):
    path = f"{models_path(sim)}/{register(sim, description='old')['id']}"

    masked = sim.send("PATCH", f"{path}?updateMask=description", {"name": "other", "description": "new"})
    renamed = sim.send("PATCH", path, {"name": "other", "visibility": "VISIBILITY_INTERNAL"})

    assert (masked["name"], masked["description"]) == ("fernhill-support/bot", "new")
    assert (renamed["name"], renamed["visibility"]) == ("fernhill-support/other", "VISIBILITY_INTERNAL")
    sim.send("PATCH", f"{path}?updateMask=colour", {}, status=400)
    assert register(sim, "bot")["name"] == "fernhill-support/bot"


def test_the_organisation_list_holds_what_is_shared(sim):
    register(sim, "mine")
    shared = register(sim, "ours")
    body = {"visibility": "VISIBILITY_INTERNAL"}
    sim.send("PATCH", f"{models_path(sim)}/{shared['id']}", body)

    found = sim.get(f"/v2/organizations/{sim.organization_id}/models")["data"]

    assert [model["id"] for model in found] == [shared["id"]]
    assert len(sim.get(models_path(sim))["data"]) == 2
    assert len(sim.get(f"{models_path(sim)}?visibility=VISIBILITY_INTERNAL")["data"]) == 1


def test_a_model_in_use_is_not_deleted(sim):
    model = register(sim)
    start_import(sim, model["id"])
    sim.advance(600)
    deployment = deploy(sim, model)
    path = f"{models_path(sim)}/{model['id']}"

    assert "in use" in sim.send("DELETE", path, status=400)["error"]["message"]

    sim.stop((deployment["endpointId"], deployment["id"]))
    sim.advance(600)
    sim.send("DELETE", path)
    sim.get(path, status=404)
    assert register(sim, "bot")["id"] != model["id"]


def test_a_model_deleted_during_its_import_does_not_come_back(sim):
    model = register(sim)
    start_import(sim, model["id"])
    sim.send("DELETE", f"{models_path(sim)}/{model['id']}")
    sim.advance(3600)

    assert sim.get(models_path(sim))["data"] == []


def test_the_models_of_another_project_are_out_of_reach(demo):
    owner = next(p for p in demo.world.projects.values() if p.name == "Research")
    model = demo.world.catalogue.by_name["fernhill/Llama-3.1-8B-legal-v4"]

    assert model.project_id == owner.project_id
    demo.get(f"{models_path(demo)}/{model.model_id}", status=404)


def test_public_models_cannot_be_changed(sim):
    public = sim.world.catalogue.by_name[BASE]
    path = f"/v2/projects/proj_together/models/{public.model_id}"

    sim.send("PATCH", path, {"name": "mine"}, status=403)
    sim.send("DELETE", path, status=403)

    assert sim.get(path)["name"] == BASE


@pytest.mark.parametrize("speed", [1.0, 60.0, 600.0])
def test_a_plan_goes_forward_only(speed):
    source = read_source("https://bucket.example/bot.flaky", has_token=False)

    steps = plan_import(1_000, source, size_bytes=16 * GIB, speed=speed)

    assert [step.at_ms for step in steps] == sorted({step.at_ms for step in steps})
    assert steps[0].status == imports.PENDING
    assert steps[-1].status in imports.ENDED


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://huggingface.co/acme/bot", "acme/bot"),
        ("https://huggingface.co/acme/bot/tree/main", "acme/bot"),
        ("https://hf.co/acme/bot", "acme/bot"),
        (ARCHIVE, "weights/bot.tar.gz"),
        ("s3://bucket/bot.zip", "bot.zip"),
        ("acme/bot", None),
        ("https://huggingface.co", None),
        ("http://bucket.example/bot.zip", None),
        ("https://[broken", None),
        ("", None),
    ],
)
def test_addresses_that_can_be_imported(address, name):
    source = read_source(address, has_token=False)

    assert (source and source.name) == name
