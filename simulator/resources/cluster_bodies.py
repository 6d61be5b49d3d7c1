"""Bodies of clusters, their nodes and repairs as SDK 3.1.1 declares them, with `node_name` of the older spec."""

import base64
import re
from typing import Any

from simulator.clock import HOUR_MS, format_time
from simulator.compute import nodes
from simulator.compute.clusters import DELETING, SCHEDULED, Cluster
from simulator.compute.nodes import Node
from simulator.compute.regions import GPUS_PER_NODE
from simulator.compute.remediations import Remediation
from simulator.identifiers import derive_uuid
from simulator.resources.volumes import describe_volume

_CPU_CORES, _MEMORY_GIB = 176, 1800.0
_CONTROL_PLANE_NODES = 3
#: With this a test finds out whether a client kept what it must not keep.
KUBE_TOKEN_PREFIX = "simulated-kube-token-"  # noqa: S105  (not a password: a marker)


def phase_name(state: str) -> str:
    """Return the phase of a status: `InstallingDrivers` is `CLUSTER_PHASE_INSTALLING_DRIVERS`."""
    return "CLUSTER_PHASE_" + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", state).upper()


def _transitions(found: list[tuple[int, str]]) -> list[dict[str, str]]:
    return [{"phase": phase, "transition_time": format_time(at_ms)} for at_ms, phase in found]


def describe_cluster(cluster: Cluster) -> dict[str, Any]:
    has_control_plane = cluster.state not in {SCHEDULED, "WaitingForControlPlaneNodes"}
    body: dict[str, Any] = {
        "cluster_id": cluster.cluster_id,
        "cluster_name": cluster.name,
        "cluster_type": cluster.cluster_type,
        "project_id": cluster.project_id,
        "ums_project_id": cluster.project_id,
        "region": cluster.region,
        "gpu_type": cluster.gpu_type,
        "num_gpus": cluster.num_gpus,
        "num_reserved_gpus": cluster.num_reserved_gpus,
        "num_capacity_pool_gpus": 0,
        "num_cpu_workers": 0,
        "desired_preemptible_gpus": cluster.desired_preemptible_gpus,
        "allocated_preemptible_gpus": cluster.allocated_preemptible_gpus,
        "billing_type": cluster.billing_type,
        "status": cluster.state,
        "phase_transitions": _transitions([(at_ms, phase_name(state)) for at_ms, state in cluster.phases]),
        "control_plane_nodes": _describe_control_plane(cluster) if has_control_plane else [],
        "control_plane_ready": has_control_plane and cluster.state != DELETING,
        "gpu_worker_nodes": [describe_node(cluster, node) for node in cluster.nodes],
        "deleted_gpu_worker_nodes": [describe_node(cluster, node) for node in cluster.former_nodes],
        "node_lifecycle_events": [
            {
                "node_id": event.node_id,
                "reason": event.reason,
                "message": event.message,
                "timestamp": format_time(event.at_ms),
            }
            for event in cluster.node_events
        ],
        "volumes": [describe_volume(volume) for volume in cluster.volumes if volume.gone_ms is None],
        "add_ons": [_describe_add_on(add_on) for add_on in cluster.add_ons if _is_enabled(add_on)],
        "cuda_version": cluster.driver.cuda_version,
        "nvidia_driver_version": cluster.driver.nvidia_driver_version,
        "nvidia_driver_version_id": cluster.driver.version_id,
        "os_image": cluster.driver.os,
        "kube_config": _kube_config(cluster) if has_control_plane else "",
        "created_at": format_time(cluster.created_ms),
        **cluster.settings,
    }
    if cluster.first_ready_ms is not None:
        body["first_ready_at"] = format_time(cluster.first_ready_ms)
    if cluster.term_ms is not None:
        body["duration_hours"] = cluster.term_ms // HOUR_MS
    if cluster.starts_ms is not None:
        body["reservation_start_time"] = format_time(cluster.starts_ms)
    if cluster.ends_ms is not None:
        body["reservation_end_time"] = format_time(cluster.ends_ms)
    return body


