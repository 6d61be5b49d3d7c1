"""RL of Fernhill: a resource on which a run trains, and one that stopped when its run was forgotten."""

from simulator.clock import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from simulator.compute.rl import RlResource
from simulator.compute.rl_sessions import RlSession
from simulator.identifiers import derive_id, derive_uuid
from simulator.world import Project, World


def _add_resource(
    world: World,
    project: Project,
    base_model: str,
    gpu_type: str,
    at_ms: int,
    *,
    generators: int,
    idle_seconds: int,
) -> RlResource:
    resource = RlResource(
        derive_uuid(world.seed, "rl", base_model), project.project_id, base_model, gpu_type, generators, idle_seconds,
        True, {"adam": {}}, derive_id("user", world.seed, "rl"), at_ms, world.compute.tempo,
    )  # fmt: skip
    resource.order(at_ms)
    world.compute.rl_resources[resource.resource_id] = resource
    return resource


def _add_session(
    world: World, resource: RlResource, name: str, at_ms: int, step_every_ms: int | None
) -> RlSession:
    """Start a session when its resource is ready; with a pace, a client trains until the session ends."""
    resource.agenda.play(at_ms)
    run = {"entity": "fernhill", "project": "support", "run_name": name}
    session = RlSession(
        derive_uuid(world.seed, "rl-session", name), resource.project_id, resource.base_model, resource.created_by,
        at_ms, resource.tempo, name, {"wandb": run}, {"rank": 32, "alpha": 64, "dropout": 0.0},
        step_every_ms=step_every_ms,
    )  # fmt: skip
    resource.sessions.append(session)
    resource.note_activity(at_ms)
    session.begin(at_ms, resource.agenda)
    return session


def add_demo_rl(world: World, project: Project) -> None:
    """Rent two resources with three sessions: one runs, one was stopped, one expired with its resource."""
    start_ms = world.start_ms
    begun_ms = start_ms - 31 * HOUR_MS
    trained = _add_resource(
        world, project, "meta-llama/Llama-3.1-8B-Instruct", "H100-80GB", begun_ms, generators=2, idle_seconds=3_600
    )  # fmt: skip
    first = _add_session(world, trained, "triage-grpo-1", begun_ms + 20 * MINUTE_MS, 45 * SECOND_MS)
    stopped_ms = begun_ms + 9 * HOUR_MS
    trained.agenda.play(stopped_ms)
    first.stop(stopped_ms, trained.agenda)
    _add_session(world, trained, "triage-grpo-2", stopped_ms + 20 * MINUTE_MS, 45 * SECOND_MS)
    forgotten_ms = start_ms - 6 * DAY_MS
    forgotten = _add_resource(
        world, project, "Qwen/Qwen3-32B", "B200-SXM", forgotten_ms, generators=1, idle_seconds=4 * 3_600
    )  # fmt: skip
    _add_session(world, forgotten, "tone-dpo", forgotten_ms + 15 * MINUTE_MS, None)
    world.compute.advance(start_ms)
