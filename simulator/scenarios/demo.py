"""Fernhill: four teams, seventeen endpoints of both generations in every state, sixty days of past.

The past is played by the same machine as the present, from a script of starts and stops per working day. The profiles
are shifted in time so that the organisation is in its office hours whenever the simulator is started.
"""

from dataclasses import dataclass, replace
from typing import Final

from simulator import lifecycle
from simulator.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from simulator.identifiers import derive_number, derive_uuid
from simulator.lifecycle import Phase
from simulator.registry.models import INTERNAL
from simulator.scenarios.demo_models import add_demo_models
from simulator.scenarios.empty import add_foreign_project, add_organization
from simulator.scenarios.jobs_past import LEGAL_V4, add_demo_jobs
from simulator.scenarios.rented import add_demo_compute
from simulator.scenarios.rented_containers import add_demo_containers
from simulator.scenarios.rented_rl import add_demo_rl
from simulator.traffic import HOURS_PER_WEEK, QUIET, Profile, shift_to_office_hours
from simulator.workload import Workload
from simulator.world import DEFAULT_KEY, Deployment, LegacyEndpoint, Project, World

PAST_MS: Final = 60 * DAY_MS
_H100, _H200, _B200 = "nvidia-h100-80gb", "nvidia-h200-140gb", "nvidia-b200-192gb"


@dataclass(frozen=True)
class Plan:
    """One endpoint of the demo; times are before the start."""

    slug: str
    team: str
    model: str
    hardware: str
    profile: Profile = QUIET
    bounds: tuple[int, int] = (1, 1)
    capacity: float = 120.0  # requests per minute and replica
    created_days_ago: float = 58
    workdays_only: bool = False  # started in the morning, stopped in the evening
    stopped_ms_ago: int | None = None
    idle_ms: int | None = None  # no request since
    inactive_minutes: int = 0
    now: str = lifecycle.READY


_V2: Final = (
    Plan("support-triage-70b", "Support", "meta-llama/Llama-3.3-70B-Instruct-Turbo", f"4x{_H100}",
         Profile(230, "office", 1150, 210), (1, 3), 145.0),
    Plan("search-rerank-235b", "Search", "Qwen/Qwen3-235B-A22B-Instruct-2507-tput", f"4x{_H200}",
         Profile(96, "steady", 2400, 90), (2, 2), 80.0, now=lifecycle.DEGRADED),
    Plan("docs-qa-gpt-oss-120b", "Docs", "openai/gpt-oss-120b", f"2x{_H100}",
         Profile(38, "office", 3100, 420), workdays_only=True, idle_ms=47 * MINUTE_MS),
    Plan("research-glm-sandbox", "Research", "zai-org/GLM-4.5-Air-FP8", f"2x{_H100}",
         Profile(9, "bursts", 1800, 900), workdays_only=True, created_days_ago=33, idle_ms=112 * MINUTE_MS),
    Plan("evals-judge-32b", "Research", "Qwen/Qwen3-32B", f"2x{_H100}",
         Profile(120, "bursts", 2100, 60), workdays_only=True, created_days_ago=41,
         idle_ms=26 * MINUTE_MS, inactive_minutes=240),
    Plan("legal-draft-8b-ft-v4", "Research", "fernhill/Llama-3.1-8B-legal-v4", f"1x{_H200}",
         Profile(36, "office", 1500, 640), (1, 2), 28.0, created_days_ago=19, now=lifecycle.SCALING),
    Plan("search-embed-e5", "Search", "intfloat/multilingual-e5-large-instruct", f"1x{_H100}",
         Profile(600, "steady", 260, 0, 0.3), (1, 2), 900.0),
    Plan("research-deepseek-v31", "Research", "deepseek-ai/DeepSeek-V3.1", f"8x{_B200}",
         Profile(), created_days_ago=0.1, now=lifecycle.PROVISIONING),
    Plan("docs-translate-27b", "Docs", "google/gemma-3-27b-it", f"1x{_H100}",
         Profile(22, "office", 700, 650), workdays_only=True, created_days_ago=47, now=lifecycle.PROVISIONING),
    Plan("support-summary-24b", "Support", "mistralai/Mistral-Small-24B-Instruct-2501", f"1x{_H100}",
         Profile(), created_days_ago=2.2, now=lifecycle.FAILED),
    Plan("research-kimi-k2", "Research", "moonshotai/Kimi-K2-Instruct-0905", f"8x{_H200}",
         Profile(6, "bursts", 5200, 1400), created_days_ago=26, workdays_only=True, stopped_ms_ago=4 * DAY_MS),
    Plan("support-intent-14b", "Support", "qwen-qwen2-5-14b-instruct-lora", f"1x{_H100}",
         Profile(18, "office", 420, 24), created_days_ago=52),
)  # fmt: skip

