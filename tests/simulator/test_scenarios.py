import time
from collections import Counter
from datetime import UTC, datetime

import pytest

from simulator import lifecycle
from simulator.clock import DAY_MS, MINUTE_MS, VirtualClock
from simulator.scenarios import SCENARIOS
from simulator.world import World
from tests.simulator.sim import Sim


def states(world):
    found = Counter()
    for resource in (*world.deployments.values(), *world.legacy.values()):
        resource.workload.advance(world.now_ms())
        found[resource.workload.state] += 1
    return found


def requests_last_minutes(resource, now_ms, minutes):
    return resource.workload.count_served(now_ms - minutes * MINUTE_MS, now_ms).requests


def test_demo_shows_every_state_and_both_generations(demo):
    found = states(demo.world)

    assert len(demo.world.endpoints) + len(demo.world.legacy) == 17
    assert set(found) >= {"READY", "STOPPED", "PROVISIONING", "FAILED", "DEGRADED", "SCALING"}
    assert {endpoint.project.name for endpoint in demo.world.endpoints.values()} == {
        "Support", "Search", "Research", "Docs",
    }  # fmt: skip


def test_demo_shows_every_way_an_import_can_go(demo):
    now_ms = demo.world.now_ms()
    uploads = demo.world.registry.uploads.values()
    models = demo.world.registry.own.values()
    served = {
        resource.model.name
        for resource in (*demo.world.deployments.values(), *demo.world.legacy.values())
        if resource.workload.state == lifecycle.READY and resource.model.deprecation
    }

    assert {upload.past(now_ms)[-1].status for upload in uploads} >= {"RUNNING", "SUCCEEDED", "FAILED"}
    assert any(upload.job_id for upload in uploads)
    assert {revision.validation(now_ms) for own in models for revision in own.revisions} == {
        "SUCCESS", "FAILED",
    }  # fmt: skip
    assert any(own.is_adapter for own in models)
    assert served == {"qwen-qwen2-5-14b-instruct-lora"}


@pytest.mark.parametrize("moment", [(2026, 11, 22, 3, 17), (2026, 12, 25, 23, 59), (2026, 11, 18, 14, 0)])
def test_demo_looks_alive_whenever_it_is_started(moment):
    world = World(VirtualClock(int(datetime(*moment, tzinfo=UTC).timestamp()) * 1000), 7, 60)
    SCENARIOS["demo"](world)
    now_ms = world.now_ms()
    by_slug = {
        endpoint.slug: next(d for d in endpoint.deployments.values()) for endpoint in world.endpoints.values()
    }

    busy = ("support-triage-70b", "search-rerank-235b", "search-embed-e5", "legal-draft-8b-ft-v4")
    assert all(requests_last_minutes(by_slug[slug], now_ms, 5) > 0 for slug in busy)
    idle = {"docs-qa-gpt-oss-120b": 47, "evals-judge-32b": 26, "research-glm-sandbox": 112}
    for slug, minutes in idle.items():
        workload = by_slug[slug].workload
        assert workload.state == lifecycle.READY
        since = (now_ms - workload.idle_since_ms(now_ms)) / MINUTE_MS
        assert minutes <= since <= minutes + 2, slug


def test_demo_has_a_past_of_sixty_days_with_nights_off(demo):
    now_ms = demo.world.now_ms()
    docs = next(e for e in demo.world.endpoints.values() if e.slug == "docs-qa-gpt-oss-120b")
    workload = next(iter(docs.deployments.values())).workload
    starts = sum(phase.state == "PROVISIONING" and not phase.scheduled for phase in workload.timeline)

    hours = workload.count_ready_ms(0, now_ms) / 3_600_000

    assert 35 <= starts <= 45  # working days of 58
    assert 9 < hours / starts < 12
    assert workload.timeline[0].at_ms < now_ms - 57 * DAY_MS


def test_demo_moves_on_by_itself():
    with Sim("demo", speed=60) as sim:
        sim.advance(3600)
        found = states(sim.world)

        assert found["PROVISIONING"] == 0
        assert found["FAILED"] == 2  # the start that got stuck failed
        assert found["DEGRADED"] == 0


def test_timelines_are_in_order_and_counts_make_sense(demo):
    for resource in (*demo.world.deployments.values(), *demo.world.legacy.values()):
        timeline = resource.workload.timeline
        assert [p.at_ms for p in timeline] == sorted(p.at_ms for p in timeline), resource.name
        assert timeline[-1].at_ms <= demo.world.now_ms()
        assert all(p.ready == 0 for p in timeline if p.state in {"PROVISIONING", "STOPPED", "FAILED"})
        assert all(p.ready == p.desired for p in timeline if p.state == "READY")


def test_the_same_seed_gives_the_same_world_and_another_gives_others():
    def ids(seed):
        world = World(VirtualClock(), seed, 60)
        SCENARIOS["large"](world)
        return list(world.deployments)

    assert ids(1) == ids(1)
    assert not set(ids(1)) & set(ids(2))


def test_large_starts_in_seconds_and_pages_in_milliseconds():
    started = time.perf_counter()
    with Sim("large") as sim:
        assert time.perf_counter() - started < 10
        path = f"/v2/organizations/{sim.organization_id}/endpoints?limit=500"
        first = sim.get(path)
        assert len(first["data"]) == 500
        assert all(len(endpoint["deployments"]) == 10 for endpoint in first["data"])
        sim.get(f"{path}&after={first['next_cursor']}")

        took = []
        for _ in range(3):
            started = time.perf_counter()
            sim.ask("GET", path)
            took.append(time.perf_counter() - started)

        assert min(took) < 0.25  # about 5 ms alone on a machine; the rest is the test client
        assert len(sim.world.deployments) == 10_000
        assert states(sim.world)["READY"] == 3_000


def test_empty_is_empty(sim):
    assert sim.get(sim.base)["data"] == []
    assert sim.get("/v1/endpoints?type=dedicated")["data"] == []
    assert sim.get("/v1/billing/usage")["data"] == []
