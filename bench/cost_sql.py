"""The best SQL we can write by hand for the figures of `bench.costs`: what its times are held against.

It may lean on what this data is and the product cannot: every meter has an owner at all times, nothing goes on, no cost
is shared, no interval crosses midnight UTC, the zone's days are all 24 hours long. Key, piece, and the six numbers of a
Cost; like the product it adds up microseconds per rate before it multiplies.
"""

_MARK = """CASE WHEN condition = 'unknown' THEN 'unknown'
        WHEN nano_usd_per_hour IS NULL AND lump_nano_usd = 0 THEN 'unpriced'
        WHEN use = 'idle' THEN 'idle' ELSE '' END AS mark"""
_US = "round(date_part('epoch', until - since) * 1e6)::bigint"
_TOTALS = """SELECT key, place,
    sum(rate_low * billed_us + lump * 3600000000::numeric), sum(rate_high * billed_us + lump * 3600000000::numeric),
    coalesce(sum(rate_low * billed_us + lump * 3600000000::numeric) FILTER (WHERE mark = 'idle'), 0),
    coalesce(sum(rate_high * billed_us + lump * 3600000000::numeric) FILTER (WHERE mark = 'idle'), 0),
    coalesce(sum(us) FILTER (WHERE mark = 'unpriced'), 0), coalesce(sum(us) FILTER (WHERE mark = 'unknown'), 0)
FROM ({by_rate}) AS by_rate GROUP BY key, place"""
_BY_RATE = """SELECT key, place, rate_low, rate_high, mark, sum({us}) AS us,
    sum({us} + CASE WHEN until = "end" THEN rounding_us ELSE 0 END) AS billed_us,
    sum(CASE WHEN until = "end" THEN lump_nano_usd ELSE 0 END) AS lump
FROM ({slices}) AS slice GROUP BY key, place, rate_low, rate_high, mark"""
_COLUMNS = f'rate_low, rate_high, rounding_us, lump_nano_usd, "end", {_MARK}'
_IN_PERIOD = "condition <> 'free' AND start >= %(start)s AND start < %(end)s"

_TEAMS_BY_DAY = f"""SELECT owner.team_id AS key, date_trunc('day', start, 'UTC') AS place, {_COLUMNS},
    greatest(start, owner.valid_from) AS since, least("end", owner.valid_until) AS until
FROM billing_meteredinterval interval JOIN billing_ownership owner ON owner.meter_id = interval.meter_id
    AND (owner.valid_from IS NULL OR owner.valid_from < interval."end")
    AND (owner.valid_until IS NULL OR owner.valid_until > interval.start)
WHERE {_IN_PERIOD}"""

# A day of the zone may begin within an interval: its two halves.
_TEAMS_BY_LOCAL_DAY = f"""SELECT owned.*, day AS place, half_since AS since, half_until AS until
FROM (
    SELECT owner.team_id AS key, {_COLUMNS}, date_trunc('day', start, %(zone)s) + interval '24 hours' AS midnight,
        greatest(start, owner.valid_from) AS since, least("end", owner.valid_until) AS until
    FROM billing_meteredinterval interval JOIN billing_ownership owner ON owner.meter_id = interval.meter_id
        AND (owner.valid_from IS NULL OR owner.valid_from < interval."end")
        AND (owner.valid_until IS NULL OR owner.valid_until > interval.start)
    WHERE {_IN_PERIOD}
) AS owned(key, rate_low, rate_high, rounding_us, lump_nano_usd, "end", mark, midnight, owned_since, owned_until),
LATERAL (VALUES
    (midnight - interval '24 hours', owned_since, least(owned_until, midnight)),
    (midnight, greatest(owned_since, midnight), owned_until)
) AS half(day, half_since, half_until)
WHERE half_since < half_until"""

_ALL = f"""SELECT 0 AS key, 0 AS place, {_COLUMNS}, start AS since, "end" AS until
FROM billing_meteredinterval WHERE {_IN_PERIOD}"""

_ENDPOINT_BY_DAY = f"""SELECT 0 AS key, date_trunc('day', start, 'UTC') AS place, {_COLUMNS},
    start AS since, "end" AS until
FROM billing_meteredinterval
WHERE meter_id IN (SELECT id FROM billing_meter WHERE endpoint_id = %(endpoint)s) AND {_IN_PERIOD}"""


def _write(slices: str) -> str:
    return _TOTALS.format(by_rate=_BY_RATE.format(us=_US, slices=slices))


TEAMS_BY_DAY = _write(_TEAMS_BY_DAY)
TEAMS_BY_LOCAL_DAY = _write(_TEAMS_BY_LOCAL_DAY)
ALL = _write(_ALL)
ENDPOINT_BY_DAY = _write(_ENDPOINT_BY_DAY)
