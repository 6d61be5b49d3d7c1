"""Talk to the provider about one act: read its state as a sight, send one write.

The only module of lifecycle that calls the client. It opens no transaction and needs no database once a client
is open, so that the enforcer can go on while PostgreSQL is away.
"""

import threading
from dataclasses import dataclass, field, replace
from typing import Any

from dashboard.accounts import connections
from dashboard.accounts.models import Connection
from dashboard.core import status
from dashboard.lifecycle.models import StopAction
from dashboard.lifecycle.verdicts import Act, Failure, Gone, Order, Seen, Sight, Unread
from dashboard.together_api import payloads
from dashboard.together_api.budget import budget_for
from dashboard.together_api.client import TogetherClient
from dashboard.together_api.errors import ApiError, is_absent
from dashboard.together_api.requests import ApiCall, Reply
from dashboard.together_api.transport import SyncTransport

# Seconds for a whole call. A pass makes three at most, so that the lease of 40 s outlives it.
CALL_DEADLINE_SECONDS = 10.0
_BOUNDS = frozenset({"minReplicas", "maxReplicas", "min_replicas", "max_replicas"})


@dataclass(frozen=True, slots=True)
class Target:
    """What an act is about, in the provider's ids; `deployment_id` None = the whole endpoint (delete only)."""

    generation: str
    project_id: str
    endpoint_id: str
    deployment_id: str | None

    @classmethod
    def of(cls, action: StopAction) -> "Target":
        """Return the target of an act. No query when endpoint, project and deployment are loaded."""
        return cls(
            generation=action.endpoint.generation,
            project_id=action.endpoint.project.remote_id,
            endpoint_id=action.endpoint.remote_id,
            deployment_id=action.deployment.remote_id if action.deployment else None,
        )


@dataclass(frozen=True, slots=True)
class Look:
    """One read: the sight, and what a write after it needs (etags, present scaling settings, traffic weights)."""

    sight: Sight
    body: payloads.Deployment | payloads.V1Endpoint | None = None
    etag: str = ""
    endpoint_etag: str = ""
    autoscaling: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)
    request_id: str = ""


class _RequestIdTransport:
    """The client's transport that remembers the provider's id of the last answer, for the receipt."""

    def __init__(self, inner: SyncTransport) -> None:
        self.inner = inner
        self.request_id = ""

    def send(self, call: ApiCall) -> Reply:
        self.request_id = ""
        reply = self.inner.send(call)
        self.request_id = reply.request_id or ""
        return reply

    def close(self) -> None:
        """Leave the shared transport open."""


