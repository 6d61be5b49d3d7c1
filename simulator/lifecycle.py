"""How a deployment moves: pure plans of the phases to come, as functions of time and the present phase.

A plan is a tuple of phases in order of time; the first one holds from its own instant. v1 endpoints use the same
machine under other names. The names and refusals are documented; the arrows and durations are believable inventions.
"""

import math
from dataclasses import dataclass
from typing import Final

from simulator.clock import HOUR_MS, MINUTE_MS, SECOND_MS

PROVISIONING: Final = "PROVISIONING"
READY: Final = "READY"
SCALING: Final = "SCALING"
DEGRADED: Final = "DEGRADED"
FAILED: Final = "FAILED"
STOPPING: Final = "STOPPING"
STOPPED: Final = "STOPPED"
STATES: Final = (PROVISIONING, READY, SCALING, DEGRADED, FAILED, STOPPING, STOPPED)
RUNNING: Final = frozenset({READY, SCALING, DEGRADED})

#: What a stop does. All but "normal" are faults asked for by a test.
STOP_NORMAL: Final = "normal"
STOP_IGNORED: Final = "ignored"
STOP_ENDLESS: Final = "endless"
STOP_FAILS: Final = "fails"
#: Fault kind of one request -> what the stop that it asks for does.
STOP_FAULTS: Final = {"stop_ignored": STOP_IGNORED, "stop_endless": STOP_ENDLESS, "stop_fails": STOP_FAILS}

OUT_OF_MEMORY: Final = "Model server exited twice: CUDA out of memory"


@dataclass(frozen=True, slots=True)
class Durations:
    """How long transitions take, in milliseconds."""

    provision_ms: int = 10 * MINUTE_MS
    add_replica_ms: int = 3 * MINUTE_MS
    remove_replica_ms: int = 30 * SECOND_MS
    drain_ms: int = 45 * SECOND_MS
    stop_ms: int = 90 * SECOND_MS
    recover_ms: int = 4 * MINUTE_MS
    start_limit_ms: int = 6 * HOUR_MS  # documented: not ready within 6 h = FAILED

    def shortened(self, speed: float) -> "Durations":
        """Return the same transitions `speed` times faster."""
        return Durations(*(max(1, round(getattr(self, name) / speed)) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Phase:
    """A stretch of one deployment's life, from `at_ms` until the next phase. Only `ready` replicas cost money."""

    at_ms: int
    state: str
    ready: int
    scheduled: int
    desired: int
    message: str
    reason: str
    source: str = "controller"


def _running(at_ms: int, ready: int, desired: int, *, source: str = "controller") -> Phase:
    if ready == desired:
        return Phase(at_ms, READY, ready, ready, desired, "All replicas ready", "AllReplicasReady", source)
    message = f"{ready}/{desired} replicas ready"
    return Phase(at_ms, SCALING, ready, max(ready, desired), desired, message, "ReplicasProgressing", source)


def plan_start(at_ms: int, replicas: int, durations: Durations, *, source: str = "api") -> tuple[Phase, ...]:
    """Provision, then become ready: half way the replicas are scheduled, none of them bills before the end."""
    half = at_ms + durations.provision_ms // 2
    waiting = "Waiting for capacity"
    return (
        Phase(at_ms, PROVISIONING, 0, 0, replicas, waiting, "Provisioning", source),
        Phase(half, PROVISIONING, 0, replicas, replicas, "Loading model weights", "ReplicasProgressing"),
        _running(at_ms + durations.provision_ms, replicas, replicas),
    )


def plan_stuck_start(
    at_ms: int, replicas: int, durations: Durations, *, source: str = "api"
) -> tuple[Phase, ...]:
    """Provision without ever becoming ready: terminal FAILED after the documented limit."""
    waiting = Phase(
        at_ms, PROVISIONING, 0, replicas, replicas, "Waiting for capacity", "Provisioning", source
    )
    return (waiting, fail_phase(at_ms + durations.start_limit_ms, "Not ready within 6 hours"))


def fail_phase(at_ms: int, message: str = OUT_OF_MEMORY) -> Phase:
    return Phase(at_ms, FAILED, 0, 0, 0, message, "ReplicaFailure")


def plan_stop(
    at_ms: int, present: Phase, durations: Durations, *, behaviour: str = STOP_NORMAL, source: str = "api"
) -> tuple[Phase, ...]:
    """Drain, release, stop. Replicas stay ready (and bill) while they drain."""
    if behaviour == STOP_IGNORED or present.state in {STOPPED, STOPPING, FAILED}:
        return ()
    draining = Phase(
        at_ms, STOPPING, present.ready, present.scheduled, 0, "Draining requests", "Draining", source
    )
    if behaviour == STOP_ENDLESS:
        return (draining,)
    drained_at = at_ms + (durations.drain_ms if present.ready else 0)
    released = Phase(drained_at, STOPPING, 0, 0, 0, "Releasing replicas", "Releasing")
    end_at = at_ms + durations.stop_ms
    if behaviour == STOP_FAILS:
        return (draining, released, fail_phase(end_at, "Teardown failed: node did not answer"))
    stopped = Phase(end_at, STOPPED, 0, 0, 0, "Deployment is stopped", "Stopped")
    return (draining, released, stopped) if present.ready else (draining, stopped)


def plan_scale(
    at_ms: int, present: Phase, desired: int, durations: Durations, *, source: str = "autoscaler"
) -> tuple[Phase, ...]:
    """Add replicas one after another, or let the surplus drain together."""
    if desired == present.ready:
        return (_running(at_ms, present.ready, desired, source=source),)
    if desired < present.ready:
        shrinking = Phase(
            at_ms,
            SCALING,
            present.ready,
            present.ready,
            desired,
            f"Scaling down to {desired} replicas",
            "ReplicasProgressing",
            source,
        )
        return (shrinking, _running(at_ms + durations.remove_replica_ms, desired, desired))
    phases = [_running(at_ms, present.ready, desired, source=source)]
    for step in range(1, desired - present.ready + 1):
        ready_at = at_ms + durations.add_replica_ms + (step - 1) * durations.add_replica_ms // 5
        phases.append(_running(ready_at, present.ready + step, desired))
    return tuple(phases)


def plan_degradation(at_ms: int, present: Phase, lost: int, durations: Durations) -> tuple[Phase, ...]:
    """Lose replicas, keep the rest serving, and recover."""
    ready = max(0, present.ready - lost)
    degraded = Phase(
        at_ms,
        DEGRADED,
        ready,
        present.desired,
        present.desired,
        f"{ready}/{present.desired} replicas ready: replica unhealthy",
        "ReplicaUnhealthy",
    )
    return (degraded, _running(at_ms + durations.recover_ms, present.desired, present.desired))


def recommend_replicas(
    requests_per_minute: float, *, per_replica: float, min_replicas: int, max_replicas: int
) -> int:
    """Return the replicas that this many requests need, within the bounds."""
    return max(min_replicas, min(max_replicas, math.ceil(requests_per_minute / per_replica)))
