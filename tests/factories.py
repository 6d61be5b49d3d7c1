"""Objects for tests, made with the least that is needed; every argument may be overridden.

Each function writes one row (and what it must hang on) and returns it. Times default to `NOW`.
"""

import hashlib
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from dashboard.accounts import crypto
from dashboard.accounts.audit import Actor
from dashboard.accounts.models import Connection, Membership, Team, User
from dashboard.accounts.roles import Role
from dashboard.core import heartbeats, resource_states
from dashboard.lifecycle import deploys
from dashboard.lifecycle.models import StopAction
from dashboard.mirror.models import (
    Deployment,
    Endpoint,
    Generation,
    Hardware,
    HardwarePrice,
    Project,
    Resource,
    ResourceChange,
    ResourceDocument,
    ResourceEvent,
    ResourceKind,
    ResourceLink,
    Source,
    StateChange,
    SyncRun,
)

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
PASSWORD = "correct horse battery staple"
API_KEY = "sim-key"
# $5.40 per hour, one H100.
H100_NANO_USD_PER_HOUR = 5_400_000_000

_numbers = itertools.count(1)


def _mirrored(connection: Connection, payload: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    return {
        "connection": connection,
        "payload": payload,
        "fingerprint": hashlib.blake2b(repr(payload).encode(), digest_size=16).digest(),
        "first_observed_at": NOW - timedelta(days=30),
        "observed_at": NOW,
    } | fields


def make_user(*, role: Role = Role.VIEWER, teams: tuple[Team, ...] = (), **fields: Any) -> User:
    number = next(_numbers)
    fields.setdefault("email", f"{role}{number}@example.com")
    fields.setdefault("password", PASSWORD)
    user = User.objects.create_user(fields.pop("email"), fields.pop("password"), role=role, **fields)
    for team in teams:
        Membership.objects.create(user=user, team=team)
    return user


def make_viewer(**fields: Any) -> User:
    return make_user(role=Role.VIEWER, **fields)


def make_operator(**fields: Any) -> User:
    return make_user(role=Role.OPERATOR, **fields)


def make_finance(**fields: Any) -> User:
    return make_user(role=Role.FINANCE, **fields)


def make_admin(**fields: Any) -> User:
    return make_user(role=Role.ADMIN, **fields)


def make_team(name: str = "", *, people: tuple[User, ...] = ()) -> Team:
    team = Team.objects.create(name=name or f"Team {next(_numbers)}")
    for user in people:
        Membership.objects.create(user=user, team=team)
    return team


def make_connection(*, api_key: str = API_KEY, **fields: Any) -> Connection:
    """Write a connection whose key is sealed as the product seals it."""
    fields.setdefault("name", f"Connection {next(_numbers)}")
    fields.setdefault("organization_id", "org_fernhill")
    fields.setdefault("organization_name", "fernhill")
    connection = Connection.objects.create(key_ciphertext="", key_hint=api_key[-4:], **fields)
    place = crypto.Place("accounts_connection", connection.pk, "key_ciphertext")
    connection.key_ciphertext = crypto.seal(api_key, place=place)
    connection.save(update_fields=["key_ciphertext"])
    return connection


def make_project(*, connection: Connection | None = None, team: Team | None = None, **fields: Any) -> Project:
    number = next(_numbers)
    fields.setdefault("remote_id", f"proj_{number}")
    fields.setdefault("name", f"project-{number}")
    fields.setdefault("slug", fields["name"])
    payload = {"id": fields["remote_id"], "name": fields["name"]}
    return Project.objects.create(team=team, **_mirrored(connection or make_connection(), payload, fields))


def make_hardware(
    *,
    connection: Connection | None = None,
    generation: Generation = Generation.V2,
    nano_usd_per_hour: int | None = H100_NANO_USD_PER_HOUR,
    **fields: Any,
) -> Hardware:
    """Write a hardware size and, unless the price is None, one open price row."""
    number = next(_numbers)
    fields.setdefault("name", f"1xnvidia-h100-80gb-{number}")
    fields.setdefault("remote_id", fields["name"])
    fields.setdefault("gpu_type", "nvidia-h100")
    fields.setdefault("gpu_count", 1)
    fields.setdefault("gpu_memory_gib", 80)
    payload = {"name": fields["name"]}
    hardware = Hardware.objects.create(
        generation=generation, **_mirrored(connection or make_connection(), payload, fields)
    )
    if nano_usd_per_hour is not None:
        HardwarePrice.objects.create(
            hardware=hardware, nano_usd_per_hour=nano_usd_per_hour, valid_from=NOW - timedelta(days=30)
        )
    return hardware


def make_endpoint(
    *, project: Project | None = None, generation: Generation = Generation.V2, **fields: Any
) -> Endpoint:
    """Write an endpoint without deployments; `status` is a value of core/status.py."""
    project = project or make_project()
    number = next(_numbers)
    prefix = "ep_" if generation == Generation.V2 else "endpoint-"
    fields.setdefault("remote_id", f"{prefix}{number}")
    fields.setdefault("display_name", f"endpoint-{number}")
    fields.setdefault("name", f"{project.slug}/{fields['display_name']}")
    fields.setdefault("model", "meta-llama/Llama-3.3-70B-Instruct")
    fields.setdefault("status", "running")
    fields.setdefault("status_since", NOW - timedelta(hours=2))
    fields.setdefault("remote_created_at", NOW - timedelta(days=10))
    payload = {"id": fields["remote_id"], "name": fields["name"]}
    return Endpoint.objects.create(
        project=project, generation=generation, **_mirrored(project.connection, payload, fields)
    )


def make_deployment(
    *, endpoint: Endpoint | None = None, nano_usd_per_hour: int | None = H100_NANO_USD_PER_HOUR, **fields: Any
) -> Deployment:
    """Write a running v2 deployment with one ready replica and roll it up into its endpoint."""
    endpoint = endpoint or make_endpoint()
    number = next(_numbers)
    defaults: dict[str, Any] = {
        "remote_id": f"dep_{number}",
        "name": f"deployment-{number}",
        "model": endpoint.model,
        "hardware": "1xnvidia-h100-80gb",
        "state": "DEPLOYMENT_STATE_READY",
        "min_replicas": 1,
        "max_replicas": 2,
        "desired_replicas": 1,
        "ready_replicas": 1,
        "billable_low": 1,
        "billable_high": 1,
        "gpu_count": 1,
        "state_since": NOW - timedelta(hours=2),
        "remote_created_at": NOW - timedelta(days=10),
    }
    deployment = _write_deployment(endpoint, nano_usd_per_hour, defaults | fields)
    StateChange.objects.create(
        deployment=deployment,
        at=deployment.state_since or NOW,
        state=deployment.state,
        ready_replicas=deployment.ready_replicas,
        min_replicas=deployment.min_replicas,
        max_replicas=deployment.max_replicas,
        hardware=deployment.hardware,
        source=Source.EVENT,
        event_id=f"evt_{number}",
    )
    return deployment


def make_v1_endpoint(*, project: Project | None = None, **fields: Any) -> Deployment:
    """Write a started v1 endpoint with its one deployment under the same remote id; return the deployment.

    Its running replicas are not told, so it bills between min and max replicas.
    """
    endpoint = make_endpoint(project=project, generation=Generation.V1, hardware="1x_nvidia_h100_80gb_sxm")
    defaults: dict[str, Any] = {
        "remote_id": endpoint.remote_id,
        "name": endpoint.name,
        "hardware": endpoint.hardware,
        "state": "STARTED",
        "ready_replicas": None,
        "desired_replicas": None,
        "billable_low": 1,
        "billable_high": 2,
        "inactive_timeout_minutes": 60,
    }
    return make_deployment(endpoint=endpoint, **(defaults | fields))


def _write_deployment(
    endpoint: Endpoint, nano_usd_per_hour: int | None, fields: dict[str, Any]
) -> Deployment:
    payload = {"id": fields["remote_id"], "state": fields["state"]}
    deployment = Deployment.objects.create(
        endpoint=endpoint,
        generation=endpoint.generation,
        nano_usd_per_hour=nano_usd_per_hour,
        **_mirrored(endpoint.connection, payload, fields),
    )
    price = nano_usd_per_hour or 0
    endpoint.deployment_count += 1
    endpoint.hardware = endpoint.hardware or deployment.hardware
    endpoint.gpu_count += deployment.billable_high * (deployment.gpu_count or 0)
    endpoint.burn_low += deployment.billable_low * price
    endpoint.burn_high += deployment.billable_high * price
    if nano_usd_per_hour is None:
        endpoint.unpriced_replicas += deployment.billable_high
    if deployment.ready_replicas is not None:
        endpoint.ready_replicas = (endpoint.ready_replicas or 0) + deployment.ready_replicas
    if deployment.desired_replicas is not None:
        endpoint.desired_replicas = (endpoint.desired_replicas or 0) + deployment.desired_replicas
    endpoint.save()
    return deployment


# State of a resource that is made without one: what most of its kind are in.
_USUAL_STATES = {
    ResourceKind.FINE_TUNE: "running",
    ResourceKind.BATCH: "IN_PROGRESS",
    ResourceKind.EVALUATION: "completed",
    ResourceKind.UPLOAD: "REMOTE_UPLOAD_STATUS_RUNNING",
    ResourceKind.UPLOAD_V1: "Running",
    ResourceKind.FILE: "processed",
    ResourceKind.MODEL: "",
    ResourceKind.CLUSTER: "Ready",
    ResourceKind.VOLUME: "bound",
    ResourceKind.CONTAINER: "Ready",
    ResourceKind.RL_RESOURCE: "MODEL_RESOURCES_STATUS_READY",
    ResourceKind.RL_SESSION: "TRAINING_SESSION_STATUS_RUNNING",
}
_PREFIXES = {
    ResourceKind.FINE_TUNE: "ft-", ResourceKind.EVALUATION: "eval-", ResourceKind.FILE: "file-",
    ResourceKind.MODEL: "ml_", ResourceKind.UPLOAD_V1: "job-",
}  # fmt: skip


def make_resource(
    *,
    kind: ResourceKind = ResourceKind.FINE_TUNE,
    project: Project | None = None,
    links: dict[str, str] | None = None,
    payload: dict[str, Any] | None = None,
    **fields: Any,
) -> Resource:
    """Write a resource of any kind; `status` follows from `state`, `burn` from units and price, as in the store.

    `links` maps relations to remote ids (or names of models).
    """
    project = project or make_project()
    number = next(_numbers)
    defaults: dict[str, Any] = {
        "remote_id": f"{_PREFIXES.get(kind, '')}{kind}-{number}",
        "name": f"{kind}-{number}",
        "state": _USUAL_STATES[kind],
        "state_since": NOW - timedelta(hours=1),
        "remote_created_at": NOW - timedelta(hours=2),
    }
    fields = defaults | fields
    fields.setdefault("status", resource_states.read_state(kind, fields["state"]).value)
    units, price = fields.get("units", 0), fields.get("nano_usd_per_unit_hour")
    fields.setdefault("burn", units * price if price is not None else 0)
    fields.setdefault("unpriced_units", 0 if price is not None else units)
    body = {"id": fields["remote_id"], "status": fields["state"]} | (payload or {})
    resource = Resource.objects.create(
        kind=kind, project=project, **_mirrored(project.connection, body, fields)
    )
    for relation, target in (links or {}).items():
        make_resource_link(resource, relation=relation, target=target)
    return resource


def make_resource_link(resource: Resource, *, relation: str, target: str) -> ResourceLink:
    return ResourceLink.objects.create(resource=resource, relation=relation, target=target)


def make_resource_event(resource: Resource, event_type: str = "", **fields: Any) -> ResourceEvent:
    """Write an entry of the resource's own feed, after those that are there already."""
    position = resource.events.count()
    defaults: dict[str, Any] = {
        "key": f"event-{next(_numbers)}",
        "at": NOW - timedelta(minutes=60 - position),
        "position": position,
        "level": "info",
        "message": event_type.replace("_", " "),
        "payload": {},
    }
    return ResourceEvent.objects.create(resource=resource, type=event_type, **(defaults | fields))


def make_resource_change(resource: Resource, state: str, **fields: Any) -> ResourceChange:
    """Write an edge of the resource's life, seen by polling unless said otherwise."""
    defaults: dict[str, Any] = {"at": NOW - timedelta(hours=1), "units": 0, "source": Source.POLL}
    return ResourceChange.objects.create(resource=resource, state=state, **(defaults | fields))


def make_resource_document(resource: Resource, name: str, payload: Any, **fields: Any) -> ResourceDocument:
    """Write what was read apart from the listing: body, checkpoints, metrics, files, revisions."""
    fields.setdefault("read_at", NOW)
    return ResourceDocument.objects.create(resource=resource, name=name, payload=payload, **fields)


def make_sync_run(
    *,
    connection: Connection,
    resource: SyncRun.Resource = SyncRun.Resource.ENDPOINTS,
    outcome: SyncRun.Outcome = SyncRun.Outcome.COMPLETE,
    **fields: Any,
) -> SyncRun:
    defaults: dict[str, Any] = {"started_at": NOW - timedelta(seconds=20), "finished_at": NOW, "seen": 1}
    return SyncRun.objects.create(
        connection=connection, resource=resource, outcome=outcome, **(defaults | fields)
    )


def beat_all() -> None:
    """Write a heartbeat of every process that pages look at, by PostgreSQL's clock."""
    for name in ("enforcer", "worker-stops", "worker-sync", "beat"):
        heartbeats.beat(name)


def make_deploy_act(*, endpoint: Endpoint, user: User) -> StopAction:
    """Write a deploy that was sent and has made this endpoint."""
    action = deploys.request_deploy(
        endpoint.project,
        endpoint_name=f"{endpoint.display_name}-asked-for",
        model="projects/p/models/ml_1",
        config="projects/p/configs/cr_1",
        min_replicas=1,
        max_replicas=1,
        actor=Actor.for_person(user),
        idempotency_key=f"deploy-{next(_numbers)}",
    ).action
    sent = {"state": StopAction.State.SENT, "endpoint": endpoint, "sent_at": NOW}
    StopAction.objects.filter(pk=action.pk).update(**sent)
    action.refresh_from_db()
    return action
