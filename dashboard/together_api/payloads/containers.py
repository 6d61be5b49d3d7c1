"""Container deployments, called "jig" by the SDK (contract section 9)."""

from enum import StrEnum

from dashboard.together_api.payloads.base import (
    Items,
    LooseTimestamp,
    Payload,
    Resource,
    Table,
    Text,
    Timestamp,
)


class ContainerStatus(StrEnum):
    """Known values of `status`; the field itself is plain `str` so that a new member survives."""

    UPDATING = "Updating"
    SCALING = "Scaling"
    READY = "Ready"
    FAILED = "Failed"
    SCALED_TO_ZERO = "ScaledToZero"


class ContainerAutoscaling(Payload):
    """SDK `beta.deployment.Autoscaling` (a union there, told apart by `metric`)."""

    metric: str | None = None
    target: float | None = None
    time_interval_minutes: int | None = None
    custom_metric_name: str | None = None
    model: str | None = None


class EnvironmentVariable(Payload):
    """SDK `beta.deployment.EnvironmentVariable` without its value, which may be a secret and is dropped."""

    name: Text = ""


class ContainerReplica(Payload):
    """SDK `beta.deployment.ReplicaEvents`: one replica's latest words."""

    replica_status: str | None = None
    replica_status_reason: str | None = None
    replica_status_message: str | None = None
    replica_ready_since: LooseTimestamp = None
    revision_id: str | None = None
    image: str | None = None


class ContainerVolume(Payload):
    """SDK `beta.deployment.Volume`: a mount."""

    name: Text = ""
    mount_path: Text = ""
    version: int | None = None


class Container(Resource):
    """SDK `beta.deployment.Deployment`; all fields are optional there. Replicas bill while they run.

    `cpu` cores, `memory` GiB, `storage` in the platform's own unit, all per replica; `replica_events` by replica.
    Environment values, arguments and the command are dropped. How the preloading of a volume goes is not shown and
    left out of the fingerprint.
    """

    unshown_fields = (
        "replica_events.*.volume_preload_status",
        "replica_events.*.volume_preload_started_at",
        "replica_events.*.volume_preload_completed_at",
    )

    id: Text
    object: Text = ""
    name: Text = ""
    description: str | None = None
    image: str | None = None
    status: Text = ""
    gpu_type: str | None = None
    gpu_count: int | None = None
    cpu: float | None = None
    memory: float | None = None
    storage: int | None = None
    capacity_type: str | None = None
    min_replicas: int | None = None
    max_replicas: int | None = None
    desired_replicas: int | None = None
    ready_replicas: int | None = None
    autoscaling: ContainerAutoscaling | None = None
    replica_events: Table[ContainerReplica] = {}
    environment_variables: Items[EnvironmentVariable] = ()
    volumes: Items[ContainerVolume] = ()
    port: int | None = None
    created_at: Timestamp = None
    updated_at: Timestamp = None
