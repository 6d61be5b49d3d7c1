"""The courier of changed settings: of a deployment or v1 endpoint, and of an endpoint's traffic split."""

from collections.abc import Mapping
from typing import Any

from dashboard.lifecycle import wants
from dashboard.lifecycle.provider.courier import Answer, Courier, Look, read_block, read_weights
from dashboard.lifecycle.provider.deployments import Target
from dashboard.lifecycle.verdicts import Act, Order, SeenSettings, Send
from dashboard.together_api import payloads
from dashboard.together_api.client import TogetherClient


class SettingsCourier(Courier):
    """Way to the settings of one deployment, or to the split of one endpoint."""

    def __init__(self, client: TogetherClient, target: Target) -> None:
        super().__init__(client)
        self._target = target

    def _read(self, order: Order) -> Look:
        target = self._target
        if target.generation == "v1":
            legacy = self._client.get_v1_endpoint(target.endpoint_id)
            return Look(sight=SeenSettings(legacy.state, _read_v1(legacy)), body=legacy)
        if target.deployment_id is None:
            endpoint = self._client.get_endpoint(target.project_id, target.endpoint_id)
            weights = read_weights(endpoint)
            return Look(
                sight=SeenSettings("", {wants.TRAFFIC_SPLIT: weights}),
                endpoint=endpoint,
                etag=endpoint.etag,
                weights=weights,
            )
        body = self._client.get_deployment(target.project_id, target.endpoint_id, target.deployment_id)
        return Look(
            sight=SeenSettings(
                body.state,
                _read_v2(body),
                ready_replicas=body.ready_replicas,
                message=body.status.message if body.status else "",
            ),
            body=body,
            etag=body.etag,
            autoscaling=read_block(body),
        )

    def send(self, step: Send, *, order: Order, look: Look) -> Answer:
        """Send the change, always with the etag just read: whoever changed it meanwhile is looked at first."""
        target, wanted = self._target, order.arguments[wants.SETTINGS]
        if target.generation == "v1":
            self._client.patch_v1_endpoint(
                target.endpoint_id,
                min_replicas=wanted.get(wants.MIN_REPLICAS),
                max_replicas=wanted.get(wants.MAX_REPLICAS),
                inactive_timeout=wanted.get(wants.INACTIVE_TIMEOUT),
            )
        elif step.act is Act.SPLIT or target.deployment_id is None:
            self._client.set_traffic_split(
                target.project_id,
                target.endpoint_id,
                weights=wanted[wants.TRAFFIC_SPLIT],
                etag=look.etag or None,
            )
        else:
            block = {name: value for name, value in wanted.items() if name in wants.AUTOSCALING}
            self._client.patch_deployment(
                target.project_id,
                target.endpoint_id,
                target.deployment_id,
                # The provider replaces the whole block: what stays goes along.
                autoscaling={**look.autoscaling, **block} if block else None,
                inactive_timeout=wanted.get(wants.INACTIVE_TIMEOUT),
                max_concurrent_requests_per_replica=wanted.get(wants.MAX_CONCURRENT),
                etag=look.etag or None,
            )
        return Answer()


def _read_v1(body: payloads.V1Endpoint) -> Mapping[str, Any]:
    bounds = body.autoscaling or payloads.V1Autoscaling()
    present: dict[str, Any] = {
        wants.MIN_REPLICAS: bounds.min_replicas,
        wants.MAX_REPLICAS: bounds.max_replicas,
    }
    # Not every body tells it (contract 4); null is how "off" is told.
    if "inactive_timeout" in body.raw:
        present[wants.INACTIVE_TIMEOUT] = body.inactive_timeout or 0
    return present


def _read_v2(body: payloads.Deployment) -> Mapping[str, Any]:
    block = read_block(body)
    present = {name: block[name] for name in wants.AUTOSCALING if name in block}
    present[wants.INACTIVE_TIMEOUT] = body.inactive_timeout or 0
    if body.max_concurrent_requests_per_replica is not None:
        present[wants.MAX_CONCURRENT] = body.max_concurrent_requests_per_replica
    return present
