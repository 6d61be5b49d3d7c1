"""Admin routes of rented compute: force states, fail nodes, use up the credit, empty the stock."""

from typing import Any

from starlette.requests import Request

from simulator import lifecycle
from simulator.admin_route import admin_route
from simulator.clock import format_time
from simulator.compute import clusters, nodes, rl, volumes
from simulator.compute.clusters import Cluster
from simulator.compute.containers import Container
from simulator.compute.remediations import propose_repair
from simulator.compute.volumes import Volume
from simulator.errors import bad_request, not_found
from simulator.lifecycle import Phase
from simulator.traffic import Usage
from simulator.world import World

Fields = dict[str, Any]


def find_cluster(world: World, identifier: str) -> Cluster:
    """Return a cluster as it is now. Raises 404, also for one that is gone."""
    world.compute.advance(world.now_ms())
    cluster = world.compute.clusters.get(identifier)
    if cluster is None or cluster.gone_ms is not None:
        raise not_found("cluster", identifier)
    return cluster


def find_volume(world: World, identifier: str) -> Volume:
    world.compute.advance(world.now_ms())
    volume = world.compute.volumes.get(identifier)
    if volume is None or volume.gone_ms is not None:
        raise not_found("volume", identifier)
    return volume


def _describe(cluster: Cluster) -> dict[str, Any]:
    return {
        "id": cluster.cluster_id,
        "name": cluster.name,
        "phases": [{"at": format_time(at_ms), "state": state} for at_ms, state in cluster.phases],
        "nodes": [
            {"instance_id": node.instance_id, "phase": node.phase, "payment": node.payment}
            for node in cluster.nodes
        ],
        "prepaid_gpu_hours": [str(paid.gpu_hours) for paid in cluster.prepayments],
    }


def tell_cluster(world: World, request: Request, fields: Fields) -> Any:
    return _describe(find_cluster(world, request.path_params["identifier"]))


def force_cluster_state(world: World, request: Request, fields: Fields) -> Any:
    """Put a cluster into a state now: `{state}`. Its nodes follow, and nothing that was planned happens."""
    cluster, now_ms, state = (
        find_cluster(world, request.path_params["identifier"]),
        world.now_ms(),
        fields["state"],
    )
    if state not in clusters.STATES:
        raise bad_request(f"state must be one of {', '.join(clusters.STATES)}", param="state")
    if state == clusters.DELETING:
        cluster.decommission(now_ms)
        return _describe(cluster)
    if state == clusters.READY and cluster.first_ready_ms is None:
        cluster.agenda.drop("install")
        cluster.become_ready(now_ms)
        return _describe(cluster)
    cluster.agenda.drop("install")
    cluster.enter(now_ms, state)
    for node in cluster.nodes:
        _follow(node, now_ms, state)
    return _describe(cluster)


def _follow(node: nodes.Node, now_ms: int, state: str) -> None:
    if state == clusters.READY or (state == clusters.DEGRADED and node.phase != nodes.FAILED):
        node.enter(now_ms, nodes.RUNNING)
    elif state == clusters.PAUSED or (state == clusters.ON_DEMAND_PAUSED and node.payment != nodes.RESERVED):
        node.enter(now_ms, nodes.PAUSED)


def delete_cluster(world: World, request: Request, fields: Fields) -> Any:
    """Let a cluster vanish at once, as if somebody else had deleted it."""
    find_cluster(world, request.path_params["identifier"]).vanish(world.now_ms())
    return {}


def fail_node(world: World, request: Request, fields: Fields) -> Any:
    """Fail a node: `{instance_id? (default: the first that runs), propose? (default true), reason?}`."""
    cluster, now_ms = find_cluster(world, request.path_params["identifier"]), world.now_ms()
    wanted = fields.get("instance_id")
    for node in cluster.nodes:
        if node.instance_id == wanted or (wanted is None and node.phase == nodes.RUNNING):
            cluster.fail_node(node, now_ms)
            if fields.get("propose", True):
                propose_repair(
                    cluster, node, now_ms, reason=fields.get("reason", "Xid 79: GPU fell off the bus")
                )
            return _describe(cluster)
    raise not_found("node", str(wanted))


def preempt(world: World, request: Request, fields: Fields) -> Any:
    """Take a cluster's preemptible nodes back."""
    cluster = find_cluster(world, request.path_params["identifier"])
    return {"preempted": cluster.preempt(world.now_ms())}


def set_load(world: World, request: Request, fields: Fields) -> Any:
    """Tell an auto-scaled cluster how many GPUs its jobs want: `{gpus}`."""
    cluster = find_cluster(world, request.path_params["identifier"])
    cluster.follow_load(world.now_ms(), int(fields["gpus"]))
    return _describe(cluster)


def force_volume_state(world: World, request: Request, fields: Fields) -> Any:
    """Put a volume into a state now: `{state}`."""
    volume, state = find_volume(world, request.path_params["identifier"]), fields["state"]
    if state not in volumes.STATES:
        raise bad_request(f"state must be one of {', '.join(volumes.STATES)}", param="state")
    volume.agenda.clear()
    volume.enter(world.now_ms(), state)
    return {"id": volume.volume_id, "state": volume.state}


