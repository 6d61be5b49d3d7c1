"""Pages that come again: what is known of them without decoding, and that it is what decoding says."""

from typing import Any

import httpx
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.together_api import page_memory
from dashboard.together_api.page_memory import RememberedPage, Sighting, key_of, recall, remember
from dashboard.together_api.payloads import Cluster, Endpoint, Volume
from tests.together_api.api_doubles import answering, client_for, listing

FILLER = "x" * page_memory.LEAST_BYTES


@pytest.fixture(autouse=True)
def _nothing_is_remembered() -> None:
    page_memory.forget_all()


def endpoints(*names: str) -> list[dict[str, str]]:
    return [{"id": name, "name": FILLER} for name in names]


def read_twice(*answers: httpx.Response) -> tuple[Any, Any]:
    """Return the listings of two walks over the same answers; the first has looked at every entry."""
    first = client_for(answering(*answers)).list_endpoints("p")
    list(first.sightings)
    return first, client_for(answering(*answers)).list_endpoints("p")


def test_pages_that_come_again_are_told_without_decoding_them(monkeypatch: pytest.MonkeyPatch):
    answers = listing(endpoints("a", "b"), "c1"), listing(endpoints("c"), "")
    first, _ = read_twice(*answers)
    monkeypatch.setattr(orjson, "loads", lambda body: pytest.fail("decoded"))

    again = client_for(answering(*answers)).list_endpoints("p")

    assert [identity for identity, _ in again.sightings] == ["a", "b", "c"]
    assert list(again.sightings) == list(first.sightings)
    assert (again.complete, again.page_count, again.count) == (True, 2, 3)


def test_a_page_that_comes_again_has_the_entries_it_had():
    first, again = read_twice(listing(endpoints("a", "b"), "c1"), listing(endpoints("b", "c"), ""))

    assert again.entries == first.entries
    assert again.find("b") == {"id": "b", "name": FILLER}
    assert [item.id for item in again.items] == ["a", "b", "c"]


def test_one_changed_entry_is_the_only_one_that_looks_different():
    _, before = read_twice(listing(endpoints("a", "b")))

    after = client_for(answering(listing([{"id": "a", "name": FILLER}, {"id": "b"}]))).list_endpoints("p")

    old, new = dict(before.sightings), dict(after.sightings)
    assert {name for name in new if new[name] != old[name]} == {"b"}


def test_a_remembered_page_in_a_loop_still_ends_the_walk_as_incomplete():
    _, again = read_twice(listing(endpoints("a"), "c1"), listing(endpoints("a"), "c2"))

    assert not again.complete
    assert "paging loop" in (again.incomplete_reason or "")


def test_entries_without_an_identity_make_a_remembered_listing_incomplete_too():
    _, again = read_twice(listing([*endpoints("a"), {"name": "nobody"}, 7]))

    assert (again.complete, again.incomplete_reason) == (False, "2 entries have no id.")
    assert again.anonymous_entries == ({"name": "nobody"}, 7)


def test_a_secret_in_a_remembered_page_is_dropped_when_it_is_decoded_after_all():
    body = [{"id": "a", "name": FILLER, "hf_token": "canary"}]
    _, again = read_twice(listing(body))

    assert again.find("a") == {"id": "a", "name": FILLER}


def test_the_same_body_means_something_else_to_another_class():
    body = FILLER.encode()

    assert len({key_of(model, body) for model in (Cluster, Endpoint, Volume)}) == 3


def test_small_bodies_are_not_remembered():
    assert key_of(Endpoint, b"{}") is None
    assert recall(None) is None


@given(counts=st.lists(st.integers(0, page_memory.MOST_ENTRIES // 2), min_size=1, max_size=12))
def test_memory_is_bounded_by_entries_and_forgets_the_oldest_first(counts: list[int]):
    page_memory.forget_all()
    keys = [key_of(Endpoint, FILLER.encode() + bytes([place])) for place in range(len(counts))]
    sighting = Sighting("a", b"1" * 16)

    for key, count in zip(keys, counts, strict=True):
        assert key is not None
        remember(key, RememberedPage((sighting,) * count, None, {}))

    kept = [recall(key) is not None for key in keys]
    assert (
        sum(count for count, is_kept in zip(counts, kept, strict=True) if is_kept) <= page_memory.MOST_ENTRIES
    )
    assert kept == sorted(kept), "what was remembered last is kept"
    assert kept[-1]
