"""FOCUS files as the independent validators see them: ours pass, files broken on purpose do not."""

import csv
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from billing.exports.formats import Format, Order, write_file
from billing.exports.lines import Basis, Grain
from billing.exports.stream import Wanted
from billing.models import BilledLine, Condition, LedgerEntry, MeteredInterval, MeterKind, Statement, Use
from dashboard.core.periods import Period
from tests import factories
from tests.billing.focus_validators import find_faults_1_2, lint_1_4
from tests.cost_factories import ORGANISATION, make_interval, make_meter, make_ownership

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(300)]
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
OCTOBER = datetime(2026, 10, 1, tzinfo=UTC)
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
H200 = 5_490_000_000


@pytest.fixture
def spend(team) -> None:
    """Every kind of line: discounts, idle, replicas between bounds, lumps, unpriced, unknown, corrected, unowned."""
    deployment = factories.make_deployment()
    endpoint = make_meter(
        deployment=deployment, gpu_count=1, region="us-central-4", billing_account_name="Acme"
    )
    make_ownership(
        endpoint, team=team, owner="Ines", cost_centre="CC-7", tags={"env": "prod", "formula": "=1+1"}
    )
    day = NOVEMBER + timedelta(days=3)
    make_interval(
        endpoint, start=day, end=day + timedelta(minutes=77), units=3, nano_usd_per_hour=H200 * 9 // 10,
        list_nano_usd_per_hour=H200, rounding_us=345_678,
    )  # fmt: skip
    make_interval(endpoint, start=day + timedelta(hours=2), end=day + timedelta(hours=3.1), use=Use.IDLE)
    make_interval(
        endpoint, start=day + timedelta(hours=4), end=day + timedelta(hours=5), nano_usd_per_hour=None
    )
    make_interval(
        endpoint, start=day + timedelta(hours=6), end=day + timedelta(hours=9), units=0, condition=Condition.UNKNOWN,
        nano_usd_per_hour=None,
    )  # fmt: skip
    ranged = make_meter(kind=MeterKind.DEPLOYMENT, remote_id="endpoint-1", name="@v1 endpoint", sku="v1/h100")
    make_interval(ranged, start=day, end=day + timedelta(hours=1), units_high=2, rate_high=2 * 5_400_000_000)
    for kind in (
        MeterKind.FINE_TUNE,
        MeterKind.CLUSTER,
        MeterKind.SERVERLESS,
        MeterKind.VOLUME,
        MeterKind.OTHER,
    ):
        meter = make_meter(kind=kind, sku="" if kind == MeterKind.OTHER else f"{kind}/x")
        make_interval(
            meter, start=day, end=day + timedelta(microseconds=1), units=0, nano_usd_per_hour=None,
            lump_nano_usd=4_120_000_001,
        )  # fmt: skip
    _correct_october(endpoint)


def _correct_october(meter) -> None:
    """Close October, then take back an hour of it and post it at another price."""
    hour = OCTOBER + timedelta(days=5, hours=3)
    first = make_interval(meter, start=hour, end=hour + timedelta(hours=1))
    columns = {
        field.attname: getattr(first, field.attname)
        for field in MeteredInterval._meta.concrete_fields
        if field.name not in {"id", "is_settled"}
    }
    charge = LedgerEntry.objects.create(
        **columns, kind="charge", key="a", posted_at=hour + timedelta(hours=2)
    )
    Statement.objects.create(
        month=OCTOBER.date(),
        zone="UTC",
        team_key="",
        team_name="",
        body={},
        sha256="",
        posted_until=NOVEMBER + timedelta(days=1),
    )
    late = NOVEMBER + timedelta(days=8)
    LedgerEntry.objects.create(
        **columns, kind="reversal", key="b", reverses=charge, reason="price told late", posted_at=late
    )
    columns |= {
        "nano_usd_per_hour": H200,
        "list_nano_usd_per_hour": H200,
        "rate_low": H200,
        "rate_high": H200,
    }
    LedgerEntry.objects.create(
        **columns, kind="correction", key="c", reason="price told late", posted_at=late
    )
    MeteredInterval.objects.filter(pk=first.pk).update(
        **dict.fromkeys(("nano_usd_per_hour", "list_nano_usd_per_hour", "rate_low", "rate_high"), H200)
    )


@pytest.fixture
def bill(team) -> None:
    meter = make_meter(kind=MeterKind.DEPLOYMENT, remote_id="dep_3XvT1", name="support-bot")
    make_ownership(meter, team=team)
    for number, (cost, extra) in enumerate(
        [
            ("263.52", {}),
            ("-10.5", {"quantity": None, "unit_price": None}),
            ("0.000000000001", {"meter": None}),
        ]
    ):
        BilledLine.objects.create(
            **{
                "billing_account_id": ORGANISATION,
                "granularity": "day",
                "start": NOVEMBER + timedelta(days=number),
                "end": NOVEMBER + timedelta(days=number + 1),
                "position": 0,
                "product_name": "Dedicated Inference - H100",
                "quantity": Decimal(48),
                "unit_price": Decimal(cost) / 48 if number == 0 else Decimal(0),
                "cost": Decimal(cost),
                "credit": "PREPAID",
                "meter": meter,
                "observed_at": NOW,
            }
            | extra
        )


