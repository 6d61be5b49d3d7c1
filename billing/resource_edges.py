"""What bills of a cluster, volume, container or RL resource from when on, as edges of its life. Pure.

Contract section 2: on-demand GPUs of running nodes; a volume while it exists, attached or not; ready replicas of a
container; RL resources while READY. The provider dates the phases of a cluster's nodes, so these are exact; all else
is seen by polling.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from billing.metering import Source
from billing.metering_edges import CLOCK_TOLERANCE, GONE, POLL, Edge
from dashboard.core import resource_states, status
from dashboard.together_api import payloads

PHASE = Source.PHASE.value
_CLUSTER, _VOLUME = "cluster", "volume"


@dataclass(frozen=True, slots=True)
class Change:
    """An edge as the mirror has it (mirror.ResourceChange). `units` None: the phase does not tell."""

    at: datetime
    not_before: datetime | None
    state: str
    units: int | None
    is_poll: bool


def list_polled(changes: Iterable[Change], *, sku: str) -> list[Edge]:
    """Return the edges of what is seen by polling only: containers and RL resources."""
    return [
        Edge(
            change.at,
            change.state,
            units,
            units,
            POLL if change.is_poll else PHASE,
            change.not_before,
            sku,
        )
        for change in changes
        if (units := 0 if change.state == GONE else change.units) is not None
    ]


def steady(edges: Sequence[Edge]) -> list[Edge]:
    """Return the edges of what changes once at most between two looks; before the first look it may have."""
    return [*edges[:1], *(replace(edge, is_steady=True) for edge in edges[1:])]


def list_volume(changes: Sequence[Change], *, sku: str, size_tib: int) -> list[Edge]:
    """Return the edges of a volume: it bills from its making, also before it is usable.

    The mirror counts no TiB before that; the size is that of the next look, or the present one. Whether one that could
    not be made bills is not told: it counts from nothing to all.
    """
    edges: list[Edge] = []
    size = size_tib
    for change in sorted(changes, key=lambda one: one.at, reverse=True):
        meaning = resource_states.read_state(_VOLUME, change.state)
        if change.state == GONE:
            low = high = 0
        elif change.units:
            low = high = size = change.units
        else:
            low, high = (0 if meaning is status.FAILED else size), size
        source = POLL if change.is_poll else PHASE
        edges.append(Edge(change.at, change.state, low, high, source, change.not_before, sku, is_steady=True))
    first = edges[-1] if edges else None
    if first is not None and first.not_before is not None:
        # The look before did not find it: nothing billed then.
        edges.append(Edge(first.not_before, "", 0, 0, PHASE, sku=sku))
    return edges[::-1]


def list_cluster(changes: Sequence[Change], *, body: payloads.Cluster, sku: str) -> list[Edge]:
    """Return the edges of a cluster's on-demand GPUs, from the phases of its nodes, past ones included.

    What was polled counts where the phases contradict it (a node that left without a trace), and alone where a node
    has none. Which nodes are prepaid is not told: with some of them down, the running ones cost from none beyond the
    prepaid number to all that are not prepaid. Preemptible GPUs cost less, and how much less is not told: from nothing.
    """
    changes = sorted(changes, key=lambda one: one.at)
    polled = steady([one for one in list_polled(changes, sku=sku) if one.source == POLL])
    nodes = (*body.gpu_worker_nodes, *body.deleted_gpu_worker_nodes)
    if any(not _phases(node) for node in body.gpu_worker_nodes):
        return polled
    dated = list(_list_dated(body, nodes, sku=sku))
    prepaid = (body.num_reserved_gpus or 0) + (body.num_capacity_pool_gpus or 0)
    preemptible = max(body.desired_preemptible_gpus or 0, body.allocated_preemptible_gpus or 0)
    edges = [_price_edge(one, prepaid=prepaid, preemptible=preemptible) for one in dated]
    counted = [_price_edge(one, prepaid=prepaid, preemptible=0) for one in dated]
    return sorted([*edges, *_contradicting(polled, counted)], key=lambda edge: edge.at)


def _phases(node: payloads.ClusterNode) -> list[tuple[datetime, str]]:
    """Return the dated phases of a node, oldest first."""
    dated = [(one.transition_time, one.phase) for one in node.phase_transitions if one.transition_time]
    return sorted(dated, key=lambda pair: pair[0])


@dataclass(frozen=True, slots=True)
class _Moment:
    """From `at` on: the cluster's state, GPUs of nodes that are there, and of those that run."""

    at: datetime
    state: str
    present: int
    live: int
    sku: str


def _list_dated(
    body: payloads.Cluster, nodes: Sequence[payloads.ClusterNode], *, sku: str
) -> Iterator[_Moment]:
    """Yield what the dated phases of cluster and nodes say, a moment per instant at which one changes."""
    states = [
        (one.transition_time, resource_states.spell_cluster_phase(one.phase))
        for one in body.phase_transitions
        if one.transition_time and one.phase
    ]
    states.sort(key=lambda pair: pair[0])
    histories = [(node, _phases(node)) for node in nodes]
    instants = {at for at, _ in states}
    for node, phases in histories:
        instants |= {at for at, _ in phases} | ({node.deleted_at} if node.deleted_at else set())
    for at in sorted(instants):
        present = live = 0
        for node, phases in histories:
            reached = [phase for since, phase in phases if since <= at]
            if not reached or (node.deleted_at is not None and node.deleted_at <= at):
                continue
            present += node.num_gpus or 0
            live += 0 if resource_states.is_node_at_rest(reached[-1]) else node.num_gpus or 0
        state = next((word for since, word in reversed(states) if since <= at), body.status)
        yield _Moment(at, state, present, live, sku)


def _price_edge(moment: _Moment, *, prepaid: int, preemptible: int) -> Edge:
    is_paused = resource_states.read_state(_CLUSTER, moment.state) is status.PAUSED
    least = 0 if is_paused else max(moment.live - prepaid, 0)
    most = 0 if is_paused else min(moment.live, max(moment.present - prepaid, 0))
    return Edge(moment.at, moment.state, max(least - preemptible, 0), most, PHASE, sku=moment.sku)


def _contradicting(polled: Sequence[Edge], told: Sequence[Edge]) -> Iterator[Edge]:
    """Yield what was polled and the phases do not show, with the poll that ends it, and that it is gone."""
    was_odd = False
    for edge in polled:
        is_odd = edge.state != GONE and not _is_shown(edge, told)
        if is_odd or was_odd or edge.state == GONE:
            yield edge
        was_odd = is_odd


def _is_shown(edge: Edge, told: Sequence[Edge]) -> bool:
    """Tell whether the phases show the polled number at some time within the bound of the poll."""
    first = (edge.not_before or edge.at) - CLOCK_TOLERANCE
    last = edge.at + CLOCK_TOLERANCE
    before = [one for one in told if one.at <= first][-1:]
    within = [one for one in told if first < one.at <= last]
    shown = [*before, *within] if before else [replace(edge, low=0, high=0), *within]
    return any(one.low == edge.low for one in shown)
