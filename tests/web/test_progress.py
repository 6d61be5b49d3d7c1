"""How far a job is, in words: what is told comes first, what is reckoned says so, what is not known stays unknown."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.core import status
from dashboard.web.resources.progress import Progress, Told, describe_progress
from tests.factories import NOW

HOUR = timedelta(hours=1)


def told(**changes: Any) -> Told:
    defaults: dict[str, Any] = {
        "share": None, "seconds_remaining": None, "created_at": NOW - 2 * HOUR, "started_at": NOW - HOUR,
        "finished_at": None, "expires_at": None, "observed_at": NOW,
    }  # fmt: skip
    return Told(**(defaults | changes))


@pytest.mark.parametrize(
    ("given_", "meaning", "words", "percent"),
    [
        (told(share=0.62, seconds_remaining=4800), status.WORKING, "62%, about 1 h 20 min left", 62),
        (told(seconds_remaining=3600), status.WORKING, "about 50% of this stage, about 1 h 00 min left", 50),
        # A quarter in an hour: three more.
        (told(share=0.25), status.WORKING, "25%, about 3 h 00 min left", 25),
        # Too little to know the pace.
        (told(share=0.01), status.WORKING, "1%", 1),
        (told(seconds_remaining=60, observed_at=NOW - HOUR / 2), status.WORKING,
         "about 99% of this stage, longer than expected", 99),
        (told(), status.WORKING, "for 1 h 00 min", 0),
        (told(started_at=None, created_at=None), status.WORKING, "under way", 0),
        (told(started_at=None), status.QUEUED, "queued for 2 h 00 min", 0),
        (told(created_at=None), status.QUEUED, "queued", 0),
        (told(share=1.0, finished_at=NOW), status.COMPLETED, "took 2 h 00 min", 100),
        (told(share=0.4, finished_at=NOW), status.FAILED, "after 2 h 00 min", 40),
        (told(), status.CANCELLED, "", 0),
        (told(share=0.999, seconds_remaining=1), status.WORKING, "99%, about 1 s left", 99),
    ],
)  # fmt: skip
def test_words_and_share(given_: Told, meaning: status.Status, words: str, percent: int):
    found = describe_progress(given_, meaning=meaning, now=NOW)

    assert (found.words, found.percent) == (words, percent)


@pytest.mark.parametrize(
    ("expires", "due"),
    [(NOW + 20 * HOUR, "due in 20 h 00 min"), (NOW - HOUR, "was due 1 h ago"), (None, "")],
)
def test_a_deadline_is_said_while_it_matters(expires: Any, due: str):
    assert describe_progress(told(expires_at=expires), meaning=status.WORKING, now=NOW).due == due
    assert describe_progress(told(expires_at=expires), meaning=status.COMPLETED, now=NOW).due == ""


def test_what_is_reckoned_says_so():
    assert (
        describe_progress(told(share=0.5), meaning=status.WORKING, now=NOW).title
        == "Reckoned from its pace so far"
    )
    assert "provider" in describe_progress(told(seconds_remaining=9), meaning=status.WORKING, now=NOW).title


times = st.none() | st.datetimes(
    min_value=(NOW - 100 * HOUR).replace(tzinfo=None), max_value=(NOW + 100 * HOUR).replace(tzinfo=None),
    timezones=st.just(NOW.tzinfo),
)  # fmt: skip


@given(
    share=st.none() | st.floats(0, 1),
    seconds=st.none() | st.integers(0, 10**9),
    created=times,
    started=times,
    finished=times,
    expires=times,
    observed=times.filter(bool),
    meaning=st.sampled_from(status.ALL),
)
def test_nothing_is_full_before_it_is_done_and_nothing_breaks(
    share, seconds, created, started, finished, expires, observed, meaning
):
    one = Told(share, seconds, created, started, finished, expires, observed)

    found = describe_progress(one, meaning=meaning, now=NOW)

    assert found.share is None or 0 <= found.share <= 1
    assert (found.percent == 100) <= (share == 1)


def test_a_share_is_cut_not_rounded_up():
    assert Progress(share=0.9999, words="").percent == 99
