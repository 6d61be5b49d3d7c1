"""Files of costs over HTTP: what is offered, who gets what, and that it is sent while it is made."""

import asyncio
import csv
import io
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest
from django.test import Client

from billing.models import BilledLine
from dashboard.accounts.models import AuditEvent
from dashboard.web.costs.streaming import PART_BYTES, stream_from_thread
from tests import factories
from tests.conftest import sign_in
from tests.cost_factories import ORGANISATION, make_interval, make_meter, make_ownership

# The file is read over a connection of its own.
pytestmark = pytest.mark.django_db(transaction=True)
DAY = datetime(2026, 11, 2, tzinfo=UTC)
QUERY = "period=custom&from=2026-11-02&to=2026-11-02"


@pytest.fixture
def spend(team, other_team):
    for owner, name in ((team, "=search"), (other_team, "legal"), (None, "left-over")):
        meter = make_meter(name=name)
        if owner:
            make_ownership(meter, team=owner)
        make_interval(meter, start=DAY, end=DAY + timedelta(hours=2))


def _download(client: Client, query: str = QUERY) -> tuple[dict[str, str], bytes]:
    response = client.get(f"/costs/export/file/?{query}")
    assert response.status_code == 200
    return dict(response.headers), b"".join(response)


def _rows(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def test_the_page_offers_files_in_words_and_keeps_the_question(spend, team):
    client = sign_in(factories.make_finance())

    page = client.get(f"/costs/export/?{QUERY}&team={team.pk}&format=focus-1.4").content.decode()

    assert "2 November" in page
    assert f'<input type="hidden" name="team" value="{team.pk}">' in page
    assert 'value="focus-1.4" checked' in page
    assert "never carries an invoice id" in page
    assert "$10.80" in page


def test_a_file_has_its_name_its_rows_and_its_line_in_the_audit_trail(spend):
    person = factories.make_finance()

    headers, data = _download(sign_in(person), f"{QUERY}&format=days")

    assert headers["Content-Disposition"] == 'attachment; filename="costs-days-2026-11-02-2026-11-02.csv"'
    assert headers["Cache-Control"] == "no-store"
    assert [(row["resource"], row["team"], row["cost_usd"]) for row in _rows(data)] == [
        ("'=search", "Search", "10.8"),
        ("legal", "Legal", "10.8"),
        ("left-over", "", "10.8"),
    ]
    event = AuditEvent.objects.get(action="cost.exported")
    assert (event.actor, event.detail["file"]) == (person, "costs-days-2026-11-02-2026-11-02.csv")


@pytest.mark.parametrize(
    ("kind", "first"), [("intervals", "start"), ("focus-1.2", "BilledCost"), ("focus-1.4", "BilledCost")]
)
def test_each_kind_of_file(spend, kind, first):
    client = sign_in(factories.make_finance())

    _, as_csv = _download(client, f"{QUERY}&format={kind}")
    headers, as_parquet = _download(client, f"{QUERY}&format={kind}&file=parquet")

    assert headers["Content-Type"] == "application/vnd.apache.parquet"
    table = pq.read_table(io.BytesIO(as_parquet))
    assert table.column_names[0] == first
    assert table.num_rows == len(_rows(as_csv)) == (3 if kind == "intervals" else 6)


def test_a_team_gets_its_own_cost_alone(spend, team):
    _, data = _download(sign_in(factories.make_viewer(teams=(team,))), f"{QUERY}&format=intervals")

    assert {row["resource"] for row in _rows(data)} == {"'=search", "left-over"}


def test_filters_narrow_the_file(spend, other_team):
    _, data = _download(sign_in(factories.make_finance()), f"{QUERY}&format=days&team={other_team.pk}")

    assert [row["resource"] for row in _rows(data)] == ["legal"]


def test_what_was_billed_is_for_those_who_see_everything(team):
    BilledLine.objects.create(
        billing_account_id=ORGANISATION, granularity="day", start=DAY, end=DAY + timedelta(days=1), position=0,
        product_name="H100", quantity=2, unit_price=1, cost=2, observed_at=DAY,
    )  # fmt: skip
    query = f"{QUERY}&format=focus-1.2&basis=billed"

    refused = sign_in(factories.make_operator(teams=(team,))).get(f"/costs/export/file/?{query}")

    assert refused.status_code == 403
    assert not AuditEvent.objects.filter(action="cost.exported").exists()
    _, data = _download(sign_in(factories.make_finance()), query)
    assert [(row["BilledCost"], row["x_CostSource"], row["InvoiceId"]) for row in _rows(data)] == [
        ("2.0", "billed", "")
    ]


def test_strangers_get_nothing_and_leave_no_line(client, spend):
    response = client.get(f"/costs/export/file/?{QUERY}")

    assert response.status_code == 302
    assert not AuditEvent.objects.filter(action="cost.exported").exists()


def test_a_head_request_makes_no_file(spend):
    response = sign_in(factories.make_finance()).head(f"/costs/export/file/?{QUERY}")

    assert response.status_code == 200
    assert not AuditEvent.objects.filter(action="cost.exported").exists()


def test_nonsense_in_the_address_gives_the_usual_file(spend):
    headers, _ = _download(
        sign_in(factories.make_finance()), f"{QUERY}&format=xls&grain=week&file=zip&basis=no"
    )

    assert headers["Content-Disposition"].endswith('costs-days-2026-11-02-2026-11-02.csv"')


async def test_a_part_is_sent_while_the_next_is_made():
    gate, ended = threading.Event(), threading.Event()

    def write() -> Iterator[bytes]:
        try:
            yield b"a" * PART_BYTES
            assert gate.wait(timeout=10)
            yield b"b"
        finally:
            ended.set()

    stream = stream_from_thread(write)
    first = await anext(stream)
    assert (len(first), gate.is_set()) == (PART_BYTES, False)
    gate.set()

    assert [part async for part in stream] == [b"b"]
    assert await asyncio.to_thread(ended.wait, 10)


async def test_a_reader_who_leaves_ends_the_file():
    ended = threading.Event()

    def write() -> Iterator[bytes]:
        try:
            while True:
                yield b"a" * PART_BYTES
        finally:
            ended.set()

    stream = stream_from_thread(write)
    await anext(stream)
    await stream.aclose()

    assert await asyncio.to_thread(ended.wait, 10)


async def test_a_fault_in_the_middle_breaks_the_file_off():
    def write() -> Iterator[bytes]:
        yield b"a" * PART_BYTES
        raise OSError("the database is gone")

    stream = stream_from_thread(write)
    await anext(stream)

    with pytest.raises(OSError, match="the database is gone"):
        await anext(stream)
