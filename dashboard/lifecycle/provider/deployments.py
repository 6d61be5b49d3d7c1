"""The courier of stops, starts, scales and plain deletions: one deployment, a v1 endpoint, or a whole endpoint."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dashboard.core import status
from dashboard.lifecycle.provider.courier import (
    Answer,
    Courier,
    Look,
    read_block,
    read_weights,
    see_deployment,
    see_v1,
    shorten_name,
)
from dashboard.lifecycle.verdicts import Act, Kind, Order, Seen, Send
from dashboard.together_api.client import TogetherClient

if TYPE_CHECKING:
    from dashboard.lifecycle.models import StopAction


@dataclass(frozen=True, slots=True)
class Target:
    """What an act is about, in the provider's ids; `deployment_id` None = the whole endpoint."""

    generation: str
    project_id: str
    endpoint_id: str
    deployment_id: str | None

    @classmethod
    def of(cls, action: "StopAction") -> "Target":
        """Return the target of an act on an endpoint. No query when endpoint, project and deployment are loaded."""
        assert action.endpoint is not None  # noqa: S101 - the kinds that come here have one
        return cls(
            generation=action.endpoint.generation,
            project_id=action.endpoint.project.remote_id,
            endpoint_id=action.endpoint.remote_id,
            deployment_id=action.deployment.remote_id if action.deployment else None,
        )


class DeploymentCourier(Courier):
    """Way to one deployment or endpoint."""

    def __init__(self, client: TogetherClient, target: Target) -> None:
        super().__init__(client)
        self._target = target

    def _read(self, order: Order) -> Look:
        if self._target.generation == "v1":
            body = self._client.get_v1_endpoint(self._target.endpoint_id)
            return Look(sight=see_v1(body), body=body)
        if self._target.deployment_id is None:
            return self._read_endpoint()
        # Only a deletion has to know whether it gets traffic.
        return self._read_deployment(self._target.deployment_id, with_traffic=order.kind is Kind.DELETE)

    def _read_deployment(self, deployment_id: str, *, with_traffic: bool) -> Look:
        weights: dict[str, float] = {}
        endpoint_etag = ""
        if with_traffic:
            endpoint = self._client.get_endpoint(self._target.project_id, self._target.endpoint_id)
            weights, endpoint_etag = read_weights(endpoint), endpoint.etag
        body = self._client.get_deployment(self._target.project_id, self._target.endpoint_id, deployment_id)
        return Look(
            sight=see_deployment(body, is_in_traffic=deployment_id in weights),
            body=body,
            etag=body.etag,
            endpoint_etag=endpoint_etag,
            autoscaling=read_block(body),
            weights=weights,
        )

    def _read_endpoint(self) -> Look:
        endpoint = self._client.get_endpoint(self._target.project_id, self._target.endpoint_id)
        # The summaries inside the endpoint stop at ten: ask for all.
        listing = self._client.list_deployments(self._target.project_id, self._target.endpoint_id)
        at_rest = (status.STOPPED, status.FAILED)
        running = tuple(
            shorten_name(one.name, one.id)
            for one in listing.items
            if status.read_state(one.state) not in at_rest or one.ready_replicas
        )
        unreadable = tuple("one that cannot be read" for _ in listing.malformed)
        return Look(sight=Seen(state="", running=running + unreadable), etag=endpoint.etag)

    def send(self, step: Send, *, order: Order, look: Look) -> Answer:
        """Send one write. Raises ApiError."""
        etag = look.etag or None if step.guarded else None
        target = self._target
        if target.generation == "v1":
            self._send_v1(step.act, order)
        elif target.deployment_id is None:
            self._client.delete_endpoint(target.project_id, target.endpoint_id, etag=etag)
        else:
            self._send_v2(step.act, target.deployment_id, order=order, look=look, etag=etag)
        return Answer()

    def _send_v1(self, act: Act, order: Order) -> None:
        endpoint_id = self._target.endpoint_id
        if act is Act.STOP:
            self._client.stop_v1_endpoint(endpoint_id)
        elif act is Act.DELETE:
            self._client.delete_v1_endpoint(endpoint_id)
        else:
            self._client.patch_v1_endpoint(
                endpoint_id,
                state="STARTED" if act is Act.START else None,
                min_replicas=order.min_replicas,
                max_replicas=order.max_replicas,
            )

    def _send_v2(self, act: Act, deployment_id: str, *, order: Order, look: Look, etag: str | None) -> None:
        place = (self._target.project_id, self._target.endpoint_id, deployment_id)
        if act is Act.STOP:
            self._client.stop_deployment(*place, etag=etag)
        elif act is Act.START:
            low, high = order.min_replicas or 1, order.max_replicas or order.min_replicas or 1
            self._client.start_deployment(
                *place, min_replicas=low, max_replicas=high, autoscaling=look.autoscaling, etag=etag
            )
        elif act is Act.SCALE:
            bounds = {"minReplicas": order.min_replicas, "maxReplicas": order.max_replicas}
            self._client.patch_deployment(*place, autoscaling={**look.autoscaling, **bounds}, etag=etag)
        elif act is Act.LEAVE_TRAFFIC:
            rest = {one: weight for one, weight in look.weights.items() if one != deployment_id}
            self._client.set_traffic_split(*place[:2], weights=rest, etag=look.endpoint_etag or None)
        else:
            self._client.delete_deployment(*place, etag=etag)
