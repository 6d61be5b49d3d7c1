"""Live answers of the simulator against the public specification; what it gets wrong is excepted by name."""

import urllib.error
import urllib.request

import orjson
import pytest

from tests.contract.openapi import DEFECTS, Specification, specification

#: Operation -> path of the list that gives the ids of its path parameter, and the field; None = it has no parameter.
READS = {
    "GET /files": None,
    "GET /files/{id}": ("/v1/files", "id"),
    "GET /fine-tunes": None,
    "GET /fine-tunes/{id}": ("/v1/fine-tunes", "id"),
    "GET /fine-tunes/{id}/events": ("/v1/fine-tunes", "id"),
    "GET /fine-tunes/{id}/checkpoints": ("/v1/fine-tunes", "id"),
    "GET /fine-tunes/{id}/metrics": ("/v1/fine-tunes", "id"),
    "GET /fine-tunes/models/supported": None,
    "GET /batches": None,
    "GET /batches/{id}": ("/v1/batches", "id"),
    "GET /evaluation": None,
    "GET /evaluation/{id}": ("/v1/evaluation?limit=100", "workflow_id"),
    "GET /evaluation/{id}/status": ("/v1/evaluation?limit=100", "workflow_id"),
    "GET /evaluation/model-list": None,
    "GET /endpoints": None,
    "GET /endpoints/{endpointId}": ("/v1/endpoints?type=dedicated", "id"),
    "GET /hardware": None,
    "GET /models": None,
    "GET /jobs": None,
    "GET /jobs/{jobId}": ("/v1/jobs", "job_id"),
    "GET /clusters/availability-zones": None,
}
MOST_EACH = 60


def ask(process, method, path, body=None):
    """Return (status, JSON) of a call, also of a refused one."""
    headers = {"authorization": "Bearer sim-key", "content-type": "application/json"}
    data = None if body is None else orjson.dumps(body)
    request = urllib.request.Request(process.url + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, orjson.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, orjson.loads(error.read())


def paths_of(process, operation, source):
    """Return the paths that an operation is asked at: one per item of the list."""
    template = "/v1" + operation.partition(" ")[2]
    if source is None:
        return [template]
    _, listed = ask(process, "GET", source[0])
    items = listed["data"] if isinstance(listed, dict) else listed
    head, _, rest = template.partition("{")
    return [f"{head}{item[source[1]]}{rest.partition('}')[2]}" for item in items[:MOST_EACH]]


@pytest.mark.parametrize("operation", READS)
def test_what_is_read_fits_the_specification(process, operation):
    paths = paths_of(process, operation, READS[operation])

    assert paths
    for path in paths:
        status, body = ask(process, "GET", path)
        assert status == 200, path
        assert specification().check(operation, status, body) == [], path


@pytest.fixture
def training_file(process):
    files = process.call("GET", "/v1/files")["data"]
    return next(each["id"] for each in files if each["purpose"] == "fine-tune" and each["Processed"])


def test_what_is_written_fits_the_specification(process, training_file):
    check = specification().check
    model = "meta-llama/Meta-Llama-3.1-8B-Instruct-Reference"
    body = {"training_file": training_file, "model": model}

    assert (
        check("POST /fine-tunes/estimate-price", *ask(process, "POST", "/v1/fine-tunes/estimate-price", body))
        == []
    )
    status, created = ask(process, "POST", "/v1/fine-tunes", body)
    assert check("POST /fine-tunes", status, created) == []
    path = f"/v1/fine-tunes/{created['id']}"
    assert check("POST /fine-tunes/{id}/cancel", *ask(process, "POST", f"{path}/cancel")) == []
    process.advance(60)
    assert check("DELETE /fine-tunes/{id}", *ask(process, "DELETE", path)) == []
    limits = ask(process, "GET", f"/v1/fine-tunes/models/limits?model_name={model}")
    assert check("GET /fine-tunes/models/limits", *limits) == []
    batch_file = process.call("GET", "/v1/batches")[0]["input_file_id"]
    order = {
        "endpoint": "/v1/chat/completions",
        "input_file_id": batch_file,
        "model_id": "openai/gpt-oss-20b",
    }
    status, created = ask(process, "POST", "/v1/batches", order)
    assert (status, check("POST /batches", status, created)) == (201, [])
    cancelled = ask(process, "POST", f"/v1/batches/{created['job']['id']}/cancel")
    assert check("POST /batches/{id}/cancel", *cancelled) == []
    parameters = process.call("GET", "/v1/evaluation?limit=1")[0]["parameters"]
    order = {"type": "compare", "parameters": {**parameters, "model_a": "one", "model_b": "two"}}
    assert check("POST /evaluation", *ask(process, "POST", "/v1/evaluation", order)) == []


def test_uploads_and_hardware_of_a_model_fit_the_specification(process):
    check = specification().check
    order = {"model_name": "from-spec", "model_source": "unsloth/gpt-oss-20b", "description": "Tuned"}

    status, created = ask(process, "POST", "/v1/models", order)
    hardware = ask(process, "GET", "/v1/hardware?model=openai/gpt-oss-20b")

    assert check("POST /models", status, created) == []
    assert check("GET /jobs/{jobId}", *ask(process, "GET", f"/v1/jobs/{created['data']['job_id']}")) == []
    assert check("GET /hardware", *hardware) == []
    assert all("availability" in item for item in hardware[1]["data"])
    assert check("GET /models", *ask(process, "GET", "/v1/models?dedicated=true")) == []


@pytest.mark.parametrize(
    ("operation", "method", "path", "body"),
    [
        ("POST /batches", "POST", "/v1/batches", {"endpoint": "/v1/nothing"}),
        ("POST /evaluation", "POST", "/v1/evaluation", {"type": "rank"}),
        ("POST /endpoints", "POST", "/v1/endpoints", {}),
        ("GET /endpoints/{endpointId}", "GET", "/v1/endpoints/endpoint-unknown", None),
    ],
)
def test_refusals_fit_the_specification(process, operation, method, path, body):
    status, answer = ask(process, method, path, body)

    assert specification().check(operation, status, answer) == []


def test_a_wrong_answer_is_found():
    check = specification().check

    assert check("GET /batches", 200, {"data": []})
    assert check("GET /batches/{id}", 200, {"status": "SLEEPING"})
    assert check("GET /batches/{id}", 200, {"created_at": "yesterday"})
    assert check("GET /files/{id}", 200, {"id": "file-1"})
    assert check("GET /fine-tunes", 200, {"data": [{"id": "ft-1", "status": "completed"}]})
    with pytest.raises(KeyError):
        check("GET /nothing", 200, {})


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_each_excepted_defect_is_really_in_the_specification(defect):
    def nodes(node):
        if isinstance(node, list):
            for item in node:
                yield from nodes(item)
        elif isinstance(node, dict):
            yield node
            for value in node.values():
                yield from nodes(value)

    raw = Specification(mended=False)
    schemas = raw._components["schemas"]

    if defect.name == "boolean beside a choice":  # seen once the choice beside it is mended
        assert any(node.get("type") == "boolean" and "oneOf" in node for node in nodes(schemas))
    else:
        assert any(defect.mend(node) != node for node in nodes([schemas, raw.operations]))
