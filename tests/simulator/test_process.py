"""What only a real process on a real socket shows: dropped connections, disconnects, flags."""

import http.client
import json
import socket
import subprocess
import sys
import time
from urllib.parse import urlsplit

import httpx
import pytest

from simulator.testing import SimulatorError, SimulatorProcess

KEY = {"authorization": "Bearer sim-key"}


@pytest.fixture(scope="module")
def process():
    with SimulatorProcess(
        scenario="empty", clock="virtual", key=["second", "abroad=thornfield-lab"]
    ) as process:
        yield process


@pytest.fixture(autouse=True)
def no_faults(process):
    yield
    process.clear_faults()
    process.admin("DELETE", "/requests")


def wait_for(condition, seconds=5.0):
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return result


def test_time_stands_still_until_it_is_moved(process):
    before = process.admin("GET", "/clock")["now_ms"]
    time.sleep(0.01)

    assert process.admin("GET", "/clock")["now_ms"] == before
    process.advance(1.5)
    assert process.admin("GET", "/clock")["now_ms"] == before + 1500


def test_further_keys_belong_to_their_projects(process):
    assert process.call("GET", "/v3/whoami", key="second")["project"]["slug"] == "fernhill-support"
    assert process.call("GET", "/v3/whoami", key="abroad")["organization"]["name"] == "thornfield"
    with pytest.raises(SimulatorError, match="401"):
        process.call("GET", "/v3/whoami", key="third")


def test_a_reset_drops_the_connection_without_an_answer(process):
    process.add_fault("reset", times=1)

    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{process.url}/v3/whoami", headers=KEY)
    assert httpx.get(f"{process.url}/v3/whoami", headers=KEY).status_code == 200


def test_a_timeout_hangs_longer_than_the_reader_waits(process):
    process.add_fault("timeout", times=1)

    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{process.url}/v3/whoami", headers=KEY, timeout=0.3)


def test_a_cut_body_is_shorter_than_it_said(process):
    process.add_fault("cut_body", times=1)

    connection = http.client.HTTPConnection(urlsplit(process.url).netloc, timeout=5)
    connection.request("GET", "/v1/models", headers=KEY)
    with pytest.raises(http.client.IncompleteRead):
        connection.getresponse().read()
    connection.close()


def test_an_answer_lost_after_the_effect(process):
    path = f"/v2/projects/{process.call('GET', '/v3/whoami')['project']['id']}/endpoints"
    process.add_fault("answer_lost", method="POST", times=1)

    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(process.url + path, headers=KEY, json={"name": "lost"})

    assert [item["name"] for item in process.call("GET", path)["data"]] == ["fernhill-support/lost"]


def test_slow_answers_arrive_whole(process):
    process.add_fault("slow", delay_seconds=0.3, times=1)
    started = time.monotonic()

    assert process.call("GET", "/v3/whoami")["type"] == "project_api_key"
    assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize("streamed", [True, False])
def test_generation_stops_when_the_client_goes_away(process, streamed):
    process.admin("PATCH", "/world", tokens_per_second=20, first_token_seconds=0)
    body = {
        "model": "Qwen/Qwen3.5-9B-FP8",
        "messages": [{"role": "user", "content": "repeat: " + "word " * 400}],
        "stream": streamed,
    }
    known = {generation["generation_id"] for generation in process.admin("GET", "/generations")}
    parts = urlsplit(process.url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=5)
    connection.request(
        "POST", "/v1/chat/completions", json.dumps(body), {**KEY, "content-type": "application/json"}
    )

    def mine():
        return [g for g in process.admin("GET", "/generations") if g["generation_id"] not in known]

    wait_for(lambda: mine() and mine()[0]["tokens"] >= 2)
    connection.sock.shutdown(socket.SHUT_RDWR)
    connection.close()

    cancelled = wait_for(lambda: [g for g in mine() if g["state"] == "cancelled"])[0]
    assert cancelled["tokens"] < 100
    time.sleep(0.2)
    assert mine()[0]["tokens"] == cancelled["tokens"]


def test_a_stream_arrives_piece_by_piece(process):
    process.admin("PATCH", "/world", tokens_per_second=50, first_token_seconds=0)
    body = {
        "model": "Qwen/Qwen3.5-9B-FP8",
        "messages": [{"role": "user", "content": "repeat: one two three four five six"}],
        "stream": True,
    }
    arrivals = []
    with httpx.stream("POST", f"{process.url}/v1/chat/completions", headers=KEY, json=body) as answer:
        arrivals.extend(time.monotonic() for line in answer.iter_lines() if line.startswith("data: "))

    assert arrivals[-1] - arrivals[0] > 0.08


def run_flags(*flags):
    command = [sys.executable, "-m", "simulator", *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_a_taken_port_and_bad_flags_are_told_in_a_sentence(process):
    taken = run_flags("--scenario", "empty", "--port", str(urlsplit(process.url).port))
    assert taken.returncode == 1
    assert taken.stderr.startswith("simulator: cannot listen on 127.0.0.1:")
    assert run_flags("--scenario", "empty", "--fault", "kind=gremlins").returncode == 2
    assert run_flags("--scenario", "empty", "--key", "k=nowhere").returncode == 2
    assert run_flags("--speed", "0").returncode == 2


def test_switches_of_the_command_line():
    flags = {
        "org_without_usage": True,
        "org_without_metrics": True,
        "fault": "kind=rate_limit,route=/v1/models",
    }
    with SimulatorProcess(scenario="empty", **flags) as other:
        organization = other.call("GET", "/v3/whoami")["organization"]["id"]
        for path, status in (
            ("/v1/billing/usage", 404),
            (f"/organizations/{organization}/metrics", 404),
            ("/v1/models", 429),
        ):
            assert httpx.get(other.url + path, headers=KEY).status_code == status


def test_speed_shortens_transitions_and_leaves_time_alone():
    with SimulatorProcess(scenario="demo", clock="virtual", speed=60) as other:
        deployment_id = _first_ready(other)
        ids = other.admin("GET", f"/deployments/{deployment_id}")["name"]
        other.admin("POST", f"/deployments/{deployment_id}/state", state="PROVISIONING")

        other.advance(9)
        assert other.admin("GET", f"/deployments/{deployment_id}")["present"]["state"] == "PROVISIONING"
        other.advance(1)
        assert other.admin("GET", f"/deployments/{deployment_id}")["present"]["state"] == "READY", ids


def _first_ready(process):
    organization = process.call("GET", "/v3/whoami")["organization"]["id"]
    endpoints = process.call("GET", f"/v2/organizations/{organization}/endpoints")["data"]
    return next(
        deployment["id"]
        for endpoint in endpoints
        for deployment in endpoint["deployments"]
        if deployment["state"] == "DEPLOYMENT_STATE_READY"
    )


def test_it_ends_with_the_process_that_started_it():
    code = (
        "import os, signal; from simulator.testing import SimulatorProcess\n"
        "s = SimulatorProcess(scenario='empty'); s.start(); print(s.url, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, timeout=30, check=False
    )
    address = urlsplit(result.stdout.strip())

    def is_gone():
        with socket.socket() as probe:
            return probe.connect_ex((address.hostname, address.port)) != 0

    assert result.returncode == -9
    assert wait_for(is_gone)
