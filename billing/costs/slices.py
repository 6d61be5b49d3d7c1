"""SQL that clips intervals to a period, to owners and to pieces, and adds them up in ticks.

A row of `slice` is one interval within one stretch of `held`. A microsecond's cost is its rate; what was rounded up and
what was charged at once fall on the last microsecond of an interval that has ended (billing/models/ledger.py).
"""

from billing.costs.queries import CostQuery, GroupBy

# Intervals that bill end within a day of their start (the database sees to it), so that an index range finds them;
# those that go on, and those of which nothing is known, may have begun long before.
_SLICE = """slice AS (
    SELECT interval.id, {key} AS key, held.part_from, held.part_to, held.whole,
        interval.start, interval."end", interval.rate_low, interval.rate_high, interval.rounding_us,
        interval.lump_nano_usd AS lump, interval.use = 'idle' AS is_idle,
        interval.condition = 'unknown' AS is_unknown,
        interval.condition = 'bills' AND interval.nano_usd_per_hour IS NULL AND interval.lump_nano_usd = 0
            AS is_unpriced,
        greatest(interval.start, held.since, %(start)s) AS since,
        least(coalesce(interval."end", %(now)s), held.until, %(end)s) AS until
    FROM (
        SELECT * FROM billing_meteredinterval
        WHERE condition <> 'free' AND start >= %(start)s::timestamptz - interval '24 hours' AND start < %(end)s
        UNION ALL
        SELECT * FROM billing_meteredinterval
        WHERE condition <> 'free' AND ("end" IS NULL OR condition = 'unknown')
            AND start < %(start)s::timestamptz - interval '24 hours'
    ) AS interval
    JOIN held ON held.meter_id = interval.meter_id
        AND held.since < coalesce(interval."end", %(now)s) AND held.until > interval.start
    WHERE coalesce(interval."end", %(now)s) > %(start)s AND interval.start < coalesce(interval."end", %(now)s)
        AND {wanted}
)"""

_ONE_PIECE = """piece AS (
    SELECT slice.*, 0 AS place FROM slice WHERE since < until
)"""
# width_bucket finds the piece by bisection; nearly all slices lie in one.
_PIECES = """spread AS (
    SELECT slice.*, generate_series(
        width_bucket(since, %(edges)s::timestamptz[]),
        width_bucket(until - interval '1 microsecond', %(edges)s::timestamptz[])
    ) AS number
    FROM slice WHERE since < until
),
piece AS (
    SELECT key, part_from, part_to, whole, start, "end", rate_low, rate_high, rounding_us, lump, is_idle, is_unknown,
        is_unpriced, number - 1 AS place,
        greatest(since, (%(edges)s::timestamptz[])[number]) AS since,
        least(until, (%(edges)s::timestamptz[])[number + 1]) AS until
    FROM spread
)"""

# Ticks of an hour's nano-dollar: billing/amounts.py.
_LUMP = "3600000000::numeric"
_SINCE_US = "round(date_part('epoch', since - start) * 1e6)::bigint"
_UNTIL_US = "round(date_part('epoch', until - start) * 1e6)::bigint"

# Microseconds are added up per rate in machine integers; one multiplication per rate follows.
WHOLE_CELLS = f"""SELECT key, place,
    sum(rate_low * billed_us + lump * {_LUMP}), sum(rate_high * billed_us + lump * {_LUMP}),
    coalesce(sum(rate_low * billed_us + lump * {_LUMP}) FILTER (WHERE is_idle), 0),
    coalesce(sum(rate_high * billed_us + lump * {_LUMP}) FILTER (WHERE is_idle), 0),
    coalesce(sum(us) FILTER (WHERE is_unpriced), 0), coalesce(sum(us) FILTER (WHERE is_unknown), 0)
FROM (
    SELECT key, place, rate_low, rate_high, is_idle, is_unpriced, is_unknown,
        sum(us) AS us, sum(us + CASE WHEN has_ended THEN rounding_us ELSE 0 END) AS billed_us,
        sum(CASE WHEN has_ended THEN lump ELSE 0 END) AS lump
    FROM (
        SELECT *, round(date_part('epoch', until - since) * 1e6)::bigint AS us,
            coalesce(until = "end", FALSE) AS has_ended
        FROM piece WHERE part_from = 0 AND part_to = whole
    ) AS measured
    GROUP BY key, place, rate_low, rate_high, is_idle, is_unpriced, is_unknown
) AS by_rate
GROUP BY key, place"""  # noqa: S608 - constants of this module


def _share(amount: str) -> str:
    """Return the SQL of a team's part of an amount that is counted from the interval's start."""
    return f"(div({amount} * part_to, whole) - div({amount} * part_from, whole))"


def _share_of_rate(rate: str) -> str:
    until = f"({rate} * billed_until_us + ended_lump * {_LUMP})"
    return f"({_share(until)} - {_share(f'({rate} * since_us)')})"


def _share_of_time() -> str:
    return f"({_share('until_us')} - {_share('since_us')})"


# How remainders fall: billing/costs/splits.py.
SHARED_CELLS = f"""SELECT key, place, sum(low), sum(high),
    coalesce(sum(low) FILTER (WHERE is_idle), 0), coalesce(sum(high) FILTER (WHERE is_idle), 0),
    coalesce(sum(us) FILTER (WHERE is_unpriced), 0), coalesce(sum(us) FILTER (WHERE is_unknown), 0)
FROM (
    SELECT key, place, is_idle, is_unpriced, is_unknown,
        {_share_of_rate("rate_low")} AS low, {_share_of_rate("rate_high")} AS high, {_share_of_time()} AS us
    FROM (
        SELECT *, until_us + CASE WHEN until = "end" THEN rounding_us ELSE 0 END AS billed_until_us,
            CASE WHEN until = "end" THEN lump ELSE 0 END AS ended_lump
        FROM (
            SELECT *, {_SINCE_US}::numeric AS since_us, {_UNTIL_US}::numeric AS until_us
            FROM piece WHERE part_from > 0 OR part_to < whole
        ) AS measured
    ) AS ended
) AS shared
GROUP BY key, place"""  # noqa: S608 - constants of this module


def write_slices(query: CostQuery, *, is_cut: bool) -> str:
    """Return the common table expressions from `held` to `piece`."""
    key = "interval.sku" if query.group_by is GroupBy.SKU else "held.key"
    wanted = ["NOT held.meter_id = ANY(%(without)s)"]
    if query.filters.skus:
        wanted.append("interval.sku = ANY(%(skus)s)")
    slices = _SLICE.format(key=key, wanted=" AND ".join(wanted))
    return f"{slices},\n{_PIECES if is_cut else _ONE_PIECE}"