def _describe_control_plane(cluster: Cluster) -> list[dict[str, Any]]:
    up_ms = next(at_ms for at_ms, state in cluster.phases if state != SCHEDULED)
    return [
        {
            "node_id": derive_uuid(cluster.cluster_id, "control-plane", number),
            "node_name": f"{cluster.name}-cp-{number}",
            "host_name": f"{cluster.name}-cp-{number}",
            "status": "Running",
            "num_cpu_cores": 16,
            "memory_gib": 64.0,
            "network": f"10.255.0.{number + 10}",
            "phase_transitions": _transitions([(up_ms, nodes.PENDING), (up_ms, nodes.RUNNING)]),
        }
        for number in range(_CONTROL_PLANE_NODES)
    ]


def describe_node(cluster: Cluster, node: Node) -> dict[str, Any]:
    body: dict[str, Any] = {
        "node_id": node.node_id,
        "node_name": node.name,
        "host_name": node.name,
        "instance_id": node.instance_id,
        "status": node.phase.removeprefix("NODE_PHASE_").capitalize(),
        "num_gpus": GPUS_PER_NODE,
        "num_cpu_cores": _CPU_CORES,
        "memory_gib": _MEMORY_GIB,
        "networks": [node.address],
        "ephemeral_storage": "4Ti",
        "auto_remediation_enabled": False,
        "marked_for_deletion": False,
        "phase_transitions": _transitions(node.transitions()),
    }
    if cluster.gpu_type.endswith("_SXM"):
        body |= {"ib_hca_count": 8, "ib_hca_type": "ConnectX-7", "nvswitch_count": 4}
    if cluster.cluster_type == "SLURM":
        body["slurm_worker_hostname"] = node.name
    if node.deleted_ms is not None:
        body["deleted_at"] = format_time(node.deleted_ms)
    repairs = [one for one in cluster.remediations if one.node is node]
    if repairs:
        body["latest_remediation"] = describe_remediation(repairs[-1])
    return body


def _is_enabled(add_on: dict[str, Any]) -> bool:
    config = add_on.get("config", {}).get(add_on["add_on_type"], {})
    return bool(config.get("enabled", True))


def _describe_add_on(add_on: dict[str, Any]) -> dict[str, Any]:
    kind = add_on["add_on_type"]
    return {
        "add_on_type": kind,
        "name": add_on["name"],
        "config": {kind: {"enabled": True}},
        "state": {kind: {}},
    }


def _kube_config(cluster: Cluster) -> str:
    """Return a credential file as the API sends it: clients must neither keep nor show it."""
    token = KUBE_TOKEN_PREFIX + derive_uuid(cluster.cluster_id, "kube").replace("-", "")
    authority = base64.b64encode(cluster.cluster_id.encode()).decode()
    return (
        "apiVersion: v1\nkind: Config\nclusters:\n"
        f"- name: {cluster.name}\n  cluster:\n    server: https://{cluster.cluster_id}.invalid:6443\n"
        f"    certificate-authority-data: {authority}\n"
        f"users:\n- name: admin\n  user:\n    token: {token}\n"
    )


def describe_remediation(remediation: Remediation) -> dict[str, Any]:
    body: dict[str, Any] = {
        "id": remediation.remediation_id,
        "cluster_id": remediation.cluster.cluster_id,
        "instance_id": remediation.node.instance_id,
        "instance_name": remediation.node.name,
        "mode": remediation.mode,
        "state": remediation.state,
        "trigger": remediation.trigger,
        "requested_by": remediation.requested_by,
        "reason": remediation.reason,
        "create_time": format_time(remediation.created_ms),
        "update_time": format_time(remediation.states[-1][0]),
    }
    times = {
        "review_time": remediation.reviewed_ms,
        "start_time": remediation.started_ms,
        "end_time": remediation.ended_ms,
    }
    body |= {name: format_time(at_ms) for name, at_ms in times.items() if at_ms is not None}
    for name in ("reviewed_by", "review_comment"):
        if getattr(remediation, name) is not None:
            body[name] = getattr(remediation, name)
    return body
