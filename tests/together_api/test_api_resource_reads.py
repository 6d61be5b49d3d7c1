"""Reads of jobs, models, clusters, volumes, containers and RL: paths, envelopes, cursors, and what a 404 proves."""

from typing import Any

import httpx
import pytest

from dashboard.together_api import errors
from dashboard.together_api.errors import ApiError, MalformedResponseError, absent_resource
from tests.together_api.api_doubles import Provider, answering, client_for, error_answer, listing
from tests.together_api.resource_reads import ANY_BODY, LISTS, OTHER_READS, READS

ONE = httpx.Response(200, json=ANY_BODY)
LIST_NAMES = [target for _, _, target, _ in LISTS]


def envelope(key: str, entries: Any) -> httpx.Response:
    return httpx.Response(200, json={key: entries} if key else entries)


@pytest.mark.parametrize(("key", "call", "target", "identity"), LISTS, ids=LIST_NAMES)
def test_each_list_is_read_from_its_own_envelope(key, call, target, identity):
    first, second = (
        ({identity: 1}, {identity: 2}) if identity == "step" else ({identity: "a"}, {identity: "b"})
    )
    provider = answering(envelope(key, [first, second]))

    result = call(client_for(provider))

    assert provider.requests[0].url.raw_path.decode() == target
    assert (result.complete, len(result.items), result.malformed) == (True, 2, ())
    assert result.raw_items == (first, second)


@pytest.mark.parametrize(("key", "call", "target", "identity"), LISTS, ids=LIST_NAMES)
def test_an_entry_without_identity_makes_each_list_incomplete_and_costs_only_itself(
    key, call, target, identity
):
    good = {identity: 1} if identity == "step" else {identity: "a"}
    provider = answering(envelope(key, [good, {"zz": 1}, "text"]))

    result = call(client_for(provider))

    assert result.raw_items[0] == good
    assert (len(result.items), result.complete) == (1 if identity != "type" else 2, False)
    assert result.incomplete_reason == "2 entries have no id."


@pytest.mark.parametrize(("key", "call", "target", "identity"), LISTS, ids=LIST_NAMES)
def test_a_list_of_a_wrong_shape_is_no_empty_list(key, call, target, identity):
    for wrong in ({"other": []}, {"error": "x"}, {key or "data": {"a": 1}}, {key or "data": "text"}):
        with pytest.raises(MalformedResponseError):
            call(client_for(answering(httpx.Response(200, json=wrong))))


def test_null_in_the_place_of_a_list_is_the_empty_list():
    result = client_for(answering(httpx.Response(200, json={"clusters": None}))).list_clusters()

    assert (result.complete, result.entries) == (True, ())


def test_rl_lists_follow_the_cursor_in_meta_to_its_end():
    pages = [
        httpx.Response(200, json={"data": [{"id": "a"}], "meta": {"has_more": True, "next_cursor": "c1"}}),
        httpx.Response(200, json={"data": [{"id": "b"}], "meta": {"has_more": False, "next_cursor": ""}}),
    ]
    provider = answering(*pages)

    result = client_for(provider).list_rl_resources()

    assert ([item.id for item in result.items], result.complete) == (["a", "b"], True)
    assert provider.requests[1].url.params["after"] == "c1"


@pytest.mark.parametrize("meta", [None, [], "x", {}, {"next_cursor": None}])
def test_odd_meta_ends_the_list(meta):
    answer = httpx.Response(200, json={"data": [{"id": "a"}], "meta": meta})

    assert client_for(answering(answer)).list_rl_resources().complete


def test_uploads_are_walked_page_by_page():
    provider = answering(listing([{"id": "a"}], "c1"), listing([{"id": "b"}]))

    assert [item.id for item in client_for(provider).list_uploads("p").items] == ["a", "b"]


@pytest.mark.parametrize(("limit", "complete"), [(2, False), (3, True)])
def test_evaluations_up_to_the_limit_may_not_be_all(limit, complete):
    body = [{"workflow_id": "eval-1"}, {"workflow_id": "eval-2"}]

    result = client_for(answering(httpx.Response(200, json=body))).list_evaluations(limit=limit)

    assert len(result.items) == 2
    assert (result.complete, result.incomplete_reason is None) == (complete, complete)


@pytest.mark.parametrize(("call", "target"), READS + OTHER_READS, ids=[c[1] for c in READS + OTHER_READS])
def test_reads_ask_for_the_path_of_the_contract(call, target):
    provider = answering(ONE)

    call(client_for(provider))

    (request,) = provider.requests
    assert (request.method, request.url.raw_path.decode()) == ("GET", target)


@pytest.mark.parametrize("call", [c[0] for c in READS], ids=[c[1] for c in READS])
@pytest.mark.parametrize(
    "body",
    [{"error": {"message": "not found", "code": None}}, {"error": "not found"}, {"code": 5, "message": "no"}],
)
def test_a_404_of_a_single_read_names_what_is_gone(call, body):
    with pytest.raises(errors.NotFoundError) as caught:
        call(client_for(answering(httpx.Response(404, json=body))))

    assert absent_resource(caught.value) in {case.resource for case in errors.ABSENT_CASES} - {"endpoint"}


@pytest.mark.parametrize("call", [c[0] for c in READS], ids=[c[1] for c in READS])
def test_other_answers_prove_no_absence(call):
    for answer in (
        httpx.Response(404, text="<html>"),
        error_answer(403),
        error_answer(410),
        error_answer(500),
    ):
        with pytest.raises(ApiError) as caught:
            call(client_for(answering(answer), max_retries=0))
        assert absent_resource(caught.value) is None


@pytest.mark.parametrize(
    "call",
    [
        *(entry[1] for entry in LISTS),
        lambda c: c.cancel_fine_tune("f"),
        lambda c: c.cancel_batch("b"),
        lambda c: c.get_fine_tune_metrics("f"),
        lambda c: c.get_model_files("p", "m"),
        lambda c: c.stop_rl_resource("r"),
        lambda c: c.estimate_fine_tune_price(training_file="f"),
        lambda c: c.resize_volume("v", size_tib=1),
    ],
)
def test_a_404_of_anything_but_a_single_resource_proves_no_absence(call):
    with pytest.raises(errors.NotFoundError) as caught:
        call(client_for(answering(error_answer(404))))

    assert absent_resource(caught.value) is None


def test_every_case_of_absence_is_the_path_of_a_call():
    templates = {case.template for case in errors.ABSENT_CASES}
    provider = Provider([ONE])
    asked: set[str] = set()
    client = client_for(provider)
    send = client.transport.send
    client.transport.send = lambda call: asked.add(call.template) or send(call)  # type: ignore[method-assign,func-returns-value]

    for call, _ in READS:
        call(client)
    client.get_endpoint("p", "e")
    client.get_deployment("p", "e", "d")
    client.get_v1_endpoint("e")

    assert asked == templates
