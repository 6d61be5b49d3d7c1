"""The SQL of the row stream: pieces of intervals or postings, cut by who is charged and by charge period.

Who is charged when (`held`, and `owned` with its names) is the SQL of billing/costs/held.py, so that a file adds up to
what the explorer shows. Intervals that bill are at most a day long, which makes reading a period cheap.
"""

# ruff: noqa: S608 - put together from fixed parts and names of parameters; what people typed is a parameter

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from billing.amounts import TICKS_PER_NANO
from billing.exports.lines import TICKS_PER_DOLLAR
from billing.exports.segments import Segment

# Of a piece, as its interval or posting has it.
_SPAN = (
    's.meter_id, s.start, s."end" AS whole_end, s.condition, s.state, s.units_low, s.units_high, s.sku,'
    " s.list_nano_usd_per_hour, s.nano_usd_per_hour, s.price_source, s.rate_low, s.rate_high, s.lump_nano_usd,"
    " s.rounding_us, s.use, s.source, s.evidence"
)
_FROM_POSTING = (
    ", TRUE AS is_settled, CASE WHEN s.kind = 'reversal' THEN -1 ELSE 1 END AS sign, {told} GREATEST(s.start, {start})"
    ' AS lo, LEAST(s."end", {end}) AS hi FROM billing_ledgerentry s WHERE s.posted_at >= {posted_from}'
    " AND s.posted_at < {posted_until} AND s.start < {end} AND s.\"end\" > {start} AND s.condition <> 'free'"
)
# Of the meter and of who is charged, in the order of lines.Line.
_WHOSE = (
    "m.billing_account_id, m.billing_account_name, m.kind, m.remote_id, m.name, m.sub_account_id, m.sub_account_name,"
    " m.endpoint_name, m.model, m.hardware, m.region, m.gpu_count, COALESCE(team.name, h.team_name), h.owner,"
    " h.cost_centre, h.tags"
)
_WHO = (
    # `held` is what is wanted and may be seen of `owned`, which knows the names.
    ", who AS MATERIALIZED (SELECT owned.* FROM held JOIN owned USING"
    " (meter_id, since, until, part_from, part_to, whole))"
)


@dataclass(frozen=True, slots=True)
class Query:
    """An SQL text with its named parameters."""

    text: str
    params: dict[str, object]


def select_intervals(
    segments: Sequence[Segment], *, edges: Sequence[datetime], held: Query, wanted: str, now: datetime
) -> Query:
    """Return the SELECT of the segments' lines, in order of time: open ones from intervals, closed ones as closed.

    `edges` are the charge periods one after another; none: each interval is a line. `wanted` is a condition over the
    piece `h`; `held` comes from billing.costs.held.
    """
    params: dict[str, object] = {**held.params, "edges": list(edges), "now": now}
    pieces = []
    for number, segment in enumerate(segments):
        names = {name: f"%({name}_{number})s::timestamptz" for name in ("start", "end", "posted_until")}
        params |= {f"start_{number}": segment.start, f"end_{number}": segment.end}
        if segment.posted_until is None:
            pieces += _open_pieces(names)
            params[f"end_{number}"] = min(segment.end, now)
            continue
        params[f"posted_until_{number}"] = segment.posted_until
        told = "NULL::timestamptz AS told_at, '' AS reason,"
        # Nothing is posted before it began: the index over posted_at finds the month.
        head = _FROM_POSTING.format(**names, posted_from=names["start"], told=told)
        pieces.append(f"SELECT {_SPAN}{head}")
    return Query(_lines(held, pieces, is_cut=bool(edges), wanted=wanted), params)


def select_corrections(
    closed: Sequence[Segment],
    *,
    posted_from: datetime,
    posted_until: datetime,
    edges: Sequence[datetime],
    held: Query,
    wanted: str,
) -> Query:
    """Return the SELECT of what was posted within a stretch of time for months that were closed before it was.

    `closed` are whole months with their posted_until; at least one.
    """
    params: dict[str, object] = {
        **held.params,
        "edges": list(edges),
        "posted_from": posted_from,
        "posted_until": posted_until,
    }
    pieces = []
    for number, month in enumerate(closed):
        params |= {f"start_{number}": month.start, f"end_{number}": month.end}
        params[f"closed_{number}"] = month.posted_until
        head = _FROM_POSTING.format(
            told="s.posted_at AS told_at, s.reason,",
            start=f"%(start_{number})s::timestamptz",
            end=f"%(end_{number})s::timestamptz",
            posted_from=f"GREATEST(%(posted_from)s::timestamptz, %(closed_{number})s::timestamptz)",
            posted_until="%(posted_until)s::timestamptz",
        )
        pieces.append(f"SELECT {_SPAN}{head}")
    return Query(_lines(held, pieces, is_cut=bool(edges), wanted=wanted), params)


