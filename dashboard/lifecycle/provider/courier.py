"""What all couriers share: one read of the provider as a look, one write, in time for the lease.

A courier opens no transaction and needs no database once it is open, so that the enforcer can go on while
PostgreSQL is away.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from dashboard.lifecycle.verdicts import Failure, Gone, Order, Seen, Send, Sight, Unread
from dashboard.together_api import payloads
from dashboard.together_api.client import TogetherClient
from dashboard.together_api.errors import ApiError, CallTimeoutError, ErrorKind, is_absent
from dashboard.together_api.pagination import Listing
from dashboard.together_api.requests import ApiCall, Reply
from dashboard.together_api.transport import SyncTransport

# Seconds for a whole call, and for all calls between the claim and the end of the write: the lease of 40 s
# (claims.py) outlives a pass, also one that has to read a list of many pages first.
CALL_DEADLINE_SECONDS = 10.0
PASS_DEADLINE_SECONDS = 30.0
_LEAST_SECONDS = 0.5
BOUNDS = frozenset({"minReplicas", "maxReplicas", "min_replicas", "max_replicas"})

ItemT = TypeVar("ItemT", bound=payloads.Resource)


@dataclass(frozen=True, slots=True)
class Look:
    """One read: the sight, what a write after it needs, and the bodies that the mirror can learn from.

    `body` is that of the act's own deployment or v1 endpoint, `resource` that of its resource; `endpoint` and
    `deployments` are what a deploy or a deletion in order found. `etags` are those of deployments by id.
    """

    sight: Sight
    request_id: str = ""
    body: payloads.Deployment | payloads.V1Endpoint | None = None
    resource: payloads.Resource | None = None
    endpoint: payloads.Endpoint | None = None
    deployments: tuple[payloads.Deployment, ...] = ()
    etag: str = ""
    endpoint_etag: str = ""
    etags: Mapping[str, str] = field(default_factory=dict)
    autoscaling: Mapping[str, Any] = field(default_factory=dict)
    weights: Mapping[str, float] = field(default_factory=dict)
    # A deploy's dry run needs some endpoint to be made on.
    rehearsal_endpoint_id: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an accepted write told: remote ids of what it made, facts for the memo. Proves nothing yet."""

    ids: Mapping[str, str] = field(default_factory=dict)
    marks: tuple[str, ...] = ()


class ListIncompleteError(Exception):
    """A list broke off or holds entries that cannot be read: what is not in it may exist all the same."""


class PassTransport:
    """The client's transport for one pass: remembers the last request id, and ends with the pass's time."""

    def __init__(self, inner: SyncTransport) -> None:
        self.inner = inner
        self.request_id = ""
        self._until = 0.0

    def begin(self) -> None:
        """Start the clock of a pass."""
        self._until = time.monotonic() + PASS_DEADLINE_SECONDS

    def send(self, call: ApiCall) -> Reply:
        """Return the reply. Raises ApiError, also when the pass has no time left."""
        self.request_id = ""
        left = self._until - time.monotonic()
        if left < _LEAST_SECONDS:
            raise CallTimeoutError("the pass has no time left for another call", call=call.name)
        deadline = min(call.deadline_seconds or CALL_DEADLINE_SECONDS, left)
        reply = self.inner.send(replace(call, deadline_seconds=deadline))
        self.request_id = reply.request_id or ""
        return reply

    def close(self) -> None:
        """Leave the shared transport open."""


class Courier(ABC):
    """One connection's way to the provider for one act. Cheap to make; not shared between threads."""

    def __init__(self, client: TogetherClient) -> None:
        self._transport = PassTransport(client.transport)
        # Structural stand-in: the client only sends and closes.
        self._client = TogetherClient(client.config, transport=self._transport).with_options(  # type: ignore[arg-type]
            priority="stop", deadline_seconds=CALL_DEADLINE_SECONDS
        )

    @property
    def request_id(self) -> str:
        """The provider's id of the last answered call, empty when it had none."""
        return self._transport.request_id

    def look(self, order: Order) -> Look:
        """Read what the act is about; failures come back as a sight."""
        self._transport.begin()
        try:
            return replace(self._read(order), request_id=self.request_id)
        except ListIncompleteError as error:
            failure = Failure(kind=ErrorKind.MALFORMED, sentence=str(error))
            return Look(sight=Unread(failure), request_id=self.request_id)
        except ApiError as error:
            if is_absent(error):
                return Look(sight=Gone(), request_id=error.request_id or "")
            return Look(sight=Unread(describe_failure(error)), request_id=error.request_id or "")

    @abstractmethod
    def _read(self, order: Order) -> Look:
        """Return what is there. Raises ApiError and ListIncompleteError."""

    @abstractmethod
    def send(self, step: Send, *, order: Order, look: Look) -> Answer:
        """Send one write. Raises ApiError; an accepted write proves nothing yet."""


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


def read_whole(listing: Listing[ItemT]) -> tuple[ItemT, ...]:
    """Return the items of a list that was read to its end, so that what is not in it is not there.

    Raises ListIncompleteError.
    """
    if not listing.complete:
        raise ListIncompleteError(f"The list could not be read to its end: {listing.incomplete_reason}")
    if listing.malformed:
        raise ListIncompleteError("The list holds an entry that cannot be read.")
    return listing.items


def see_deployment(body: payloads.Deployment, *, is_in_traffic: bool = False) -> Seen:
    """Return how a v2 deployment is."""
    bounds = body.autoscaling or payloads.Autoscaling()
    return Seen(
        state=body.state,
        ready_replicas=body.ready_replicas,
        min_replicas=bounds.min_replicas,
        max_replicas=bounds.max_replicas,
        message=body.status.message if body.status else "",
        is_in_traffic=is_in_traffic,
    )


def see_v1(body: payloads.V1Endpoint) -> Seen:
    """Return how a v1 endpoint is; the wish is not told apart from the bounds, which stay while it is stopped."""
    bounds = body.autoscaling or payloads.V1Autoscaling()
    return Seen(state=body.state, min_replicas=bounds.min_replicas, max_replicas=bounds.max_replicas)


def read_weights(endpoint: payloads.Endpoint) -> dict[str, float]:
    """Return the traffic split {deployment id: weight}."""
    return {entry.deployment_id: entry.weight or 0.0 for entry in endpoint.traffic_split}


def read_block(body: payloads.Deployment) -> dict[str, Any]:
    """Return the autoscaling block as received, {} when there is none."""
    block = body.raw.get("autoscaling")
    return block if isinstance(block, dict) else {}


def shorten_name(name: str, fallback: str = "") -> str:
    """Return the last part of a qualified name."""
    return name.rsplit("/", 1)[-1] or fallback


def strip_bounds(autoscaling: Mapping[str, Any]) -> dict[str, Any]:
    """Return the scaling settings apart from the replica bounds."""
    return {name: value for name, value in autoscaling.items() if name not in BOUNDS}
