"""The courier of a deploy: finds by name what exists, makes what is missing."""

from collections.abc import Sequence
from typing import TypeVar

from dashboard.lifecycle.provider.courier import (
    Answer,
    Courier,
    Look,
    read_weights,
    read_whole,
    see_deployment,
    shorten_name,
)
from dashboard.lifecycle.verdicts import Act, Order, Part, SeenDeploy, Send
from dashboard.lifecycle.verdicts.deploys import REHEARSED
from dashboard.lifecycle.wants import DeployWant
from dashboard.together_api import payloads
from dashboard.together_api.client import TogetherClient

_DEDICATED = ("", "ENDPOINT_TYPE_DEDICATED")


class DeployCourier(Courier):
    """Way to the project in which a deployment is made."""

    def __init__(self, client: TogetherClient, *, project_id: str, want: DeployWant) -> None:
        super().__init__(client)
        self._project_id = project_id
        self._want = want

    def _read(self, order: Order) -> Look:
        known_id = self._want.endpoint_id or order.memo.ids.get("endpoint", "")
        if known_id:
            endpoint: payloads.Endpoint | None = self._client.get_endpoint(self._project_id, known_id)
            rehearsal_id = known_id
        else:
            endpoints = read_whole(self._client.list_endpoints(self._project_id))
            endpoint = _find(endpoints, self._want.endpoint_name)
            # A dry run makes nothing; on a new endpoint's behalf any other dedicated one of the project serves.
            others = (one.id for one in endpoints if one.endpoint_type in _DEDICATED)
            rehearsal_id = endpoint.id if endpoint else next(others, "")
        if endpoint is None:
            sight = SeenDeploy(may_rehearse=bool(rehearsal_id))
            return Look(sight=sight, rehearsal_endpoint_id=rehearsal_id)
        body = self._find_deployment(endpoint, order)
        weights = read_weights(endpoint)
        part = None
        if body is not None:
            part = Part(body.id, self._want.deployment_name, see_deployment(body))
        return Look(
            sight=SeenDeploy(endpoint_id=endpoint.id, may_rehearse=True, part=part, weights=weights),
            endpoint=endpoint,
            deployments=(body,) if body else (),
            endpoint_etag=endpoint.etag,
            weights=weights,
            rehearsal_endpoint_id=rehearsal_id,
        )

    def _find_deployment(self, endpoint: payloads.Endpoint, order: Order) -> payloads.Deployment | None:
        known_id = order.memo.ids.get("deployment")
        if known_id:
            return self._client.get_deployment(self._project_id, endpoint.id, known_id)
        listing = self._client.list_deployments(self._project_id, endpoint.id)
        return _find(read_whole(listing), self._want.deployment_name)

    def send(self, step: Send, *, order: Order, look: Look) -> Answer:
        """Make what is missing, or rehearse it. Raises ApiError."""
        want = self._want
        if step.act is Act.CREATE_ENDPOINT:
            made = self._client.create_endpoint(self._project_id, name=want.endpoint_name)
            return Answer(ids={"endpoint": made.id})
        if step.act is Act.REHEARSE:
            self._create(look.rehearsal_endpoint_id, validate_only=True)
            return Answer(marks=(REHEARSED,))
        if look.endpoint is None:
            raise LookupError("there is no endpoint to write to")
        if step.act is Act.CREATE_DEPLOYMENT:
            return Answer(ids={"deployment": self._create(look.endpoint.id, validate_only=False).id})
        weights = {**look.weights, order.memo.ids["deployment"]: want.weight or 0.0}
        self._client.set_traffic_split(
            self._project_id, look.endpoint.id, weights=weights, etag=look.endpoint_etag or None
        )
        return Answer()

    def _create(self, endpoint_id: str, *, validate_only: bool) -> payloads.Deployment:
        want = self._want
        return self._client.create_deployment(
            self._project_id,
            endpoint_id,
            name=want.deployment_name,
            model=want.model,
            config=want.config,
            min_replicas=want.min_replicas,
            max_replicas=want.max_replicas,
            autoscaling=want.autoscaling,
            inactive_timeout=want.inactive_timeout,
            placement=want.placement,
            max_concurrent_requests_per_replica=want.max_concurrent,
            validate_only=validate_only,
        )


NamedT = TypeVar("NamedT", payloads.Endpoint, payloads.Deployment)


def _find(items: Sequence[NamedT], name: str) -> NamedT | None:
    """Return the item of that name, qualified or not."""
    return next((one for one in items if shorten_name(one.name) == name), None)
