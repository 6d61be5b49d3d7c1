"""GPU clusters, their nodes, regions and shared volumes (contract section 8)."""

from enum import StrEnum

from dashboard.together_api.payloads.base import Items, LooseTimestamp, Payload, Resource, Text, Timestamp


class ClusterStatus(StrEnum):
    """Known values of `status` ([D] names Queued and Scheduled); the field itself is plain `str`."""

    QUEUED = "Queued"
    SCHEDULED = "Scheduled"
    WAITING_FOR_CONTROL_PLANE_NODES = "WaitingForControlPlaneNodes"
    WAITING_FOR_DATA_PLANE_NODES = "WaitingForDataPlaneNodes"
    WAITING_FOR_SUBNET = "WaitingForSubnet"
    WAITING_FOR_SHARED_VOLUME = "WaitingForSharedVolume"
    INSTALLING_DRIVERS = "InstallingDrivers"
    RUNNING_ACCEPTANCE_TESTS = "RunningAcceptanceTests"
    PAUSED = "Paused"
    ON_DEMAND_COMPUTE_PAUSED = "OnDemandComputePaused"
    READY = "Ready"
    DEGRADED = "Degraded"
    DELETING = "Deleting"


class ClusterBilling(StrEnum):
    """Known values of `billing_type`."""

    RESERVED = "RESERVED"
    ON_DEMAND = "ON_DEMAND"
    SCHEDULED_CAPACITY = "SCHEDULED_CAPACITY"


class VolumeStatus(StrEnum):
    """Known values of a volume's `status`; the field itself is plain `str` so that a new member survives."""

    SCHEDULED = "scheduled"
    AVAILABLE = "available"
    BOUND = "bound"
    PROVISIONING = "provisioning"
    DELETING = "deleting"
    FAILED = "failed"
    ACCESS_REVOKED = "access_revoked"
    UNKNOWN = "unknown"


class PhaseTransition(Payload):
    """SDK `cluster.PhaseTransition` and those of nodes: CLUSTER_PHASE_... or NODE_PHASE_..., an open set."""

    phase: Text = ""
    transition_time: LooseTimestamp = None


class ClusterNode(Payload):
    """SDK `cluster.GPUWorkerNode`, and `cluster.ControlPlaneNode` (which has `network` and neither GPUs nor networks).

    `deleted_at` only on nodes that left; `memory_gib` per node.
    """

    node_id: Text = ""
    host_name: Text = ""
    status: Text = ""
    instance_id: str | None = None
    num_gpus: int | None = None
    num_cpu_cores: int | None = None
    memory_gib: float | None = None
    network: str | None = None
    networks: Items[str] = ()
    phase_transitions: Items[PhaseTransition] = ()
    marked_for_deletion: bool | None = None
    deleted_at: LooseTimestamp = None


class NodeLifecycleEvent(Payload):
    """SDK `cluster.NodeLifecycleEvent`; `reason` is an open set such as `TogetherScaledUp`."""

    node_id: Text = ""
    reason: Text = ""
    message: Text = ""
    timestamp: LooseTimestamp = None


class ClusterAddOn(Payload):
    """SDK `cluster.AddOn`; only enabled ones are listed."""

    name: Text = ""
    add_on_type: Text = ""


class ClusterVolume(Payload):
    """SDK `cluster.Volume`: a shared volume as a cluster names it."""

    volume_id: Text = ""
    volume_name: Text = ""
    size_tib: int | None = None
    status: Text = ""


class Cluster(Resource):
    """SDK `cluster.Cluster`; GPU counts are GPUs, not nodes; `kube_config` is a secret and dropped.

    `num_gpus` = reserved + capacity pool + preemptible + on demand. A reservation is prepaid for
    `[reservation_start_time, reservation_end_time)`; None = none.
    """

    identity_field = "cluster_id"

    cluster_id: Text
    cluster_name: Text = ""
    cluster_type: Text = ""
    project_id: Text = ""
    region: Text = ""
    status: Text = ""
    billing_type: Text = ""
    gpu_type: Text = ""
    num_gpus: int | None = None
    num_reserved_gpus: int | None = None
    num_capacity_pool_gpus: int | None = None
    desired_preemptible_gpus: int | None = None
    allocated_preemptible_gpus: int | None = None
    num_cpu_workers: int | None = None
    capacity_pool_id: str | None = None
    cuda_version: Text = ""
    nvidia_driver_version: Text = ""
    control_plane_nodes: Items[ClusterNode] = ()
    gpu_worker_nodes: Items[ClusterNode] = ()
    deleted_gpu_worker_nodes: Items[ClusterNode] = ()
    volumes: Items[ClusterVolume] = ()
    add_ons: Items[ClusterAddOn] = ()
    phase_transitions: Items[PhaseTransition] = ()
    node_lifecycle_events: Items[NodeLifecycleEvent] = ()
    created_at: Timestamp = None
    first_ready_at: Timestamp = None
    reservation_start_time: Timestamp = None
    reservation_end_time: Timestamp = None
    duration_hours: int | None = None

    @property
    def id(self) -> str:
        """The identity, under the name that all resources share."""
        return self.cluster_id


class DriverVersion(Payload):
    """SDK `cluster_list_regions_response.RegionDriverVersion`; `id` is what a create sends as nvidia_version_id."""

    id: Text = ""
    cuda_version: Text = ""
    nvidia_driver_version: Text = ""
    os: Text = ""


class ClusterRegion(Resource):
    """SDK `cluster_list_regions_response.Region`; neither prices nor stock."""

    identity_field = "name"

    name: Text
    supported_instance_types: Items[str] = ()
    driver_versions: Items[DriverVersion] = ()

    @property
    def id(self) -> str:
        """The identity, under the name that all resources share."""
        return self.name


class Volume(Resource):
    """SDK `clusters.cluster_storage.ClusterStorage`: shared storage; costs while it exists, attached or not."""

    identity_field = "volume_id"

    volume_id: Text
    volume_name: Text = ""
    size_tib: int | None = None
    status: Text = ""

    @property
    def id(self) -> str:
        """The identity, under the name that all resources share."""
        return self.volume_id
