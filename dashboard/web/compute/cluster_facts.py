"""What the page of a cluster says of its body: GPUs and who pays them, the way to Ready, drivers, add-ons. Pure.

Facts: contract sections 2 and 8. What a body does not tell is None or empty, and the page says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from dashboard.core import resource_states, status
from dashboard.together_api import payloads
from dashboard.web.compute.names import spell_phase
from dashboard.web.compute.nodes import NodeLine, list_nodes

# Clusters grow and shrink by whole nodes (contract 8).
GPUS_PER_NODE = 8
# Most events of nodes that the page lists; the raw payload has all.
MOST_EVENTS = 20


@dataclass(frozen=True, slots=True)
class GpuSplit:
    """The GPUs of a cluster. `ordered` None = not told; `live` are those of live nodes, whoever pays for them.

    The provider tells no payment per node: live GPUs are taken as prepaid first, then preemptible, then on demand.
    """

    ordered: int | None
    live: int
    prepaid: int
    wanted_preemptible: int
    allocated_preemptible: int

    @property
    def live_prepaid(self) -> int:
        """Return the live GPUs that are paid in advance."""
        return min(self.live, self.prepaid)

    @property
    def live_preemptible(self) -> int:
        """Return the live GPUs that may be taken back at any time."""
        return min(self.live - self.live_prepaid, self.allocated_preemptible)

    @property
    def live_on_demand(self) -> int:
        """Return the live GPUs that bill by the hour at the on-demand price."""
        return self.live - self.live_prepaid - self.live_preemptible

    @property
    def is_mixed(self) -> bool:
        """True when not all live GPUs are paid the same way."""
        return sum(1 for part in (self.live_prepaid, self.live_preemptible, self.live_on_demand) if part) > 1


@dataclass(frozen=True, slots=True)
class PhaseStep:
    """One step of the way to Ready. `lasted` None = not begun, or still under way without a start."""

    word: str
    state: Literal["done", "now", "ahead", "failed"]
    started_at: datetime | None = None
    lasted: timedelta | None = None


@dataclass(frozen=True, slots=True)
class NodeEvent:
    """An entry of the cluster's own list of nodes that came and went."""

    at: datetime | None
    node: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """Everything that a cluster's body says beyond the mirrored columns."""

    gpus: GpuSplit
    nodes: tuple[NodeLine, ...]
    former_nodes: tuple[NodeLine, ...]
    control_plane: tuple[NodeLine, ...]
    is_control_plane_ready: bool | None
    steps: tuple[PhaseStep, ...]
    took_to_ready: timedelta | None
    events: tuple[NodeEvent, ...]
    add_ons: tuple[str, ...]
    volumes: tuple[payloads.ClusterVolume, ...]
    cuda_version: str
    driver_version: str
    os_image: str
    cluster_type: str
    billing_type: str
    cpu_workers: int | None
    pool_gpus: int
    reserved_gpus: int
    reservation_start: datetime | None
    reservation_end: datetime | None

    @property
    def live_nodes(self) -> int:
        """Return how many worker nodes are live."""
        return sum(1 for node in self.nodes if node.is_live)

    @property
    def repairs(self) -> tuple[NodeLine, ...]:
        """Return the nodes whose repair waits for somebody's approval."""
        return tuple(node for node in self.nodes if node.repair and node.repair.needs_approval)


def read_cluster(body: Mapping[str, Any], *, remote_id: str, now: datetime) -> ClusterFacts:
    """Return the facts of a cluster's body; one that cannot be read counts as empty."""
    parsed = _parse(body, remote_id)
    extra = parsed.model_extra or {}
    is_ready = extra.get("control_plane_ready")
    ended = _find_ready(parsed)
    nodes = list_nodes(parsed.gpu_worker_nodes)
    return ClusterFacts(
        gpus=_split(parsed, nodes),
        nodes=nodes,
        former_nodes=list_nodes(parsed.deleted_gpu_worker_nodes),
        control_plane=list_nodes(parsed.control_plane_nodes),
        is_control_plane_ready=is_ready if isinstance(is_ready, bool) else None,
        steps=list_steps(parsed.phase_transitions, state=parsed.status, now=now),
        took_to_ready=ended - parsed.created_at if ended and parsed.created_at else None,
        events=_list_events(parsed),
        add_ons=tuple(one.name or one.add_on_type for one in parsed.add_ons),
        volumes=parsed.volumes,
        cuda_version=parsed.cuda_version,
        driver_version=parsed.nvidia_driver_version,
        os_image=str(extra.get("os_image") or ""),
        cluster_type=spell_phase(parsed.cluster_type),
        billing_type=parsed.billing_type,
        cpu_workers=parsed.num_cpu_workers,
        pool_gpus=parsed.num_capacity_pool_gpus or 0,
        reserved_gpus=parsed.num_reserved_gpus or 0,
        reservation_start=parsed.reservation_start_time,
        reservation_end=parsed.reservation_end_time,
    )


def _parse(body: Mapping[str, Any], remote_id: str) -> payloads.Cluster:
    try:
        return payloads.Cluster.parse({"cluster_id": remote_id} | dict(body))
    except ValueError:
        return payloads.Cluster.parse({"cluster_id": remote_id})