class Courier:
    """One connection's way to the provider for one act. Cheap to make; not shared between threads."""

    def __init__(self, client: TogetherClient) -> None:
        self._transport = _RequestIdTransport(client.transport)
        # Structural stand-in: the client only sends and closes.
        self._client = TogetherClient(client.config, transport=self._transport).with_options(  # type: ignore[arg-type]
            priority="stop", deadline_seconds=CALL_DEADLINE_SECONDS
        )

    @property
    def request_id(self) -> str:
        """The provider's id of the last answered call, empty when it had none."""
        return self._transport.request_id

    def look(self, target: Target, *, with_traffic: bool = False) -> Look:
        """Read the target; failures come back as a sight. `with_traffic` also reads the traffic split (v2)."""
        try:
            if target.generation == "v1":
                return self._look_v1(target)
            if target.deployment_id is None:
                return self._look_endpoint(target)
            return self._look_v2(target, target.deployment_id, with_traffic=with_traffic)
        except ApiError as error:
            if is_absent(error):
                return Look(sight=Gone(), request_id=error.request_id or "")
            return Look(sight=Unread(describe_failure(error)), request_id=error.request_id or "")

    def send(self, act: Act, target: Target, *, order: Order, look: Look, guarded: bool) -> None:
        """Send one write. Raises ApiError; an accepted write proves nothing yet."""
        etag = look.etag or None if guarded else None
        if target.generation == "v1":
            self._send_v1(act, target, order)
        elif target.deployment_id is None:
            self._client.delete_endpoint(target.project_id, target.endpoint_id, etag=etag)
        else:
            self._send_v2(act, target, target.deployment_id, order=order, look=look, etag=etag)

    def _look_v1(self, target: Target) -> Look:
        body = self._client.get_v1_endpoint(target.endpoint_id)
        bounds = body.autoscaling or payloads.V1Autoscaling()
        # The wish is not told apart from the bounds here: they stay as they are while it is stopped.
        seen = Seen(state=body.state, min_replicas=bounds.min_replicas, max_replicas=bounds.max_replicas)
        return Look(sight=seen, body=body, request_id=self.request_id)

    def _look_v2(self, target: Target, deployment_id: str, *, with_traffic: bool) -> Look:
        weights: dict[str, float] = {}
        endpoint_etag = ""
        if with_traffic:
            endpoint = self._client.get_endpoint(target.project_id, target.endpoint_id)
            weights = {entry.deployment_id: entry.weight or 0.0 for entry in endpoint.traffic_split}
            endpoint_etag = endpoint.etag
        body = self._client.get_deployment(target.project_id, target.endpoint_id, deployment_id)
        bounds = body.autoscaling or payloads.Autoscaling()
        block = body.raw.get("autoscaling")
        seen = Seen(
            state=body.state,
            ready_replicas=body.ready_replicas,
            min_replicas=bounds.min_replicas,
            max_replicas=bounds.max_replicas,
            message=body.status.message if body.status else "",
            is_in_traffic=deployment_id in weights,
        )
        return Look(
            sight=seen,
            body=body,
            etag=body.etag,
            endpoint_etag=endpoint_etag,
            autoscaling=block if isinstance(block, dict) else {},
            weights=weights,
            request_id=self.request_id,
        )

    def _look_endpoint(self, target: Target) -> Look:
        endpoint = self._client.get_endpoint(target.project_id, target.endpoint_id)
        # The summaries inside the endpoint stop at ten: ask for all.
        listing = self._client.list_deployments(target.project_id, target.endpoint_id)
        at_rest = (status.STOPPED, status.FAILED)
        running = tuple(
            one.name.rsplit("/", 1)[-1] or one.id
            for one in listing.items
            if status.read_state(one.state) not in at_rest or one.ready_replicas
        )
        unreadable = tuple("one that cannot be read" for _ in listing.malformed)
        seen = Seen(state="", running=running + unreadable)
        return Look(sight=seen, etag=endpoint.etag, request_id=self.request_id)

    def _send_v1(self, act: Act, target: Target, order: Order) -> None:
        if act is Act.STOP:
            self._client.stop_v1_endpoint(target.endpoint_id)
        elif act is Act.DELETE:
            self._client.delete_v1_endpoint(target.endpoint_id)
        else:
            self._client.patch_v1_endpoint(
                target.endpoint_id,
                state="STARTED" if act is Act.START else None,
                min_replicas=order.min_replicas,
                max_replicas=order.max_replicas,
            )

    def _send_v2(
        self, act: Act, target: Target, deployment_id: str, *, order: Order, look: Look, etag: str | None
    ) -> None:
        place = (target.project_id, target.endpoint_id, deployment_id)
        if act is Act.STOP:
            self._client.stop_deployment(*place, etag=etag)
        elif act is Act.START:
            low, high = order.min_replicas or 1, order.max_replicas or order.min_replicas or 1
            self._client.start_deployment(
                *place, min_replicas=low, max_replicas=high, autoscaling=look.autoscaling, etag=etag
            )
        elif act is Act.SCALE:
            block = look.autoscaling | {"minReplicas": order.min_replicas, "maxReplicas": order.max_replicas}
            self._client.patch_deployment(*place, autoscaling=block, etag=etag)
        elif act is Act.LEAVE_TRAFFIC:
            rest = {one: weight for one, weight in look.weights.items() if one != deployment_id}
            self._client.set_traffic_split(
                target.project_id, target.endpoint_id, weights=rest, etag=look.endpoint_etag or None
            )
        else:
            self._client.delete_deployment(*place, etag=etag)


def describe_failure(error: ApiError) -> Failure:
    """Return what the verdicts need of an error; its sentence is already free of secrets."""
    return Failure(
        kind=error.kind,
        sentence=error.sentence,
        status=error.status,
        code=error.code,
        retry_after_seconds=error.retry_after_seconds,
        outcome_unknown=error.outcome_unknown,
    )


def strip_bounds(autoscaling: dict[str, Any]) -> dict[str, Any]:
    """Return the scaling settings apart from the replica bounds."""
    return {name: value for name, value in autoscaling.items() if name not in _BOUNDS}


_clients: dict[int, tuple[str, TogetherClient]] = {}
_clients_lock = threading.Lock()


def open_courier(connection: Connection) -> Courier:
    """Return a courier over this process's client of the connection. Raises accounts.crypto.CryptoError.

    The client is kept until the stored key changes; nothing here reads the database.
    """
    with _clients_lock:
        sealed, client = _clients.get(connection.pk, ("", None))
        if client is None or sealed != connection.key_ciphertext:
            with connections.api_client(connection) as plain:
                # No retries inside a call: the back-off of the act reads before it repeats, and frees the thread.
                config = replace(plain.config, max_retries=0)
            client = TogetherClient(config, budget=budget_for(str(connection.pk)))
            _clients[connection.pk] = (connection.key_ciphertext, client)
    return Courier(client)
