"""Mirror one group of resources of a connection: list, compare, ask for what is missing, write. The same for all kinds.

The listing carries everything that a row shows (contract 5 to 9, 13); what only a GET by id tells (events, curves,
checkpoints) is read apart, by sync_details.py.
"""

import functools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from django.utils import timezone
from pydantic import ValidationError

from dashboard.accounts.models import Connection
from dashboard.mirror import fetch
from dashboard.mirror.diff import Item, Known, compare
from dashboard.mirror.fetch import Answer
from dashboard.mirror.kinds.source import EVERYWHERE, Source
from dashboard.mirror.models import Project, Resource, SyncRun
from dashboard.mirror.runs import Tally, find_previous_start, record_run
from dashboard.mirror.session import Clock, Session, open_session
from dashboard.mirror.store_malformed import keep_malformed
from dashboard.mirror.store_resources import ResourceObservation, SeenResource, store_resources
from dashboard.together_api import payloads
from dashboard.together_api.errors import ApiError, NotFoundError, PermissionDeniedError, is_absent
from dashboard.together_api.pagination import Listing
from dashboard.together_api.payloads.base import describe

# GETs that confirm an absence, per pass; the rest waits for the next one.
MOST_CONFIRMATIONS = 50


@dataclass(frozen=True, slots=True)
class KnownResource:
    """A mirrored resource as comparing needs it; `scope` is the project whose listing shows it."""

    scope: str
    row: Known


@dataclass(slots=True)
class Findings:
    """What the listings of a pass say that the mirror does not. `missing` says whether it is the second look."""

    seen: list[SeenResource] = field(default_factory=list)
    missing: dict[tuple[str, str, str], bool] = field(default_factory=dict)
    malformed: list[payloads.MalformedItem] = field(default_factory=list)


def sync_group(
    connection: Connection,
    run_resource: SyncRun.Resource,
    sources: Sequence[Source],
    *,
    clock: Clock = timezone.now,
) -> None:
    """Bring the mirror of these kinds up to date, as one recorded run."""
    with record_run(connection, run_resource, clock=clock) as recorded:
        if recorded is None:
            return
        run, tally = recorded
        projects = list(Project.objects.filter(connection=connection, absent_since=None))
        if not projects:
            tally.report("No project is known yet; this is read once the list of projects is there.")
            return
        known = _load_known(connection, sources)
        findings = Findings()
        with open_session(connection, clock=clock) as session:
            _list_all(session, run, tally, sources, [one.remote_id for one in projects], known, findings)
            looks = dict(sorted(findings.missing.items(), key=lambda pair: not pair[1])[:MOST_CONFIRMATIONS])
            gone = _confirm_gone(session, sources, looks)
        now = clock()
        tally.note_malformed(
            keep_malformed(connection, resource=run_resource.value, items=findings.malformed, now=now)
        )
        written = store_resources(
            connection,
            ResourceObservation(
                seen_before=find_previous_start(connection, run_resource, before=run),
                observed_at=now,
                seen=findings.seen,
                missing=[
                    (kind, one)
                    for (kind, scope, one), second in looks.items()
                    if not second and (kind, scope, one) in gone
                ],
                absent=[
                    (kind, one)
                    for (kind, scope, one), second in looks.items()
                    if second and (kind, scope, one) in gone
                ],
                found=[
                    (kind, one)
                    for (kind, scope, one), second in looks.items()
                    if second and (kind, scope, one) not in gone
                ],
            ),
        )
        tally.add_written(written)


def _list_all(
    session: Session,
    run: SyncRun,
    tally: Tally,
    sources: Sequence[Source],
    project_ids: Sequence[str],
    known: Mapping[str, Mapping[str, KnownResource]],
    findings: Findings,
) -> None:
    """Read the listings of all kinds and compare each with the mirror as it comes."""
    by_kind = {source.kind.value: source for source in sources}
    calls = {
        (source.kind.value, scope): functools.partial(source.list, session.client, scope)
        for source in sources
        for scope in source.scopes(project_ids)
    }

    def take(key: tuple[str, str], answer: Answer[Listing[payloads.Resource]]) -> None:
        kind, scope = key
        mine = {remote_id: one.row for remote_id, one in known[kind].items() if one.scope == scope}
        _compare_listing(by_kind[kind], scope, answer, mine, run=run, tally=tally, findings=findings)

    session.run(fetch.gather(calls, clock=session.clock, take=take))


