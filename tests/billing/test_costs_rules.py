"""What reading costs leans on, refused by the database otherwise."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError, transaction

from billing.models import MeteredInterval
from tests.cost_factories import make_interval, make_meter

pytestmark = pytest.mark.django_db

START = datetime(2026, 11, 10, 18, tzinfo=UTC)
DAY = timedelta(days=1)


def test_what_bills_is_no_longer_than_a_day() -> None:
    meter = make_meter()

    with pytest.raises(IntegrityError, match="metered_interval_within_a_day"), transaction.atomic():
        make_interval(meter, start=START, end=START + DAY + timedelta(microseconds=1))
    make_interval(meter, start=START, end=START + DAY)

    assert MeteredInterval.objects.count() == 1


@pytest.mark.parametrize("condition", ["free", "unknown"])
def test_what_does_not_bill_may_be_longer(condition: str) -> None:
    make_interval(make_meter(), start=START, end=START + 90 * DAY, condition=condition)

    assert MeteredInterval.objects.count() == 1
