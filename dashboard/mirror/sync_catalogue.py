"""Mirror projects, hardware with prices, and model names of one connection."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from django.db.models import Q, QuerySet
from django.utils import timezone

from dashboard.accounts.connections import api_client
from dashboard.accounts.models import Connection
from dashboard.mirror import fetch, store_catalogue
from dashboard.mirror.diff import Item, Known, compare
from dashboard.mirror.fetch import Answer
from dashboard.mirror.models import Generation, Hardware, Project, SyncRun
from dashboard.mirror.readings import HardwareReading, read_instance_type, read_v1_hardware
from dashboard.mirror.runs import Tally, record_run
from dashboard.mirror.session import Clock, Session, open_session
from dashboard.mirror.store_malformed import keep_malformed
from dashboard.together_api import payloads
from dashboard.together_api.pagination import Listing

ListingT = TypeVar("ListingT")
BodyT = TypeVar("BodyT", payloads.InstanceType, payloads.V1Hardware)


def sync_projects(connection: Connection, *, clock: Clock = timezone.now) -> None:
    """Bring the mirror of this connection's projects up to date, as one recorded run.

    A project that another connection already mirrors is left to it: two keys of one organisation must not show
    (and count) everything twice.
    """
    with record_run(connection, SyncRun.Resource.PROJECTS, clock=clock) as recorded:
        if recorded is None:
            return
        _, tally = recorded
        with api_client(connection) as client:
            identity = client.whoami()
            listing = client.list_projects()
        now = clock()
        taken = _find_taken(connection)
        bodies = [body for body in listing.items if body.id not in taken]
        tally.add_written(store_catalogue.cede_projects(connection, remote_ids=taken, now=now))
        tally.note_malformed(
            keep_malformed(connection, resource="projects", items=listing.malformed, now=now)
        )
        if listing.incomplete_reason:
            tally.report(listing.incomplete_reason)
        known = _load_known(Project.objects.filter(connection=connection))
        items = [Item(remote_id=body.id, fingerprint=body.fingerprint) for body in bodies]
        diff = compare(known, items, is_complete=listing.complete and not listing.malformed, now=now)
        # Nothing but the list tells of projects, so an empty one is never believed.
        if diff.is_suspicious:
            tally.report("The list of projects came back empty; nothing was removed from the mirror.")
            diff = replace(diff, newly_missing=[], absent_candidates=[])
        tally.seen, tally.unchanged = len(items), diff.unchanged
        tally.add_written(store_catalogue.store_projects(connection, seen=bodies, diff=diff, now=now))
        # What a disabled connection had is mirrored here from now on.
        for former in Connection.objects.filter(is_enabled=False):
            remote_ids = [body.id for body in bodies]
            tally.add_written(store_catalogue.cede_projects(former, remote_ids=remote_ids, now=now))
        store_catalogue.mark_key_project(connection, remote_id=identity.project_id)


def _find_taken(connection: Connection) -> set[str]:
    """Return the remote ids of projects that another connection mirrors.

    Who has a project keeps it. Where two have it (both were new at once, or one was enabled again) the elder does.
    """
    others = Project.objects.exclude(connection=connection).filter(
        connection__is_enabled=True, absent_since=None
    )
    own = Project.objects.filter(connection=connection, absent_since=None).values("remote_id")
    kept_here = Q(connection_id__gt=connection.pk) & Q(remote_id__in=own)
    return set(others.exclude(kept_here).values_list("remote_id", flat=True))


def _load_known(rows: QuerySet[Project] | QuerySet[Hardware]) -> dict[str, Known]:
    """Return what the mirror holds, by remote id. One query."""
    columns = ("id", "remote_id", "fingerprint", "absent_since", "missing_since")
    return {
        remote_id: Known(
            pk=pk,
            fingerprint=bytes(fingerprint),
            is_present=absent_since is None,
            missing_since=missing_since,
        )
        for pk, remote_id, fingerprint, absent_since, missing_since in rows.values_list(*columns)
    }


def sync_hardware(connection: Connection, *, clock: Clock = timezone.now) -> None:
    """Bring hardware, prices and model names up to date, as one recorded run; each list stands for itself."""
    with record_run(connection, SyncRun.Resource.HARDWARE, clock=clock) as recorded:
        if recorded is None:
            return
        _, tally = recorded
        project_ids = list(
            Project.objects.filter(connection=connection, absent_since=None).values_list(
                "remote_id", flat=True
            )
        )
        with open_session(connection, clock=clock) as session:
            v2, v1, models, own = session.run(_fetch_catalogue(session, project_ids))
        now = clock()
        if (listing := _take(v2, tally)) is not None:
            _store_sizes(connection, tally, Generation.V2.value, listing, read_instance_type, now=now)
        if (legacy := _take(v1, tally)) is not None:
            _store_sizes(connection, tally, Generation.V1.value, legacy, read_v1_hardware, now=now)
        names: dict[str, str] = {}
        if (supported := _take(models, tally)) is not None:
            names |= _name_supported(supported.items)
        for answer in own.values():
            if (listed := _take(answer, tally)) is not None:
                names |= {model.id: model.name for model in listed.items}
        tally.updated += store_catalogue.store_model_names(connection, names=names)
        tally.updated += store_catalogue.reprice(connection)


async def _fetch_catalogue(
    session: Session, project_ids: Sequence[str]
) -> tuple[
    Answer[Listing[payloads.InstanceType]],
    Answer[Listing[payloads.V1Hardware]],
    Answer[Listing[payloads.SupportedModel]],
    dict[str, Answer[Listing[payloads.ProjectModel]]],
]:
    client, clock = session.client, session.clock
    sizes = await fetch.gather({"v2": client.list_instance_types}, clock=clock)
    legacy = await fetch.gather({"v1": client.list_v1_hardware}, clock=clock)
    models = await fetch.gather({"models": client.list_supported_models}, clock=clock)
    own = await fetch.list_project_models(client, project_ids, clock=clock)
    return sizes["v2"], legacy["v1"], models["models"], own


def _take(answer: Answer[ListingT], tally: Tally) -> ListingT | None:
    """Return the listing, or note why there is none."""
    tally.report_error(answer.error)
    return answer.value


def _store_sizes(
    connection: Connection,
    tally: Tally,
    generation: str,
    listing: Listing[BodyT],
    read: Callable[[BodyT], HardwareReading],
    *,
    now: datetime,
) -> None:
    """Compare one generation's catalogue with the mirror and write the difference."""
    tally.note_malformed(
        keep_malformed(connection, resource=f"hardware {generation}", items=listing.malformed, now=now)
    )
    if listing.incomplete_reason:
        tally.report(listing.incomplete_reason)
    known = _load_known(Hardware.objects.filter(connection=connection, generation=generation))
    seen = [
        store_catalogue.SeenHardware(
            reading=read(body), generation=generation, raw=body.raw, fingerprint=body.fingerprint
        )
        for body in listing.items
    ]
    items = [Item(remote_id=one.reading.remote_id, fingerprint=one.fingerprint) for one in seen]
    diff = compare(known, items, is_complete=listing.complete and not listing.malformed, now=now)
    if diff.is_suspicious:
        tally.report(f"The {generation} hardware list came back empty; known prices are kept.")
        diff = replace(diff, newly_missing=[], absent_candidates=[])
    tally.seen += len(items)
    tally.unchanged += diff.unchanged
    tally.add_written(
        store_catalogue.store_hardware(connection, generation=generation, seen=seen, diff=diff, now=now)
    )


def _name_supported(models: Iterable[payloads.SupportedModel]) -> dict[str, str]:
    """Return the names of the catalogue's models, under the model ids that deployments carry."""
    names: dict[str, str] = {}
    for model in models:
        if model.base_model_id:
            names.setdefault(model.base_model_id, model.name)
        for profile in model.deployment_profiles:
            # "projects/{p}/models/{id}[/revisions/{r}]"
            parts = profile.model.split("/")
            if len(parts) >= 4 and parts[2] == "models":
                names[parts[3]] = profile.model_name or model.name
    return names