def _open_pieces(names: dict[str, str]) -> list[str]:
    """Return the intervals of an open segment: the bounded ones that bill by index, and the few that may be longer."""
    start, end = names["start"], names["end"]
    head = (
        f"SELECT {_SPAN}, s.is_settled, 1 AS sign, NULL::timestamptz AS told_at, '' AS reason,"
        f' GREATEST(s.start, {start}) AS lo, LEAST(COALESCE(s."end", %(now)s::timestamptz), {end}) AS hi'
        " FROM billing_meteredinterval s WHERE s.condition <> 'free'"
    )
    return [
        f"{head} AND s.condition = 'bills' AND s.\"end\" > {start} AND s.start < {end}"
        f" AND s.start >= {start} - interval '24 hours'",
        f"{head} AND (s.condition = 'unknown' OR s.\"end\" IS NULL) AND s.start < {end}"
        f' AND (s."end" IS NULL OR s."end" > {start})',
    ]


def _lines(held: Query, pieces: Sequence[str], *, is_cut: bool, wanted: str) -> str:
    """Cut the pieces by who is charged and charge period, and add them up unless each interval is a line."""
    who = "JOIN who ON who.meter_id = q.meter_id AND who.since < q.hi AND who.until > q.lo"
    if not is_cut:
        cut = (
            "SELECT q.*, who.team_id, who.team_name, who.owner, who.cost_centre, who.tags, who.part_from, who.part_to,"
            " who.whole, GREATEST(q.lo, who.since) AS since, LEAST(q.hi, who.until) AS until,"
            f" NULL::timestamptz AS bucket FROM pieces q {who}"
        )
    else:
        cut = (
            "SELECT q.*, who.team_id, who.team_name, who.owner, who.cost_centre, who.tags, who.part_from, who.part_to,"
            " who.whole, GREATEST(q.lo, who.since, bucket.at) AS since,"
            f" LEAST(q.hi, who.until, bucket.next_at) AS until, bucket.at AS bucket, bucket.next_at FROM pieces q {who}"
            " CROSS JOIN LATERAL (SELECT (%(edges)s::timestamptz[])[number] AS at,"
            " (%(edges)s::timestamptz[])[number + 1] AS next_at FROM generate_series("
            "width_bucket(GREATEST(q.lo, who.since), %(edges)s::timestamptz[]),"
            " width_bucket(LEAST(q.hi, who.until) - interval '1 microsecond', %(edges)s::timestamptz[])) AS number)"
            " AS bucket"
        )
    select, order = (_SUMS, _GROUPED) if is_cut else (_EACH, _BY_TIME)
    return "\n".join(
        [
            f"WITH {held.text}{_WHO}, pieces AS (",
            "\nUNION ALL\n".join(pieces),
            f"), cut AS (SELECT w.*, {_us('w.until - w.since')} AS us,",
            f"{_us('w.since - w.start')}::numeric AS since_us,",
            f"{_us('w.until - w.start')}::numeric AS until_us, COALESCE(w.until = w.whole_end, FALSE) AS is_last",
            f"FROM ({cut}) w WHERE w.since < w.until)",
            ", charged AS (SELECT *, CASE WHEN is_last THEN rounding_us ELSE 0 END AS added_us,",
            "CASE WHEN is_last THEN lump_nano_usd ELSE 0 END AS lump FROM cut)",
            f"SELECT {select} FROM charged h JOIN billing_meter m ON m.id = h.meter_id",
            f"LEFT JOIN accounts_team team ON team.id = h.team_id WHERE {wanted} {order}",
        ]
    )


def _us(stretch: str) -> str:
    return f"(EXTRACT(EPOCH FROM ({stretch})) * 1000000)::bigint"


def _ticks(rate: str) -> str:
    """Return the SQL of ticks at a rate; of a shared meter the team's part, as billing/costs/splits.py cuts it."""
    lump = f"h.lump * {TICKS_PER_NANO}::numeric"
    until = f"({rate} * (h.until_us + h.added_us) + {lump})"
    since = f"({rate} * h.since_us)"
    shared = (
        f"(div({until} * h.part_to, h.whole) - div({until} * h.part_from, h.whole)"
        f" - div({since} * h.part_to, h.whole) + div({since} * h.part_from, h.whole))"
    )
    return f"CASE WHEN h.whole = 1 THEN {rate} * (h.us + h.added_us)::numeric + {lump} ELSE {shared} END"


def _part(amount: str) -> str:
    """Return the SQL of the part of a time or quantity."""
    return (
        f"CASE WHEN h.whole = 1 THEN ({amount})::numeric"
        f" ELSE round(({amount})::numeric * (h.part_to - h.part_from) / h.whole) END"
    )


