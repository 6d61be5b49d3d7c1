"""The 2.x SDK and command line, the last that speak the v1 endpoint calls."""

import json

import pytest

from tests.contract.conftest import client_environment, run_python

CLI = "from together.lib.cli import main; main()"
SDK = """
import json
from together import APIStatusError, Together
import together

client = Together(max_retries=0, _strict_response_validation=True)
listed = client.endpoints.list(type="dedicated", mine=True).data
running = next(item for item in listed if item.state == "STARTED")
read = client.endpoints.retrieve(running.id)
renamed = client.endpoints.update(running.id, display_name="Renamed", inactive_timeout=0)
stopping = client.endpoints.update(running.id, state="STOPPED")
refusals = []
for attempt in (
    lambda: client.endpoints.update(running.id, state="STARTED"),
    lambda: client.endpoints.create(
        model="openai/gpt-oss-20b", hardware="1x_nvidia_h100_80gb_sxm",
        autoscaling={"min_replicas": 1, "max_replicas": 1},
    ),
    lambda: client.endpoints.retrieve("endpoint-unknown"),
):
    try:
        attempt()
    except APIStatusError as error:
        refusals.append(error.status_code)
stopped = next(item for item in listed if item.state == "STOPPED")
client.endpoints.delete(stopped.id)
print(json.dumps({
    "version": together.__version__,
    "listed": len(listed),
    "left": len(client.endpoints.list(type="dedicated").data),
    "hardware": read.hardware,
    "bounds": [read.autoscaling.min_replicas, read.autoscaling.max_replicas],
    "display_name": renamed.display_name,
    "stopping": stopping.state,
    "refusals": refusals,
    "prices": [item.pricing.cents_per_minute for item in client.endpoints.list_hardware().data][:2],
    "availability": [
        item.availability.status for item in client.endpoints.list_hardware(model="openai/gpt-oss-20b").data
    ],
    "zones": client.endpoints.list_avzones().avzones,
    "models": len(client.models.list()),
}))
"""


def test_the_sdk(process, v1_client_folder, tmp_path):
    environment = client_environment(process, tmp_path, v1_folder=v1_client_folder)

    seen = json.loads(run_python(SDK, environment=environment).stdout)

    assert seen["version"] == "2.41.0"
    assert (seen["listed"], seen["left"]) == (5, 4)
    assert (seen["hardware"], seen["bounds"]) == ("1x_nvidia_h100_80gb_sxm", [1, 2])
    assert (seen["display_name"], seen["stopping"]) == ("Renamed", "STOPPING")
    assert seen["refusals"] == [403, 403, 404]
    assert seen["prices"] == [9.0, 18.0]
    assert set(seen["availability"]) <= {"available", "unavailable", "insufficient"}
    assert "us-east-1" in seen["zones"]
    assert seen["models"] > 80


@pytest.fixture
def tg1(process, v1_client_folder, tmp_path):
    def run(*arguments, expect=0):
        environment = client_environment(process, tmp_path, v1_folder=v1_client_folder)
        return run_python(CLI, *arguments, environment=environment, expect=expect).stdout

    return run


def test_the_command_line_lists_and_reads(tg1, process):
    first = process.call("GET", "/v1/endpoints?type=dedicated")["data"][0]

    assert first["id"] in {item["id"] for item in json.loads(tg1("endpoints", "list", "--json"))}
    assert json.loads(tg1("endpoints", "get", first["id"], "--json"))["model"] == first["model"]
    assert json.loads(tg1("endpoints", "hardware", "--json"))[0]["pricing"]["cents_per_minute"] == 9.0
    assert json.loads(tg1("endpoints", "availability-zones", "--json"))["avzones"]


def test_the_command_line_cannot_start_what_is_stopped(tg1, process):
    stopped = next(
        item
        for item in process.call("GET", "/v1/endpoints?type=dedicated")["data"]
        if item["state"] == "STOPPED"
    )

    tg1("endpoints", "start", stopped["id"], expect=1)

    assert process.call("GET", f"/v1/endpoints/{stopped['id']}")["state"] == "STOPPED"