def _write(folder: Path, kind: Format, *, basis: Basis, grain: Grain = Grain.HOUR) -> Path:
    wanted = Wanted(Period(OCTOBER, NOW), basis=basis, grain=grain)
    file = folder / "export.csv"
    file.write_bytes(b"".join(write_file(Order(wanted, kind), now=NOW)))
    return file


@pytest.mark.parametrize("grain", [Grain.HOUR, Grain.DAY])
def test_our_estimate_passes_the_validator_of_1_2(tmp_path, spend, grain):
    file = _write(tmp_path, Format.FOCUS_1_2, basis=Basis.ESTIMATE, grain=grain)

    assert find_faults_1_2(file, folder=tmp_path) == set()


def test_the_billed_dataset_passes_the_validator_of_1_2(tmp_path, bill):
    file = _write(tmp_path, Format.FOCUS_1_2, basis=Basis.BILLED)

    assert find_faults_1_2(file, folder=tmp_path) == set()


@pytest.mark.parametrize("basis", list(Basis))
def test_our_files_pass_the_linter_of_1_4(tmp_path, spend, bill, basis):
    file = _write(tmp_path, Format.FOCUS_1_4, basis=basis)

    status, words = lint_1_4(file, folder=tmp_path)

    assert (status, "STRUCTURAL_VALID, SEMANTIC_VALID" in words) == (0, True), words


def _break(file: Path, change: Callable[[dict[str, str]], dict[str, str]]) -> None:
    with file.open(newline="") as source:
        rows = list(csv.DictReader(source))
    with file.open("w", newline="") as target:
        broken = [change(row) for row in rows]
        writer = csv.DictWriter(target, list(broken[0]))
        writer.writeheader()
        writer.writerows(broken)


def _without(row: dict[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in row.items() if name not in names}


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        pytest.param(lambda row: _without(row, "BilledCost"), "BilledCost-C-000", id="no-cost"),
        pytest.param(lambda row: row | {"ChargeCategory": "Compute"}, "ChargeCategory-C-003", id="category"),
        pytest.param(
            lambda row: row | {"BillingCurrency": "Dollars"}, "BillingCurrency-C-003", id="currency"
        ),
        pytest.param(
            lambda row: row | {"ChargePeriodStart": "yesterday"},
            "ChargePeriodStart-C-001",
            id="time",
        ),
    ],
)
def test_a_file_broken_on_purpose_fails_the_validator_of_1_2(tmp_path, spend, change, rule):
    file = _write(tmp_path, Format.FOCUS_1_2, basis=Basis.ESTIMATE, grain=Grain.DAY)
    _break(file, change)

    assert rule in find_faults_1_2(file, folder=tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda row: _without(row, "ServiceProviderName"), id="no-provider"),
        pytest.param(lambda row: row | {"ListUnitPrice": "7.5"}, id="price-times-quantity"),
        pytest.param(lambda row: row | {"BilledCost": "$1.00"}, id="currency-sign"),
    ],
)
def test_a_file_broken_on_purpose_fails_the_linter_of_1_4(tmp_path, spend, change):
    file = _write(tmp_path, Format.FOCUS_1_4, basis=Basis.ESTIMATE, grain=Grain.DAY)
    _break(file, change)

    status, words = lint_1_4(file, folder=tmp_path)

    assert (status, "violation(s)" in words) == (1, True)


def test_a_closed_month_keeps_its_rows_and_gets_corrections(tmp_path, spend):
    file = _write(tmp_path, Format.FOCUS_1_2, basis=Basis.ESTIMATE)

    with file.open(newline="") as source:
        october = [row for row in csv.DictReader(source) if row["ChargePeriodStart"].startswith("2026-10")]

    told = [
        (row["ChargeClass"], row["BillingPeriodStart"][:7], Decimal(row["BilledCost"])) for row in october
    ]
    assert told == [
        ("", "2026-10", Decimal("5.4")),
        ("Correction", "2026-11", Decimal("-5.4")),
        ("Correction", "2026-11", Decimal("5.49")),
    ]


def test_no_row_carries_an_invoice_and_what_nobody_can_tell_is_left_out(tmp_path, spend):
    file = _write(tmp_path, Format.FOCUS_1_2, basis=Basis.ESTIMATE)

    with file.open(newline="") as source:
        rows = list(csv.DictReader(source))

    assert {row["InvoiceId"] for row in rows} == {""}
    hours = {row["ChargePeriodStart"] for row in rows if row["ResourceName"] == "primary"}
    assert not any(hour.startswith(("2026-11-04T04", "2026-11-04T07")) for hour in hours)
