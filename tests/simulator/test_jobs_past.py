"""The jobs of the scenarios, and what a restart of the simulator keeps of jobs."""

import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from simulator.clock import VirtualClock
from simulator.scenarios import SCENARIOS
from simulator.world import World
from tests.simulator.sim import Sim
from tests.simulator.test_files import GOOD, send_form, upload
from tests.simulator.test_journal import open_sim, restart

MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct-Reference"


def test_demo_has_jobs_in_every_state_of_four_teams(demo):
    jobs = {job["suffix"]: job for job in demo.get("/v1/fine-tunes")["data"] if "suffix" in job}

    states = Counter(job["status"] for job in jobs.values())
    assert {"completed", "running", "queued", "cancelled", "error"} == set(states)
    assert jobs["judge"]["total_price"] == 0
    assert jobs["translate"]["total_price"] > 4_000_000_000
    assert jobs["rewrite-again"]["total_price"] == 0
    assert jobs["clauses-byom"]["from_hf_model"]
    assert len({job["user_id"] for job in jobs.values()}) >= 6
    events = {
        kind
        for job in jobs.values()
        for kind in (event["type"] for event in demo.get(f"/v1/fine-tunes/{job['id']}/events")["data"])
    }
    assert {"job_restarted", "refund", "billing_limit", "early_stopped", "wandb_init", "job_error"} <= events


def test_the_model_of_a_demo_job_is_served_by_an_endpoint(demo):
    job = next(job for job in demo.get("/v1/fine-tunes")["data"] if job.get("suffix") == "legal-v4")
    full = demo.get(f"/v1/fine-tunes/{job['id']}")

    served = {deployment.model.model_id for deployment in demo.world.deployments.values()}

    assert full["model_output_name"] == "fernhill/Llama-3.1-8B-legal-v4"
    assert full["model_object_id"] in served


@pytest.mark.parametrize("moment", [(2026, 11, 22, 3, 0), (2026, 12, 25, 23, 59), (2026, 11, 18, 14, 0)])
def test_demo_jobs_move_whenever_it_is_started(moment):
    start_ms = int(datetime(*moment, tzinfo=UTC).timestamp()) * 1000
    world = World(VirtualClock(start_ms), 7, 60)
    SCENARIOS["demo"](world)
    jobs = world.jobs

    later_ms = start_ms + 60_000
    running = [job for job in jobs.fine_tunes.values() if job.status(start_ms) == "running"]
    assert [job.steps_done(later_ms) > job.steps_done(start_ms) for job in running] == [True]
    batches = [batch for batch in jobs.batches.values() if batch.status(start_ms) == "IN_PROGRESS"]
    assert [batch.progress(later_ms) > batch.progress(start_ms) for batch in batches] == [True]
    end_ms = start_ms + 86_400_000
    assert all(job.status(end_ms) in {"completed", "cancelled", "error"} for job in jobs.fine_tunes.values())
    assert all(stored.created_ms <= start_ms for stored in jobs.files.values())


def test_large_has_two_thousand_jobs_and_lists_them_fast():
    with Sim("large") as sim:
        jobs = sim.world.jobs
        assert len(jobs.fine_tunes) + len(jobs.batches) + len(jobs.evaluations) == 2_000
        took = []
        for path in ("/v1/fine-tunes", "/v1/batches", "/v1/evaluation?limit=1000", "/v1/files"):
            started = time.perf_counter()
            assert sim.ask("GET", path).status_code == 200
            took.append(time.perf_counter() - started)

        assert max(took) < 1.0  # about 30 ms alone on a machine


def test_a_restart_keeps_jobs_files_and_models(tmp_path: Path):
    path = tmp_path / "simulator.journal"
    with open_sim(path, "empty") as sim:
        begun = send_form(
            sim, "/v1/files", purpose="fine-tune", file_name="a.jsonl", file_type="jsonl", checksum="c", status=302
        )  # fmt: skip
        sim.runner.run(sim.client.put(begun.headers["location"], content=GOOD * 9_000))
        file_id = begun.headers["x-together-file-id"]
        sim.send("POST", f"/v1/files/{file_id}/preprocess")
        other = upload(sim, GOOD, name="b.jsonl")["id"]
        sim.advance(5)
        body = {
            "training_file": file_id,
            "model": MODEL,
            "wandb_api_key": "wb-secret",
            "hf_api_token": "hf-secret",
        }
        done = sim.send("POST", "/v1/fine-tunes", body)["id"]
        sim.advance(10)
        stopped = sim.send("POST", "/v1/fine-tunes", {**body, "n_epochs": 20})["id"]
        sim.advance(0.8)
        sim.send("POST", f"/v1/fine-tunes/{stopped}/cancel")
        sim.advance(30)
        paths = [f"/v1/fine-tunes/{done}", f"/v1/fine-tunes/{stopped}", "/v1/files", "/v1/fine-tunes"]
        with restart(sim, path, scenario="empty") as again:
            assert sim.get(paths[0])["status"] == "completed"
            assert sim.get(paths[1])["status"] == "cancelled"
            for each in paths:
                assert again.get(each) == sim.get(each)
            for each in (file_id, other):
                content = again.ask("GET", f"/v1/files/{each}/content").content
                assert content == sim.ask("GET", f"/v1/files/{each}/content").content
            assert again.world.describe() == sim.world.describe()

    written = path.read_text()
    assert "secret" not in written


def test_what_somebody_deletes_meanwhile_is_not_found():
    with Sim("demo") as sim:
        job = sim.get("/v1/fine-tunes")["data"][0]["id"]
        stored = sim.get("/v1/files")["data"][0]["id"]
        for path in (f"/v1/fine-tunes/{job}", f"/v1/files/{stored}"):
            sim.admin("POST", "/faults", {"kind": "deleted_meanwhile", "route": path, "times": 1})
            sim.get(path, status=404)


def test_uploads_need_no_key_but_their_signature(sim):
    answer = sim.ask("PUT", "/uploads/file-unknown?signature=1", {"file": "eA=="}, key=None)

    assert answer.status_code == 403