_V1: Final = (
    Plan("Support FAQ bot (v1)", "Support", "Qwen/Qwen3.5-9B-FP8", f"1x{_H100}",
         Profile(44, "office", 900, 180), (1, 2), 60.0),
    Plan("legal-ocr-vl-72b", "Docs", "Qwen/Qwen2.5-VL-72B-Instruct", f"2x{_H200}",
         Profile(11, "office", 4200, 500), workdays_only=True, stopped_ms_ago=19 * HOUR_MS),
    Plan("support-voice-8b", "Support", "meta-llama/Llama-3.1-8B-Instruct", f"1x{_H100}",
         Profile(25, "office", 400, 120), stopped_ms_ago=7 * DAY_MS),
    Plan("search-rerank-v1", "Search", "BAAI/bge-reranker-v2-m3", f"1x{_H100}",
         Profile(70, "steady", 900, 0), stopped_ms_ago=15 * DAY_MS),
    Plan("Order intents (v1)", "Support", "qwen-qwen2-5-14b-instruct-lora", f"1x{_H100}",
         Profile(8, "office", 420, 24)),
)  # fmt: skip


def fill_world(world: World) -> None:
    organization = add_organization(world, "fernhill")
    projects = {
        name: world.add_project(organization, name) for name in ("Support", "Search", "Research", "Docs")
    }
    world.add_key(DEFAULT_KEY, projects["Support"])
    add_foreign_project(world)
    add_demo_jobs(world, projects)
    legal = world.catalogue.by_name[LEGAL_V4]
    world.registry.own[legal.model_id].visibility = INTERNAL
    add_demo_models(world, projects)
    world.gpu_quota = {"B200": 16}
    for plan in _V2:
        _add_endpoint(world, plan, projects[plan.team])
    _add_second_deployments(world)
    for plan in _V1:
        _add_legacy(world, plan, projects[plan.team])
    add_demo_compute(world, projects)
    add_demo_containers(world, projects["Support"])
    add_demo_rl(world, projects["Support"])


def _profile(world: World, plan: Plan) -> Profile:
    shift = shift_to_office_hours(world.start_ms)
    quiet_after_ms = world.start_ms - plan.idle_ms if plan.idle_ms is not None else None
    return replace(plan.profile, shift_hours=shift, quiet_after_ms=quiet_after_ms)


def _created_ms(world: World, plan: Plan) -> int:
    created_ms = world.start_ms - round(plan.created_days_ago * DAY_MS)
    jitter = derive_number(world.seed, plan.slug) % HOUR_MS
    return created_ms - created_ms % SECOND_MS - jitter


