"""How rollouts move traffic: step by step while they run, all at once when they are completed."""

from simulator import lifecycle
from simulator.experiments import Rollout
from simulator.world import Endpoint, World


def advance_rollouts(world: World, now_ms: int) -> None:
    """Take every step that was due by now, at its own time."""
    for rollout in world.experiments.rollouts.values():
        while rollout.state == "RUNNING" and rollout.next_ms <= now_ms:
            if not {rollout.source_id, rollout.target_id} <= world.deployments.keys():
                rollout.state, rollout.completed_ms = "CANCELED", rollout.next_ms  # one of them vanished
                break
            take_step(world, rollout, rollout.next_ms)


def start_rollout(world: World, rollout: Rollout, at_ms: int) -> None:
    rollout.state, rollout.started_ms, rollout.step = "RUNNING", at_ms, 0
    _move_traffic(world, rollout, rollout.steps[0], at_ms)
    rollout.next_ms = at_ms + rollout.interval_ms


def take_step(world: World, rollout: Rollout, at_ms: int) -> None:
    """Go to the next step; after the last one the rollout is completed."""
    if rollout.step + 1 >= len(rollout.steps):
        complete_rollout(world, rollout, at_ms)
        return
    rollout.step += 1
    rollout.touch(at_ms)
    _move_traffic(world, rollout, rollout.steps[rollout.step], at_ms)
    rollout.next_ms = at_ms + rollout.interval_ms


def complete_rollout(world: World, rollout: Rollout, at_ms: int) -> None:
    """Send everything to the target and scale the source to what is to be left of it; by default it stops."""
    _move_traffic(world, rollout, 100, at_ms)
    rollout.state, rollout.completed_ms, rollout.step = "COMPLETED", at_ms, len(rollout.steps) - 1
    rollout.touch(at_ms)
    source = world.deployments.get(rollout.source_id)
    if source is None:
        return
    left = rollout.spec.get("finalSourceReplicas", 0)
    source.workload.advance(at_ms)
    source.workload.note_settings(at_ms)
    source.workload.min_replicas = left
    source.workload.max_replicas = max(left, source.workload.max_replicas) if left else 0
    if not left:
        source.workload.stop(at_ms)
    elif source.workload.state in lifecycle.RUNNING:
        source.workload.apply_bounds(at_ms)
    source.version += 1
    source.updated_ms = at_ms


def find_endpoint(world: World, rollout: Rollout) -> Endpoint | None:
    return world.endpoints.get(rollout.endpoint_id)


def _move_traffic(world: World, rollout: Rollout, percent: int, at_ms: int) -> None:
    """Give the pair's weight to both in that proportion; whoever else has traffic keeps it."""
    endpoint = find_endpoint(world, rollout)
    if endpoint is None:
        return
    pair = {rollout.source_id, rollout.target_id}
    whole = sum(weight for one, weight in endpoint.traffic_split if one in pair) or 1
    split = [part for part in endpoint.traffic_split if part[0] not in pair]
    if percent < 100:
        split.append((rollout.source_id, whole * (100 - percent) / 100))
    split.append((rollout.target_id, whole * percent / 100))
    endpoint.was_routed = True
    endpoint.traffic_split = split
    endpoint.touch(at_ms)
