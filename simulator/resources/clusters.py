"""GPU clusters: order, change, delete, with the refusals of contract section 8."""

from typing import Any, Final

from starlette.responses import Response

from simulator.call import Call, json_answer, route
from simulator.clock import DAY_MS
from simulator.compute.clusters import DELETING, Cluster
from simulator.compute.regions import GPU_TYPES, GPUS_PER_NODE, DriverVersion, Region
from simulator.compute.volumes import Volume
from simulator.errors import ApiError, bad_request, not_found
from simulator.resources.cluster_bodies import describe_cluster
from simulator.resources.snake_fields import read_count, read_moment, read_project, read_text, read_word
from simulator.resources.volumes import find_volume, order_volume

_BILLING_TYPES: Final = ("RESERVED", "ON_DEMAND", "SCHEDULED_CAPACITY")
_CLUSTER_TYPES: Final = ("KUBERNETES", "SLURM")
_ADD_ONS: Final = ("dashboard", "ingress", "headlamp", "slurm_web")
#: Settings that come back as they were sent.
_ECHOED: Final = ("cluster_config", "oidc_config", "slurm_shm_size_gib", "install_traefik")


def find_cluster(call: Call) -> Cluster:
    """Return the cluster of the path as it is now. Raises 404 for one that is gone or of another organisation."""
    compute = call.world.compute
    compute.advance(call.now_ms)
    cluster = compute.clusters.get(call.path["cluster_id"])
    if cluster is not None and cluster.gone_ms is None and _is_own(call, cluster):
        return cluster
    if call.world.any_id:
        return compute.live_clusters()[0]
    raise not_found("cluster", call.path["cluster_id"])


def _is_own(call: Call, cluster: Cluster) -> bool:
    return call.world.projects[cluster.project_id].organization == call.identity.organization


def list_clusters(call: Call) -> Response:
    compute, project_id = call.world.compute, call.query.get("projectId")
    compute.advance(call.now_ms)
    return json_answer(
        {
            "clusters": [
                describe_cluster(cluster)
                for cluster in compute.live_clusters()
                if _is_own(call, cluster) and (call.world.any_id or project_id in {None, cluster.project_id})
            ]
        }
    )


def read_cluster(call: Call) -> Response:
    return json_answer(describe_cluster(find_cluster(call)))


def create_cluster(call: Call) -> Response:
    compute = call.world.compute
    compute.advance(call.now_ms)
    if call.world.any_id:
        return json_answer(describe_cluster(compute.live_clusters()[0]))
    fields = call.fields()
    name = read_text(fields, "cluster_name")
    billing_type = read_word(fields, "billing_type", _BILLING_TYPES)
    cluster_type = read_word(fields, "cluster_type", _CLUSTER_TYPES, default="KUBERNETES")
    gpu_type = read_word(fields, "gpu_type", GPU_TYPES)
    num_gpus = read_count(fields, "num_gpus", least=GPUS_PER_NODE, multiple_of=GPUS_PER_NODE)
    region = compute.regions.get(read_text(fields, "region"))
    if region is None:
        raise bad_request(f"region {fields['region']} not found", param="region")
    if gpu_type not in region.stock:
        raise bad_request(f"{gpu_type} is not offered in {region.name}", param="gpu_type")
    driver = _find_driver(fields, region)
    project = read_project(fields, call.world.projects, call.identity.project)
    reserved = _read_reserved(fields, billing_type, num_gpus)
    term_ms, starts_ms, ends_ms = _read_term(fields, billing_type, call.now_ms)
    preemptible = read_count(fields, "num_preemptible_gpus", multiple_of=GPUS_PER_NODE, default=0)
    most = _read_auto_scale(fields, num_gpus)
    add_ons = _read_add_ons(fields)
    if cluster_type == "SLURM":
        read_count(fields, "slurm_shm_size_gib", least=1)
    if fields.get("capacity_pool_id") or fields.get("num_capacity_pool_gpus"):
        raise bad_request("capacity pool not found", param="capacity_pool_id")
    existing = _find_free_volume(call, fields, region)
    inline = _check_inline(fields, region)
    if not compute.has_credit:
        raise ApiError(402, "Your credit is used up", kind="credit_limit")
    if num_gpus > compute.free_gpus(region.name, gpu_type):
        raise ApiError(409, "Out of stock", code="out_of_stock")
    volumes = [existing] if existing else []
    if inline is not None:
        volumes.append(order_volume(call, inline, read_project(inline, call.world.projects, project)))
    cluster = Cluster(
        call.world.new_uuid(), name, project.project_id, region.name, gpu_type, billing_type, cluster_type,
        driver, call.now_ms, compute.tempo, num_gpus, reserved, preemptible, most,
        term_ms, starts_ms, ends_ms, _echo(fields), add_ons, volumes,
    )  # fmt: skip
    compute.add_cluster(cluster).order(call.now_ms)
    return json_answer(describe_cluster(cluster))


