"""SQL that clips intervals to a period, to owners and to pieces, and adds them up in ticks.

A row of `slice` is one interval within one stretch of `held`. A microsecond's cost is its rate; what was rounded up and
what was charged at once fall on the last microsecond of an interval that has ended (billing/models/ledger.py).
"""

from billing.costs.queries import CostQuery, GroupBy

# What begins in the period; what is at most a day long, as all that bills is (the database sees to it), and may reach
# into it; what goes on or is longer, because it bills nothing. Each has its index.
_FOUND = """found AS (
    SELECT * FROM billing_meteredinterval
    WHERE condition <> 'free' AND start >= %(start)s AND start < %(end)s
        AND ("end" IS NOT NULL OR start < %(now)s){of_meters}
    UNION ALL
    SELECT * FROM billing_meteredinterval
    WHERE condition <> 'free' AND start >= %(start)s::timestamptz - interval '24 hours' AND start < %(start)s
        AND "end" > %(start)s AND "end" - start <= interval '1 day'{of_meters}
    UNION ALL
    SELECT * FROM billing_meteredinterval
    WHERE condition <> 'free' AND ("end" IS NULL OR "end" - start > interval '1 day') AND start < %(start)s
        AND ("end" > %(start)s OR "end" IS NULL AND %(start)s < %(now)s){of_meters}
)"""

# Interval, period and stretch of `held` overlap two by two, and so all three: a slice is never empty.
_SLICE = """slice AS (
    SELECT found.id, {key} AS key, {parts}
        found.start, found."end", found.rate_low, found.rate_high, found.rounding_us, found.lump_nano_usd AS lump,
        CASE WHEN found.condition = 'unknown' THEN 'unknown'
            WHEN found.nano_usd_per_hour IS NULL AND found.lump_nano_usd = 0 THEN 'unpriced'
            WHEN found.use = 'idle' THEN 'idle' ELSE '' END AS mark,
        greatest(found.start, {since}%(start)s) AS since,
        least(coalesce(found."end", %(now)s), {until}%(end)s) AS until
    FROM found{held}
    WHERE {wanted}
)"""
_HELD = " JOIN held ON held.meter_id = found.meter_id"
_HELD_THEN = f"""{_HELD}
        AND held.since < coalesce(found."end", %(now)s) AND held.until > found.start"""

_ONE_PIECE = """piece AS (
    SELECT slice.*, 0 AS place FROM slice
)"""
# width_bucket finds the piece by bisection; nearly all slices lie in one, which the planner must not take for many.
_PIECES = """placed AS (
    SELECT slice.*, width_bucket(since, %(edges)s::timestamptz[]) AS first FROM slice
),
spread AS (
    SELECT placed.*, unnest(
        CASE WHEN until <= (%(edges)s::timestamptz[])[first + 1] THEN ARRAY[first]
        ELSE (%(numbers)s::int[])[
            first:width_bucket(until - interval '1 microsecond', %(edges)s::timestamptz[])
        ] END
    ) AS number
    FROM placed
),
piece AS (
    SELECT key, {parts} start, "end", rate_low, rate_high, rounding_us, lump, mark,
        number - 1 AS place,
        greatest(since, (%(edges)s::timestamptz[])[number]) AS since,
        least(until, (%(edges)s::timestamptz[])[number + 1]) AS until
    FROM spread
)"""

# Ticks of an hour's nano-dollar: billing/amounts.py.
_LUMP = "3600000000::numeric"
_SINCE_US = "round(date_part('epoch', since - start) * 1e6)::bigint"
_UNTIL_US = "round(date_part('epoch', until - start) * 1e6)::bigint"

_TIMES = """
    coalesce(sum(us) FILTER (WHERE mark = 'unpriced'), 0), coalesce(sum(us) FILTER (WHERE mark = 'unknown'), 0)"""