def delete_volume(world: World, request: Request, fields: Fields) -> Any:
    find_volume(world, request.path_params["identifier"]).vanish(world.now_ms())
    return {}


def find_container(world: World, identifier: str) -> Container:
    container = world.compute.containers.get(identifier)
    if container is None or container.deleted_ms is not None:
        raise not_found("container", identifier)
    container.advance(world.now_ms())
    return container


def force_container_state(world: World, request: Request, fields: Fields) -> Any:
    """Put a container into a state now: `{state: Ready|Scaling|Failed|ScaledToZero|Updating, ready?, desired?}`."""
    container, now_ms = find_container(world, request.path_params["identifier"]), world.now_ms()
    if fields["state"] not in _CONTAINER_STATES:
        raise bad_request(f"state must be one of {', '.join(_CONTAINER_STATES)}", param="state")
    state = _CONTAINER_STATES[fields["state"]]
    default = (
        0 if fields["state"] in {"Failed", "ScaledToZero"} else max(1, container.settings["min_replicas"])
    )
    desired = int(fields.get("desired", default))
    ready = int(fields.get("ready", desired if fields["state"] == "Ready" else 0))
    phase = Phase(now_ms, state, ready, max(ready, desired), desired, "Forced", "Forced", "admin")
    container.workload.follow((phase,))
    return {"id": container.container_id, "state": container.state_at(now_ms)}


def inject_requests(world: World, request: Request, fields: Fields) -> Any:
    """Send a container requests now: `{requests}`."""
    container = find_container(world, request.path_params["identifier"])
    container.workload.traffic.inject(world.now_ms(), Usage(requests=int(fields["requests"])))
    return {}


def delete_container(world: World, request: Request, fields: Fields) -> Any:
    find_container(world, request.path_params["identifier"]).deleted_ms = world.now_ms()
    return {}


def force_rl_state(world: World, request: Request, fields: Fields) -> Any:
    """Put an RL resource into a state now: `{state: READY|ERROR|STOPPED|PENDING|CREATING|STOPPING}`."""
    world.compute.advance(world.now_ms())
    resource = world.compute.rl_resources.get(request.path_params["identifier"])
    if resource is None:
        raise not_found("model resource", request.path_params["identifier"])
    now_ms, state = world.now_ms(), fields["state"]
    if state not in rl.STATES:
        raise bad_request(f"state must be one of {', '.join(rl.STATES)}", param="state")
    if state == rl.READY:
        resource.become_ready(now_ms)
    elif state == rl.ERROR:
        code = "MODEL_RESOURCES_ERROR_CODE_RESOURCE_UNAVAILABLE"
        resource.fail(now_ms, code=code, message=fields.get("message", "A node of the resource failed"))
    else:
        resource.agenda.clear()
        for session in resource.active_sessions:
            session.end(now_ms, "STOPPED")
        resource.enter(now_ms, state)
    return {"id": resource.resource_id, "state": resource.state}


def set_credit(world: World, request: Request, fields: Fields) -> Any:
    """Use the credit up or fill it again: `{exhausted}`. Creates are then refused with 402."""
    world.compute.set_credit(world.now_ms(), has_credit=not fields["exhausted"])
    return {"exhausted": not world.compute.has_credit}


def set_stock(world: World, request: Request, fields: Fields) -> Any:
    """Set how many GPUs of a type a region has at all: `{region, gpu_type, gpus}`."""
    region = world.compute.regions[fields["region"]]
    region.stock[fields["gpu_type"]] = int(fields["gpus"])
    return {"free": world.compute.free_gpus(region.name, fields["gpu_type"])}


_CONTAINER_STATES = {
    "Ready": lifecycle.READY,
    "ScaledToZero": lifecycle.READY,
    "Scaling": lifecycle.SCALING,
    "Failed": lifecycle.FAILED,
    "Updating": lifecycle.PROVISIONING,
}
_CONTAINER = "/containers/{identifier}"
_CLUSTER = "/clusters/{identifier}"
_VOLUME = "/volumes/{identifier}"
ROUTES = [
    admin_route("/credit", set_credit, "POST"),
    admin_route("/stock", set_stock, "POST"),
    admin_route(_CLUSTER, tell_cluster),
    admin_route(_CLUSTER, delete_cluster, "DELETE"),
    admin_route(f"{_CLUSTER}/state", force_cluster_state, "POST"),
    admin_route(f"{_CLUSTER}/fail-node", fail_node, "POST"),
    admin_route(f"{_CLUSTER}/preempt", preempt, "POST"),
    admin_route(f"{_CLUSTER}/load", set_load, "POST"),
    admin_route(_VOLUME, delete_volume, "DELETE"),
    admin_route(f"{_VOLUME}/state", force_volume_state, "POST"),
    admin_route("/rl/{identifier}/state", force_rl_state, "POST"),
    admin_route(_CONTAINER, delete_container, "DELETE"),
    admin_route(f"{_CONTAINER}/state", force_container_state, "POST"),
    admin_route(f"{_CONTAINER}/traffic", inject_requests, "POST"),
]
