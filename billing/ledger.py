"""Write down what metering found; sole writer of MeteredInterval and LedgerEntry.

Meters are written in batches, one transaction each, with rows sent by COPY. Posting the same again writes nothing.
"""

# ruff: noqa: S608 - only names of columns from SpanDraft go into the text; every value is a parameter

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import DatabaseError, transaction
from django.db import connection as database

from billing.metering import SpanDraft, check_cover
from billing.models import LedgerEntry, Meter
from billing.posting import KnownSpan, NewSpan, Plan, plan_posting
from dashboard.core.locks import Lock, hold_until_commit

logger = logging.getLogger(__name__)

# Meters of one transaction: short enough that readers never wait long for a new picture.
BATCH_METERS = 100
NEWLY_PRICED = "Priced late: no price of this time was known when it was posted."
LATE_KNOWLEDGE = "Known late: the events, looks or bill of this time were read after it was posted."
_DRAFT_COLUMNS = tuple(one.name for one in fields(SpanDraft))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a source found of one meter: spans without hole from `since` on; what ends by `settled_until` is posted.

    `reason` says why posted intervals change, if any do; empty = a price or knowledge that came late.
    """

    meter: Meter
    spans: Sequence[SpanDraft]
    since: datetime
    settled_until: datetime
    reason: str = ""


@dataclass(slots=True)
class PostingResult:
    """Rows written: intervals inserted and deleted, intervals settled, entries charged, corrected and reversed."""

    inserted: int = 0
    deleted: int = 0
    settled: int = 0
    charged: int = 0
    corrected: int = 0
    reversed: int = 0
    failed: int = 0

    def add(self, other: "PostingResult") -> None:
        """Count another result in."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    @property
    def is_nothing(self) -> bool:
        """True when nothing was written."""
        return self == PostingResult()


def post_spans(
    meter: Meter,
    spans: Sequence[SpanDraft],
    *,
    since: datetime,
    settled_until: datetime,
    now: datetime,
    reason: str = "",
) -> PostingResult:
    """Replace what is known of the meter from `since` on. Raises ValueError when the spans have a hole or overlap."""
    return _post_batch([Gathered(meter, spans, since, settled_until, reason)], now=now)


def post_all(gathered: Iterable[Gathered], *, now: datetime) -> PostingResult:
    """Post what a source yields, in batches; a meter that cannot be posted is noted on it and skipped."""
    total = PostingResult()
    batch: list[Gathered] = []
    for one in gathered:
        batch.append(one)
        if len(batch) >= BATCH_METERS:
            total.add(_post_patiently(batch, now=now))
            batch = []
    if batch:
        total.add(_post_patiently(batch, now=now))
    return total


def note_problem(meter: Meter, error: Exception) -> None:
    """Write on the meter why it could not be metered, and log it."""
    logger.error("meter %s (%s) could not be metered", meter.pk, meter, exc_info=error)
    Meter.objects.filter(pk=meter.pk).update(problem=f"{type(error).__name__}: {error}"[:500])


def _post_patiently(batch: Sequence[Gathered], *, now: datetime) -> PostingResult:
    """Post a batch; when that fails, each meter by itself, so that one cannot stop the others."""
    try:
        return _post_batch(batch, now=now)
    except (DatabaseError, ValueError):
        if len(batch) == 1:
            raise
    total = PostingResult()
    for one in batch:
        try:
            total.add(_post_batch([one], now=now))
        except (DatabaseError, ValueError) as error:
            note_problem(one.meter, error)
            total.failed += 1
    return total


