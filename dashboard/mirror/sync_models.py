"""Mirror what the provider offers: both model catalogues, and the configs that say what runs on what."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from dashboard.accounts.models import Connection
from dashboard.mirror import fetch, store_models
from dashboard.mirror.diff import Diff, Item, Known, compare
from dashboard.mirror.fetch import Answer
from dashboard.mirror.model_readings import (
    CatalogueReading,
    ConfigReading,
    read_config,
    read_serverless_model,
    read_supported_model,
)
from dashboard.mirror.models import CatalogueModel, ModelConfig, Project, SyncRun
from dashboard.mirror.runs import Tally, record_run
from dashboard.mirror.session import Clock, Session, open_session
from dashboard.mirror.store_malformed import keep_malformed
from dashboard.mirror.store_models import SeenEntry
from dashboard.together_api.pagination import Listing

Origin = CatalogueModel.Origin


def sync_model_catalogue(connection: Connection, *, clock: Clock = timezone.now) -> None:
    """Bring both catalogues and the configs up to date, as one recorded run; each list stands for itself."""
    with record_run(connection, SyncRun.Resource.CATALOGUE, clock=clock) as recorded:
        if recorded is None:
            return
        _, tally = recorded
        projects = Project.objects.filter(connection=connection, absent_since=None)
        project_ids = list(projects.values_list("remote_id", flat=True))
        with open_session(connection, clock=clock) as session:
            lists, configs = session.run(_fetch(session, project_ids))
        now = clock()
        _store_catalogue(
            connection, tally, Origin.SERVERLESS, lists["serverless"], read_serverless_model, now=now
        )
        _store_catalogue(
            connection, tally, Origin.SUPPORTED, lists["supported"], read_supported_model, now=now
        )
        _store_configs(connection, tally, list(configs.values()), now=now)


async def _fetch(
    session: Session, project_ids: Sequence[str]
) -> tuple[dict[str, Answer[Listing[Any]]], dict[str, Answer[Listing[Any]]]]:
    client, clock = session.client, session.clock
    lists: dict[str, Answer[Listing[Any]]] = await fetch.gather(
        {"serverless": client.list_models, "supported": client.list_supported_models}, clock=clock
    )
    calls = {one: functools.partial(client.list_configs, one) for one in project_ids}
    return lists, await fetch.gather(calls, clock=clock)


def _store_catalogue(
    connection: Connection,
    tally: Tally,
    origin: Origin,
    answer: Answer[Listing[Any]],
    read: Callable[[Any], CatalogueReading],
    *,
    now: datetime,
) -> None:
    """Compare one catalogue with the mirror and write the difference."""
    tally.report_error(answer.error)
    if answer.value is None:
        return
    rows = CatalogueModel.objects.filter(connection=connection, origin=origin)
    seen, diff = _compare(
        connection, tally, [answer.value], rows, read, name=f"catalogue {origin.value}", now=now
    )
    tally.add_written(
        store_models.store_catalogue_models(connection, origin=origin.value, seen=seen, diff=diff, now=now)
    )


def _store_configs(
    connection: Connection, tally: Tally, answers: Sequence[Answer[Listing[Any]]], *, now: datetime
) -> None:
    """Compare the configs of all projects together with the mirror: public ones are listed by each of them."""
    for answer in answers:
        tally.report_error(answer.error)
    listings = [answer.value for answer in answers if answer.value is not None]
    if not listings:
        return
    rows = ModelConfig.objects.filter(connection=connection)
    seen, diff = _compare(connection, tally, listings, rows, read_config, name="configs", now=now)
    if len(listings) < len(answers):
        # A project that did not answer may hold what the others lack.
        diff = replace(diff, newly_missing=[], absent_candidates=[])
    tally.add_written(store_models.store_configs(connection, seen=seen, diff=diff, now=now))


def _compare(
    connection: Connection,
    tally: Tally,
    listings: Sequence[Listing[Any]],
    rows: "QuerySet[CatalogueModel] | QuerySet[ModelConfig]",
    read: Callable[[Any], CatalogueReading] | Callable[[Any], ConfigReading],
    *,
    name: str,
    now: datetime,
) -> tuple[list[SeenEntry], Diff]:
    """Return what the listings tell together, and how it differs from the mirror."""
    malformed = [item for listing in listings for item in listing.malformed]
    before = tally.malformed
    tally.note_malformed(keep_malformed(connection, resource=name, items=malformed, now=now))
    for listing in listings:
        if listing.incomplete_reason:
            tally.report(listing.incomplete_reason)
    seen = [
        SeenEntry(reading=read(body), raw=body.raw, fingerprint=body.fingerprint)
        for listing in listings
        for body in listing.items
    ]
    items = [Item(one.reading.remote_id, one.fingerprint) for one in seen]
    is_complete = all(listing.complete for listing in listings) and tally.malformed == before
    diff = compare(_load_known(rows), items, is_complete=is_complete, now=now)
    if diff.is_suspicious:
        tally.report(f"The list of {name} came back empty; nothing was removed from the mirror.")
        diff = replace(diff, newly_missing=[], absent_candidates=[])
    tally.seen += len({item.remote_id for item in items})
    tally.unchanged += diff.unchanged
    return seen, diff


def _load_known(rows: "QuerySet[CatalogueModel] | QuerySet[ModelConfig]") -> dict[str, Known]:
    """Return what the mirror holds, by remote id. One query."""
    columns = ("id", "remote_id", "fingerprint", "absent_since", "missing_since")
    return {
        remote_id: Known(pk, bytes(fingerprint), is_present=absent is None, missing_since=missing)
        for pk, remote_id, fingerprint, absent, missing in rows.values_list(*columns)
    }
