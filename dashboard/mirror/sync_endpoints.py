"""Mirror endpoints and deployments of one connection.

One listing per project tells which endpoints changed: their bodies carry summaries of their ten newest
deployments. Only those, endpoints with more deployments than a body shows, and a rotating few (so that nothing
unseen stays unseen) have their deployments read in full. Unchanged data costs the listing and nothing else.
"""

import functools
from collections.abc import Iterable, Mapping
from typing import TypeVar

from django.db.models import Exists, OuterRef
from django.utils import timezone

from dashboard.accounts.models import Connection
from dashboard.mirror import endpoint_bodies, endpoint_plan, fetch, store
from dashboard.mirror.diff import Known
from dashboard.mirror.endpoint_plan import KnownEndpoint, Plan
from dashboard.mirror.fetch import EndpointRef
from dashboard.mirror.models import Deployment, Endpoint, Generation, Project, SyncRun
from dashboard.mirror.observations import Observation
from dashboard.mirror.readings import MOVING_STATES
from dashboard.mirror.runs import Tally, find_previous_start, record_run
from dashboard.mirror.session import Clock, Session, open_session, pause_collection
from dashboard.mirror.store_malformed import keep_malformed

# Reads that confirm an absence, per pass and kind; the rest waits for the next one.
MOST_CONFIRMATIONS = 50
# Endpoints in transition read per pass of five seconds, longest waiting first.
MOST_IN_TRANSITION = 50

KeyT = TypeVar("KeyT")


def sync_endpoints(connection: Connection, *, clock: Clock = timezone.now) -> None:
    """Bring the mirror of this connection's endpoints and deployments up to date, as one recorded run."""
    with (
        pause_collection(),
        record_run(connection, SyncRun.Resource.ENDPOINTS, clock=clock) as recorded,
    ):
        if recorded is not None:
            _sync(connection, *recorded, clock=clock)


def _sync(connection: Connection, run: SyncRun, tally: Tally, *, clock: Clock) -> None:
    known = _load_known(connection)
    with open_session(connection, clock=clock) as session:
        plan = _list_and_plan(connection, run, tally, known, session)
        pks = {remote_id: one.row.pk for remote_id, one in known.items()}
        _read_and_store(connection, run, tally, plan, pks, session)


def sync_in_transition(connection: Connection, *, clock: Clock = timezone.now) -> None:
    """Read again what the provider is moving; a run is recorded only when there is something."""
    moving = Deployment.objects.filter(
        endpoint=OuterRef("pk"), absent_since=None, state__in=MOVING_STATES, connection=connection
    )
    rows = (
        Endpoint.objects.filter(Exists(moving), connection=connection, absent_since=None)
        .order_by("status_since", "pk")
        .values_list("pk", "generation", "project__remote_id", "remote_id")
    )
    moving_now = {EndpointRef(*names): pk for pk, *names in rows[:MOST_IN_TRANSITION]}
    if not moving_now:
        return
    with record_run(connection, SyncRun.Resource.IN_TRANSITION, clock=clock) as recorded:
        if recorded is None:
            return
        run, tally = recorded
        tally.seen = len(moving_now)
        pks = {ref.endpoint_id: pk for ref, pk in moving_now.items()}
        with open_session(connection, clock=clock) as session:
            _read_and_store(connection, run, tally, Plan(to_read=list(moving_now)), pks, session)


def _list_and_plan(
    connection: Connection,
    run: SyncRun,
    tally: Tally,
    known: Mapping[str, KnownEndpoint],
    session: Session,
) -> Plan:
    """Read the listings and return what they leave to be read."""
    projects = list(Project.objects.filter(connection=connection, absent_since=None))
    if not projects:
        # Nothing was asked, so nothing is known: "complete" would show an organisation without endpoints.
        tally.report("No project is known yet; endpoints are read once the list of projects is there.")
    project_ids = [project.remote_id for project in projects]
    plan, now = Plan(), run.started_at
    # v1 bodies name no project: what the key lists there belongs to the key's own one.
    home = next((one for one in projects if one.is_key_project), projects[0] if projects else None)
    take = functools.partial(endpoint_plan.plan_listing, plan=plan, tally=tally, known=known, now=now)
    rotation = endpoint_plan.choose_rotation(known, now=now)
    answers = session.run(
        fetch.list_endpoints(
            session.client,
            project_ids,
            home_id=home.remote_id if home else "",
            rotation=[ref for ref in rotation if ref.generation == Generation.V2],
            clock=session.clock,
            take=take,
        )
    )
    endpoint_plan.plan_lost_projects(plan, listed_project_ids=project_ids, known=known, now=now)
    endpoint_plan.add_rotation(plan, rotation, answers=answers)
    return plan