def _add_endpoint(world: World, plan: Plan, project: Project) -> None:
    at_ms = _created_ms(world, plan)
    model = world.catalogue.by_name[plan.model]
    endpoint = world.add_endpoint(project=project, slug=plan.slug, at_ms=at_ms)
    low, high = plan.bounds
    autoscaling = {"minReplicas": low, "maxReplicas": high, "scaleDownWindow": "300s"}
    if high > low:
        autoscaling["scalingMetrics"] = [
            {"name": "inflight_requests", "type": "METRIC_TARGET_TYPE_AVERAGE_VALUE", "target": 8}
        ]
    deployment = world.add_deployment(
        endpoint,
        slug=f"{plan.model.rpartition('/')[2].lower()[:24].rstrip('-')}-{plan.hardware[2:].split('-')[1]}",
        model=model,
        config=world.catalogue.config_for(model, plan.hardware),
        autoscaling=autoscaling,
        at_ms=at_ms + 20 * SECOND_MS,
        profile=_profile(world, plan),
        replica_capacity=plan.capacity,
    )
    endpoint.traffic_split = [(deployment.deployment_id, 1)]
    if plan.inactive_minutes:
        deployment.inactive_timeout_minutes = plan.inactive_minutes
    _play_past(world, plan, deployment.workload, deployment.created_ms)
    if plan.inactive_minutes:
        deployment.workload.idle_limit_ms = plan.inactive_minutes * MINUTE_MS
    _settle_present(world, plan, deployment.workload)
    _note_changes(deployment)


