"""The command line client of 3.x on jobs."""

import json
import re

import pytest

from tests.contract.conftest import client_environment, run_python

CLI = "from together.lib.cli import main; main()"
MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct-Reference"
LINE = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}


@pytest.fixture
def tg(process, tmp_path):
    """Return a function that runs `tg …` and gives back its JSON."""

    def run(*arguments, expect=0):
        result = run_python(
            CLI, *arguments, "--json", environment=client_environment(process, tmp_path), expect=expect
        )
        return json.loads(result.stdout)

    return run


def test_files_go_up_and_come_down(tg, process, tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text(json.dumps(LINE) + "\n")
    stored = tg("files", "upload", str(path), "--purpose", "fine-tune")

    assert tg("files", "retrieve", stored["id"])["filename"] == "train.jsonl"
    assert stored["id"] in {each["id"] for each in tg("files", "list")}
    saved = tg("files", "retrieve-content", stored["id"], "--output", str(tmp_path / "down"))
    assert (tmp_path / "down" / "train.jsonl").read_bytes() == path.read_bytes(), saved
    tg("files", "delete", stored["id"])
    assert stored["id"] not in {each["id"] for each in tg("files", "list")}


def test_fine_tunes_can_be_looked_at(tg, tmp_path):
    jobs = tg("fine-tuning", "list")
    done = next(job for job in jobs if job.get("suffix") == "legal-v4")

    assert tg("fine-tuning", "retrieve", done["id"])["status"] == "completed"
    assert tg("fine-tuning", "list-events", done["id"])[-1]["type"] == "job_complete"
    assert len(tg("fine-tuning", "list-checkpoints", done["id"])) == 4
    assert len(tg("fine-tuning", "list-metrics", done["id"], "--resolution", "5")) == 5 + 9
    assert tg("fine-tuning", "model-limits", MODEL)["model_name"] == MODEL
    saved = tg("fine-tuning", "download", done["id"], "--output-dir", str(tmp_path / "model.tar.gz"))
    assert saved["size"] > 0


def test_people_get_tables_and_plots(process, tmp_path):
    environment = client_environment(process, tmp_path)
    job = next(
        job for job in process.call("GET", "/v1/fine-tunes")["data"] if job.get("suffix") == "triage-v2"
    )

    listed = run_python(CLI, "fine-tuning", "list", "--no-json", environment=environment).stdout
    shown = run_python(CLI, "fine-tuning", "retrieve", job["id"], "--no-json", environment=environment).stdout

    assert "legal-v5" in listed
    assert "Training metrics" in shown


def test_a_fine_tune_is_started_and_cancelled(tg, process, tmp_path):
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps({**LINE, "cli": n}) + "\n" for n in range(500)))
    stored = tg("files", "upload", str(path), "--purpose", "fine-tune")
    process.advance(5)

    command = ("fine-tuning", "create", stored["id"], "--model", MODEL, "--n-epochs", "9", "--confirm")
    told = run_python(CLI, *command, environment=client_environment(process, tmp_path)).stdout
    created = re.search(r"ft-[0-9a-f-]{36}", told)[0]
    process.advance(2)
    tg("fine-tuning", "cancel", created, "--non-interactive")
    process.advance(5)

    assert process.call("GET", f"/v1/fine-tunes/{created}")["status"] == "cancelled"


def test_batches_and_evaluations_are_listed(tg):
    batches = tg("batches", "list")
    evaluations = tg("evals", "list")

    assert tg("batches", "retrieve", batches[0]["id"])["id"] == batches[0]["id"]
    assert tg("evals", "retrieve", evaluations[0]["workflow_id"])["type"] in {"classify", "score", "compare"}
    assert tg("evals", "status", evaluations[0]["workflow_id"])["status"]
