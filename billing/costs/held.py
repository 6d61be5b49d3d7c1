"""SQL of who is charged for a meter, and when: `held`, one row per meter and stretch, without hole and overlap.

Ownerships are completed by the stretches in between, which nobody owns; a cost split takes the place of the owner's
team while it holds, with one row per team and its part of the cost.
"""

from typing import Any

from django.db import connection

from billing.costs.queries import CostFilters, CostQuery, GroupBy

# Key of a row, by what it stands for; `sku` comes from the interval: what is repriced changes its SKU over time.
KEYS = {
    GroupBy.NONE: "''",
    GroupBy.TEAM: (
        "CASE WHEN owned.team_id IS NOT NULL THEN owned.team_id::text"
        " WHEN owned.team_name <> '' THEN 'gone:' || owned.team_name ELSE '' END"
    ),
    GroupBy.OWNER: "owned.owner",
    GroupBy.COST_CENTRE: "owned.cost_centre",
    GroupBy.TAG: "coalesce(owned.tags ->> %(tag_key)s, '')",
    GroupBy.PROJECT: (
        "CASE WHEN meter.project_id IS NOT NULL THEN meter.project_id::text"
        " WHEN meter.sub_account_id <> '' THEN 'gone:' || meter.sub_account_id ELSE '' END"
    ),
    GroupBy.ENDPOINT: (
        "CASE WHEN meter.endpoint_id IS NOT NULL THEN meter.endpoint_id::text"
        " WHEN meter.endpoint_name <> '' THEN 'gone:' || meter.endpoint_name ELSE '' END"
    ),
    GroupBy.MODEL: "meter.model",
    GroupBy.HARDWARE: "meter.hardware",
    GroupBy.KIND: "meter.kind",
    GroupBy.METER: "meter.id::text",
    GroupBy.SKU: "''",
}
_OWNER_KEYS = frozenset({GroupBy.TEAM, GroupBy.OWNER, GroupBy.COST_CENTRE, GroupBy.TAG})
# Field of CostFilters -> the key that it is held against.
_METER_FILTERS = {
    "projects": GroupBy.PROJECT,
    "models": GroupBy.MODEL,
    "hardware": GroupBy.HARDWARE,
    "endpoints": GroupBy.ENDPOINT,
    "kinds": GroupBy.KIND,
    "meters": GroupBy.METER,
}
_OWNER_FILTERS = {
    "teams": GroupBy.TEAM,
    "owners": GroupBy.OWNER,
    "cost_centres": GroupBy.COST_CENTRE,
}

_SCOPE = """scope AS NOT MATERIALIZED (
    SELECT meter.id, {key} AS key, project.team_id AS project_team_id
    FROM billing_meter meter LEFT JOIN mirror_project project ON project.id = meter.project_id
    WHERE {wanted}
)"""

_OWNED_STRETCH = """owned_stretch AS NOT MATERIALIZED (
    SELECT ownership.meter_id, coalesce(ownership.valid_from, '-infinity') AS since,
        coalesce(ownership.valid_until, 'infinity') AS until,
        ownership.team_id, ownership.team_name, ownership.owner, ownership.cost_centre, ownership.tags
    FROM billing_ownership ownership JOIN scope ON scope.id = ownership.meter_id
)"""

# Each meter has a stretch that ends before all time, so that a gap is what lies between one stretch and the next. Read
# beforehand: PostgreSQL does not run a statement with a window in parallel.
_GAPS = """SELECT meter_id, greatest(since, %(start)s), least(until, %(end)s)
FROM (
    SELECT meter_id, until AS since,
        lead(since, 1, 'infinity') OVER (PARTITION BY meter_id ORDER BY since, until) AS until
    FROM (
        SELECT meter_id, since, until FROM owned_stretch
        UNION ALL
        SELECT id, '-infinity', '-infinity' FROM scope
    ) AS edge
) AS gap
WHERE since < until AND since < %(end)s AND until > %(start)s"""

# Who owns a meter when; the stretches around and between ownerships are nobody's.
_TENURE = """tenure AS (
    SELECT * FROM owned_stretch
    UNION ALL
    SELECT meter_id, since, until, NULL, '', '', '', '{}'::jsonb
    FROM unnest(%(gap_meters)s::bigint[], %(gap_since)s::timestamptz[], %(gap_until)s::timestamptz[])
        AS gap(meter_id, since, until)
)"""

_OWNED = """owned AS (
    SELECT *, FALSE AS is_shared, 0::numeric AS part_from, 1::numeric AS part_to, 1::numeric AS whole FROM tenure
)"""

