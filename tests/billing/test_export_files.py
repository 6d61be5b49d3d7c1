"""How lines become cells: formulas, numbers, times, files in parts. Pure."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.exports import columns, focus
from billing.exports.csv_file import ROWS_PER_PART, format_cell, format_focus_cell, neutralise, write_csv
from billing.exports.focus import FocusVersion
from billing.exports.lines import TICKS_PER_DOLLAR, Line, to_dollars, to_text
from billing.exports.parquet_file import write_parquet
from billing.exports.segments import ClosedMonth, Segment, cut_segments
from dashboard.core.periods import Period

AT = datetime(2026, 11, 2, 9, tzinfo=UTC)
RATE = 5_490_000_000


def make_line(**fields) -> Line:
    defaults = dict.fromkeys(Line._fields, "") | {
        "start": AT,
        "end": AT + timedelta(hours=1),
        "account_id": "org_1",
        "kind": "deployment",
        "remote_id": "dep_1",
        "name": "support-bot",
        "gpu_count": 1,
        "tags": "{}",
        "sku": "v2/1xnvidia-h100-80gb",
        "condition": "bills",
        "use": "busy",
        "list_nano": RATE,
        "nano": RATE,
        "lump_count": 0,
        "unit_us_low": Decimal(3_600_000_000),
        "unit_us_high": Decimal(3_600_000_000),
        "ticks_low": RATE * Decimal(3_600_000_000),
        "ticks_high": RATE * Decimal(3_600_000_000),
        "list_ticks": RATE * Decimal(3_600_000_000),
        "unpriced_us": Decimal(0),
        "unknown_us": Decimal(0),
        "told_at": None,
        "is_settled": True,
        "quantity": None,
        "unit_price": None,
    }
    return Line(**(defaults | fields))


def _focus(version: FocusVersion = FocusVersion.V1_2, **fields) -> dict[str, object]:
    return dict(
        zip(focus.COLUMNS[version], focus.map_line(make_line(**fields), version=version), strict=True)
    )


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+49 30", "'+49 30"),
        ("-prod", "'-prod"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\tx", "'\tx"),
        ("\rx", "'\rx"),
        ("prod-1", "prod-1"),
        ("", ""),
        ("'=1", "'=1"),
    ],
)
def test_text_that_begins_like_a_formula_gets_an_apostrophe(text, cell):
    assert neutralise(text) == format_cell(text) == cell


@pytest.mark.parametrize(
    ("value", "plain", "in_focus"),
    [
        (Decimal("-0.5"), "-0.5", "-0.5"),
        (Decimal("1E+3"), "1000", "1000.0"),
        (Decimal(48), "48", "48.0"),
        (Decimal("0.000000000001"), "0.000000000001", "0.000000000001"),
        (Decimal("5.490000000000"), "5.49", "5.49"),
        (None, "", ""),
        (True, "true", "true"),
        (AT, "2026-11-02T09:00:00Z", "2026-11-02T09:00:00Z"),
    ],
)
def test_numbers_stay_numbers(value, plain, in_focus):
    assert (format_cell(value), format_focus_cell(value)) == (plain, in_focus)


@given(st.text(), st.text())
def test_no_cell_of_text_begins_like_a_formula_and_text_survives(first, second):
    data = b"".join(write_csv(["a", "b"], [[first, second]])).decode()

    cells = list(csv.reader(io.StringIO(data, newline="")))[1]
    for cell, text in zip(cells, (first, second), strict=True):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
        assert cell.removeprefix("'") == text.removeprefix("'")


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12, min_value=-(10**20), max_value=10**20))
def test_a_number_reads_back_as_it_was(number):
    assert Decimal(to_text(number)) == number
    assert Decimal(format_focus_cell(number)) == number


@given(st.integers(min_value=-(10**26), max_value=10**26))
def test_dollars_are_off_by_half_of_the_last_place_at_most(ticks):
    dollars = to_dollars(Decimal(ticks))

    assert abs(dollars * TICKS_PER_DOLLAR - ticks) <= TICKS_PER_DOLLAR * Decimal("5e-13")


def test_csv_comes_in_parts():
    parts = write_csv(["n"], ([Decimal(number)] for number in range(ROWS_PER_PART * 2 + 1)))

    assert next(parts) == b"n\r\n"
    assert [part.count(b"\r\n") for part in parts] == [ROWS_PER_PART, ROWS_PER_PART, 1]


def test_parquet_keeps_types_and_every_digit(tmp_path):
    line = make_line(ticks_low=Decimal(RATE * 1234567), evidence="=1+1")

    parts = write_parquet(
        list(columns.COLUMNS),
        [columns.map_line(line)] * 3,
        numbers=columns.NUMBERS,
        times=columns.TIMES,
        flags=columns.FLAGS,
    )
    (tmp_path / "file.parquet").write_bytes(b"".join(parts))

    rows = pq.read_table(tmp_path / "file.parquet").to_pylist()
    assert len(rows) == 3
    assert rows[0]["start"] == AT
    assert rows[0]["cost_ticks"] == RATE * 1234567
    assert rows[0]["price_usd"] == Decimal("5.49")
    assert rows[0]["is_settled"] is True
    # No spreadsheet opens it: text stays as it is.
    assert rows[0]["evidence"] == "=1+1"


GOLDEN_1_2 = (
    "BilledCost BillingAccountId BillingAccountName BillingAccountType BillingCurrency BillingPeriodEnd"
    " BillingPeriodStart ChargeCategory ChargeClass ChargeDescription ChargeFrequency ChargePeriodEnd"
    " ChargePeriodStart CommitmentDiscountCategory CommitmentDiscountId CommitmentDiscountName"
    " CommitmentDiscountStatus CommitmentDiscountType ConsumedQuantity ConsumedUnit ContractedCost"
    " ContractedUnitPrice EffectiveCost InvoiceId InvoiceIssuerName ListCost ListUnitPrice PricingCategory"
    " PricingCurrency PricingCurrencyContractedUnitPrice PricingCurrencyEffectiveCost PricingCurrencyListUnitPrice"
    " PricingQuantity PricingUnit ProviderName PublisherName RegionId RegionName ResourceId ResourceName ResourceType"
    " ServiceCategory ServiceName ServiceSubcategory SkuId SkuMeter SkuPriceDetails SkuPriceId SubAccountId"
    " SubAccountName SubAccountType Tags x_CostSource x_CostUpperBound x_Use x_AppliedCredit"
)
GOLDEN_1_4 = (
    "BilledCost BillingAccountId BillingAccountName BillingAccountType BillingCurrency BillingPeriodEnd"
    " BillingPeriodStart ChargeCategory ChargeClass ChargeDescription ChargeFrequency ChargePeriodEnd"
    " ChargePeriodStart ConsumedQuantity ConsumedUnit ContractedCost ContractedUnitPrice EffectiveCost HostProviderName"
    " InvoiceDetailId InvoiceId InvoiceIssuerName ListCost ListUnitPrice PricingCategory PricingQuantity PricingUnit"
    " RegionId RegionName ResourceId ResourceName ResourceType ServiceCategory ServiceName ServiceProviderName"
    " ServiceSubcategory SkuId SkuMeter SkuPriceDetails SkuPriceId SubAccountId SubAccountName SubAccountType Tags"
    " x_CostSource x_CostUpperBound x_Use x_AppliedCredit"
)


def test_the_heads_of_focus_files():
    assert " ".join(focus.COLUMNS[FocusVersion.V1_2]) == GOLDEN_1_2
    assert " ".join(focus.COLUMNS[FocusVersion.V1_4]) == GOLDEN_1_4


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, {"BilledCost": Decimal("5.49"), "PricingUnit": "Hours", "ChargeClass": None, "InvoiceId": None}),
        ({"told_at": AT + timedelta(days=40)}, {"ChargeClass": "Correction", "ChargePeriodStart": AT}),
        (
            {"told_at": AT + timedelta(days=40)},
            {
                "BillingPeriodStart": datetime(2026, 12, 1, tzinfo=UTC),
                "BillingPeriodEnd": datetime(2027, 1, 1, tzinfo=UTC),
            },
        ),
        ({"kind": "cluster"}, {"ServiceCategory": "Compute", "ServiceName": "GPU Clusters"}),
        ({"kind": "from-tomorrow"}, {"ServiceSubcategory": "Other (AI and Machine Learning)"}),
        (
            {"kind": "cluster", "lump_count": 1, "nano": 7, "list_nano": 7},
            {"ChargeFrequency": "One-Time", "PricingCategory": "Committed", "PricingUnit": "Charges"},
        ),
        ({"use": "idle"}, {"ChargeDescription": "support-bot running without requests", "x_Use": "idle"}),
        (
            {"product": "Credit", "ticks_low": Decimal(-1), "quantity": None},
            {
                "ChargeCategory": "Credit",
                "SkuPriceId": None,
                "PricingQuantity": None,
                "x_CostSource": "billed",
            },
        ),
        (
            {"tags": '{"team": "given"}', "team": "Search", "owner": "Ines"},
            {"Tags": '{"owner": "Ines", "team": "given"}'},
        ),
        ({"project_id": "proj_1"}, {"SubAccountId": "proj_1", "SubAccountType": "Project"}),
        ({}, {"SubAccountId": None, "SubAccountType": None}),
        (
            {"nano": 4_941_000_000},
            {"ListUnitPrice": Decimal("5.49"), "ContractedUnitPrice": Decimal("4.941")},
        ),
    ],
)
def test_a_line_in_words_of_focus(fields, told):
    row = _focus(**fields)

    assert {name: row[name] for name in told} == told


@pytest.mark.parametrize(
    ("fields", "is_told"),
    [({}, True), ({"nano": None}, False), ({"nano": None, "product": "H100"}, True), ({"nano": 0}, True)],
)
def test_what_nobody_can_tell_has_no_row(fields, is_told):
    assert focus.is_told(make_line(**fields)) is is_told


def test_segments_cover_the_period_in_order():
    month = Period(AT, AT + timedelta(days=30))
    closed = [ClosedMonth(AT.date(), month, AT + timedelta(days=33))]
    period = Period(AT - timedelta(days=2), AT + timedelta(days=40))

    assert cut_segments(period, closed=closed) == [
        Segment(period.start, month.start),
        Segment(month.start, month.end, AT + timedelta(days=33)),
        Segment(month.end, period.end),
    ]


@given(
    st.lists(st.integers(min_value=0, max_value=40), min_size=2, max_size=8, unique=True).map(sorted),
    st.tuples(st.integers(min_value=0, max_value=40), st.integers(min_value=0, max_value=40)).map(sorted),
)
def test_segments_are_a_partition(edges, bounds):
    at = [AT + timedelta(days=edge) for edge in edges]
    closed = [
        ClosedMonth(first.date(), Period(first, second), second)
        for first, second in zip(at[::2], at[1::2], strict=False)
    ]
    period = Period(AT + timedelta(days=bounds[0]), AT + timedelta(days=bounds[1]))

    parts = cut_segments(period, closed=closed)

    assert sum((part.end - part.start for part in parts), timedelta()) == period.duration
    assert all(one.end == other.start for one, other in pairwise(parts))
    assert all(part.start < part.end for part in parts)
