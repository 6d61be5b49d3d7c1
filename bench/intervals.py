"""A year of metered intervals of a large organisation, loaded with COPY: what cost benchmarks read.

1,000 deployments of eight teams, five and a half intervals each a day: runs of one to four replicas, busy and idle,
stretches that do not bill, a few that are unknown, unpriced, or of a range of replicas (v1). One meter in ten changed
its team during the year. Seeded: each run loads the same rows.
"""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

METERS = 1_000
TEAMS = 8
SKUS = (
    *((f"v2/{count}xnvidia-h100-80gb", 5_400_000_000 * count) for count in (1, 2, 4, 8)),
    ("v2/1xnvidia-l40s-48gb", 2_100_000_000),
    ("v1/1x_nvidia_a100_80gb_sxm", 3_490_000_000),
)
_DAY = timedelta(days=1)
_DAY_US = 86_400_000_000
_COLUMNS = (
    'meter_id, start, "end", condition, state, units_low, units_high, sku, list_nano_usd_per_hour,'
    " nano_usd_per_hour, price_source, rate_low, rate_high, lump_nano_usd, rounding_us, use, source,"
    " evidence, is_settled"
)


@dataclass(frozen=True, slots=True)
class Organisation:
    """Ids of what was made."""

    meters: list[int]
    endpoints: list[int]
    teams: list[int]


def make_organisation(*, start: datetime, end: datetime) -> Organisation:
    """Write teams, projects, meters and who owned them between `start` and `end`."""
    from billing.models import Meter, Ownership
    from dashboard.mirror.models import Endpoint
    from tests.factories import make_connection, make_endpoint, make_project, make_team

    rng = random.Random(4)
    connection = make_connection()
    teams = [make_team(f"Team {number}") for number in range(TEAMS)]
    projects = [make_project(connection=connection, team=team) for team in teams]
    endpoints: list[Endpoint] = [
        make_endpoint(project=projects[number % TEAMS]) for number in range(METERS // 2)
    ]
    meters = Meter.objects.bulk_create(
        Meter(
            billing_account_id="org_bench",
            kind="deployment",
            remote_id=f"dep_{number}",
            name=f"replicas-{number}",
            project=endpoints[number // 2].project,
            endpoint=endpoints[number // 2],
            model=f"org/model-{number % 20}",
            hardware=SKUS[number % len(SKUS)][0],
            sku=SKUS[number % len(SKUS)][0],
            metered_from=start,
        )
        for number in range(METERS)
    )
    owned = []
    for number, meter in enumerate(meters):
        team = teams[number // 2 % TEAMS]
        change = None if number % 10 else start + rng.random() * (end - start)
        following = rng.choice(teams)
        owned.append(_own(meter, team, until=change))
        if change is not None:
            owned.append(_own(meter, following, since=change))
    Ownership.objects.bulk_create(owned)
    return Organisation([one.pk for one in meters], [one.pk for one in endpoints], [one.pk for one in teams])


def _own(meter: Any, team: Any, *, since: datetime | None = None, until: datetime | None = None) -> Any:
    from billing.models import Ownership

    return Ownership(
        meter=meter,
        team=team,
        team_name=team.name,
        cost_centre=f"cc-{team.pk}",
        valid_from=since,
        valid_until=until,
        source=Ownership.Source.PROJECT,
    )


def load_intervals(organisation: Organisation, *, start: datetime, end: datetime) -> int:
    """Load the intervals of the whole days `[start, end)`, in order of time; return how many."""
    from django.db import connection

    count = 0
    with connection.cursor() as cursor:
        statement = f"COPY billing_meteredinterval ({_COLUMNS}) FROM STDIN"
        # A request may not take that long; this is no request.
        cursor.execute("SET statement_timeout = 0")
        with cursor.copy(statement) as copy:  # type: ignore[attr-defined]
            for row in _make_days(organisation.meters, start, end):
                copy.write(row)
                count += 1
        cursor.execute("RESET statement_timeout")
        cursor.execute("VACUUM ANALYZE billing_meteredinterval, billing_meter, billing_ownership")
    return count


def _make_days(meters: list[int], start: datetime, end: datetime) -> Iterator[str]:
    day = start
    while day < end:
        rng = random.Random(day.toordinal())
        for number, meter in enumerate(meters):
            yield from _make_day(rng, number, meter, day)
        day += _DAY


def _make_day(rng: random.Random, number: int, meter: int, day: datetime) -> Iterator[str]:
    edges = sorted({0, *(rng.randrange(1, _DAY_US) for _ in range(rng.choice((3, 4, 5, 6)))), _DAY_US})
    sku, price = SKUS[number % len(SKUS)]
    is_range = sku.startswith("v1/")
    for since, until in itertools.pairwise(edges):
        chance = rng.random()
        condition = "free" if chance < 0.12 else "unknown" if chance < 0.121 else "bills"
        units = rng.randint(1, 4) if condition == "bills" else 0
        is_unpriced = condition == "bills" and chance > 0.999
        known = 0 if is_unpriced or condition != "bills" else price
        values = (
            meter,
            day + timedelta(microseconds=since),
            day + timedelta(microseconds=until),
            condition,
            "DEPLOYMENT_STATE_READY" if units else "DEPLOYMENT_STATE_STOPPED",
            1 if is_range and units else units,
            units,
            sku,
            r"\N" if is_unpriced else price,
            r"\N" if is_unpriced or condition != "bills" else price,
            "price list of the provider, read 2026-01-01 00:00 UTC",
            (1 if is_range and units else units) * known,
            units * known,
            0,
            500_000 if units and number % 50 == 0 else 0,
            rng.choice(("busy", "busy", "idle", "unknown")),
            "event",
            "deployment.scaled at 2026-01-01 00:00:00 UTC; deployment.stopped at 2026-01-01 06:00:00 UTC",
            "t",
        )
        yield "\t".join(map(str, values)) + "\n"
