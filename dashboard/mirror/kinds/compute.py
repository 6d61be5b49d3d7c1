"""Clusters, volumes, containers and RL resources as resources (contract 8, 9, 13). Pure but for the calls it names.

What bills is decided here, once (contract section 2): on-demand GPUs of live nodes; a volume's TiB while it exists;
ready replicas of a container; RL resources while READY. What nobody documents counts as billing.
"""

from collections.abc import Iterable

from dashboard.core import resource_states, status
from dashboard.mirror.kinds.source import Source
from dashboard.mirror.models import ResourceKind, ResourceLink
from dashboard.mirror.resource_readings import Phase, ResourceReading, name_links
from dashboard.together_api import payloads

Relation = ResourceLink.Relation


def read_cluster(body: payloads.Cluster) -> ResourceReading:
    """Return the columns of a cluster. Units are live GPUs beyond the prepaid ones (reserved and capacity pool).

    Preemptible GPUs count at the on-demand price, which is the most that they cost.
    """
    present = [node for node in body.gpu_worker_nodes if node.deleted_at is None]
    live = sum(node.num_gpus or 0 for node in present if is_live_node(node))
    prepaid = (body.num_reserved_gpus or 0) + (body.num_capacity_pool_gpus or 0)
    meaning = resource_states.read_state(ResourceKind.CLUSTER, body.status)
    # A paused cluster bills no compute (contract 8); its nodes may still be listed.
    units = 0 if meaning is status.PAUSED else max(live - prepaid, 0)
    return ResourceReading(
        kind=ResourceKind.CLUSTER.value,
        remote_id=body.id,
        project_remote_id=body.project_id or None,
        name=body.cluster_name or body.id,
        state=body.status,
        hardware=body.gpu_type,
        region=body.region,
        variety=f"{body.cluster_type.title()}, {body.billing_type.replace('_', '-').lower()}".strip(", "),
        remote_created_at=body.created_at,
        expires_at=body.reservation_end_time,
        started_at=body.reservation_start_time,
        gpu_count=body.num_gpus or 0,
        units=units,
        sku=f"cluster/{body.gpu_type}/ON_DEMAND",
        links=name_links(*((Relation.VOLUME, volume.volume_id) for volume in body.volumes)),
        phases=_read_phases(body.phase_transitions),
    )


def is_live_node(node: payloads.ClusterNode) -> bool:
    """Tell whether a node holds its GPUs: its newest dated phase, else its status, is none that rests."""
    newest = find_newest_phase(node)
    return not resource_states.is_node_at_rest(newest.phase if newest else node.status)


def find_newest_phase(node: payloads.ClusterNode) -> payloads.PhaseTransition | None:
    """Return the newest dated phase of a node, of two of the same moment the later listed; None without any."""
    dated = [one for one in node.phase_transitions if one.transition_time is not None]
    dated.sort(key=lambda one: one.transition_time)  # type: ignore[arg-type,return-value]  # None is left out
    return dated[-1] if dated else None


def _read_phases(transitions: Iterable[payloads.PhaseTransition]) -> tuple[Phase, ...]:
    """Return the dated phases in the words of `status`: CLUSTER_PHASE_INSTALLING_DRIVERS is InstallingDrivers."""
    return tuple(
        Phase(at=one.transition_time, state=resource_states.spell_cluster_phase(one.phase))
        for one in transitions
        if one.transition_time is not None and one.phase
    )


def read_volume(body: payloads.Volume) -> ResourceReading:
    """Return the columns of a shared volume: it bills while it exists, attached or not (contract 2)."""
    meaning = resource_states.read_state(ResourceKind.VOLUME, body.status)
    is_there = meaning not in (status.STARTING, status.FAILED)
    return ResourceReading(
        kind=ResourceKind.VOLUME.value,
        remote_id=body.id,
        name=body.volume_name or body.id,
        state=body.status,
        size_bytes=None if body.size_tib is None else body.size_tib * 2**40,
        units=(body.size_tib or 0) if is_there else 0,
        sku="volume",
    )


