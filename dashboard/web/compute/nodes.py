"""The nodes of a cluster as rows: what each holds, what state it is in, and what is known of its bill. Pure.

The provider does not tell which nodes a prepayment or a preemptible share covers, only how many GPUs (contract 8).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime

from dashboard.core import status
from dashboard.core.status import Status
from dashboard.mirror.kinds.compute import find_newest_phase, is_live_node
from dashboard.together_api import payloads
from dashboard.web.compute.names import spell_phase
from dashboard.web.resources.bodies import text_of

_PREFIX = "NODE_PHASE_"
_RUNNING = replace(status.RUNNING, note="live")
_STARTING = replace(status.STARTING, note="not live yet")
_FAILED = replace(status.FAILED, note="not live, needs a repair")
_PAUSED = replace(status.PAUSED, note="not live")
_LEFT = replace(status.STOPPED, word="Gone", note="left the cluster")
_UNKNOWN = replace(status.UNKNOWN, note="counted as live")
_STATUSES = {
    "pending": _STARTING,
    "scheduling": _STARTING,
    "booting": _STARTING,
    "bootstrapping": _STARTING,
    "running": _RUNNING,
    "ready": _RUNNING,
    "failed": _FAILED,
    "paused": _PAUSED,
    "succeeded": _LEFT,
    "deleted": _LEFT,
}
# What each mode of a remediation does (SDK 3.1.1, clusters/remediation.py).
_MODES = {
    "VM_ONLY": "a new machine on any host",
    "HOST_AWARE": "a new machine on another host",
    "EVICT_WITHOUT_REPLACEMENT": "taken out, not replaced",
    "REBOOT_VM": "a reboot",
    "HOST_POWER_CYCLE": "a power cycle of its host",
}


@dataclass(frozen=True, slots=True)
class Repair:
    """The newest remediation of a node, as told; `at` None = not told."""

    state: str
    mode: str
    reason: str
    at: datetime | None

    @property
    def needs_approval(self) -> bool:
        """True while the provider waits for somebody to approve it."""
        return "approval" in self.state.lower()


@dataclass(frozen=True, slots=True)
class NodeLine:
    """One node. `since` is the start of its present phase; None counts = not told."""

    name: str
    node_id: str
    status: Status
    phase: str
    since: datetime | None
    is_live: bool
    gpu_count: int | None
    cpu_cores: int | None
    memory_gib: float | None
    networks: str
    repair: Repair | None
    is_leaving: bool
    deleted_at: datetime | None

    @property
    def words(self) -> str:
        """The phase in words where it says more than the status."""
        words = spell_phase(self.phase)
        return "" if words == self.status.word else words


def list_nodes(nodes: Sequence[payloads.ClusterNode]) -> tuple[NodeLine, ...]:
    """Return the nodes by name."""
    return tuple(sorted((_describe(node) for node in nodes), key=lambda line: (line.name, line.node_id)))


def _describe(node: payloads.ClusterNode) -> NodeLine:
    newest = find_newest_phase(node)
    phase = (newest.phase if newest else node.status).removeprefix(_PREFIX)
    return NodeLine(
        name=node.host_name or node.node_id or "not named",
        node_id=node.node_id,
        status=_STATUSES.get(phase.lower(), _UNKNOWN),
        phase=phase,
        since=newest.transition_time if newest else None,
        is_live=node.deleted_at is None and is_live_node(node),
        gpu_count=node.num_gpus,
        cpu_cores=node.num_cpu_cores,
        memory_gib=node.memory_gib,
        networks=", ".join(node.networks) or node.network or "",
        repair=_read_repair((node.model_extra or {}).get("latest_remediation")),
        is_leaving=bool(node.marked_for_deletion),
        deleted_at=node.deleted_at,
    )


def _read_repair(value: Any) -> Repair | None:
    if not isinstance(value, dict):
        return None
    mode = text_of(value, "mode").removeprefix("REMEDIATION_MODE_")
    return Repair(
        state=spell_phase(text_of(value, "state").removeprefix("REMEDIATION_STATE_")),
        mode=_MODES.get(mode, spell_phase(mode)),
        reason=text_of(value, "reason"),
        at=_read_time(text_of(value, "update_time", "create_time")),
    )


def _read_time(text: str) -> datetime | None:
    try:
        return parse_datetime(text)
    except ValueError:
        return None
