"""Prove that intervals and journal are whole: set-based, so that millions of rows take seconds.

Each check is one statement that returns what is wrong, as (meter, instant, words). It reads rows as they are and
trusts neither constraints nor triggers: it is there for the day on which somebody went past them.
"""

# ruff: noqa: S608 - put together from the fixed parts below; every value is a parameter

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.db import connection as database
from django.db import transaction
from django.db.backends.utils import CursorWrapper

# Findings of one check that are listed; their number is told in full.
MOST_LISTED = 20
_US = '(extract(epoch FROM {0}."end" - {0}.start) * 1000000)::numeric'
_COST = "({0}.rate_{1}::numeric * (" + _US + " + {0}.rounding_us) + {0}.lump_nano_usd::numeric * 3600000000)"
# What a posting must repeat of its interval; the rest is words and bounds, which may become better known.
_COUNTING = (
    '"end"', "condition", "units_low", "units_high", "sku", "list_nano_usd_per_hour", "nano_usd_per_hour", "rate_low",
    "rate_high", "lump_nano_usd", "rounding_us", "use",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scope:
    """What is looked at: intervals that touch `[start, end)`, of one meter or of all; None = no limit."""

    start: datetime | None = None
    end: datetime | None = None
    meter_id: int | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        return {"start": self.start, "end": self.end, "meter": self.meter_id}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    meter_id: int
    meter: str
    at: datetime | None
    words: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check found; `count` may be more than are listed."""

    name: str
    count: int
    findings: Sequence[Finding]


@dataclass(frozen=True, slots=True)
class Figures:
    """What was checked, counted; sums in ticks over settled intervals and over entries net of reversals."""

    meters: int
    intervals: int
    settled: int
    entries: int
    reversals: int
    settled_low: Decimal
    settled_high: Decimal
    net_low: Decimal
    net_high: Decimal


_INTERVALS = """
intervals AS (
    SELECT * FROM billing_meteredinterval
     WHERE (%(meter)s::bigint IS NULL OR meter_id = %(meter)s)
       AND (%(start)s::timestamptz IS NULL OR "end" IS NULL OR "end" > %(start)s)
       AND (%(end)s::timestamptz IS NULL OR start < %(end)s)
)"""
_ENTRIES = """
live AS (
    SELECT entry.* FROM billing_ledgerentry AS entry
     WHERE entry.kind <> 'reversal'
       AND (%(meter)s::bigint IS NULL OR entry.meter_id = %(meter)s)
       AND (%(start)s::timestamptz IS NULL OR entry."end" IS NULL OR entry."end" > %(start)s)
       AND (%(end)s::timestamptz IS NULL OR entry.start < %(end)s)
       AND NOT EXISTS (SELECT FROM billing_ledgerentry AS undo WHERE undo.reverses_id = entry.id)
)"""

_CHECKS = {
    "no overlap": f"""
        WITH {_INTERVALS}, ordered AS (
            SELECT meter_id, start, max(coalesce("end", 'infinity')) OVER (
                       PARTITION BY meter_id ORDER BY start, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
                   ) AS before
              FROM intervals)
        SELECT meter_id, start, 'begins before ' || before || ', where an earlier one ends'
          FROM ordered WHERE before > start""",
    "no unexplained gap": f"""
        WITH {_INTERVALS}, ordered AS (
            SELECT meter_id, start, "end",
                   lag(coalesce("end", 'infinity')) OVER (PARTITION BY meter_id ORDER BY start, id) AS before,
                   lead(start) OVER (PARTITION BY meter_id ORDER BY start, id) AS after
              FROM intervals)
        SELECT meter_id, start, 'nothing between ' || before || ' and ' || start
          FROM ordered WHERE before < start
         UNION ALL
        SELECT ordered.meter_id, ordered.start, 'nothing between ' || meter.metered_from || ' and ' || ordered.start
          FROM ordered JOIN billing_meter AS meter ON meter.id = ordered.meter_id
         WHERE before IS NULL
           AND ordered.start > greatest(meter.metered_from, %(start)s::timestamptz)
         UNION ALL
        SELECT ordered.meter_id, ordered."end", 'nothing after ' || ordered."end"
          FROM ordered JOIN billing_meter AS meter ON meter.id = ordered.meter_id
         WHERE after IS NULL AND meter.deployment_id IS NOT NULL
           AND ordered."end" < coalesce(%(end)s::timestamptz, 'infinity')
         UNION ALL
        SELECT meter.id, meter.metered_from, 'metered from ' || meter.metered_from || ', but nothing is there'
          FROM billing_meter AS meter
         WHERE meter.metered_from < coalesce(%(end)s::timestamptz, 'infinity') AND meter.deployment_id IS NOT NULL
           AND (%(meter)s::bigint IS NULL OR meter.id = %(meter)s)
           AND NOT EXISTS (SELECT FROM intervals WHERE intervals.meter_id = meter.id)""",
    "rates = units x price": f"""
        WITH {_INTERVALS}
        SELECT meter_id, start, 'rate ' || rate_low || ' to ' || rate_high || ' for ' || units_low || ' to '
               || units_high || ' units at ' || coalesce(nano_usd_per_hour::text, 'an unknown price')
          FROM intervals
         WHERE rate_low::numeric <> CASE WHEN condition = 'bills' THEN
                                        units_low::numeric * coalesce(nano_usd_per_hour, 0) ELSE 0 END
            OR rate_high::numeric <> CASE WHEN condition = 'bills' THEN
                                        units_high::numeric * coalesce(nano_usd_per_hour, 0) ELSE 0 END
            OR (condition <> 'bills' AND (lump_nano_usd <> 0 OR rounding_us <> 0))
            OR units_low > units_high OR rounding_us < 0""",
    "no interval that bills is longer than a day": f"""
        WITH {_INTERVALS}
        SELECT meter_id, start, 'goes on until ' || "end"
          FROM intervals WHERE condition = 'bills' AND "end" - start > interval '24 hours'""",
    "what is due is posted": f"""
        WITH {_INTERVALS}
        SELECT intervals.meter_id, intervals.start, 'ends at ' || intervals."end" || ', posted until '
               || meter.settled_until || ', not posted'
          FROM intervals JOIN billing_meter AS meter ON meter.id = intervals.meter_id
         WHERE NOT is_settled AND intervals."end" <= meter.settled_until""",
    "net entries = settled intervals": f"""
        WITH {_INTERVALS}, {_ENTRIES}, settled AS (
            SELECT * FROM intervals WHERE is_settled AND condition <> 'free')
        SELECT coalesce(settled.meter_id, live.meter_id), coalesce(settled.start, live.start),
               CASE WHEN live.id IS NULL THEN 'settled, but not in the journal'
                    WHEN settled.id IS NULL THEN 'entry ' || live.key || ' has no settled interval'
                    ELSE 'entry ' || live.key || ' says something else than its interval' END
          FROM settled FULL JOIN live ON live.meter_id = settled.meter_id AND live.start = settled.start
         WHERE live.id IS NULL OR settled.id IS NULL
            OR ({", ".join(f"settled.{name}" for name in _COUNTING)})
               IS DISTINCT FROM ({", ".join(f"live.{name}" for name in _COUNTING)})""",
    "each instant is posted once": f"""
        WITH {_ENTRIES}
        SELECT meter_id, start, count(*) || ' entries begin here'
          FROM live GROUP BY meter_id, start HAVING count(*) > 1""",
    "reversals repeat what they take back": f"""
        SELECT undo.meter_id, undo.start, 'entry ' || undo.key || ' differs from what it takes back'
          FROM billing_ledgerentry AS undo
          LEFT JOIN billing_ledgerentry AS entry ON entry.id = undo.reverses_id AND entry.kind <> 'reversal'
         WHERE undo.kind = 'reversal'
           AND (%(meter)s::bigint IS NULL OR undo.meter_id = %(meter)s)
           AND (undo.meter_id, undo.start, {", ".join(f"undo.{name}" for name in _COUNTING)})
               IS DISTINCT FROM (entry.meter_id, entry.start, {", ".join(f"entry.{name}" for name in _COUNTING)})""",
    "totals = sum": f"""
        WITH {_INTERVALS}, {_ENTRIES}, told AS (
            SELECT meter_id, sum({_COST.format("intervals", "low")}) AS low,
                   sum({_COST.format("intervals", "high")}) AS high
              FROM intervals WHERE is_settled GROUP BY meter_id
        ), posted AS (
            SELECT meter_id, sum({_COST.format("live", "low")}) AS low, sum({_COST.format("live", "high")}) AS high
              FROM live GROUP BY meter_id)
        SELECT meter_id, NULL::timestamptz, 'intervals sum to ' || coalesce(told.low, 0) || ' to '
               || coalesce(told.high, 0) || ' ticks, entries to ' || coalesce(posted.low, 0) || ' to '
               || coalesce(posted.high, 0)
          FROM told FULL JOIN posted USING (meter_id)
         WHERE coalesce(told.low, 0) <> coalesce(posted.low, 0)
            OR coalesce(told.high, 0) <> coalesce(posted.high, 0)""",
}
_FIGURES = f"""
WITH {_INTERVALS}, {_ENTRIES}, told AS (
    SELECT count(DISTINCT meter_id) AS meters, count(*) AS intervals, count(*) FILTER (WHERE is_settled) AS settled,
           coalesce(sum({_COST.format("intervals", "low")}) FILTER (WHERE is_settled), 0) AS low,
           coalesce(sum({_COST.format("intervals", "high")}) FILTER (WHERE is_settled), 0) AS high
      FROM intervals
), posted AS (
    SELECT coalesce(sum({_COST.format("live", "low")}), 0) AS low,
           coalesce(sum({_COST.format("live", "high")}), 0) AS high
      FROM live
), journal AS (
    SELECT count(*) AS entries, count(*) FILTER (WHERE kind = 'reversal') AS reversals FROM billing_ledgerentry
     WHERE (%(meter)s::bigint IS NULL OR meter_id = %(meter)s)
       AND (%(start)s::timestamptz IS NULL OR "end" IS NULL OR "end" > %(start)s)
       AND (%(end)s::timestamptz IS NULL OR start < %(end)s)
)
SELECT meters, intervals, settled, entries, reversals, told.low, told.high, posted.low, posted.high
  FROM told, posted, journal
"""
NAMES = tuple(_CHECKS)


def verify(scope: Scope) -> Iterator[Outcome]:
    """Yield the outcome of each check, in the order of NAMES."""
    for name, statement in _CHECKS.items():
        with _unhurried() as cursor:
            cursor.execute(
                f"""
                SELECT found.meter_id, meter.name, found.at, found.words, count(*) OVER ()
                  FROM ({statement}) AS found (meter_id, at, words)
                  LEFT JOIN billing_meter AS meter ON meter.id = found.meter_id
                 ORDER BY found.meter_id, found.at LIMIT {MOST_LISTED}
                """,
                scope.parameters,
            )
            rows = cursor.fetchall()
        yield Outcome(
            name,
            rows[0][4] if rows else 0,
            [Finding(pk, meter or "", at, words) for pk, meter, at, words, _ in rows],
        )


def count_checked(scope: Scope) -> Figures:
    """Return what the checks look at, with the two sums that must agree."""
    with _unhurried() as cursor:
        cursor.execute(_FIGURES, scope.parameters)
        return Figures(*cursor.fetchone())


@contextmanager
def _unhurried() -> Iterator[CursorWrapper]:
    """Yield a cursor without the limit that keeps pages from waiting: millions of rows take longer."""
    with transaction.atomic(), database.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        yield cursor
