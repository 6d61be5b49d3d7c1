"""The couriers of what is no endpoint: end or delete one, change its size."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from dashboard.lifecycle import wants
from dashboard.lifecycle.provider.courier import Answer, Courier, Look
from dashboard.lifecycle.verdicts import Act, Order, SeenResource, SeenSettings, Send
from dashboard.together_api.client import TogetherClient


@dataclass(frozen=True, slots=True)
class Handle:
    """One resource in the provider's ids."""

    kind: str
    project_id: str
    remote_id: str


Read = Callable[[TogetherClient, Handle], Any]
Write = Callable[[TogetherClient, Handle], object]

_READS: Final[dict[str, Read]] = {
    "fine-tune": lambda client, it: client.get_fine_tune(it.remote_id),
    "batch": lambda client, it: client.get_batch(it.remote_id),
    "cluster": lambda client, it: client.get_cluster(it.remote_id),
    "volume": lambda client, it: client.get_volume(it.remote_id),
    "container": lambda client, it: client.get_container(it.remote_id),
    "rl-resource": lambda client, it: client.get_rl_resource(it.remote_id),
    "model": lambda client, it: client.get_project_model(it.project_id, it.remote_id),
}
_WRITES: Final[dict[tuple[str, Act], Write]] = {
    ("fine-tune", Act.CANCEL): lambda client, it: client.cancel_fine_tune(it.remote_id),
    ("batch", Act.CANCEL): lambda client, it: client.cancel_batch(it.remote_id),
    ("container", Act.STOP): lambda client, it: client.patch_container(
        it.remote_id, min_replicas=0, max_replicas=0
    ),
    # Refused while a session is attached unless forced; the person was told that sessions end with it.
    ("rl-resource", Act.STOP): lambda client, it: client.stop_rl_resource(it.remote_id, force=True),
    ("cluster", Act.DELETE): lambda client, it: client.delete_cluster(it.remote_id),
    ("volume", Act.DELETE): lambda client, it: client.delete_volume(it.remote_id),
    ("model", Act.DELETE): lambda client, it: client.delete_model(it.project_id, it.remote_id),
}
ENDABLE: Final = frozenset(kind for kind, act in _WRITES if act is Act.CANCEL)
STOPPABLE: Final = frozenset(kind for kind, act in _WRITES if act is Act.STOP)
DELETABLE: Final = frozenset(kind for kind, act in _WRITES if act is Act.DELETE)


class ResourceCourier(Courier):
    """Way to one job, cluster, volume, container, model or RL resource, to end or delete it."""

    def __init__(self, client: TogetherClient, handle: Handle) -> None:
        super().__init__(client)
        self._handle = handle

    def _read(self, order: Order) -> Look:
        body = _READS[self._handle.kind](self._client, self._handle)
        sight = SeenResource(
            kind=self._handle.kind,
            # A model has no state of its own.
            state=getattr(body, "status", "") or "",
            ready_replicas=getattr(body, "ready_replicas", None),
        )
        return Look(sight=sight, resource=body)

    def send(self, step: Send, *, order: Order, look: Look) -> Answer:
        """Send the write. Raises ApiError."""
        _WRITES[self._handle.kind, step.act](self._client, self._handle)
        return Answer()


class SizeCourier(Courier):
    """Way to one cluster or volume, to change its size."""

    def __init__(self, client: TogetherClient, handle: Handle) -> None:
        super().__init__(client)
        self._handle = handle

    def _read(self, order: Order) -> Look:
        if self._handle.kind == "cluster":
            cluster = self._client.get_cluster(self._handle.remote_id)
            present = {wants.NUM_GPUS: cluster.num_gpus}
            return Look(sight=SeenSettings(cluster.status, present, kind="cluster"), resource=cluster)
        volume = self._client.get_volume(self._handle.remote_id)
        present = {wants.SIZE_TIB: volume.size_tib}
        return Look(sight=SeenSettings(volume.status, present, kind="volume"), resource=volume)

    def send(self, step: Send, *, order: Order, look: Look) -> Answer:
        """Send the new size. Raises ApiError."""
        wanted = order.arguments[wants.SETTINGS]
        if self._handle.kind == "cluster":
            self._client.update_cluster(self._handle.remote_id, num_gpus=wanted[wants.NUM_GPUS])
        else:
            self._client.resize_volume(self._handle.remote_id, size_tib=wanted[wants.SIZE_TIB])
        return Answer()
