"""Repairs of cluster nodes: asked for by people, or proposed by the provider and approved by people."""

from dataclasses import dataclass, field
from typing import Final

from simulator.clock import MINUTE_MS
from simulator.compute import nodes
from simulator.compute.clusters import Cluster
from simulator.compute.nodes import Node
from simulator.compute.regions import GPUS_PER_NODE
from simulator.identifiers import derive_uuid

PENDING_APPROVAL: Final = "PENDING_APPROVAL"
PENDING: Final = "PENDING"
RUNNING: Final = "RUNNING"
SUCCEEDED: Final = "SUCCEEDED"
CANCELLED: Final = "CANCELLED"
STATES: Final = (
    *(PENDING_APPROVAL, PENDING, RUNNING, SUCCEEDED, "FAILED", CANCELLED),
    *("AUTO_RESOLVED", "QUARANTINING", "QUARANTINED"),
)
_REPLACES: Final = ("REMEDIATION_MODE_VM_ONLY", "REMEDIATION_MODE_HOST_AWARE")
EVICTS: Final = "REMEDIATION_MODE_EVICT_WITHOUT_REPLACEMENT"
POWER_CYCLE: Final = "REMEDIATION_MODE_HOST_POWER_CYCLE"
MODES: Final = (*_REPLACES, EVICTS, "REMEDIATION_MODE_REBOOT_VM", POWER_CYCLE)
MANUAL: Final = "REMEDIATION_TRIGGER_MANUAL"
AUTOMATED: Final = "REMEDIATION_TRIGGER_AUTOMATED"
_BEGIN_MS: Final = MINUTE_MS
_WORK_MS: Final = 6 * MINUTE_MS


@dataclass
class Remediation:
    """One repair of one node; times that are None have not come."""

    remediation_id: str
    cluster: Cluster
    node: Node
    mode: str
    trigger: str
    requested_by: str
    reason: str
    created_ms: int
    states: list[tuple[int, str]] = field(default_factory=list)
    reviewed_by: str | None = None
    review_comment: str | None = None
    reviewed_ms: int | None = None
    started_ms: int | None = None
    ended_ms: int | None = None

    @property
    def state(self) -> str:
        return self.states[-1][1]

    def review(self, at_ms: int, *, by: str, comment: str | None) -> None:
        self.reviewed_ms, self.reviewed_by, self.review_comment = at_ms, by, comment

    def begin(self, at_ms: int) -> None:
        """Queue the repair; it starts and ends by itself."""
        self.states.append((at_ms, PENDING))
        tempo, agenda = self.cluster.tempo, self.cluster.agenda
        start_ms = at_ms + tempo.length(at_ms, _BEGIN_MS)
        agenda.plan(start_ms, self.remediation_id, self._start)
        agenda.plan(start_ms + tempo.length(at_ms, _WORK_MS), self.remediation_id, self._finish)

    def cancel(self, at_ms: int) -> None:
        self.cluster.agenda.drop(self.remediation_id)
        self.states.append((at_ms, CANCELLED))
        self.ended_ms = at_ms

    def _start(self, at_ms: int) -> None:
        self.started_ms = at_ms
        self.states.append((at_ms, RUNNING))
        if self.node in self.cluster.nodes:
            self.cluster.fail_node(self.node, at_ms)  # it is out of service while it is worked on

    def _finish(self, at_ms: int) -> None:
        self.ended_ms = at_ms
        self.states.append((at_ms, SUCCEEDED))
        cluster, node = self.cluster, self.node
        if node not in cluster.nodes:
            return
        if self.mode in _REPLACES or self.mode == EVICTS:
            payment = node.payment
            cluster.remove_node(
                node, at_ms, reason="TogetherRemediated", message=f"Node {node.name} was taken out"
            )
            if self.mode == EVICTS:
                _shrink(cluster, payment)
            else:
                cluster.add_running_node(at_ms, payment, reason="TogetherRemediated")
        else:
            cluster.start_node(node, at_ms)
            node.enter(at_ms, nodes.PENDING)
        cluster.settle(at_ms)


def _shrink(cluster: Cluster, payment: str) -> None:
    if payment == nodes.PREEMPTIBLE:
        cluster.desired_preemptible_gpus -= GPUS_PER_NODE
    else:
        cluster.num_gpus -= GPUS_PER_NODE


def propose_repair(
    cluster: Cluster, node: Node, at_ms: int, *, reason: str, mode: str = MODES[0]
) -> Remediation:
    """Add a repair as the provider proposes it: it waits for somebody to approve or reject it."""
    number = len(cluster.remediations) + 1
    remediation = Remediation(
        derive_uuid(cluster.cluster_id, "remediation", number), cluster, node, mode, AUTOMATED,
        "together", reason, at_ms, [(at_ms, PENDING_APPROVAL)],
    )  # fmt: skip
    cluster.remediations.append(remediation)
    return remediation
