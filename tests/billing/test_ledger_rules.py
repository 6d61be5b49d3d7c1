"""What the database itself refuses: overlapping intervals, and any change of what is posted."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection, transaction

from billing.models import LedgerEntry, MeteredInterval
from tests import cost_factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


def test_two_intervals_of_a_meter_cannot_overlap() -> None:
    meter = cost_factories.make_meter()
    cost_factories.make_interval(meter, start=NOW, end=NOW + timedelta(hours=2))

    with pytest.raises(IntegrityError, match="metered_interval_no_overlap"), transaction.atomic():
        cost_factories.make_interval(meter, start=NOW + timedelta(hours=1), end=None)

    assert MeteredInterval.objects.count() == 1


def test_intervals_may_touch_and_those_of_another_meter_may_run_beside() -> None:
    meter, other = cost_factories.make_meter(), cost_factories.make_meter()
    cost_factories.make_interval(meter, start=NOW, end=NOW + timedelta(hours=2))

    cost_factories.make_interval(meter, start=NOW + timedelta(hours=2), end=None)
    cost_factories.make_interval(other, start=NOW, end=None)

    assert MeteredInterval.objects.count() == 3


@pytest.mark.parametrize(
    "change",
    ["UPDATE billing_ledgerentry SET reason = 'forged'", "DELETE FROM billing_ledgerentry"],
)
def test_a_posting_can_neither_be_changed_nor_deleted(change: str) -> None:
    LedgerEntry.objects.create(
        meter=cost_factories.make_meter(),
        kind=LedgerEntry.Kind.CHARGE,
        key="k",
        start=NOW,
        end=NOW + timedelta(hours=1),
        condition="bills",
        source="event",
    )

    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(change)

    assert LedgerEntry.objects.get().reason == ""


def test_a_reversal_names_what_it_takes_back() -> None:
    meter = cost_factories.make_meter()

    with pytest.raises(IntegrityError, match="ledger_entry_reversal"), transaction.atomic():
        LedgerEntry.objects.create(
            meter=meter, kind=LedgerEntry.Kind.REVERSAL, key="k", start=NOW, condition="bills", source="event"
        )
