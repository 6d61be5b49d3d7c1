"""The export of a million rows: rows per second against a raw cursor with csv.writer, and flat memory.

`python -m bench.export [rows]`. The floor reads the same columns of the same million rows through a cursor on the
server and hands them to csv.writer as they come: nobody's cost, owner, exactness or safety from formulas is in it. Both
write into nothing. Memory is how much higher this process's peak is for all rows than for a tenth of them.
"""

import csv
import io
import sys
import time
from datetime import UTC, datetime, timedelta

from bench.figures import Figure, report
from bench.stage import peak_memory_mib, product_stage, reset_peak_memory

ROWS = 1_000_000
METERS = 1_000
START = datetime(2026, 1, 1, tzinfo=UTC)
# Half an hour each, so that a day of a meter has 48.
STEP = timedelta(minutes=30)
FETCH = 2_000
FLOOR = (
    'SELECT i.start, i."end", m.name, m.remote_id, m.kind, m.model, m.hardware, i.sku, i.condition, i.use,'
    " i.units_low, i.nano_usd_per_hour, i.rate_low, i.rate_high, i.source, i.evidence"
    " FROM billing_meteredinterval i JOIN billing_meter m ON m.id = i.meter_id ORDER BY i.start, i.meter_id"
)
# Times the floor's seconds that each file may take, and MiB that memory may grow from a tenth of the rows to all.
MOST_RATIO = {"intervals.csv": 5.0, "intervals.parquet": 6.0, "days.csv": 2.0, "focus-1.2.csv": 6.0}
MOST_GROWTH_MIB = 16.0


def main(rows: int) -> int:
    with product_stage():
        _fill(rows)
        floor_seconds = min(_read_floor() for _ in range(2))
        figures = [
            Figure(f"{rows:,} rows: raw cursor and csv.writer", rows / floor_seconds / 1_000, "k/s"),
        ]
        for kind, file_type, grain in (
            ("intervals", "csv", "hour"),
            ("intervals", "parquet", "hour"),
            ("days", "csv", "day"),
            ("focus-1.2", "csv", "hour"),
        ):
            figures += _measure(kind, file_type, grain, rows=rows, floor_seconds=floor_seconds)
        return report(figures)


def _measure(kind: str, file_type: str, grain: str, *, rows: int, floor_seconds: float) -> list[Figure]:
    from billing.exports.formats import FileType, Format, Order, write_file
    from billing.exports.lines import Grain
    from billing.exports.stream import Wanted
    from dashboard.core.periods import Period

    end = START + STEP * (rows // METERS)

    def write(until: datetime) -> int:
        wanted = Wanted(Period(START, until), grain=Grain(grain))
        order = Order(wanted, Format(kind), FileType(file_type))
        return sum(len(part) for part in write_file(order, now=end))

    name = f"{kind}.{file_type}"
    reset_peak_memory()
    write(START + STEP * (rows // METERS // 10))
    tenth = peak_memory_mib()
    reset_peak_memory()
    began = time.perf_counter()
    written = write(end)
    seconds = time.perf_counter() - began
    whole = peak_memory_mib()
    return [
        Figure(f"{name}: {written / 2**20:,.0f} MiB, intervals read", rows / seconds / 1_000, "k/s"),
        Figure(f"{name}: times the floor's seconds", seconds / floor_seconds, "x", MOST_RATIO[name]),
        Figure(f"{name}: peak memory", whole, "MiB"),
        Figure(f"{name}: more than for a tenth of the rows", whole - tenth, "MiB", MOST_GROWTH_MIB),
    ]


def _read_floor() -> float:
    from django.db import connection, transaction

    began = time.perf_counter()
    sink = io.StringIO()
    writer = csv.writer(sink)
    with transaction.atomic(), connection.connection.cursor(name="floor") as cursor:
        cursor.itersize = FETCH
        cursor.execute(FLOOR)
        for number, row in enumerate(cursor):
            writer.writerow(row)
            if number % FETCH == 0:
                sink.seek(0)
                sink.truncate()
    return time.perf_counter() - began


def _fill(rows: int) -> None:
    """Load meters, their owners and the intervals with COPY's speed: one INSERT over series."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(
            "INSERT INTO accounts_team (name, created_at)"
            " SELECT 'Team ' || n, now() FROM generate_series(1, 8) n"
        )
        cursor.execute(
            "INSERT INTO billing_meter (billing_account_id, billing_account_name, kind, remote_id, name,"
            " sub_account_id, sub_account_name, endpoint_name, model, hardware, region, creator, sku, gpu_count)"
            " SELECT 'org_bench', 'Bench', 'deployment', 'dep_' || n, 'deployment ' || n, 'proj_' || n %% 20,"
            " 'project ' || n %% 20, 'endpoint ' || n / 2, 'Qwen/Qwen3-32B', '1xnvidia-h100-80gb', 'us-central-4', '',"
            " 'v2/1xnvidia-h100-80gb', 1 FROM generate_series(1, %s) n",
            [METERS],
        )
        cursor.execute(
            "INSERT INTO billing_ownership (meter_id, team_id, team_name, owner, cost_centre, tags, source)"
            " SELECT m.id, t.id, t.name, '', 'CC-' || t.id, '{\"env\": \"prod\"}', 'manual' FROM billing_meter m"
            " JOIN accounts_team t ON t.id % 8 = m.id % 8"
        )
        cursor.execute(
            'INSERT INTO billing_meteredinterval (meter_id, start, "end", condition, state, units_low, units_high, sku,'
            " list_nano_usd_per_hour, nano_usd_per_hour, price_source, rate_low, rate_high, lump_nano_usd, rounding_us,"
            " use, source, evidence, is_settled)"
            " SELECT m.id, %s + n * %s, %s + (n + 1) * %s, 'bills', 'READY', 1 + n %% 3, 1 + n %% 3, m.sku, 5490000000,"
            " 5490000000, 'price list of the provider', 5490000000 * (1 + n %% 3), 5490000000 * (1 + n %% 3), 0, 0,"
            " CASE WHEN n %% 5 = 0 THEN 'idle' ELSE 'busy' END, 'event',"
            " 'replica ready by the event of the endpoint''s feed', TRUE"
            " FROM billing_meter m CROSS JOIN generate_series(0, %s) n",
            [START, STEP, START, STEP, rows // METERS - 1],
        )
        cursor.execute("ANALYZE")


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS))
