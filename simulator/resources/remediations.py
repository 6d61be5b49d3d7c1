"""Repairs of cluster nodes: ask, approve, reject, cancel."""

from typing import Any, Final

from starlette.responses import Response

from simulator.call import Call, json_answer, route
from simulator.compute import remediations
from simulator.compute.clusters import Cluster
from simulator.compute.nodes import Node
from simulator.compute.remediations import Remediation
from simulator.errors import bad_request, not_found
from simulator.resources.cluster_bodies import describe_remediation
from simulator.resources.clusters import find_cluster
from simulator.resources.snake_fields import read_word

_ANY_INSTANCE: Final = "-"
_DEFAULT_PAGE: Final = 50


def _find_node(call: Call, cluster: Cluster) -> Node:
    every = [*cluster.nodes, *cluster.former_nodes]
    node = next((node for node in every if node.instance_id == call.path["instance_id"]), None)
    if node is None and call.world.any_id:
        return every[0]
    if node is None:
        raise not_found("instance", call.path["instance_id"])
    return node


def _find(call: Call) -> Remediation:
    cluster = find_cluster(call)
    if call.world.any_id:
        return _any_remediation(call, cluster)
    node = _find_node(call, cluster)
    for remediation in cluster.remediations:
        if remediation.remediation_id == call.path["remediation_id"] and remediation.node is node:
            return remediation
    raise not_found("remediation", call.path["remediation_id"])


def _any_remediation(call: Call, cluster: Cluster) -> Remediation:
    found = [one for other in call.world.compute.live_clusters() for one in other.remediations]
    return found[0] if found else _build(call, cluster, cluster.nodes[0], remediations.MODES[0], "")


def _build(call: Call, cluster: Cluster, node: Node, mode: str, reason: str) -> Remediation:
    return Remediation(
        "any" if call.world.any_id else call.world.new_uuid(), cluster, node, mode, remediations.MANUAL,
        call.identity.api_key_id, reason, call.now_ms, [(call.now_ms, remediations.PENDING)],
    )  # fmt: skip


def list_remediations(call: Call) -> Response:
    cluster = find_cluster(call)
    found: list[Remediation] = list(cluster.remediations)
    if call.path["instance_id"] != _ANY_INSTANCE and not call.world.any_id:
        node = _find_node(call, cluster)
        found = [one for one in found if one.node is node]
    for name, read in (("mode", "mode"), ("state", "state"), ("trigger", "trigger")):
        wanted = {part for part in call.query.get(name, "").split(",") if part}
        if wanted and not call.world.any_id:
            found = [one for one in found if getattr(one, read) in wanted]
    found.sort(key=lambda one: one.created_ms, reverse=True)
    size = call.whole_number("page_size", default=_DEFAULT_PAGE, most=1_000)
    begin = _read_token(call)
    page = found[begin : begin + size]
    more = begin + size < len(found)
    return json_answer(
        {
            "remediations": [describe_remediation(one) for one in page],
            "has_next": more,
            "next_page_token": str(begin + size) if more else "",
        }
    )


def _read_token(call: Call) -> int:
    token = call.query.get("page_token", "")
    if not token or call.world.any_id:
        return 0
    if not token.isdecimal():
        raise bad_request("invalid page_token", param="page_token")
    return int(token)


def read_remediation(call: Call) -> Response:
    return json_answer(describe_remediation(_find(call)))


def create_remediation(call: Call) -> Response:
    """Ask for a repair; what people ask for needs no approval."""
    cluster = find_cluster(call)
    if call.world.any_id:
        return json_answer(describe_remediation(_any_remediation(call, cluster)))
    node, fields = _find_node(call, cluster), call.fields()
    mode = read_word(fields, "mode", remediations.MODES)
    if node not in cluster.nodes:
        raise bad_request("the instance has left the cluster")
    unfinished = {remediations.PENDING_APPROVAL, remediations.PENDING, remediations.RUNNING}
    if any(one.node is node and one.state in unfinished for one in cluster.remediations):
        raise bad_request("the instance has an unfinished remediation")
    remediation = _build(call, cluster, node, mode, str(fields.get("reason") or ""))
    remediation.states.clear()
    remediation.begin(call.now_ms)
    cluster.remediations.append(remediation)
    return json_answer(describe_remediation(remediation))


def _review_fields(call: Call) -> dict[str, Any]:
    return call.body if isinstance(call.body, dict) else {}


def approve_remediation(call: Call) -> Response:
    remediation = _find(call)
    if not call.world.any_id:
        fields = _review_fields(call)
        _check_state(remediation, remediations.PENDING_APPROVAL)
        if fields.get("mode") is not None:
            mode = read_word(fields, "mode", remediations.MODES)
            if mode == remediations.POWER_CYCLE:
                raise bad_request("a host power cycle cannot be set as an approval override", param="mode")
            remediation.mode = mode
        remediation.review(call.now_ms, by=call.identity.api_key_id, comment=fields.get("comment"))
        remediation.begin(call.now_ms)
    return json_answer(describe_remediation(remediation))


def reject_remediation(call: Call) -> Response:
    remediation = _find(call)
    if not call.world.any_id:
        _check_state(remediation, remediations.PENDING_APPROVAL)
        comment = _review_fields(call).get("comment")
        remediation.review(call.now_ms, by=call.identity.api_key_id, comment=comment)
        remediation.cancel(call.now_ms)
    return json_answer(describe_remediation(remediation))


def cancel_remediation(call: Call) -> Response:
    remediation = _find(call)
    if not call.world.any_id:
        _check_state(remediation, remediations.PENDING_APPROVAL, remediations.PENDING)
        remediation.cancel(call.now_ms)
    return json_answer(describe_remediation(remediation))


def _check_state(remediation: Remediation, *allowed: str) -> None:
    if remediation.state not in allowed:
        raise bad_request(f"the remediation is {remediation.state}, not {' or '.join(allowed)}")


_BASE = "/v1/compute/clusters/{cluster_id}/instances/{instance_id}/remediations"
ROUTES = [
    route(_BASE, list_remediations),
    route(_BASE, create_remediation, "POST"),
    route(f"{_BASE}/{{remediation_id}}", read_remediation),
    route(f"{_BASE}/{{remediation_id}}/approve", approve_remediation, "POST"),
    route(f"{_BASE}/{{remediation_id}}/reject", reject_remediation, "POST"),
    route(f"{_BASE}/{{remediation_id}}/cancel", cancel_remediation, "POST"),
]