def read_container(body: payloads.Container) -> ResourceReading:
    """Return the columns of a container deployment; units are the GPUs of its ready replicas."""
    per_replica = body.gpu_count or 0
    meaning = resource_states.read_state(ResourceKind.CONTAINER, body.status)
    ready = body.ready_replicas
    if ready is None:
        # Not told: what may bill counts with what was wished for.
        ready = (body.desired_replicas or body.min_replicas or 0) if meaning.may_bill else 0
    reasons = [
        one.replica_status_message for one in body.replica_events.values() if one.replica_status_message
    ]
    return ResourceReading(
        kind=ResourceKind.CONTAINER.value,
        remote_id=body.id,
        name=body.name or body.id,
        state=body.status,
        state_message=reasons[-1] if reasons and meaning is status.FAILED else "",
        hardware=body.gpu_type or "",
        variety=body.capacity_type or "",
        remote_created_at=body.created_at,
        remote_updated_at=body.updated_at,
        gpu_count=per_replica * max(ready, body.desired_replicas or 0),
        units=per_replica * ready,
        sku=f"container/{body.gpu_type or 'cpu'}",
        links=name_links(*((Relation.VOLUME, volume.name) for volume in body.volumes)),
    )


def read_rl_resource(body: payloads.RlResource) -> ResourceReading:
    """Return the columns of RL model resources; the set as a whole has one price per hour (estimate-cost)."""
    compute = body.compute_config or payloads.RlComputeConfig()
    meaning = resource_states.read_state(ResourceKind.RL_RESOURCE, body.status)
    bills = meaning in (status.RUNNING, status.UNKNOWN)
    return ResourceReading(
        kind=ResourceKind.RL_RESOURCE.value,
        remote_id=body.id,
        name=body.base_model.rsplit("/", 1)[-1] or body.id,
        state=body.status,
        state_message=body.error.message if body.error else "",
        model=body.base_model,
        hardware=compute.gpu_type or "",
        owner=body.created_by,
        variety=f"{compute.num_generator_replicas} generators"
        if compute.num_generator_replicas
        else "trainer only",
        remote_created_at=body.created_at,
        remote_updated_at=body.updated_at,
        expires_at=body.expires_at,
        units=1 if bills else 0,
        sku=f"rl/{body.base_model}/{compute.gpu_type or ''}/{compute.num_generator_replicas or 0}",
        links=name_links((Relation.BASE, body.base_model)),
    )


def read_rl_session(body: payloads.RlSession) -> ResourceReading:
    """Return the columns of an RL training session; it bills through the resources it runs on."""
    return ResourceReading(
        kind=ResourceKind.RL_SESSION.value,
        remote_id=body.id,
        name=body.display_name or body.id,
        state=body.status,
        state_message=body.error.message if body.error else "",
        model=body.base_model,
        owner=body.created_by,
        variety="" if body.step is None else f"step {body.step}",
        remote_created_at=body.created_at,
        remote_updated_at=body.updated_at,
        links=name_links((Relation.RL_RESOURCE, body.model_resources_id), (Relation.BASE, body.base_model)),
    )


CLUSTERS = Source(
    kind=ResourceKind.CLUSTER,
    payload=payloads.Cluster,
    list=lambda client, scope: client.list_clusters(),
    get=lambda client, scope, remote_id: client.get_cluster(remote_id),
    read=read_cluster,
)
VOLUMES = Source(
    kind=ResourceKind.VOLUME,
    payload=payloads.Volume,
    list=lambda client, scope: client.list_volumes(),
    get=lambda client, scope, remote_id: client.get_volume(remote_id),
    read=read_volume,
)
CONTAINERS = Source(
    kind=ResourceKind.CONTAINER,
    payload=payloads.Container,
    list=lambda client, scope: client.list_containers(),
    get=lambda client, scope, remote_id: client.get_container(remote_id),
    read=read_container,
)
RL_RESOURCES = Source(
    kind=ResourceKind.RL_RESOURCE,
    payload=payloads.RlResource,
    list=lambda client, scope: client.list_rl_resources(),
    get=lambda client, scope, remote_id: client.get_rl_resource(remote_id),
    read=read_rl_resource,
)
RL_SESSIONS = Source(
    kind=ResourceKind.RL_SESSION,
    payload=payloads.RlSession,
    list=lambda client, scope: client.list_rl_sessions(),
    get=lambda client, scope, remote_id: client.get_rl_session(remote_id),
    read=read_rl_session,
)