# Microseconds are added up per rate in machine integers; one multiplication per rate follows.
_WHOLE_CELLS = f"""SELECT key, place,
    sum(rate_low * billed_us + lump * {_LUMP}), sum(rate_high * billed_us + lump * {_LUMP}),
    coalesce(sum(rate_low * billed_us + lump * {_LUMP}) FILTER (WHERE mark = 'idle'), 0),
    coalesce(sum(rate_high * billed_us + lump * {_LUMP}) FILTER (WHERE mark = 'idle'), 0),{_TIMES}
FROM (
    SELECT key, place, rate_low, rate_high, mark,
        sum(us) AS us, sum(us + CASE WHEN until = "end" THEN rounding_us ELSE 0 END) AS billed_us,
        sum(CASE WHEN until = "end" THEN lump ELSE 0 END) AS lump
    FROM (
        SELECT *, round(date_part('epoch', until - since) * 1e6)::bigint AS us FROM piece
    ) AS measured"""  # noqa: S608 - constants of this module
_BY_RATE = """
    GROUP BY key, place, rate_low, rate_high, mark
) AS by_rate
GROUP BY key, place"""


def _share(amount: str) -> str:
    """Return the SQL of a team's part of an amount that is counted from the interval's start."""
    return f"(div({amount} * part_to, whole) - div({amount} * part_from, whole))"


def _share_of_rate(rate: str) -> str:
    until = f"({rate} * billed_until_us + ended_lump * {_LUMP})"
    return f"({_share(until)} - {_share(f'({rate} * since_us)')})"


def _share_of_time() -> str:
    return f"({_share('until_us')} - {_share('since_us')})"


# How remainders fall: billing/costs/splits.py.
_SHARED_CELLS = f"""SELECT key, place, sum(low), sum(high),
    coalesce(sum(low) FILTER (WHERE mark = 'idle'), 0), coalesce(sum(high) FILTER (WHERE mark = 'idle'), 0),{_TIMES}
FROM (
    SELECT key, place, mark,
        {_share_of_rate("rate_low")} AS low, {_share_of_rate("rate_high")} AS high, {_share_of_time()} AS us
    FROM (
        SELECT *, until_us + CASE WHEN until = "end" THEN rounding_us ELSE 0 END AS billed_until_us,
            CASE WHEN until = "end" THEN lump ELSE 0 END AS ended_lump
        FROM (
            SELECT *, {_SINCE_US}::numeric AS since_us, {_UNTIL_US}::numeric AS until_us
            FROM piece WHERE is_shared
        ) AS measured
    ) AS ended
) AS shared
GROUP BY key, place"""  # noqa: S608 - constants of this module
# Keys that the meter and its owner have no part in.
KEYS_OF_INTERVALS = {GroupBy.NONE: "''", GroupBy.SKU: "found.sku"}
PARTS = "is_shared, part_from, part_to, whole"


def write_slices(
    query: CostQuery, *, by_owner: bool, has_splits: bool, of_meters: bool = False, spares: bool = False
) -> str:
    """Return the common table expressions from `held` to `slice`, which has `PARTS` where there are splits.

    `of_meters`: only those named by the parameter `only` are read; `spares`: those named by `without` are left out.
    """
    wanted = []
    if query.filters.skus:
        wanted.append("found.sku = ANY(%(skus)s)")
    if query.filters.uses:
        wanted.append("found.use = ANY(%(uses)s)")
    if spares:
        wanted.append("NOT found.meter_id = ANY(%(without)s)")
    needs_held = by_owner or of_meters or query.group_by not in (GroupBy.NONE, GroupBy.SKU)
    slices = _SLICE.format(
        key=KEYS_OF_INTERVALS.get(query.group_by, "held.key"),
        parts=f"{PARTS}," if has_splits else "",
        since="held.since, " if by_owner else "",
        until="held.until, " if by_owner else "",
        held=_HELD_THEN if by_owner else _HELD if needs_held else "",
        wanted=" AND ".join(wanted) or "TRUE",
    )
    found = _FOUND.format(of_meters=" AND meter_id = ANY(%(only)s)" if of_meters else "")
    return f"{found},\n{slices}"


def write_cells(*, is_cut: bool, has_splits: bool) -> str:
    """Return the rest of the statement, from `slice` on: key, place and the six numbers of a Cost."""
    pieces = _PIECES.format(parts=f"{PARTS}," if has_splits else "") if is_cut else _ONE_PIECE
    if not has_splits:
        return f",\n{pieces}\n{_WHOLE_CELLS}{_BY_RATE}"
    return f",\n{pieces}\n{_WHOLE_CELLS} WHERE NOT is_shared{_BY_RATE}\nUNION ALL\n{_SHARED_CELLS}"
