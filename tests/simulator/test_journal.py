"""A restart with `--journal` finds the world as it was left."""

import re
import time
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from simulator.app import build_api, build_app
from simulator.clock import HOUR_MS, Clock, VirtualClock, format_time
from simulator.faults import Fault
from simulator.identifiers import derive_number
from simulator.journal import open_journal
from simulator.resources.metrics import POD_LIFE_MS
from simulator.scenarios import SCENARIOS
from simulator.testing import SimulatorError, SimulatorProcess
from simulator.world import World
from tests.simulator.sim import Sim

SPEED = 600
STOPPED = {"autoscaling": {"minReplicas": 0, "maxReplicas": 0}}
RUNNING = {"autoscaling": {"minReplicas": 1, "maxReplicas": 1}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "simulator.journal"


class Process(SimulatorProcess):
    def text(self, path: str) -> str:
        return httpx.get(f"{self.url}{path}", headers={"authorization": "Bearer sim-key"}).text


def open_sim(path: Path, scenario: str = "demo", *, seed: int = 7) -> Sim:
    """Return a simulator in this process that goes on with the journal; its clock stands still from now."""

    def build_world(clock: Clock) -> World:
        world = World(clock, seed, SPEED, tokens_per_second=0, first_token_seconds=0)
        SCENARIOS[scenario](world)
        return world

    sim = Sim()
    sim.world, journal = open_journal(
        path, scenario=scenario, seed=seed, speed=SPEED, build_world=build_world, build_api=build_api
    )
    sim.clock = sim.world.clock = VirtualClock(sim.world.now_ms())
    app = build_app(sim.world, sim.faults, journal)
    sim.client = httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://simulator")
    sim.project = next(iter(sim.world.projects.values()))
    sim.organization_id = sim.project.organization.organization_id
    sim.base = f"/v2/projects/{sim.project.project_id}/endpoints"
    return sim


def restart(sim: Sim, path: Path, **options: Any) -> Sim:
    """Return what the same journal leads to, at the same instant."""
    again = open_sim(path, **options)
    again.clock = again.world.clock = VirtualClock(sim.world.now_ms())
    return again


def list_endpoints(process: SimulatorProcess) -> dict[str, dict[str, Any]]:
    """Return endpoints by slug, with their deployments and their base path."""
    organization_id = process.call("GET", "/v3/whoami")["organization"]["id"]
    found = {}
    for item in process.call("GET", f"/v2/organizations/{organization_id}/endpoints?limit=100")["data"]:
        base = f"/v2/projects/{item['projectId']}/endpoints/{item['id']}"
        deployments = process.call("GET", f"{base}/deployments")["data"]
        found[item["name"].rpartition("/")[2]] = {**item, "base": base, "deployments": deployments}
    return found


def read_counters(process: Process) -> dict[str, float]:
    organization_id = process.call("GET", "/v3/whoami")["organization"]["id"]
    text = process.text(f"/organizations/{organization_id}/metrics")
    lines = [line.rpartition(" ") for line in text.splitlines() if re.match(r"\w+(_total|_count)\{", line)]
    return {series: float(value) for series, _, value in lines}


def wait_for_state(process: SimulatorProcess, path: str, state: str) -> None:
    deadline = time.monotonic() + 20
    while process.call("GET", path)["status"]["state"] != f"DEPLOYMENT_STATE_{state}":
        assert time.monotonic() < deadline, f"it did not become {state} in time"
        time.sleep(0.1)


def was_replaced(series: str, begin_ms: int, end_ms: int) -> bool:
    """Tell whether the replicas of a series gave way to new ones in between: then it may begin at 0."""
    deployment_id = re.search(r'deployment_id="([^"]+)"', series)
    assert deployment_id is not None
    offset_ms = derive_number(7, deployment_id.group(1)) % POD_LIFE_MS
    return (begin_ms - offset_ms) // POD_LIFE_MS != (end_ms - offset_ms) // POD_LIFE_MS


def test_a_restart_keeps_what_clients_did(path: Path) -> None:
    flags = {"scenario": "demo", "speed": SPEED, "journal": path, "key": ["second-secret=Docs"]}
    with Process(**flags) as process:
        endpoints = list_endpoints(process)
        triage, kimi = endpoints["support-triage-70b"], endpoints["research-kimi-k2"]
        failed, embed = endpoints["support-summary-24b"], endpoints["search-embed-e5"]
        stopping = f"{triage['base']}/deployments/{triage['deployments'][0]['id']}"
        starting = f"{kimi['base']}/deployments/{kimi['deployments'][0]['id']}"
        scaled = next(item for item in embed["deployments"] if item["name"].endswith("h100"))
        process.call("PATCH", stopping, STOPPED, key="second-secret")
        process.call("PATCH", starting, RUNNING)
        process.call(
            "PATCH", f"{embed['base']}/deployments/{scaled['id']}", {"autoscaling": {"maxReplicas": 4}}
        )
        process.call("DELETE", failed["base"])
        created = process.call("POST", triage["base"].rpartition("/")[0], {"name": "made-here"})
        source = kimi["deployments"][0]
        body = {"name": "main", "model": source["model"], "config": source["config"], **RUNNING}
        here = f"{triage['base'].rpartition('/')[0]}/{created['id']}"
        deployment = process.call("POST", f"{here}/deployments", body)
        split = [{"deploymentId": deployment["id"], "weight": 1}]
        process.call("PATCH", here, {"trafficSplit": split})
        wait_for_state(process, f"{here}/deployments/{deployment['id']}", "READY")
        chat = {"model": created["name"], "messages": [{"role": "user", "content": "repeat: yes"}]}
        process.call("POST", "/v1/chat/completions", chat)
        wait_for_state(process, stopping, "STOPPED")
        wait_for_state(process, starting, "READY")
        until_ms = process.admin("GET", "/clock")["now_ms"]
        window = f"from={format_time(until_ms - HOUR_MS)}&to={format_time(until_ms)}"
        bill, before = process.admin("GET", f"/bill?{window}"), list_endpoints(process)
        feeds = {slug: process.call("GET", f"{item['base']}/events?until={format_time(until_ms)}&limit=10000")
                 for slug, item in before.items()}  # fmt: skip
        counters = read_counters(process)

    with Process(**flags) as process:
        after = list_endpoints(process)
        assert after.keys() == before.keys()
        assert "made-here" in after
        assert "support-summary-24b" not in after
        for slug, item in before.items():
            assert (after[slug]["id"], after[slug]["etag"]) == (item["id"], item["etag"])
            assert [(each["id"], each["etag"]) for each in after[slug]["deployments"]] == [
                (each["id"], each["etag"]) for each in item["deployments"]
            ]
            feed = f"{item['base']}/events?until={format_time(until_ms)}&limit=10000"
            assert process.call("GET", feed)["data"] == feeds[slug]["data"], slug
        assert process.call("GET", stopping)["status"]["state"] == "DEPLOYMENT_STATE_STOPPED"
        assert process.call("GET", starting)["status"]["state"] == "DEPLOYMENT_STATE_READY"
        assert process.admin("GET", f"/bill?{window}") == bill
        counted = read_counters(process)
        now_ms = process.admin("GET", "/clock")["now_ms"]
        assert any(deployment["id"] in series for series in counters)
        for series, value in counters.items():
            assert counted.get(series, 0) >= value or was_replaced(series, until_ms - 60_000, now_ms), series

    written = path.read_text()
    assert "sim-key" not in written
    assert "second-secret" not in written


def test_a_restart_keeps_imports_without_their_tokens(path: Path) -> None:
    with open_sim(path, "empty") as sim:
        models = f"/v2/projects/{sim.project.project_id}/models"
        base = sim.world.catalogue.by_name["openai/gpt-oss-20b"]
        body = {"name": "bot", "baseModelId": base.model_id, "type": "model"}
        model = sim.send("POST", models, body)
        source = {"remoteUrl": "https://huggingface.co/acme/private-bot", "token": "hf_secret"}
        sim.send("POST", f"{models}/uploads", {"modelId": model["id"], **source})
        job = {"model_name": "old", "model_source": "acme/private-bot", "hf_token": "hf_secret"}
        sim.send("POST", "/v1/models", job)
        sim.advance(3600)
        paths = (models, f"{models}/uploads", f"{models}/{model['id']}/revisions", "/v1/jobs", "/v1/models")
        before = [sim.get(item) for item in paths]

        with restart(sim, path, scenario="empty") as again:
            assert [again.get(item) for item in paths] == before
            assert again.get(f"{models}/uploads")["data"][0]["status"] == "REMOTE_UPLOAD_STATUS_SUCCEEDED"

    assert b"hf_secret" not in path.read_bytes()


def test_the_same_instant_looks_the_same_after_a_restart(path: Path) -> None:
    with open_sim(path) as sim:
        sim.send("POST", "/v1/chat/completions", {
            "model": "fernhill-search/search-rerank-235b", "messages": [{"role": "user", "content": "repeat: a b"}],
        })  # fmt: skip
        sim.advance(7200)
        metrics = f"/organizations/{sim.organization_id}/metrics"
        with restart(sim, path) as again:
            assert again.ask("GET", metrics).text == sim.ask("GET", metrics).text
            assert again.get("/v1/billing/usage?granularity=hour") == sim.get(
                "/v1/billing/usage?granularity=hour"
            )
            assert again.world.describe() == sim.world.describe()


def test_ids_of_later_creations_go_on_after_a_restart(path: Path) -> None:
    with open_sim(path, "empty") as sim:
        endpoint_id = sim.create_endpoint("first")
        with restart(sim, path, scenario="empty") as again:
            assert list(again.world.endpoints) == [endpoint_id]
            assert again.create_endpoint("second") != endpoint_id


def test_what_was_refused_or_only_read_is_not_kept(path: Path) -> None:
    with open_sim(path, "empty") as sim:
        sim.get(sim.base)
        sim.send("POST", sim.base, {"name": "NO GOOD"}, status=400)
        sim.send("POST", sim.base, {"name": "bot"}, key="unknown", status=401)
    assert len(path.read_bytes().splitlines()) == 1


def test_an_answer_that_a_fault_lost_still_had_its_effect(path: Path) -> None:
    with open_sim(path, "empty") as sim:
        sim.faults.add(Fault("answer_lost", method="POST"))
        with pytest.raises(ConnectionResetError):
            sim.create_endpoint("bot")
        with restart(sim, path, scenario="empty") as again:
            assert again.world.endpoints.keys() == sim.world.endpoints.keys() != set()


def test_a_stop_that_a_fault_ignored_stays_ignored(path: Path) -> None:
    with open_sim(path, "empty") as sim:
        ids = sim.start_deployment()
        sim.faults.add(Fault("stop_ignored", method="PATCH"))
        sim.stop(ids)
        sim.advance(600)
        with restart(sim, path, scenario="empty") as again:
            assert again.state(ids) == sim.state(ids) == "READY"


def test_a_torn_last_line_is_cut_off(path: Path) -> None:
    with open_sim(path, "empty") as sim:
        first = sim.create_endpoint("first")
        whole = path.read_bytes()
        path.write_bytes(whole + b'{"at_ms":17')
        with restart(sim, path, scenario="empty") as again:
            assert path.read_bytes() == whole
            second = again.create_endpoint("second")
        with restart(sim, path, scenario="empty") as third:
            assert list(third.world.endpoints) == [first, second]


@pytest.mark.parametrize("content", [b"", b'{"scenario":"empty"'])
def test_a_journal_without_a_whole_line_is_begun_anew(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with open_sim(path, "empty"):
        assert orjson.loads(path.read_bytes())["scenario"] == "empty"
    assert not path.with_name(f"{path.name}.old").exists()


@pytest.mark.parametrize("line", [b"nonsense\n", b'{"unknown":1}\n', b"[1]\n", b"\0\0\0\n"])
def test_an_unreadable_line_sets_the_journal_aside(path: Path, line: bytes, capsys: Any) -> None:
    with open_sim(path, "empty") as sim:
        sim.create_endpoint("first")
    content = path.read_bytes() + line
    path.write_bytes(content)
    with open_sim(path, "empty") as again:
        assert not again.world.endpoints
    assert path.with_name(f"{path.name}.old").read_bytes() == content
    assert len(path.read_bytes().splitlines()) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_another_seed_sets_the_journal_aside(path: Path, capsys: Any) -> None:
    with open_sim(path, "empty", seed=7) as sim:
        sim.create_endpoint("first")
    content = path.read_bytes()
    with open_sim(path, "empty", seed=8) as again:
        assert not again.world.endpoints
    assert path.with_name(f"{path.name}.old").read_bytes() == content
    assert orjson.loads(path.read_bytes())["seed"] == 8
    assert "does not fit" in capsys.readouterr().err


def test_a_write_that_no_longer_applies_is_left_out_and_said(path: Path, capsys: Any) -> None:
    with open_sim(path, "empty") as sim:
        sim.create_endpoint("first")
        second = sim.create_endpoint("second")
        path.write_bytes(path.read_bytes().replace(b'"name":"first"', b'"name":"NO GOOD"'))
        with restart(sim, path, scenario="empty") as again:
            assert list(again.world.endpoints) == [second]
    assert "1 of 2 lines" in capsys.readouterr().err


def test_many_writes_are_replayed_in_their_order(path: Path) -> None:
    with open_sim(path) as sim:
        made = [sim.create_endpoint(f"bot-{number}") for number in range(20)]

    with open_sim(path) as sim:
        listed = {item["id"]: item["createdAt"] for item in sim.get(sim.base)["data"]}

    assert sorted(made, key=lambda one: listed[one]) == made


def test_a_journal_needs_the_real_clock(path: Path) -> None:
    with pytest.raises(SimulatorError):
        SimulatorProcess(scenario="empty", clock="virtual", journal=path).start()
