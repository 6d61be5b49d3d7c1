"""A thousand endpoints with ten deployments each, for measuring: simple pasts, every state, few that move."""

from typing import Final

from simulator import lifecycle
from simulator.clock import DAY_MS, HOUR_MS, MINUTE_MS
from simulator.identifiers import derive_number
from simulator.scenarios.empty import add_foreign_project, add_organization
from simulator.scenarios.jobs_large import add_large_jobs
from simulator.scenarios.rented import add_large_compute
from simulator.scenarios.rented_containers import add_large_containers
from simulator.traffic import Profile, shift_to_office_hours
from simulator.workload import Workload
from simulator.world import DEFAULT_KEY, World

ENDPOINTS: Final = 1_000
DEPLOYMENTS_PER_ENDPOINT: Final = 10
PROJECTS: Final = ("Support", "Search", "Research", "Docs")
_HARDWARE: Final = ("1xnvidia-h100-80gb", "2xnvidia-h100-80gb", "4xnvidia-h100-80gb", "1xnvidia-h200-140gb")
#: State of the deployment with this remainder of its number; three of ten run.
_STATES: Final = (
    *(lifecycle.READY, lifecycle.STOPPED, lifecycle.STOPPED, lifecycle.READY, lifecycle.STOPPED),
    *(lifecycle.STOPPED, lifecycle.FAILED, lifecycle.READY, lifecycle.STOPPED, lifecycle.STOPPED),
)


def fill_world(world: World) -> None:
    organization = add_organization(world, "fernhill")
    projects = [world.add_project(organization, name) for name in PROJECTS]
    world.add_key(DEFAULT_KEY, projects[0])
    add_foreign_project(world)
    add_large_compute(world, projects)
    add_large_containers(world, projects[0])
    models = [model for model in world.catalogue.models.values() if model.kind == "chat"]
    shift = shift_to_office_hours(world.start_ms)
    for number in range(ENDPOINTS):
        project = projects[number % len(projects)]
        created_ms = world.start_ms - 30 * DAY_MS + number * MINUTE_MS
        endpoint = world.add_endpoint(project=project, slug=f"service-{number:04d}", at_ms=created_ms)
        model = models[number % len(models)]
        for place in range(DEPLOYMENTS_PER_ENDPOINT):
            variety = derive_number(world.seed, number, place)
            scales = place == 0 and number % 5 == 0
            deployment = world.add_deployment(
                endpoint,
                slug=f"replica-set-{place}",
                model=model,
                config=world.catalogue.config_for(model, _HARDWARE[variety % len(_HARDWARE)]),
                autoscaling={"minReplicas": 1, "maxReplicas": 3 if scales else 1},
                at_ms=created_ms + (place + 1) * HOUR_MS,
                profile=Profile(peak_per_minute=0 if place % 3 else variety % 180, shift_hours=shift),
            )
            state = _STATES[(number + place) % len(_STATES)]
            _give_past(deployment.workload, deployment.created_ms, world.start_ms, state, variety)
            if state == lifecycle.READY:
                endpoint.traffic_split.append((deployment.deployment_id, 1))
    add_large_jobs(world, projects)


def _give_past(workload: Workload, created_ms: int, start_ms: int, state: str, variety: int) -> None:
    starting, loading, ready = lifecycle.plan_start(created_ms, 1, workload.pace.past)
    workload.timeline += [starting, loading]
    if state == lifecycle.FAILED:
        workload.enter(lifecycle.fail_phase(ready.at_ms))
        return
    workload.enter(ready)
    if state == lifecycle.STOPPED:
        stopped_ms = start_ms - (1 + variety % 20) * DAY_MS - variety % HOUR_MS
        workload.min_replicas = workload.max_replicas = 0
        for phase in lifecycle.plan_stop(
            max(stopped_ms, ready.at_ms + 1), workload.present, workload.pace.past
        ):
            workload.enter(phase)
        return
    workload.checked_ms = start_ms
