import pytest

SOURCE = "unsloth/Qwen2.5-72B-Instruct"


def upload(sim, *, status=200, **fields):
    body = {"model_name": "bot", "model_source": SOURCE, **fields}
    return sim.send("POST", "/v1/models", body, status=status)


def read_job(sim, answer):
    return sim.get(f"/v1/jobs/{answer['data']['job_id']}")


def names(sim, path="/v1/models"):
    return {model["id"] for model in sim.get(path)}


def test_a_job_goes_from_queued_to_complete_and_leaves_a_model(sim):
    answer = upload(sim, description="Tuned by us")
    seen = [read_job(sim, answer)["status"]]
    for seconds in (10, 720):
        sim.advance(seconds)
        seen.append(read_job(sim, answer)["status"])
    sim.advance(40)
    job = read_job(sim, answer)

    assert seen == ["Queued", "Running", "Running"]
    assert job["status"] == "Complete"
    assert job["args"] == {
        "modelName": "fernhill/bot",
        "modelSource": SOURCE,
        "description": "Tuned by us",
    }
    assert job["status_updates"][-1] == {
        "status": "Complete",
        "message": "Job is Complete",
        "timestamp": job["updated_at"],
    }
    assert [update["timestamp"] for update in job["status_updates"]] == sorted(
        update["timestamp"] for update in job["status_updates"]
    )
    assert sim.get("/v1/jobs")["data"] == [job]


def test_the_model_is_there_in_both_generations_only_when_the_job_is_complete(sim):
    path = f"/v2/projects/{sim.project.project_id}/models"
    answer = upload(sim)

    assert "fernhill/bot" not in names(sim)
    assert sim.get(path)["data"] == []

    sim.advance(3600)
    assert "fernhill/bot" in names(sim)
    model = sim.get(path)["data"][0]
    base = sim.world.catalogue.models[model["baseModelId"]]
    assert (model["id"], base.name) == (answer["data"]["model_id"], "Qwen/Qwen2.5-72B-Instruct")


@pytest.mark.parametrize(
    ("fields", "status", "message"),
    [
        ({"model_source": "acme/private-bot"}, "Failed", "private or gated"),
        ({"model_source": "acme/private-bot", "hf_token": "hf_x"}, "Complete", "Complete"),
        ({"model_source": "https://bucket.example/bot.corrupt"}, "Failed", "safetensors"),
        ({"model_source": "https://bucket.example/bot.tar.gz?sig=1"}, "Complete", "Complete"),
    ],
)
def test_how_a_job_ends(sim, fields, status, message):
    answer = upload(sim, **fields)
    sim.advance(3600)

    job = read_job(sim, answer)

    assert (job["status"], "fernhill/bot" in names(sim)) == (status, status == "Complete")
    assert message in job["status_updates"][-1]["message"]


def test_an_adapter_runs_on_the_base_it_names(sim):
    upload(sim, model_type="adapter", base_model="openai/gpt-oss-20b")
    sim.advance(3600)

    model = sim.get(f"/v2/projects/{sim.project.project_id}/models")["data"][0]

    assert model["weights"]["type"] == "WEIGHTS_TYPE_ADAPTER"
    assert sim.world.catalogue.models[model["baseModelId"]].name == "openai/gpt-oss-20b"


def test_a_taken_name_is_answered_without_data(sim):
    upload(sim)

    second = upload(sim)

    assert second.keys() == {"message"}
    assert len(sim.get("/v1/jobs")["data"]) == 1


def test_a_name_is_free_again_after_a_failure(sim):
    upload(sim, model_source="acme/private-bot")
    sim.advance(60)

    assert upload(sim)["data"]["model_name"] == "fernhill/bot"


@pytest.mark.parametrize(
    "fields",
    [
        {"model_name": ""},
        {"model_source": "just-a-word"},
        {"model_type": "poem"},
        {"base_model": "openai/gpt-oss-20b"},
        {"model_type": "adapter", "base_model": "nobody/nothing"},
        {"colour": "red"},
    ],
)
def test_an_upload_that_cannot_be_is_refused(sim, fields):
    upload(sim, status=400, **fields)

    assert sim.get("/v1/jobs")["data"] == []


def test_jobs_and_models_of_another_organisation_are_out_of_reach(sim):
    answer = upload(sim)
    sim.advance(3600)
    lab = next(p for p in sim.world.projects.values() if p.organization.name == "thornfield")
    sim.world.add_key("other", lab)

    assert sim.get("/v1/jobs", key="other")["data"] == []
    sim.get(f"/v1/jobs/{answer['data']['job_id']}", key="other", status=404)
    assert "fernhill/bot" not in {model["id"] for model in sim.get("/v1/models", key="other")}
    sim.get("/v1/jobs/job-unknown", status=404)
