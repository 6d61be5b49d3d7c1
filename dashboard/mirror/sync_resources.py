"""Mirror groups of resources of a connection: list, compare, ask for what is missing, write. The same for all kinds.

The groups of a pass are listed side by side over one session; those listed at about the same time are written together,
and each by itself when that fails: a listing that hangs or cannot be written costs its group and no other. The listing
carries everything that a row shows (contract 5 to 9, 13); what only a GET by id tells (events, curves, checkpoints) is
read apart, by sync_details.py.
"""

import asyncio
import functools
import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from django.utils import timezone
from pydantic import ValidationError

from dashboard.accounts.models import Connection
from dashboard.mirror import fetch
from dashboard.mirror.diff import Item, Known, compare
from dashboard.mirror.fetch import Answer
from dashboard.mirror.groups import Group
from dashboard.mirror.kinds.source import EVERYWHERE, Source
from dashboard.mirror.models import Project, Resource, SyncRun
from dashboard.mirror.observations import Written
from dashboard.mirror.runs import Recording, find_previous_start, record_runs
from dashboard.mirror.session import Clock, Session, open_session, pause_collection
from dashboard.mirror.store_malformed import keep_malformed
from dashboard.mirror.store_resources import (
    ResourceObservation,
    SeenResource,
    store_resources,
    store_together,
)
from dashboard.together_api import payloads
from dashboard.together_api.errors import ApiError, NotFoundError, PermissionDeniedError, is_absent
from dashboard.together_api.pagination import Listing
from dashboard.together_api.payloads.base import describe

logger = logging.getLogger(__name__)

# GETs that confirm an absence, per group and pass; the rest waits for the next one.
MOST_CONFIRMATIONS = 50
# Groups listed within this time of the first (seconds) are written in one transaction with it; a later one by itself.
TOGETHER_WITHIN_SECONDS = 0.5

# Kind, scope and remote id.
Key = tuple[str, str, str]


@dataclass(slots=True)
class Findings:
    """What the listings of a group say that the mirror does not. `missing` says whether it is the second look."""

    seen: list[SeenResource] = field(default_factory=list)
    missing: dict[Key, bool] = field(default_factory=dict)
    malformed: list[payloads.MalformedItem] = field(default_factory=list)


# What the mirror holds, by kind and scope and by remote id.
KnownResources = Mapping[tuple[str, str], Mapping[str, Known]]


@dataclass(frozen=True, slots=True)
class Pass:
    """One group under way: its run, what the mirror held before, what was found."""

    group: Group
    recording: Recording
    known: KnownResources
    findings: Findings = field(default_factory=Findings)


# A group whose listings are in, and the error of our own that ended it before.
Listed = tuple[Pass, BaseException | None]


def sync_groups(connection: Connection, groups: Sequence[Group], *, clock: Clock = timezone.now) -> None:
    """Bring the mirror of these groups up to date, one recorded run each.

    A group whose lock is held elsewhere is left out. An error that is not the provider's ends its own group; it is
    raised after the others have been written.
    """
    with pause_collection(), record_runs(connection, [one.run for one in groups], clock=clock) as recordings:
        failures = _sync(
            connection, [one for one in groups if one.run in recordings], recordings, clock=clock
        )
    if failures:
        raise failures[0]


def _sync(
    connection: Connection,
    groups: Sequence[Group],
    recordings: Mapping[SyncRun.Resource, Recording],
    *,
    clock: Clock,
) -> list[Exception]:
    """Read and write these groups; return what failed."""
    projects = Project.objects.filter(connection=connection, absent_since=None)
    project_ids = list(projects.values_list("remote_id", flat=True))
    if not groups or not project_ids:
        for recording in recordings.values():
            recording.tally.report(
                "No project is known yet; this is read once the list of projects is there."
            )
        return []
    known = _load_known(connection, groups)
    passes = [Pass(group, recordings[group.run], known) for group in groups]
    failures: list[Exception] = []
    with open_session(connection, clock=clock) as session:
        for listed in _list_side_by_side(session, passes, project_ids):
            failures += _finish(connection, listed, session)
    return failures


def _list_side_by_side(
    session: Session, passes: Sequence[Pass], project_ids: Sequence[str]
) -> Iterator[list[Listed]]:
    """List all groups at once; yield those whose listings were all compared, with what went wrong, as they come."""
    gate = asyncio.Semaphore(fetch.CONCURRENCY)

    async def list_group(one: Pass) -> None:
        calls = {
            (source, scope): functools.partial(source.list, session.client, scope)
            for source in one.group.sources
            for scope in source.scopes(project_ids)
        }
        take = functools.partial(_compare_listing, one=one)
        await fetch.gather(calls, clock=session.clock, take=take, gate=gate)

    async def begin() -> dict["asyncio.Task[None]", Pass]:
        return {asyncio.create_task(list_group(one)): one for one in passes}

    async def wait(pending: Collection["asyncio.Task[None]"]) -> set["asyncio.Task[None]"]:
        await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        done, _ = await asyncio.wait(pending, timeout=TOGETHER_WITHIN_SECONDS)
        return done

    pending = session.run(begin())
    while pending:
        done = session.run(wait(pending))
        yield [(pending.pop(task), task.exception()) for task in list(pending) if task in done]


