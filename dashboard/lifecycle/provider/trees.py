"""The courier of a deletion in order: reads deployments and split together, stops, unroutes, deletes."""

from dashboard.lifecycle.provider.courier import (
    Answer,
    Courier,
    Look,
    read_weights,
    read_whole,
    see_deployment,
    see_v1,
    shorten_name,
)
from dashboard.lifecycle.provider.deployments import Target
from dashboard.lifecycle.verdicts import Act, Order, Part, SeenTree, Send
from dashboard.together_api.client import TogetherClient


class TreeCourier(Courier):
    """Way to one deployment with its place in the split, or to an endpoint with all its deployments."""

    def __init__(self, client: TogetherClient, target: Target) -> None:
        super().__init__(client)
        self._target = target

    def _read(self, order: Order) -> Look:
        target = self._target
        if target.generation == "v1":
            legacy = self._client.get_v1_endpoint(target.endpoint_id)
            part = Part(legacy.id, shorten_name(legacy.name, legacy.id), see_v1(legacy))
            return Look(sight=SeenTree((part,)), body=legacy)
        endpoint = self._client.get_endpoint(target.project_id, target.endpoint_id)
        if target.deployment_id is None:
            bodies = read_whole(self._client.list_deployments(target.project_id, target.endpoint_id))
        else:
            bodies = (
                self._client.get_deployment(target.project_id, target.endpoint_id, target.deployment_id),
            )
        parts = tuple(
            Part(body.id, shorten_name(body.name, body.id), see_deployment(body)) for body in bodies
        )
        weights = read_weights(endpoint)
        return Look(
            sight=SeenTree(parts, weights),
            endpoint=endpoint,
            deployments=bodies,
            endpoint_etag=endpoint.etag,
            etags={body.id: body.etag for body in bodies},
            weights=weights,
        )

    def send(self, step: Send, *, order: Order, look: Look) -> Answer:
        """Send the next write of the deletion. Raises ApiError."""
        target = self._target
        if target.generation == "v1":
            if step.act is Act.STOP:
                self._client.stop_v1_endpoint(target.endpoint_id)
            else:
                self._client.delete_v1_endpoint(target.endpoint_id)
            return Answer()
        part_id = step.subject or target.deployment_id
        endpoint_etag = look.endpoint_etag or None if step.guarded else None
        part_etag = look.etags.get(part_id or "") or None if step.guarded else None
        place = (target.project_id, target.endpoint_id)
        if step.act is Act.LEAVE_TRAFFIC:
            kept = {} if target.deployment_id is None else dict(look.weights)
            kept.pop(target.deployment_id or "", None)
            self._client.set_traffic_split(*place, weights=kept, etag=endpoint_etag)
        elif part_id is None:
            self._client.delete_endpoint(*place, etag=endpoint_etag)
        elif step.act is Act.STOP:
            self._client.stop_deployment(*place, part_id, etag=part_etag)
        else:
            self._client.delete_deployment(*place, part_id, etag=part_etag)
        return Answer()