def _echo(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: fields[name] for name in _ECHOED if fields.get(name) is not None}


def _find_driver(fields: dict[str, Any], region: Region) -> DriverVersion:
    """Return the driver that an id or a pair names. Raises 400 for neither, half a pair, or two that disagree."""
    version_id = fields.get("nvidia_version_id")
    pair = fields.get("cuda_version"), fields.get("nvidia_driver_version")
    if version_id is None and pair == (None, None):
        raise bad_request(
            "nvidia_version_id, or cuda_version and nvidia_driver_version, is required",
            param="nvidia_version_id",
        )
    if (pair[0] is None) != (pair[1] is None):
        raise bad_request("cuda_version and nvidia_driver_version go together", param="cuda_version")
    by_id = region.find_driver(version_id) if version_id is not None else None
    by_pair = region.find_pair(str(pair[0]), str(pair[1])) if pair[0] is not None else None
    if version_id is not None and by_id is None:
        raise bad_request(f"{version_id} is not offered in {region.name}", param="nvidia_version_id")
    if pair[0] is not None and by_pair is None:
        raise bad_request(
            f"CUDA {pair[0]} with driver {pair[1]} is not supported in {region.name}", param="cuda_version"
        )
    if by_id and by_pair and by_id != by_pair:
        raise bad_request("nvidia_version_id names another pair", param="nvidia_version_id")
    driver = by_id or by_pair
    assert driver is not None  # noqa: S101  (one of the two was given and found)
    return driver


def _read_reserved(fields: dict[str, Any], billing_type: str, num_gpus: int) -> int:
    """Return how many GPUs are prepaid: of a reservation all by default, of a scheduled window all."""
    reserved = read_count(
        fields,
        "num_reserved_gpus",
        multiple_of=GPUS_PER_NODE,
        default=0 if billing_type == "ON_DEMAND" else num_gpus,
    )
    if billing_type == "ON_DEMAND" and reserved:
        raise bad_request("num_reserved_gpus needs billing_type RESERVED", param="num_reserved_gpus")
    if reserved > num_gpus:
        raise bad_request("num_reserved_gpus must not exceed num_gpus", param="num_reserved_gpus")
    return num_gpus if billing_type == "SCHEDULED_CAPACITY" else reserved


def _read_term(
    fields: dict[str, Any], billing_type: str, now_ms: int
) -> tuple[int | None, int | None, int | None]:
    """Return length, start and end of the reservation in milliseconds; None = it has none, or not yet."""
    if billing_type == "RESERVED":
        return read_count(fields, "duration_days", least=1) * DAY_MS, None, None
    if billing_type == "ON_DEMAND":
        return None, None, None
    starts_ms = read_moment(fields, "reservation_start_time") or now_ms
    ends_ms = read_moment(fields, "reservation_end_time")
    if ends_ms is None:
        raise bad_request("reservation_end_time is required", param="reservation_end_time")
    if ends_ms <= max(starts_ms, now_ms):
        raise bad_request("reservation_end_time must lie after the start", param="reservation_end_time")
    return ends_ms - max(starts_ms, now_ms), max(starts_ms, now_ms), ends_ms


def _read_auto_scale(fields: dict[str, Any], num_gpus: int) -> int | None:
    if not fields.get("auto_scale"):
        return None
    return read_count(fields, "auto_scale_max_gpus", least=num_gpus, multiple_of=GPUS_PER_NODE)


def _read_add_ons(fields: dict[str, Any]) -> list[dict[str, Any]]:
    add_ons = fields.get("add_ons") or []
    for add_on in add_ons:
        read_word(add_on, "add_on_type", _ADD_ONS)
        read_text(add_on, "name")
    return [dict(add_on) for add_on in add_ons]


def _find_free_volume(call: Call, fields: dict[str, Any], region: Region) -> Volume | None:
    """Return the existing volume that the cluster shall have; None = none was named. Raises 400."""
    volume_id = fields.get("volume_id")
    if volume_id is None:
        return None
    try:
        volume = find_volume(call, volume_id)
    except ApiError as error:
        raise bad_request(f"volume {volume_id} not found", param="volume_id") from error
    if volume.region != region.name:
        raise bad_request(f"volume {volume_id} lies in {volume.region}", param="volume_id")
    if volume.cluster_id is not None or volume.state in {"deleting", "failed", "access_revoked"}:
        raise bad_request(f"volume {volume_id} is not available", param="volume_id")
    return volume


