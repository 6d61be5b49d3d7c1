"""Six hours of the simulated organisation: our ledger against its own bill (the month is bench/ledger.py)."""

from datetime import timedelta
from decimal import Decimal

import pytest
from pytest_django import Settings

from bench.ledger import play_and_compare

# Fifteen seconds on a machine that has nothing else to do.
pytestmark = [pytest.mark.django_db, pytest.mark.timeout(900)]


def test_six_hours_come_to_the_simulators_own_bill(settings: Settings) -> None:
    # The play points the client at its simulator; said here, the fixture puts it back.
    settings.TOGETHER_BASE_URL = settings.TOGETHER_BASE_URL

    result = play_and_compare(days=1, seed=3, day=timedelta(hours=6), most_targets=3)

    assert result.findings == []
    assert result.deployments > 10
    # With the event feed: equal, through outages of the API and of our own worker.
    assert (result.feed_off_by_cents, result.feed_largest_ticks, result.feed_unknown_us) == (0, 0, 0)
    # By polling: within half a per cent of what was seen, and each interval's bound holds the truth.
    assert result.polling_intervals > 20
    assert (result.feed_bounds_missed, result.polling_bounds_missed) == (0, 0)
    assert abs(Decimal(result.polling_error_ticks)) <= Decimal(result.polling_true_ticks) * 5 / 1000
    assert 0 < result.polling_unknown_share < 0.5