def _finish(connection: Connection, listed: Sequence[Listed], session: Session) -> list[Exception]:
    """Write what was listed and end the runs; return what failed. The failure of a group costs the others nothing."""
    failures: list[Exception] = []

    def end(one: Pass, error: Exception) -> None:
        one.recording.end(error)
        if not isinstance(error, ApiError):
            failures.append(error)

    observed: dict[SyncRun.Resource, ResourceObservation] = {}
    for one, failure in listed:
        try:
            if failure is not None:
                raise failure
            observed[one.group.run] = _observe(connection, one, session)
        except Exception as error:  # the other groups come first
            logger.exception("sync of %s failed for connection %s", one.group.run, connection.pk)
            end(one, error)
    written = _store_together(connection, observed)
    for one, _ in listed:
        run = one.group.run
        if run not in observed:
            continue
        try:
            counts = written[run] if run in written else store_resources(connection, observed[run])
        except Exception as error:  # the other groups come first
            logger.exception("sync of %s failed for connection %s", one.group.run, connection.pk)
            end(one, error)
        else:
            one.recording.tally.add_written(counts)
            one.recording.end(None)
    return failures


def _store_together(
    connection: Connection, observed: Mapping[SyncRun.Resource, ResourceObservation]
) -> dict[SyncRun.Resource, Written]:
    """Write all groups at once; nothing is written, and nothing returned, when one of them cannot be."""
    try:
        return dict(zip(observed, store_together(connection, list(observed.values())), strict=True))
    except Exception:
        logger.warning("writing each group by itself for connection %s", connection.pk, exc_info=True)
        return {}


def _observe(connection: Connection, one: Pass, session: Session) -> ResourceObservation:
    """Ask for what is missing, keep what could not be read, and return what is to be written of one group."""
    findings = one.findings
    looks = dict(sorted(findings.missing.items(), key=lambda pair: not pair[1])[:MOST_CONFIRMATIONS])
    gone = _confirm_gone(session, one.group.sources, looks)
    now = session.clock()
    count = keep_malformed(connection, resource=one.group.run.value, items=findings.malformed, now=now)
    one.recording.tally.note_malformed(count)
    if not findings.seen and not looks:
        return ResourceObservation(seen_before=None, observed_at=now)

    def choose(holds: Callable[[bool, bool], bool]) -> list[tuple[str, str]]:
        return [(key[0], key[2]) for key, is_second in looks.items() if holds(is_second, key in gone)]

    return ResourceObservation(
        seen_before=find_previous_start(connection, one.group.run, before=one.recording.run),
        observed_at=now,
        seen=findings.seen,
        missing=choose(lambda is_second, is_gone: is_gone and not is_second),
        absent=choose(lambda is_second, is_gone: is_gone and is_second),
        found=choose(lambda is_second, is_gone: is_second and not is_gone),
    )


def _compare_listing(
    key: tuple[Source, str], answer: Answer[Listing[payloads.Resource]], *, one: Pass
) -> None:
    """Add what one listing says; an unreadable listing says nothing."""
    (source, scope), tally, findings = key, one.recording.tally, one.findings
    listing = answer.value
    if listing is None:
        if answer.error is not None and _says_unavailable(answer.error):
            tally.unavailable_reason = answer.error.sentence
        else:
            tally.report_error(answer.error)
        return
    if listing.incomplete_reason:
        tally.report(listing.incomplete_reason)
    findings.malformed += [
        payloads.MalformedItem(raw=raw, error="an item without an id", id=None)
        for raw in listing.anonymous_entries
    ]
    items = [Item(*sighting) for sighting in listing.sightings]
    known = one.known.get((source.kind.value, scope), {})
    diff = compare(known, items, is_complete=listing.complete, now=one.recording.run.started_at)
    tally.seen += len(items)
    tally.unchanged += diff.unchanged
    if diff.is_suspicious:
        tally.report(
            f"A listing that had {len(known)} entries came back empty; nothing was removed from the mirror."
        )
    for item in (*diff.created, *diff.updated):
        raw = listing.find(item.remote_id)
        try:
            reading = source.read(source.payload.parse(raw))
        except ValidationError as error:
            findings.malformed.append(
                payloads.MalformedItem(raw=raw, error=describe(error), id=item.remote_id)
            )
            continue
        findings.seen.append(
            SeenResource(reading, raw, item.fingerprint, answer.fetched_at, answer.answered_at, scope)
        )
    findings.missing |= {(source.kind.value, scope, remote_id): False for remote_id in diff.newly_missing}
    findings.missing |= {(source.kind.value, scope, remote_id): True for remote_id in diff.absent_candidates}


def _confirm_gone(session: Session, sources: Sequence[Source], looks: Collection[Key]) -> set[Key]:
    """Return those that a GET by id answers with "gone"."""
    if not looks:
        return set()
    gets = {source.kind.value: source.get for source in sources}
    calls = {
        (kind, scope, remote_id): functools.partial(gets[kind], session.client, scope, remote_id)
        for kind, scope, remote_id in looks
    }
    answers = session.run(fetch.gather(calls, clock=session.clock))
    return {key for key, answer in answers.items() if answer.error is not None and is_absent(answer.error)}


def _says_unavailable(error: ApiError) -> bool:
    """Return whether the provider itself (not a proxy) says that this list is not for the key (contract 9: gated)."""
    return isinstance(error, NotFoundError | PermissionDeniedError) and error.has_error_body


def _load_known(connection: Connection, groups: Sequence[Group]) -> KnownResources:
    """Return every mirrored resource of these groups. One query."""
    is_scoped = {source.kind.value: source.is_scoped for group in groups for source in group.sources}
    known: dict[tuple[str, str], dict[str, Known]] = {}
    rows = Resource.objects.filter(connection=connection, kind__in=list(is_scoped)).values_list(
        "kind", "project__remote_id", "remote_id", "id", "fingerprint", "absent_since", "missing_since"
    )
    for kind, project_id, remote_id, pk, fingerprint, absent, missing in rows:
        scope = project_id if is_scoped[kind] else EVERYWHERE
        known.setdefault((kind, scope), {})[remote_id] = Known(
            pk, bytes(fingerprint), is_present=absent is None, missing_since=missing
        )
    return known
