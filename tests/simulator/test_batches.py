import orjson
import pytest

from tests.simulator.sim import Sim
from tests.simulator.test_files import upload

MODEL = "openai/gpt-oss-20b"


def requests(count: int, model: str = MODEL) -> bytes:
    lines = [{"custom_id": str(number), "body": {"model": model, "messages": []}} for number in range(count)]
    return b"".join(orjson.dumps(line) + b"\n" for line in lines)


def submit(sim: Sim, raw: bytes | None = None, *, status: int = 201, **fields):
    file_id = upload(sim, requests(3_000) if raw is None else raw, purpose="batch-api")["id"]
    body = {"endpoint": "/v1/chat/completions", "input_file_id": file_id, **fields}
    return sim.send("POST", "/v1/batches", body, status=status)


def read(sim: Sim, batch_id: str):
    return sim.get(f"/v1/batches/{batch_id}")


def test_a_batch_from_validation_to_its_output(sim):
    job = submit(sim)["job"]
    assert (job["status"], job["progress"]) == ("VALIDATING", 0)
    sim.advance(240)
    running = read(sim, job["id"])
    assert running["status"] == "IN_PROGRESS"
    assert 0 < running["progress"] < 100
    assert "output_file_id" not in running
    sim.advance(600)

    done = read(sim, job["id"])

    assert (done["status"], done["progress"]) == ("COMPLETED", 100)
    assert done["completed_at"] <= done["job_deadline"]
    output = sim.get(f"/v1/files/{done['output_file_id']}")
    assert output["purpose"] == "batch-generated"
    lines = sim.ask("GET", f"/v1/files/{output['id']}/content").content.splitlines()
    assert len(lines) == 3_000
    assert orjson.loads(lines[0])["response"]["status_code"] == 200
    assert "error_file_id" not in done


def test_failed_requests_are_in_a_file_of_their_own(demo):
    batch = next(each for each in demo.get("/v1/batches") if "error_file_id" in each)

    errors = demo.ask("GET", f"/v1/files/{batch['error_file_id']}/content").content.splitlines()
    answers = demo.ask("GET", f"/v1/files/{batch['output_file_id']}/content").content.splitlines()

    assert (len(errors), len(answers)) == (37, 4_163)


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"", "empty"),
        (b"no json\n", "Line 1 is not valid JSON"),
        (requests(2) + b'{"custom_id": "x"}\n', "Line 3 needs"),
        (requests(2, model="nobody/nothing"), "nobody/nothing is not available"),
        (b'{"custom_id": "x", "body": {}}\n', "(none) is not available"),
    ],
)
def test_a_bad_input_fails_in_validation(sim, raw, error):
    job = submit(sim, raw)["job"]
    assert job["status"] == "VALIDATING"
    sim.advance(60)

    failed = read(sim, job["id"])

    assert failed["status"] == "FAILED"
    assert error in failed["error"]
    assert "output_file_id" not in failed


def test_a_window_that_is_too_short_expires(sim):
    job = submit(sim, requests(40_000), completion_window="1h")["job"]
    sim.advance(3_700)

    expired = read(sim, job["id"])

    assert expired["status"] == "EXPIRED"
    assert 0 < expired["progress"] < 100
    assert expired["completed_at"] == expired["job_deadline"]


def test_a_cancelled_batch_keeps_and_pays_what_was_answered(sim):
    job = submit(sim)["job"]
    sim.advance(300)
    cancelled = sim.send("POST", f"/v1/batches/{job['id']}/cancel")

    assert cancelled["status"] == "CANCELLED"
    answered = sim.ask("GET", f"/v1/files/{cancelled['output_file_id']}/content").content.splitlines()
    assert len(answered) == round(cancelled["progress"] * 30)
    sim.advance(3_600)
    assert read(sim, job["id"])["progress"] == cancelled["progress"]
    assert sim.send("POST", f"/v1/batches/{job['id']}/cancel", status=400) == {
        "error": "a batch that is CANCELLED cannot be cancelled"
    }
    sim.advance(86_400)
    lines = [line for window in sim.get("/v1/billing/usage")["data"] for line in window["line_items"]]
    assert {line["attributes"]["batch_id"] for line in lines} == {job["id"]}
    assert [line["product_name"].split(" - ")[1] for line in lines] == ["Input Tokens", "Output Tokens"]
    assert int(lines[1]["quantity"]) == 180 * len(answered)
    assert lines[1]["unit_price"] == "0.0000001"  # half of 0.20 USD per million


def test_a_model_without_discount_is_warned_of(sim):
    assert "warning" in submit(sim, requests(10, model="Qwen/Qwen3.5-9B-FP8"))
    assert "warning" not in submit(sim, requests(10))


def test_refusals_are_plain_strings(sim):
    other = upload(sim, purpose="eval")["id"]
    endpoint = "/v1/chat/completions"

    for body in (
        {"endpoint": "/v1/images", "input_file_id": other},
        {"endpoint": endpoint},
        {"endpoint": endpoint, "input_file_id": other},
        {"endpoint": endpoint, "input_file_id": other, "completion_window": "soon"},
        [],
    ):
        assert isinstance(sim.send("POST", "/v1/batches", body, status=400)["error"], str)
    missing = sim.send("POST", "/v1/batches", {"endpoint": endpoint, "input_file_id": "file-x"}, status=404)
    assert missing == {"error": "file file-x not found"}
    assert isinstance(sim.get("/v1/batches", key="unknown", status=401)["error"], str)
    assert sim.get("/v1/batches") == []


def test_another_organisation_sees_no_batch(sim):
    job = submit(sim)["job"]
    sim.admin("POST", "/keys", {"key": "abroad", "project": "thornfield-lab"})

    assert sim.get("/v1/batches", key="abroad") == []
    sim.get(f"/v1/batches/{job['id']}", key="abroad", status=404)


def test_forced_states(sim):
    job = submit(sim)["job"]
    truth = sim.admin("POST", f"/jobs/{job['id']}/state", {"state": "FAILED", "message": "Out of luck"})

    assert truth["status"] == "FAILED"
    assert read(sim, job["id"])["error"] == "Out of luck"
    sim.admin("POST", f"/jobs/{job['id']}/state", {"state": "completed"}, status=400)