def _split(body: payloads.Cluster, nodes: Sequence[NodeLine]) -> GpuSplit:
    return GpuSplit(
        ordered=body.num_gpus,
        live=sum(node.gpu_count or 0 for node in nodes if node.is_live),
        prepaid=(body.num_reserved_gpus or 0) + (body.num_capacity_pool_gpus or 0),
        wanted_preemptible=body.desired_preemptible_gpus or 0,
        allocated_preemptible=body.allocated_preemptible_gpus or 0,
    )


# What a new cluster goes through, in the order of the SDK's list; the words fit under a step.
_WAY = (
    ("Control plane", "WAITING_FOR_CONTROL_PLANE_NODES"),
    ("Data plane", "WAITING_FOR_DATA_PLANE_NODES"),
    ("Subnet", "WAITING_FOR_SUBNET"),
    ("Volume", "WAITING_FOR_SHARED_VOLUME"),
    ("Drivers", "INSTALLING_DRIVERS"),
    ("Tests", "RUNNING_ACCEPTANCE_TESTS"),
    ("Ready", "READY"),
)
# Further phases that a cluster may go through on that way; they show where they were told.
_BESIDE = {
    "QUEUED": "Queued",
    "SCHEDULED": "Scheduled",
    "WAITING_FOR_AUTO_SCALER": "Autoscaler",
    "RUNNING_NCCL_TESTS": "NCCL tests",
    "ACCEPTANCE_TESTS_FAILED": "Tests failed",
    "NCCL_TESTS_FAILED": "NCCL failed",
}


def list_steps(
    transitions: Sequence[payloads.PhaseTransition], *, state: str, now: datetime
) -> tuple[PhaseStep, ...]:
    """Return the way to the first Ready: told phases with their length, then those that still lie ahead.

    Empty when the body dates no phase. A cluster that is past its first Ready shows the way it took.
    """
    told = [
        (one.phase.removeprefix("CLUSTER_PHASE_"), one.transition_time)
        for one in transitions
        if one.transition_time is not None and one.phase
    ]
    told.sort(key=lambda pair: pair[1])
    words = {phase: word for word, phase in _WAY} | _BESIDE
    steps: list[PhaseStep] = []
    for place, (phase, at) in enumerate(told):
        if phase == "READY":
            steps.append(PhaseStep("Ready", "done", at))
            return tuple(steps)
        until = told[place + 1][1] if place + 1 < len(told) else None
        is_failed = phase.endswith("_FAILED")
        step_state: Literal["done", "now", "failed"] = "failed" if is_failed else "done" if until else "now"
        word = words.get(phase, spell_phase(phase))
        steps.append(PhaseStep(word, step_state, at, (until or now) - at))
    seen = {phase for phase, _ in told}
    is_on_its_way = resource_states.read_state("cluster", state) in (status.QUEUED, status.STARTING)
    if not told or not is_on_its_way:
        return tuple(steps)
    last = max((place for place, (_, phase) in enumerate(_WAY) if phase in seen), default=-1)
    return (*steps, *(PhaseStep(word, "ahead") for word, _ in _WAY[last + 1 :]))


def _find_ready(body: payloads.Cluster) -> datetime | None:
    if body.first_ready_at is not None:
        return body.first_ready_at
    times = [
        one.transition_time
        for one in body.phase_transitions
        if one.phase == "CLUSTER_PHASE_READY" and one.transition_time is not None
    ]
    return min(times, default=None)


def _list_events(body: payloads.Cluster) -> tuple[NodeEvent, ...]:
    dated = sorted(
        body.node_lifecycle_events,
        key=lambda one: (one.timestamp is not None, one.timestamp),
        reverse=True,
    )
    return tuple(
        NodeEvent(one.timestamp, one.node_id, spell_phase(one.reason.removeprefix("Together")), one.message)
        for one in dated[:MOST_EVENTS]
    )


@dataclass(frozen=True, slots=True)
class SizeChoice:
    """A size that a cluster may be changed to. `billed` GPUs are those beyond the prepaid ones, once all are live.

    Rates in nano-dollars per hour; None = price unknown.
    """

    gpus: int
    billed: int
    rate: int | None
    change: int | None

    @property
    def nodes(self) -> int:
        """Return whole nodes."""
        return self.gpus // GPUS_PER_NODE


# Nodes that one change may add: a slip of the finger must not order a hall of machines.
MOST_ADDED_NODES = 16


def list_sizes(gpus: GpuSplit, *, reserved: int, nano_usd_per_gpu_hour: int | None) -> tuple[SizeChoice, ...]:
    """Return the sizes a cluster can be changed to, smallest first, the present one left out.

    The reserved part cannot shrink; the change of the rate is measured from the present size, all of it live.
    Preemptible GPUs come on top of a cluster's size and are left out.
    """
    present = gpus.ordered or 0
    least = max(GPUS_PER_NODE, -(-reserved // GPUS_PER_NODE) * GPUS_PER_NODE)
    most = max(present, least) + MOST_ADDED_NODES * GPUS_PER_NODE

    def rate_of(size: int) -> int | None:
        return None if nano_usd_per_gpu_hour is None else max(size - gpus.prepaid, 0) * nano_usd_per_gpu_hour

    now = rate_of(present)
    choices = []
    for size in range(least, most + 1, GPUS_PER_NODE):
        if size == present:
            continue
        rate = rate_of(size)
        change = None if rate is None or now is None else rate - now
        choices.append(SizeChoice(size, max(size - gpus.prepaid, 0), rate, change))
    return tuple(choices)