def _read_and_store(
    connection: Connection,
    run: SyncRun,
    tally: Tally,
    plan: Plan,
    known_endpoints: Mapping[str, int],
    session: Session,
) -> None:
    """Read what the plan names, and write everything in one transaction. `known_endpoints`: remote id -> id."""
    known = _load_known_deployments(
        known_endpoints[ref.endpoint_id]
        for ref in (*plan.to_read, *plan.answered)
        if ref.endpoint_id in known_endpoints
    )
    findings = endpoint_bodies.Findings()
    v2 = [ref for ref in plan.to_read if ref.generation == Generation.V2]
    take = functools.partial(
        endpoint_bodies.read_v2_answer,
        plan=plan,
        known=known,
        known_endpoints=known_endpoints,
        tally=tally,
        findings=findings,
    )
    for ref, answer in plan.answered.items():
        take(ref, answer)
    session.run(fetch.read_deployments(session.client, v2, clock=session.clock, take=take))
    v1 = [ref for ref in plan.to_read if ref.generation == Generation.V1]
    legacy = session.run(fetch.read_v1_endpoints(session.client, v1, clock=session.clock))
    endpoint_bodies.read_v1_bodies(legacy, plan=plan, known=known, tally=tally, findings=findings)
    endpoint_looks = _choose_looks(plan.to_confirm)
    deployment_looks = _choose_looks(findings.missing)
    gone_endpoints = session.run(
        fetch.confirm_endpoints_gone(session.client, endpoint_looks, clock=session.clock)
    )
    gone_deployments = session.run(
        fetch.confirm_deployments_gone(session.client, deployment_looks, clock=session.clock)
    )
    now = session.clock()
    tally.note_malformed(keep_malformed(connection, resource="endpoints", items=plan.malformed, now=now))
    observation = Observation(
        seen_before=find_previous_start(connection, SyncRun.Resource.ENDPOINTS, before=run),
        observed_at=now,
        endpoints=findings.endpoints,
        deployments=findings.deployments,
        missing_endpoints=[
            ref.endpoint_id for ref, second in endpoint_looks.items() if not second and ref in gone_endpoints
        ],
        absent_endpoints=[
            ref.endpoint_id for ref, second in endpoint_looks.items() if second and ref in gone_endpoints
        ],
        found_endpoints=[
            ref.endpoint_id for ref, second in endpoint_looks.items() if second and ref not in gone_endpoints
        ],
        missing_deployments=[
            one for (_, one), second in deployment_looks.items() if not second and one in gone_deployments
        ],
        absent_deployments=[
            one for (_, one), second in deployment_looks.items() if second and one in gone_deployments
        ],
        found_deployments=[
            one for (_, one), second in deployment_looks.items() if second and one not in gone_deployments
        ],
    )
    tally.add_written(store.store_observation(connection, observation))


def _choose_looks(missing: Mapping[KeyT, bool]) -> dict[KeyT, bool]:
    """Return what is asked for by id in this pass, second looks first."""
    chosen = sorted(missing.items(), key=lambda pair: not pair[1])[:MOST_CONFIRMATIONS]
    return dict(chosen)


def _load_known(connection: Connection) -> dict[str, KnownEndpoint]:
    """Return every mirrored endpoint of the connection by remote id. Two queries."""
    with_missing = set(
        Deployment.objects.filter(connection=connection, absent_since=None, missing_since__isnull=False)
        .values_list("endpoint_id", flat=True)
        .distinct()
    )
    rows = Endpoint.objects.filter(connection=connection).values_list(
        "id",
        "remote_id",
        "fingerprint",
        "absent_since",
        "missing_since",
        "generation",
        "project__remote_id",
        "deployment_count",
    )
    return {
        remote_id: KnownEndpoint(
            ref=EndpointRef(generation, project_id, remote_id),
            row=Known(pk, bytes(fingerprint), is_present=absent is None, missing_since=missing),
            deployment_count=deployment_count,
            has_missing=pk in with_missing,
        )
        for pk, remote_id, fingerprint, absent, missing, generation, project_id, deployment_count in rows
    }


def _load_known_deployments(endpoint_ids: Iterable[int]) -> dict[str, dict[str, Known]]:
    """Return the mirrored deployments of these endpoints, by remote id of the endpoint and their own. One query."""
    known: dict[str, dict[str, Known]] = {}
    rows = Deployment.objects.filter(endpoint__in=list(endpoint_ids)).values_list(
        "endpoint__remote_id", "id", "remote_id", "fingerprint", "absent_since", "missing_since"
    )
    for endpoint_id, pk, remote_id, fingerprint, absent, missing in rows:
        known.setdefault(endpoint_id, {})[remote_id] = Known(
            pk, bytes(fingerprint), is_present=absent is None, missing_since=missing
        )
    return known