@transaction.atomic
def _post_batch(batch: Sequence[Gathered], *, now: datetime) -> PostingResult:
    hold_until_commit(Lock.METERING)
    known = _load_known(batch)
    plans: dict[int, Plan] = {}
    reasons: dict[int, str] = {}
    for one in batch:
        check_cover(one.spans, since=one.since)
        plan = plan_posting(
            known.get(one.meter.pk, []), one.spans, since=one.since, settled_until=one.settled_until
        )
        if not plan.is_empty:
            plans[one.meter.pk] = plan
            late = NEWLY_PRICED if plan.reversed and plan.is_priced else LATE_KNOWLEDGE
            reasons[one.meter.pk] = one.reason or late
    result = PostingResult()
    if plans:
        _write_reversals(plans, reasons, result, now=now)
        _delete(plans, result)
        _insert_intervals(plans, result)
        _write_charges(plans, reasons, result, now=now)
    _write_meters(batch)
    return result


def _load_known(batch: Sequence[Gathered]) -> dict[int, list[KnownSpan]]:
    """Return the stored intervals from each meter's `since` on, and the one that reaches over it. One query."""
    with database.cursor() as cursor:
        cursor.execute(
            f"""
            SELECT interval.meter_id, interval.id, interval.is_settled, {_list_columns("interval")}
              FROM unnest(%s::bigint[], %s::timestamptz[]) AS asked (meter_id, since)
              JOIN billing_meteredinterval AS interval
                ON interval.meter_id = asked.meter_id
               AND (interval."end" IS NULL OR interval."end" > asked.since)
             ORDER BY interval.meter_id, interval.start
            """,
            [[one.meter.pk for one in batch], [one.since for one in batch]],
        )
        found: dict[int, list[KnownSpan]] = {}
        for meter_id, pk, is_settled, *columns in cursor.fetchall():
            found.setdefault(meter_id, []).append(KnownSpan(pk, read_draft(columns), is_settled))
    return found


def read_draft(columns: Sequence[Any]) -> SpanDraft:
    """Return the draft of a row's columns, in the order of SpanDraft's fields."""
    *others, low, high = columns
    values: list[Any] = [*others, None if low is None else int(low), None if high is None else int(high)]
    return SpanDraft(*values)


def _list_columns(table: str = "") -> str:
    prefix = f"{table}." if table else ""
    return ", ".join(f'{prefix}"{name}"' for name in _DRAFT_COLUMNS)


def _values(draft: SpanDraft) -> tuple[Any, ...]:
    return tuple(getattr(draft, name) for name in _DRAFT_COLUMNS)


def _write_reversals(
    plans: Mapping[int, Plan], reasons: Mapping[int, str], result: PostingResult, *, now: datetime
) -> None:
    """Take back the entries of posted intervals that change: their columns again, counted negative."""
    taken = [(meter_id, one.draft.start) for meter_id, plan in plans.items() for one in plan.reversed]
    if not taken:
        return
    with database.cursor() as cursor:
        cursor.execute(
            f"""
            INSERT INTO billing_ledgerentry (meter_id, kind, key, reverses_id, reason, posted_at, {_list_columns()})
            SELECT entry.meter_id, 'reversal', 'reversal/' || entry.id, entry.id, asked.reason, %s,
                   {_list_columns("entry")}
              FROM unnest(%s::bigint[], %s::timestamptz[], %s::text[]) AS asked (meter_id, start, reason)
              JOIN billing_ledgerentry AS entry
                ON entry.meter_id = asked.meter_id AND entry.start = asked.start AND entry.kind <> 'reversal'
             WHERE NOT EXISTS (SELECT FROM billing_ledgerentry AS undo WHERE undo.reverses_id = entry.id)
            """,
            [now, [pk for pk, _ in taken], [start for _, start in taken], [reasons[pk] for pk, _ in taken]],
        )
        result.reversed += cursor.rowcount


def _delete(plans: Mapping[int, Plan], result: PostingResult) -> None:
    gone = [one.pk for plan in plans.values() for one in plan.deleted]
    settled = [one.pk for plan in plans.values() for one in plan.settled]
    with database.cursor() as cursor:
        if gone:
            cursor.execute("DELETE FROM billing_meteredinterval WHERE id = ANY(%s)", [gone])
        if settled:
            cursor.execute(
                "UPDATE billing_meteredinterval SET is_settled = true WHERE id = ANY(%s)", [settled]
            )
    result.deleted += len(gone)
    result.settled += len(settled)


