"""Talk to the provider about one act: read its state as a sight, send one write.

The only part of lifecycle that calls the client. One courier per kind of target; what they share is in courier.py.
"""

import json
import threading
from dataclasses import replace

from dashboard.accounts import connections, crypto
from dashboard.accounts.models import Connection
from dashboard.lifecycle.models import StopAction
from dashboard.lifecycle.provider.courier import (
    Answer,
    Courier,
    Look,
    describe_failure,
    strip_bounds,
)
from dashboard.lifecycle.provider.creations import UploadCourier, VolumeCourier
from dashboard.lifecycle.provider.deployments import DeploymentCourier, Target
from dashboard.lifecycle.provider.deploys import DeployCourier
from dashboard.lifecycle.provider.resources import Handle, ResourceCourier, SizeCourier
from dashboard.lifecycle.provider.settings import SettingsCourier
from dashboard.lifecycle.provider.trees import TreeCourier
from dashboard.lifecycle.wants import IN_ORDER, DeployWant, UploadWant, VolumeWant
from dashboard.lifecycle.wishes import secrets_place
from dashboard.together_api.budget import budget_for
from dashboard.together_api.client import TogetherClient

__all__ = ["Answer", "Courier", "Look", "describe_failure", "open_client", "open_courier", "strip_bounds"]

_clients: dict[int, tuple[str, TogetherClient]] = {}
_clients_lock = threading.Lock()


def open_client(connection: Connection) -> TogetherClient:
    """Return this process's client of the connection. Raises accounts.crypto.CryptoError.

    It is kept until the stored key changes; nothing here reads the database.
    """
    with _clients_lock:
        sealed, client = _clients.get(connection.pk, ("", None))
        if client is None or sealed != connection.key_ciphertext:
            with connections.api_client(connection) as plain:
                # No retries inside a call: the back-off of the act reads before it repeats, and frees the thread.
                config = replace(plain.config, max_retries=0)
            client = TogetherClient(config, budget=budget_for(str(connection.pk)))
            _clients[connection.pk] = (connection.key_ciphertext, client)
    return client


def open_courier(action: StopAction) -> Courier:
    """Return the courier of an act. Raises accounts.crypto.CryptoError. No query when its target is loaded."""
    client = open_client(action.connection)
    if action.resource is not None and action.kind not in _MAKERS:
        resource = action.resource
        handle = Handle(resource.kind, resource.project.remote_id, resource.remote_id)
        is_resize = action.kind == StopAction.Kind.RESIZE
        return SizeCourier(client, handle) if is_resize else ResourceCourier(client, handle)
    if action.kind in _MAKERS:
        return _open_maker(action, client)
    if action.kind in (StopAction.Kind.CONFIGURE, StopAction.Kind.SPLIT):
        return SettingsCourier(client, Target.of(action))
    if action.kind == StopAction.Kind.DELETE and action.arguments.get(IN_ORDER):
        return TreeCourier(client, Target.of(action))
    return DeploymentCourier(client, Target.of(action))


_MAKERS = (StopAction.Kind.DEPLOY, StopAction.Kind.CREATE, StopAction.Kind.UPLOAD)


def _open_maker(action: StopAction, client: TogetherClient) -> Courier:
    assert action.project is not None  # noqa: S101 - what is made belongs to a project
    project_id = action.project.remote_id
    if action.kind == StopAction.Kind.DEPLOY:
        return DeployCourier(client, project_id=project_id, want=DeployWant.read(action.arguments))
    if action.kind == StopAction.Kind.CREATE:
        return VolumeCourier(client, project_id=project_id, want=VolumeWant.read(action.arguments))
    secrets = json.loads(crypto.open_sealed(action.sealed_arguments, place=secrets_place(action)))
    return UploadCourier(
        client, project_id=project_id, want=UploadWant.read(action.arguments), secrets=secrets
    )