def _play_past(world: World, plan: Plan, workload: Workload, created_ms: int) -> None:
    """Start it, follow the working days if it has any, and stop it when the plan says so."""
    low, high = workload.min_replicas, workload.max_replicas
    end_ms = world.start_ms - (plan.stopped_ms_ago or 0)
    if plan.now == lifecycle.FAILED:
        workload.enter(
            Phase(created_ms, lifecycle.PROVISIONING, 0, 1, 1, "Waiting for capacity", "Provisioning", "api")
        )
        workload.pending.append(lifecycle.fail_phase(created_ms + 11 * MINUTE_MS))
        return
    if plan.slug == "research-deepseek-v31":
        workload.starts_get_stuck = True
        return
    workload.start(created_ms)
    if plan.workdays_only:
        shift_ms = shift_to_office_hours(world.start_ms) * HOUR_MS
        day_ms = created_ms + shift_ms - (created_ms + shift_ms) % DAY_MS
        while day_ms - shift_ms < end_ms:
            jitter_ms = derive_number(world.seed, plan.slug, day_ms) % (50 * MINUTE_MS)
            weekday = ((day_ms // HOUR_MS + 3 * 24) % HOURS_PER_WEEK) // 24
            _play_day(workload, day_ms - shift_ms, jitter_ms, end_ms, works=weekday < 5, bounds=(low, high))
            day_ms += DAY_MS
    if plan.stopped_ms_ago is not None:
        workload.advance(end_ms)
        workload.min_replicas = workload.max_replicas = 0
        workload.stop(end_ms)
    else:
        workload.min_replicas, workload.max_replicas = low, high


def _play_day(
    workload: Workload, day_ms: int, jitter_ms: int, end_ms: int, *, works: bool, bounds: tuple[int, int]
) -> None:
    morning_ms = day_ms + 7 * HOUR_MS + 20 * MINUTE_MS + jitter_ms
    evening_ms = day_ms + 18 * HOUR_MS + 10 * MINUTE_MS + jitter_ms
    if works and workload.timeline[-1].at_ms < morning_ms < end_ms:
        workload.advance(morning_ms)
        if workload.state == lifecycle.STOPPED:
            workload.min_replicas, workload.max_replicas = bounds
            workload.start(morning_ms)
    if workload.timeline[-1].at_ms < evening_ms < end_ms:
        workload.advance(evening_ms)
        if workload.state in lifecycle.RUNNING:
            workload.min_replicas = workload.max_replicas = 0
            workload.stop(evening_ms)


def _settle_present(world: World, plan: Plan, workload: Workload) -> None:
    """Bring a workload to the state that the demo opens with, by phases shortly before the start."""
    start_ms = world.start_ms
    if plan.now == lifecycle.PROVISIONING and plan.workdays_only:
        before_ms = start_ms - 8 * MINUTE_MS
        workload.advance(before_ms - 2 * MINUTE_MS)
        if workload.state in lifecycle.RUNNING:
            workload.stop(before_ms - 100 * SECOND_MS)
        workload.advance(before_ms)
        workload.start(before_ms)
        # A person should see it starting, so this one start is not shortened by --speed.
        _postpone(workload, start_ms + 2 * MINUTE_MS)
    elif plan.now == lifecycle.PROVISIONING:
        workload.start(start_ms - 4 * MINUTE_MS)
        _postpone(workload, start_ms + 6 * MINUTE_MS)
    workload.advance(start_ms)
    present = workload.present
    if plan.now == lifecycle.DEGRADED:
        degraded, recovered = lifecycle.plan_degradation(
            start_ms - 11 * MINUTE_MS, present, 1, workload.pace.past
        )
        workload.follow((degraded, replace(recovered, at_ms=start_ms + 40 * MINUTE_MS)))
    elif plan.now == lifecycle.SCALING:
        fallback = Phase(
            start_ms - 9 * MINUTE_MS, lifecycle.READY, 1, 1, 1, "All replicas ready", "AllReplicasReady"
        )
        while len(workload.timeline) > 1 and workload.present.at_ms >= fallback.at_ms:
            workload.timeline.pop()
        workload.follow((fallback,))
        first, second = lifecycle.plan_scale(start_ms - 30 * SECOND_MS, fallback, 2, workload.pace.past)
        workload.follow((first, replace(second, at_ms=start_ms + 3 * MINUTE_MS)))


def _postpone(workload: Workload, ready_at_ms: int) -> None:
    last = workload.pending.pop()
    workload.pending.append(replace(last, at_ms=ready_at_ms))


def _note_changes(deployment: Deployment) -> None:
    """Give the last start or stop of the past its `deployment.updated` entry, so that updatedAt is believable."""
    by_people = [phase for phase in deployment.workload.timeline if phase.source == "api"]
    if by_people:
        deployment.updated_ms = by_people[-1].at_ms
        deployment.version += len(by_people)


def _add_second_deployments(world: World) -> None:
    """Give one endpoint an old, stopped deployment beside the one that serves."""
    endpoint = next(endpoint for endpoint in world.endpoints.values() if endpoint.slug == "search-embed-e5")
    model = world.catalogue.by_name["intfloat/multilingual-e5-large-instruct"]
    at_ms = endpoint.created_ms + HOUR_MS
    old = world.add_deployment(
        endpoint,
        slug="e5-large-h200-canary",
        model=model,
        config=world.catalogue.config_for(model, f"1x{_H200}"),
        autoscaling={"minReplicas": 1, "maxReplicas": 1},
        at_ms=at_ms,
    )
    old.workload.start(at_ms)
    stopped_ms = at_ms + 3 * DAY_MS
    old.workload.advance(stopped_ms)
    old.workload.min_replicas = old.workload.max_replicas = 0
    old.workload.stop(stopped_ms)
    old.workload.advance(world.start_ms)
    old.updated_ms = stopped_ms


def _add_legacy(world: World, plan: Plan, project: Project) -> None:
    model = world.catalogue.by_name[plan.model]
    created_ms = _created_ms(world, plan)
    identifier = f"endpoint-{derive_uuid(world.seed, plan.slug)}"
    workload = world.new_workload(
        identifier,
        min_replicas=plan.bounds[0],
        max_replicas=plan.bounds[1],
        profile=_profile(world, plan),
        replica_capacity=plan.capacity,
    )
    _play_past(world, plan, workload, created_ms)
    workload.advance(world.start_ms)
    if plan.stopped_ms_ago is not None:
        workload.min_replicas, workload.max_replicas = (
            plan.bounds
        )  # v1 keeps the bounds of a stopped endpoint
    suffix = identifier.rpartition("-")[2][:8]
    world.add_legacy(
        LegacyEndpoint(
            endpoint_id=identifier,
            project=project,
            name=f"{project.organization.slug}/{model.name}-{suffix}",
            display_name=plan.slug,
            model=model,
            config=world.catalogue.config_for(model, plan.hardware),
            workload=workload,
            created_ms=created_ms,
            inactive_timeout_minutes=None,
        )
    )