def _check_inline(fields: dict[str, Any], region: Region) -> dict[str, Any] | None:
    """Return the volume to create with the cluster; None = none. Raises 400 before anything is created."""
    inline = fields.get("shared_volume")
    if inline is None:
        return None
    if not isinstance(inline, dict):
        raise bad_request("shared_volume must be an object", param="shared_volume")
    read_text(inline, "volume_name")
    read_count(inline, "size_tib", least=1)
    if inline.get("region") != region.name:
        raise bad_request("shared_volume.region must be the cluster's", param="shared_volume.region")
    return inline


def update_cluster(call: Call) -> Response:
    cluster = find_cluster(call)
    if call.world.any_id:
        return json_answer(describe_cluster(cluster))
    fields = call.fields()
    if cluster.state == DELETING:
        raise bad_request("the cluster is being deleted")
    num_gpus = read_count(
        fields, "num_gpus", least=GPUS_PER_NODE, multiple_of=GPUS_PER_NODE, default=cluster.num_gpus
    )
    reserved = read_count(
        fields, "num_reserved_gpus", multiple_of=GPUS_PER_NODE, default=cluster.num_reserved_gpus
    )
    preemptible = read_count(
        fields, "num_preemptible_gpus", multiple_of=GPUS_PER_NODE, default=cluster.desired_preemptible_gpus
    )
    cluster_type = read_word(fields, "cluster_type", _CLUSTER_TYPES, default=cluster.cluster_type)
    ends_ms = read_moment(fields, "reservation_end_time")
    _check_size(call, cluster, num_gpus, reserved)
    if ends_ms is not None and (cluster.ends_ms is None or ends_ms <= call.now_ms):
        raise bad_request(
            "reservation_end_time is accepted for a prepaid cluster that runs, and lies in the future",
            param="reservation_end_time",
        )
    changed_add_ons = _merge_add_ons(cluster, fields)
    if num_gpus != cluster.num_gpus:
        cluster.resize(call.now_ms, num_gpus)
    if reserved != cluster.num_reserved_gpus:
        cluster.reserve(call.now_ms, reserved)
    if preemptible != cluster.desired_preemptible_gpus:
        cluster.want_preemptible(call.now_ms, preemptible)
    if ends_ms is not None:
        cluster.extend(call.now_ms, ends_ms)
    cluster.cluster_type = cluster_type
    cluster.add_ons = changed_add_ons
    cluster.settings |= _echo(fields)
    return json_answer(describe_cluster(cluster))


def _check_size(call: Call, cluster: Cluster, num_gpus: int, reserved: int) -> None:
    if num_gpus != cluster.num_gpus and not cluster.is_established:
        raise bad_request(f"the cluster cannot be resized while it is {cluster.state}", param="num_gpus")
    if reserved != cluster.num_reserved_gpus:
        if cluster.billing_type != "RESERVED":
            raise bad_request("num_reserved_gpus needs billing_type RESERVED", param="num_reserved_gpus")
        if reserved < cluster.num_reserved_gpus:
            raise bad_request("prepaid GPUs are not given back", param="num_reserved_gpus")
        if cluster.ends_ms is None:
            raise bad_request("the reservation has not begun", param="num_reserved_gpus")
    if num_gpus < reserved:
        raise bad_request("num_gpus must not be less than num_reserved_gpus", param="num_gpus")
    added = num_gpus - cluster.num_gpus
    if added > 0 and added > call.world.compute.free_gpus(cluster.region, cluster.gpu_type):
        raise ApiError(409, "Out of stock", code="out_of_stock")


def _merge_add_ons(cluster: Cluster, fields: dict[str, Any]) -> list[dict[str, Any]]:
    add_ons = {add_on["name"]: dict(add_on) for add_on in cluster.add_ons}
    for change in fields.get("add_ons") or []:
        name = read_text(change, "name")
        if name not in add_ons:
            raise bad_request(f"the cluster has no add-on {name}", param="add_ons")
        add_ons[name]["config"] = {**add_ons[name].get("config", {}), **change.get("config", {})}
    return list(add_ons.values())


def delete_cluster(call: Call) -> Response:
    cluster = find_cluster(call)
    if not call.world.any_id:
        cluster.decommission(call.now_ms)
    return json_answer({"cluster_id": cluster.cluster_id})


_BASE = "/v1/compute/clusters"
ROUTES = [
    route(_BASE, list_clusters),
    route(_BASE, create_cluster, "POST"),
    route(f"{_BASE}/{{cluster_id}}", read_cluster),
    route(f"{_BASE}/{{cluster_id}}", update_cluster, "PUT"),
    route(f"{_BASE}/{{cluster_id}}", delete_cluster, "DELETE"),
]