def _insert_intervals(plans: Mapping[int, Plan], result: PostingResult) -> None:
    rows = [
        (meter_id, new.is_settled, *_values(new.draft))
        for meter_id, plan in plans.items()
        for new in plan.inserted
    ]
    if rows:
        _copy(f"billing_meteredinterval (meter_id, is_settled, {_list_columns()})", rows)
    result.inserted += len(rows)


def _write_charges(
    plans: Mapping[int, Plan], reasons: Mapping[int, str], result: PostingResult, *, now: datetime
) -> None:
    """Post what has become settled, under keys that count how often the instant was posted before."""
    posted = [
        (meter_id, new)
        for meter_id, plan in plans.items()
        for new in (*plan.inserted, *(NewSpan(old.draft, is_settled=True) for old in plan.settled))
        if new.is_posted
    ]
    if not posted:
        return
    counts = _count_entries([(meter_id, new.draft.start) for meter_id, new in posted])
    rows = []
    for meter_id, new in posted:
        at = (new.draft.start - _EPOCH) // _MICROSECOND
        number = counts.get((meter_id, new.draft.start), 0)
        is_correction = new.is_correction or number > 0
        kind = LedgerEntry.Kind.CORRECTION if is_correction else LedgerEntry.Kind.CHARGE
        reason = reasons[meter_id] if is_correction else ""
        rows.append((meter_id, kind.value, f"{meter_id}/{at}/{number}", reason, now, *_values(new.draft)))
        result.charged += not is_correction
        result.corrected += is_correction
    _copy(f"billing_ledgerentry (meter_id, kind, key, reason, posted_at, {_list_columns()})", rows)


def _count_entries(asked: Sequence[tuple[int, datetime]]) -> dict[tuple[int, datetime], int]:
    """Return how many charges and corrections each (meter, start) has already. One query."""
    with database.cursor() as cursor:
        cursor.execute(
            """
            SELECT entry.meter_id, entry.start, count(*)
              FROM unnest(%s::bigint[], %s::timestamptz[]) AS asked (meter_id, start)
              JOIN billing_ledgerentry AS entry
                ON entry.meter_id = asked.meter_id AND entry.start = asked.start AND entry.kind <> 'reversal'
             GROUP BY entry.meter_id, entry.start
            """,
            [[pk for pk, _ in asked], [start for _, start in asked]],
        )
        return {(meter_id, start): count for meter_id, start, count in cursor.fetchall()}


def _copy(target: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Send the rows by COPY; `target` is table and columns, from names of ours only."""
    database.ensure_connection()
    with database.connection.cursor() as cursor, cursor.copy(f"COPY {target} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _write_meters(batch: Sequence[Gathered]) -> None:
    """Move `metered_from` and `settled_until` of the meters where they change, and forget problems. One statement."""
    with database.cursor() as cursor:
        cursor.execute(
            """
            UPDATE billing_meter AS meter
               SET metered_from = least(meter.metered_from, told.since),
                   settled_until = greatest(meter.settled_until, told.settled_until),
                   problem = ''
              FROM unnest(%s::bigint[], %s::timestamptz[], %s::timestamptz[])
                   AS told (meter_id, since, settled_until)
             WHERE meter.id = told.meter_id
               AND (meter.metered_from IS NULL OR meter.metered_from > told.since OR meter.problem <> ''
                    OR meter.settled_until IS NULL OR meter.settled_until < told.settled_until)
            """,
            [
                [one.meter.pk for one in batch if one.spans],
                [one.since for one in batch if one.spans],
                [one.settled_until for one in batch if one.spans],
            ],
        )
