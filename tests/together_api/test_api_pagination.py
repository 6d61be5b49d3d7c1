"""Cursor lists that end, loop, break and repeat themselves (contract 1.4, faults 5 and 6)."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.together_api.calls.v2 import walk_events
from dashboard.together_api.errors import AuthenticationError, MalformedResponseError, ServerError
from dashboard.together_api.pagination import PageWalk, collect
from dashboard.together_api.payloads import Endpoint
from dashboard.together_api.requests import ApiCall
from tests.together_api.api_doubles import answering, async_client_for, client_for, error_answer, listing


def endpoints(*names: str) -> list[dict[str, str]]:
    return [{"id": name} for name in names]


def test_pages_are_walked_to_the_empty_cursor_with_the_same_filters():
    provider = answering(listing(endpoints("a", "b"), "c1"), listing(endpoints("c"), ""))

    result = client_for(provider).list_endpoints("p", order_by="created_at")

    assert [item.id for item in result.items] == ["a", "b", "c"]
    assert (result.complete, result.page_count, result.incomplete_reason) == (True, 2, None)
    first, second = provider.requests
    assert second.url.params["after"] == "c1"
    assert second.url.params["orderBy"] == first.url.params["orderBy"] == "created_at"


@pytest.mark.parametrize("cursor", [None, ""])
def test_null_and_empty_cursors_end_the_list(cursor):
    assert client_for(answering(listing(endpoints("a"), cursor))).list_endpoints("p").complete


def test_an_absent_cursor_ends_the_list():
    assert client_for(answering(httpx.Response(200, json={"data": []}))).list_endpoints("p").complete


LOOPS = [
    ("same cursor", [listing(endpoints("a"), "c1"), listing(endpoints("b"), "c1")]),
    ("same page again", [listing(endpoints("a", "b"), "c1"), listing(endpoints("a", "b"), "c2")]),
    (
        "cycle of two",
        [listing(endpoints("a"), "c1"), listing(endpoints("b"), "c2"), listing(endpoints("c"), "c1")],
    ),
]


@pytest.mark.parametrize("answers", [case[1] for case in LOOPS], ids=[case[0] for case in LOOPS])
def test_loops_end_the_walk_as_incomplete(answers):
    provider = answering(*answers)

    result = client_for(provider).list_endpoints("p")

    assert not result.complete
    assert isinstance(result.error, MalformedResponseError)
    assert "paging loop" in (result.incomplete_reason or "")
    assert {item.id for item in result.items} >= {"a"}, "what was read still counts"
    assert len(provider.requests) == len(answers)


def test_an_item_on_two_pages_counts_once_and_the_later_sighting_wins():
    provider = answering(
        listing([{"id": "a"}, {"id": "b", "name": "old"}], "c1"),
        listing([{"id": "c"}, {"id": "b", "name": "new"}]),
    )

    result = client_for(provider).list_endpoints("p")

    assert result.complete
    assert {item.id: item.name for item in result.items} == {"a": "", "b": "new", "c": ""}


def test_a_failure_on_a_later_page_keeps_what_was_read_and_is_incomplete():
    provider = answering(listing(endpoints("a"), "c1"), error_answer(500))

    result = client_for(provider).list_endpoints("p")

    assert [item.id for item in result.items] == ["a"]
    assert not result.complete
    assert isinstance(result.error, ServerError)


@pytest.mark.parametrize(
    ("answer", "error_class"),
    [
        (error_answer(401), AuthenticationError),
        (httpx.Response(200, text="<html>"), MalformedResponseError),
        (httpx.Response(200, json={"data": {"a": 1}}), MalformedResponseError),
        (httpx.Response(200, json={"object": "list"}), MalformedResponseError),
        (httpx.Response(200, json={"data": [], "next_cursor": {"x": 1}}), MalformedResponseError),
        (httpx.Response(200, json="text"), MalformedResponseError),
    ],
)
def test_a_failure_on_the_first_page_is_raised(answer, error_class):
    with pytest.raises(error_class):
        client_for(answering(answer)).list_endpoints("p")


def test_an_empty_first_page_followed_by_a_failure_is_incomplete_not_empty():
    result = client_for(answering(listing([], "c1"), error_answer(500))).list_endpoints("p")

    assert (result.complete, result.entries) == (False, ())


def test_an_entry_without_identity_makes_the_listing_incomplete():
    result = client_for(answering(listing([{"id": "a"}, {"name": "who?"}]))).list_endpoints("p")

    assert not result.complete
    assert result.incomplete_reason == "1 entries have no id."
    assert [item.id for item in result.malformed] == [None]


def test_a_malformed_entry_with_an_id_is_reported_and_leaves_the_listing_complete():
    result = client_for(
        answering(listing([{"id": "a"}, {"id": "b", "createdAt": "whenever"}]))
    ).list_endpoints("p")

    assert result.complete
    assert [item.id for item in result.items] == ["a"]
    assert [item.id for item in result.malformed] == ["b"]


def test_the_page_cap_ends_an_endless_list_as_incomplete():
    count = 0

    def endless(request: httpx.Request) -> httpx.Response:
        nonlocal count
        count += 1
        return listing(endpoints(f"e{count}"), f"c{count}")

    result = client_for(endless).list_events("p", "e", max_pages=7)

    assert count == 7
    assert not result.complete
    assert result.incomplete_reason == "The list has more than 7 pages."


def test_pages_come_one_by_one_and_stop_when_the_reader_stops():
    provider = answering(
        listing(endpoints("e3"), "c1"), listing(endpoints("e2"), "c2"), listing(endpoints("e1"))
    )

    seen = []
    for page in client_for(provider).iterate_pages(walk_events("p", "e")):
        seen.extend(item.id for item in page.items)
        if "e2" in seen:
            break

    assert seen == ["e3", "e2"]
    assert len(provider.requests) == 2


async def test_async_pages_are_the_same_pages():
    provider = answering(listing(endpoints("e2"), "c1"), listing(endpoints("e1")))

    async with async_client_for(provider) as client:
        pages = [page async for page in client.iterate_pages(walk_events("p", "e"))]

    assert [item.id for page in pages for item in page.items] == ["e2", "e1"]


@given(
    st.lists(st.lists(st.text("abcdef", min_size=1, max_size=3), max_size=3), min_size=1, max_size=6),
    st.data(),
)
def test_no_list_of_pages_can_trap_the_walk(pages, data):
    cursors = [data.draw(st.none() | st.sampled_from(["c1", "c2", "c3"])) for _ in pages]
    served = 0

    def serve(request: httpx.Request) -> httpx.Response:
        nonlocal served
        index = served % len(pages)
        served += 1
        return listing(endpoints(*pages[index]), cursors[index])

    client = client_for(serve)
    result = client.run(collect(PageWalk(model=Endpoint, next_call=ApiCall(template="/x"), max_pages=50)))

    assert served <= 50
    ended_well = cursors[(served - 1) % len(pages)] is None and result.error is None
    assert result.complete == ended_well
    assert len({entry["id"] for entry in result.entries}) == len(result.entries)