# Of a lump the charge itself stands for the price.
_PRICES = (
    "CASE WHEN h.lump <> 0 THEN h.lump ELSE h.list_nano_usd_per_hour END,"
    " CASE WHEN h.lump <> 0 THEN h.lump ELSE h.nano_usd_per_hour END"
)
_LUMPS = "CASE WHEN h.lump <> 0 THEN 1 ELSE 0 END"
_UNITS_LOW = _part("h.units_low * (h.us + h.added_us)::numeric")
_UNITS_HIGH = _part("h.units_high * (h.us + h.added_us)::numeric")
_LOW, _HIGH = _ticks("h.rate_low::numeric"), _ticks("h.rate_high::numeric")
# Without a list price what is paid is the list.
_LIST = _ticks("COALESCE(h.list_nano_usd_per_hour::numeric * h.units_low, h.rate_low)")
_UNPRICED = _part(
    "CASE WHEN h.condition = 'bills' AND h.nano_usd_per_hour IS NULL AND h.lump_nano_usd = 0 THEN h.us ELSE 0 END"
)
_UNKNOWN = _part("CASE WHEN h.condition = 'unknown' THEN h.us ELSE 0 END")
# What only lines of the bill have.
_NO_BILL = "NULL::numeric, NULL::numeric, '', ''"
_EACH = (
    f"h.since, h.until, {_WHOSE}, h.sku, h.condition, h.use, {_PRICES}, {_LUMPS}, {_UNITS_LOW}, {_UNITS_HIGH},"
    f" {_LOW}, {_HIGH}, {_LIST}, {_UNPRICED}, {_UNKNOWN},"
    " h.told_at, h.reason, h.state, h.source, h.evidence, h.price_source, h.is_settled,"
    f" {_NO_BILL}"
)
_BY_TIME = "ORDER BY h.since, h.meter_id, h.told_at"


_AMOUNTS = ", ".join(
    f"SUM(h.sign * ({amount}))"
    for amount in (_LUMPS, _UNITS_LOW, _UNITS_HIGH, _LOW, _HIGH, _LIST, _UNPRICED, _UNKNOWN)
)
# What a meter cost in an hour or day at one price, for one team, busy or idle.
_SUMS = (
    f"h.bucket, h.next_at, {_WHOSE}, h.sku, h.condition, h.use, {_PRICES}, {_AMOUNTS},"
    f" MAX(h.told_at), h.reason, '', '', '', '', BOOL_AND(h.is_settled), {_NO_BILL}"
)
# By the keys of meter and team, on which their columns depend. What was charged and taken back drops out.
_GROUPED = (
    "GROUP BY h.bucket, h.next_at, m.id, team.id, h.team_name, h.owner, h.cost_centre, h.tags, h.sku, h.condition,"
    " h.use, h.list_nano_usd_per_hour, h.nano_usd_per_hour, h.lump, date_trunc('month', h.told_at, 'UTC'), h.reason"
    f" HAVING SUM(h.sign * h.us) <> 0 OR SUM(h.sign * ({_HIGH})) <> 0"
    " ORDER BY h.bucket, m.id, team.id"
)


def select_billed(*, start: datetime, end: datetime, held: Query, wanted: str, sees_unmatched: bool) -> Query:
    """Return the SELECT of the bill's lines that begin in `[start, end)`: of hours where it tells hours, else of days.

    Whole lines, under who is charged when they begin: shares of a split are ours, not the bill's. Lines that no meter
    was found for are told with `sees_unmatched` alone.
    """
    cost = f"p.cost * {TICKS_PER_DOLLAR}::numeric"
    unmatched = "OR p.meter_id IS NULL" if sees_unmatched else ""
    text = (
        f'WITH {held.text}{_WHO} SELECT p.start, p."end", p.billing_account_id,'
        " COALESCE(m.billing_account_name, ''), COALESCE(m.kind, ''), COALESCE(m.remote_id, ''),"
        " COALESCE(m.name, p.product_name), COALESCE(NULLIF(m.sub_account_id, ''), p.project_id),"
        " COALESCE(m.sub_account_name, ''), COALESCE(m.endpoint_name, ''), COALESCE(m.model, ''),"
        " COALESCE(m.hardware, ''), COALESCE(m.region, ''), m.gpu_count,"
        " COALESCE(team.name, h.team_name, ''), COALESCE(h.owner, ''), COALESCE(h.cost_centre, ''),"
        " COALESCE(h.tags, '{}'::jsonb), COALESCE(m.sku, ''), 'bills', '', NULL::bigint, NULL::bigint, 0,"
        f" 0::numeric, 0::numeric, {cost}, {cost}, {cost}, 0::numeric, 0::numeric, NULL::timestamptz, '', '', 'bill',"
        " '', '', TRUE, p.quantity, p.unit_price, p.product_name, p.credit"
        " FROM billing_billedline p LEFT JOIN billing_meter m ON m.id = p.meter_id"
        " LEFT JOIN LATERAL (SELECT * FROM who WHERE who.meter_id = m.id AND who.since <= p.start"
        " AND who.until > p.start ORDER BY who.part_from LIMIT 1) h ON TRUE"
        " LEFT JOIN accounts_team team ON team.id = h.team_id"
        f" WHERE p.start >= %(start)s AND p.start < %(end)s AND (h.meter_id IS NOT NULL {unmatched}) AND {wanted}"
        " ORDER BY p.start, p.id"
    )
    return Query(text, {**held.params, "start": start, "end": end})
