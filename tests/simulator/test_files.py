import httpx
import orjson
import pytest

from tests.simulator.sim import Sim

GOOD = b'{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}\n' * 3


def send_form(sim: Sim, path: str, *, file: bytes | None = None, status: int = 200, **fields):
    parts = [(name, (None, value)) for name, value in fields.items()]
    if file is not None:
        parts.append(("file", ("data.jsonl", file)))
    request = sim.client.post(path, files=parts, headers={"authorization": "Bearer sim-key"})
    answer = sim.runner.run(request)
    assert answer.status_code == status, answer.text
    return answer


def upload(sim: Sim, raw: bytes = GOOD, *, name: str = "train.jsonl", purpose: str = "fine-tune", **fields):
    return send_form(sim, "/v1/files/upload", file=raw, file_name=name, purpose=purpose, **fields).json()


def put(sim: Sim, url: str, raw: bytes) -> httpx.Response:
    return sim.runner.run(sim.client.put(url, content=raw))


def test_an_upload_through_a_signed_url(sim):
    begun = send_form(
        sim, "/v1/files", purpose="fine-tune", file_name="train.jsonl", file_type="jsonl", checksum="c1", status=302
    )  # fmt: skip
    file_id, url = begun.headers["x-together-file-id"], begun.headers["location"]
    assert sim.get(f"/v1/files/{file_id}")["processing_status"] == "PENDING"

    assert put(sim, url, GOOD).status_code == 200
    answer = sim.send("POST", f"/v1/files/{file_id}/preprocess")

    assert answer["processing_status"] == "QUEUED"
    assert answer["bytes"] == len(GOOD)
    assert sim.ask("GET", f"/v1/files/{file_id}/content").content == GOOD
    sim.advance(60)
    done = sim.get(f"/v1/files/{file_id}")
    assert done["processing_status"] == "COMPLETED"
    assert done["Processed"] is True
    assert done["validation_report"] == {
        "valid": True, "file_id": file_id, "nlines": 3, "dataset_has_tools": False, "dataset_has_reasoning": False,
        "dataset_is_multimodal": False, "dataset_format": "CONVERSATION",
    }  # fmt: skip


def test_the_signed_url_is_needed(sim):
    begun = send_form(
        sim, "/v1/files", purpose="eval", file_name="rows.csv", file_type="csv", checksum="c", status=302
    )
    file_id = begun.headers["x-together-file-id"]

    assert put(sim, f"/uploads/{file_id}?signature=wrong", b"a,b\n").status_code == 403
    sim.send("POST", f"/v1/files/{file_id}/preprocess", status=404)
    sim.get(f"/v1/files/{file_id}/content", status=400)


def test_the_same_file_again_is_a_conflict_that_names_it(sim):
    fields = {"purpose": "fine-tune", "file_name": "a.jsonl", "file_type": "jsonl", "checksum": "c1"}
    begun = send_form(sim, "/v1/files", status=302, **fields)
    put(sim, begun.headers["location"], GOOD)

    again = send_form(sim, "/v1/files", status=409, **fields)

    assert again.json()["file_id"] == begun.headers["x-together-file-id"]
    send_form(sim, "/v1/files", status=302, **{**fields, "checksum": "c2"})


def test_a_file_that_is_still_validated_carries_no_report(sim):
    stored = upload(sim)

    assert stored["processing_status"] == "QUEUED"
    assert "validation_report" not in stored
    sim.advance(10)
    assert sim.get(f"/v1/files/{stored['id']}")["processing_status"] == "RUNNING"


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        (b"", "empty"),
        (b'{"messages": []}\n', "Line 1: messages need"),
        (GOOD + b"not json\n", "Line 4 is not valid JSON"),
        (GOOD + b'{"prompt": "a", "completion": "b"}\n', "Line 4 is INSTRUCTION"),
        (b'{"question": "a"}\n', "lacks the columns"),
    ],
)
def test_a_bad_training_file_says_what_is_wrong(sim, raw, error):
    stored = upload(sim, raw)
    sim.advance(60)

    read = sim.get(f"/v1/files/{stored['id']}")

    assert read["processing_status"] == "INVALID_FORMAT"
    assert read["Processed"] is False
    assert read["validation_report"]["valid"] is False
    assert read["validation_report"]["error_type"] == "INVALID_FORMAT"
    assert error in read["validation_report"]["error"]


@pytest.mark.parametrize(
    ("record", "key", "value"),
    [
        ({"prompt": "a", "completion": "b"}, "dataset_format", "INSTRUCTION"),
        ({"text": "a"}, "dataset_format", "GENERAL"),
        (
            {"input": {}, "preferred_output": [], "non_preferred_output": []},
            "dataset_format", "PREFERENCE_OPENAI",
        ),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "dataset_is_multimodal", True),
        ({"messages": [{"role": "user", "content": "a"}], "tools": []}, "dataset_has_tools", True),
    ],
)  # fmt: skip
def test_the_report_tells_the_format(sim, record, key, value):
    stored = upload(sim, orjson.dumps(record) + b"\n")
    sim.advance(60)

    assert sim.get(f"/v1/files/{stored['id']}")["validation_report"][key] == value


@pytest.mark.parametrize("purpose", ["eval", "batch-api", "calibration", "eval-sample"])
def test_other_purposes_skip_validation(sim, purpose):
    stored = upload(sim, b"whatever", purpose=purpose)

    assert stored["purpose"] == purpose
    assert stored["processing_status"] == "COMPLETED"
    assert "validation_report" not in stored


def test_what_cannot_be_uploaded(sim):
    send_form(sim, "/v1/files/upload", file=GOOD, file_name="a.jsonl", purpose="cookery", status=400)
    send_form(sim, "/v1/files/upload", file=GOOD, file_name="a.exe", purpose="fine-tune", status=400)
    send_form(sim, "/v1/files/upload", file=GOOD, purpose="fine-tune", status=400)
    send_form(sim, "/v1/files/upload", file_name="a.jsonl", purpose="fine-tune", status=400)
    sim.send("POST", "/v1/files/upload", [], status=400)

    assert sim.get("/v1/files")["data"] == []


def test_binary_content_arrives_unchanged(sim):
    raw = b"PAR1\r\n--x\r\n\x00\xff\r\n\r\nPAR1\r\n"

    stored = upload(sim, raw, name="tokens.parquet")

    assert stored["FileType"] == "parquet"
    assert sim.ask("GET", f"/v1/files/{stored['id']}/content").content == raw


def test_a_deleted_file_is_gone(sim):
    file_id = upload(sim)["id"]

    assert sim.send("DELETE", f"/v1/files/{file_id}") == {"id": file_id, "deleted": True}

    sim.get(f"/v1/files/{file_id}", status=404)
    assert sim.get("/v1/files")["data"] == []


def test_another_organisation_sees_no_file(sim):
    file_id = upload(sim)["id"]
    sim.admin("POST", "/keys", {"key": "abroad", "project": "thornfield-lab"})

    assert sim.get("/v1/files", key="abroad")["data"] == []
    sim.get(f"/v1/files/{file_id}", key="abroad", status=404)
    sim.send("DELETE", f"/v1/files/{file_id}", key="abroad", status=404)
    sim.get("/v1/files", key="unknown", status=401)
