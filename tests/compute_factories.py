"""Rows and bodies of rented compute, for tests of its pages."""

from datetime import datetime, timedelta
from typing import Any

from dashboard.accounts.models import Connection
from dashboard.mirror.models import ClusterRegion, UnitPrice
from tests import factories
from tests.factories import NOW


def make_region(*, connection: Connection, name: str = "us-central-8") -> ClusterRegion:
    payload = {"name": name, "supported_instance_types": ["H100_SXM"]}
    return ClusterRegion.objects.create(
        remote_id=name,
        **factories._mirrored(connection, payload, {}),
    )


def make_unit_price(
    *,
    connection: Connection,
    sku: str = "cluster/H100_SXM/ON_DEMAND",
    nano: int = 3_490_000_000,
    **fields: Any,
) -> UnitPrice:
    defaults: dict[str, Any] = {
        "valid_from": NOW - timedelta(days=3),
        "source": UnitPrice.PriceSource.BILL,
        "evidence": "billed hour of 2026-11-18 11:00 UTC, GPU Cluster - H100",
    }
    return UnitPrice.objects.create(
        connection=connection, sku=sku, nano_usd_per_hour=nano, **(defaults | fields)
    )


def write_time(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def node_body(name: str, phase: str = "RUNNING", **fields: Any) -> dict[str, Any]:
    """Return a worker node whose newest phase began an hour before NOW."""
    return {
        "node_id": f"id-of-{name}",
        "host_name": name,
        "status": phase.capitalize(),
        "num_gpus": 8,
        "num_cpu_cores": 176,
        "memory_gib": 1800.0,
        "networks": ["10.0.0.1"],
        "phase_transitions": [
            {
                "phase": "NODE_PHASE_PENDING",
                "transition_time": write_time(NOW - timedelta(hours=2)),
            },
            {
                "phase": f"NODE_PHASE_{phase}",
                "transition_time": write_time(NOW - timedelta(hours=1)),
            },
        ],
    } | fields


def cluster_body(*, nodes: int = 2, reserved: int = 0, **fields: Any) -> dict[str, Any]:
    """Return the body of an established cluster with whole live nodes."""
    return {
        "cluster_name": "train-h100",
        "cluster_type": "SLURM",
        "billing_type": "RESERVED" if reserved else "ON_DEMAND",
        "gpu_type": "H100_SXM",
        "num_gpus": 8 * nodes,
        "num_reserved_gpus": reserved,
        "cuda_version": "12.4",
        "nvidia_driver_version": "550",
        "created_at": write_time(NOW - timedelta(hours=3)),
        "gpu_worker_nodes": [node_body(f"gpu-{number:03}") for number in range(1, nodes + 1)],
    } | fields
