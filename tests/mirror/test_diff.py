"""Comparing a listing with the mirror: tables of cases, and what holds for any listing."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.mirror.diff import CONFIRMED_AFTER, EMPTY_BELIEVED_AFTER, Diff, Item, Known, compare

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
IDS = st.sampled_from([f"ep_{number}" for number in range(6)])
BODIES = st.sampled_from([b"1" * 16, b"2" * 16, b"3" * 16])


def item(remote_id: str, body: bytes = b"1" * 16) -> Item:
    return Item(remote_id=remote_id, fingerprint=body)


def known(body: bytes = b"1" * 16, *, present: bool = True, missing_for: timedelta | None = None) -> Known:
    missing_since = None if missing_for is None else NOW - missing_for
    return Known(pk=1, fingerprint=body, is_present=present, missing_since=missing_since)


@st.composite
def mirrors(draw: st.DrawFn) -> dict[str, Known]:
    ages = st.one_of(st.none(), st.integers(0, 1_200).map(lambda seconds: timedelta(seconds=seconds)))
    return {
        remote_id: known(draw(BODIES), present=draw(st.booleans()), missing_for=draw(ages))
        for remote_id in draw(st.sets(IDS))
    }


listings = st.lists(st.tuples(IDS, BODIES).map(lambda pair: item(*pair)), max_size=10)


def apply(mirror: dict[str, Known], diff: Diff, *, at: datetime) -> dict[str, Known]:
    """Do to a mirror in memory what the store does to the tables."""
    after = dict(mirror)
    for one in (*diff.created, *diff.updated):
        after[one.remote_id] = Known(pk=1, fingerprint=one.fingerprint, is_present=True)
    for remote_id in diff.newly_missing:
        row = mirror[remote_id]
        after[remote_id] = Known(row.pk, row.fingerprint, is_present=True, missing_since=at)
    for remote_id in diff.absent_candidates:
        row = mirror[remote_id]
        after[remote_id] = Known(row.pk, row.fingerprint, is_present=False, missing_since=row.missing_since)
    return after


@given(mirror=mirrors(), listed=listings, is_complete=st.booleans())
def test_applied_diff_says_of_everything_listed_what_the_listing_says(mirror, listed, is_complete):
    after = apply(mirror, compare(mirror, listed, is_complete=is_complete, now=NOW), at=NOW)

    latest = {one.remote_id: one.fingerprint for one in listed}
    assert {remote_id: after[remote_id].fingerprint for remote_id in latest} == latest
    assert all(after[remote_id].is_present and after[remote_id].missing_since is None for remote_id in latest)


@given(mirror=mirrors(), listed=listings, is_complete=st.booleans())
def test_a_second_look_at_the_same_listing_finds_nothing_to_write(mirror, listed, is_complete):
    after = apply(mirror, compare(mirror, listed, is_complete=is_complete, now=NOW), at=NOW)

    again = compare(after, listed, is_complete=is_complete, now=NOW)

    assert again.is_empty
    assert again.unchanged == len({one.remote_id for one in listed})


@given(mirror=mirrors(), listed=listings)
def test_an_incomplete_listing_never_finds_anything_missing(mirror, listed):
    diff = compare(mirror, listed, is_complete=False, now=NOW)

    assert (diff.newly_missing, diff.absent_candidates) == ([], [])


@given(mirror=mirrors(), listed=listings, is_complete=st.booleans())
def test_nothing_becomes_absent_that_was_not_missing_long_enough(mirror, listed, is_complete):
    diff = compare(mirror, listed, is_complete=is_complete, now=NOW)

    for remote_id in diff.absent_candidates:
        row = mirror[remote_id]
        assert row.is_present
        assert row.missing_since is not None
        assert NOW - row.missing_since >= CONFIRMED_AFTER
    assert not {one.remote_id for one in listed} & {*diff.newly_missing, *diff.absent_candidates}


@pytest.mark.parametrize(
    ("missing_for", "newly", "absent"),
    [
        (None, ["ep_2"], []),
        (timedelta(seconds=5), [], []),
        (CONFIRMED_AFTER - timedelta(microseconds=1), [], []),
        (CONFIRMED_AFTER, [], ["ep_2"]),
        (timedelta(days=3), [], ["ep_2"]),
    ],
)
def test_what_is_missing_needs_a_second_look_some_time_later(missing_for, newly, absent):
    mirror = {"ep_1": known(), "ep_2": known(missing_for=missing_for)}

    diff = compare(mirror, [item("ep_1")], is_complete=True, now=NOW)

    assert (diff.newly_missing, diff.absent_candidates) == (newly, absent)


@pytest.mark.parametrize(
    ("missing_for", "absent"),
    [(CONFIRMED_AFTER, []), (EMPTY_BELIEVED_AFTER, ["ep_1", "ep_2"])],
)
def test_a_suddenly_empty_listing_is_believed_only_after_long(missing_for, absent):
    mirror = {"ep_1": known(missing_for=missing_for), "ep_2": known(missing_for=missing_for)}

    diff = compare(mirror, [], is_complete=True, now=NOW)

    assert diff.is_suspicious
    assert diff.absent_candidates == absent


def test_an_emptied_listing_is_believed_of_all_or_of_none():
    mirror = {"ep_1": known(missing_for=timedelta(minutes=2)), "ep_2": known(missing_for=timedelta(days=1))}

    diff = compare(mirror, [], is_complete=True, now=NOW)

    assert diff.is_suspicious
    assert diff.absent_candidates == []


def test_the_last_one_to_go_leaves_no_suspicion_behind():
    mirror = {"ep_1": known(missing_for=CONFIRMED_AFTER), "ep_2": known(present=False)}

    diff = compare(mirror, [], is_complete=True, now=NOW)

    assert not diff.is_suspicious
    assert diff.absent_candidates == ["ep_1"]


def test_an_absent_row_that_is_listed_again_is_an_update_though_its_body_is_the_same():
    diff = compare({"ep_1": known(present=False)}, [item("ep_1")], is_complete=True, now=NOW)

    assert [one.remote_id for one in diff.updated] == ["ep_1"]


def test_the_last_of_two_sightings_of_one_item_counts():
    diff = compare({}, [item("ep_1", b"1" * 16), item("ep_1", b"2" * 16)], is_complete=True, now=NOW)

    assert [one.fingerprint for one in diff.created] == [b"2" * 16]