# `split` comes as arrays: the shares of one meter do not overlap in time but for the teams of one split.
_OWNED_WITH_SPLITS = """split AS MATERIALIZED (
    SELECT * FROM unnest(
        %(split_meters)s::bigint[], %(split_since)s::timestamptz[], %(split_until)s::timestamptz[],
        %(split_teams)s::bigint[],
        %(split_from)s::numeric[], %(split_to)s::numeric[], %(split_whole)s::numeric[]
    ) AS split(meter_id, since, until, team_id, part_from, part_to, whole)
),
taken AS MATERIALIZED (
    SELECT meter_id, range_agg(tstzrange(since, until)) AS stretches FROM split GROUP BY meter_id
),
owned AS (
    SELECT tenure.*, FALSE AS is_shared, 0::numeric AS part_from, 1::numeric AS part_to, 1::numeric AS whole
    FROM tenure WHERE meter_id NOT IN (SELECT meter_id FROM taken)
    UNION ALL
    SELECT tenure.meter_id, lower(rest), upper(rest), team_id, team_name, owner, cost_centre, tags,
        FALSE, 0, 1, 1
    FROM tenure JOIN taken ON taken.meter_id = tenure.meter_id,
        unnest(tstzmultirange(tstzrange(since, until)) - stretches) AS rest
    UNION ALL
    SELECT tenure.meter_id, greatest(tenure.since, split.since), least(tenure.until, split.until), split.team_id,
        '', tenure.owner, tenure.cost_centre, tenure.tags,
        split.part_from > 0 OR split.part_to < split.whole, split.part_from, split.part_to, split.whole
    FROM tenure JOIN split ON split.meter_id = tenure.meter_id
        AND split.since < tenure.until AND split.until > tenure.since
)"""

_HELD_BY_OWNER = """held AS (
    SELECT owned.meter_id, owned.since, owned.until, {key} AS key, is_shared, part_from, part_to, whole
    FROM owned JOIN scope ON scope.id = owned.meter_id
    WHERE owned.since < %(end)s AND owned.until > %(start)s AND {wanted}
)"""

_HELD = """held AS (
    SELECT scope.id AS meter_id, scope.key FROM scope
)"""

_SEEN = """(
    %(seen_teams)s::bigint[] IS NULL OR owned.team_id = ANY(%(seen_teams)s::bigint[])
    OR (
        owned.team_id IS NULL AND %(sees_unowned)s
        AND (scope.project_team_id IS NULL OR scope.project_team_id = ANY(%(seen_teams)s::bigint[]))
    )
)"""
_TAGGED = """EXISTS (
    SELECT FROM unnest(%(tag_names)s::text[], %(tag_values)s::text[]) AS tag(name, value)
    WHERE coalesce(owned.tags ->> tag.name, '') = tag.value
)"""


def needs_owners(query: CostQuery, *, is_restricted: bool) -> bool:
    """Tell whether the answer depends on whose cost it is."""
    return is_restricted or query.group_by in _OWNER_KEYS or query.filters.need_owners


def write_held(query: CostQuery, *, by_owner: bool, has_splits: bool) -> str:
    """Return the common table expressions up to `held`: meter_id and key; by owner also since, until and the part."""
    parts = [_write_scope(query)]
    if not by_owner:
        return ",\n".join([*parts, _HELD])
    owned_by = [
        f"{KEYS[group]} = ANY(%({name})s)"
        for name, group in _OWNER_FILTERS.items()
        if getattr(query.filters, name)
    ]
    if query.filters.tags:
        owned_by.append(_TAGGED)
    key = KEYS[query.group_by] if query.group_by in _OWNER_KEYS else "scope.key"
    held = _HELD_BY_OWNER.format(key=key, wanted=" AND ".join([_SEEN, *owned_by]))
    return ",\n".join([*parts, _OWNED_STRETCH, _TENURE, _OWNED_WITH_SPLITS if has_splits else _OWNED, held])


def list_meters(query: CostQuery) -> list[int] | None:
    """Return the meters that the query's filters leave; None when they leave all. At most one query.

    Told by number, they let the planner choose between the index of a meter and that of a period.
    """
    if not any(getattr(query.filters, name) for name in _METER_FILTERS):
        return None
    scope = _write_scope(query)
    with connection.cursor() as cursor:
        cursor.execute(f"WITH {scope} SELECT id FROM scope", filter_parameters(query))  # noqa: S608 - fixed parts
        return [row[0] for row in cursor.fetchall()]


def load_gaps(query: CostQuery) -> dict[str, Any]:
    """Return, as named parameters, when within the period nobody owned which meter. One query."""
    named = {"start": query.period.start, "end": query.period.end, **filter_parameters(query)}
    with connection.cursor() as cursor:
        cursor.execute(f"WITH {_write_scope(query)}, {_OWNED_STRETCH} {_GAPS}", named)
        gaps = cursor.fetchall()
    names = ("gap_meters", "gap_since", "gap_until")
    return {name: [gap[place] for gap in gaps] for place, name in enumerate(names)}


def _write_scope(query: CostQuery) -> str:
    wanted = [
        f"{KEYS[group]} = ANY(%({name})s)"
        for name, group in _METER_FILTERS.items()
        if getattr(query.filters, name)
    ]
    meter_key = "''" if query.group_by in _OWNER_KEYS else KEYS[query.group_by]
    return _SCOPE.format(key=meter_key, wanted=" AND ".join(wanted) or "TRUE")


def filter_parameters(query: CostQuery) -> dict[str, Any]:
    """Return the named parameters of the filters and of the tag that is grouped by."""
    filters: CostFilters = query.filters
    named: dict[str, Any] = {
        name: sorted(getattr(filters, name)) for name in (*_METER_FILTERS, *_OWNER_FILTERS, "skus", "uses")
    }
    tags = [tag.partition("=") for tag in sorted(filters.tags)]
    return named | {
        "tag_key": query.tag_key,
        "tag_names": [name for name, _, _ in tags],
        "tag_values": [value for _, _, value in tags],
    }