def _compare_listing(
    source: Source,
    scope: str,
    answer: Answer[Listing[payloads.Resource]],
    known: Mapping[str, Known],
    *,
    run: SyncRun,
    tally: Tally,
    findings: Findings,
) -> None:
    """Add what one listing says; an unreadable listing says nothing."""
    listing = answer.value
    if listing is None:
        if answer.error is not None and _says_unavailable(answer.error):
            tally.unavailable_reason = answer.error.sentence
        else:
            tally.report_error(answer.error)
        return
    if listing.incomplete_reason:
        tally.report(listing.incomplete_reason)
    items: list[Item] = []
    for raw in listing.entries:
        remote_id = source.payload.identify(raw)
        if remote_id is None:
            findings.malformed.append(payloads.MalformedItem(raw=raw, error="an item without an id", id=None))
        else:
            items.append(Item(remote_id, raw, source.payload.fingerprint_of(raw)))
    is_complete = listing.complete and (source.most_listed is None or len(items) < source.most_listed)
    diff = compare(known, items, is_complete=is_complete, now=run.started_at)
    tally.seen += len(items)
    tally.unchanged += diff.unchanged
    if diff.is_suspicious:
        tally.report(
            f"A listing that had {len(known)} entries came back empty; nothing was removed from the mirror."
        )
    for item in (*diff.created, *diff.updated):
        try:
            reading = source.read(source.payload.parse(dict(item.raw)))
        except ValidationError as error:
            findings.malformed.append(
                payloads.MalformedItem(raw=item.raw, error=describe(error), id=item.remote_id)
            )
            continue
        if scope != EVERYWHERE:
            # The project that listed it, whatever the body says of it.
            reading = replace(reading, project_remote_id=scope)
        findings.seen.append(
            SeenResource(reading, dict(item.raw), item.fingerprint, answer.fetched_at, answer.answered_at)
        )
    findings.missing |= {(source.kind.value, scope, one): False for one in diff.newly_missing}
    findings.missing |= {(source.kind.value, scope, one): True for one in diff.absent_candidates}


def _confirm_gone(
    session: Session, sources: Sequence[Source], looks: Collection[tuple[str, str, str]]
) -> set[tuple[str, str, str]]:
    """Return those that a GET by id answers with "gone"."""
    gets = {source.kind.value: source.get for source in sources}
    calls = {
        (kind, scope, one): functools.partial(get, session.client, scope, one)
        for kind, scope, one in looks
        if (get := gets[kind]) is not None
    }
    answers = session.run(fetch.gather(calls, clock=session.clock))
    gone = {key for key, answer in answers.items() if _says_gone(answer.error)}
    return gone | {key for key in looks if gets[key[0]] is None}


def _says_unavailable(error: ApiError) -> bool:
    """Return whether the provider itself (not a proxy) says that this list is not for the key (contract 9: gated)."""
    return isinstance(error, NotFoundError | PermissionDeniedError) and error.has_error_body


def _says_gone(error: ApiError | None) -> bool:
    return error is not None and is_absent(error)


def _load_known(connection: Connection, sources: Sequence[Source]) -> dict[str, dict[str, KnownResource]]:
    """Return every mirrored resource of these kinds, by kind and remote id. One query."""
    known: dict[str, dict[str, KnownResource]] = {source.kind.value: {} for source in sources}
    scoped = {source.kind.value for source in sources if source.is_scoped}
    rows = Resource.objects.filter(connection=connection, kind__in=list(known)).values_list(
        "kind", "remote_id", "id", "fingerprint", "absent_since", "missing_since", "project__remote_id"
    )
    for kind, remote_id, pk, fingerprint, absent, missing, project_id in rows:
        known[kind][remote_id] = KnownResource(
            scope=project_id if kind in scoped else EVERYWHERE,
            row=Known(pk, bytes(fingerprint), is_present=absent is None, missing_since=missing),
        )
    return known
