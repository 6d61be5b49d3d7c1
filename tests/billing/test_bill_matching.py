"""Lines of the bill find their meter by ids, never by what the product is called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing import models
from billing.bill_matching import BILL_ONLY, Known, MeterKind, describe_attributes, match_line

KNOWN = Known(
    meters=frozenset({("deployment", "dep_1"), ("deployment", "endpoint-v1"), ("container", "c-1")}),
    deployments={"ep_one": ("dep_1",), "ep_two": ("dep_2", "dep_3")},
)

CASES = [
    ("v2 deployment", {"endpoint_id": "ep_one", "deployment_id": "dep_1"}, {}, ("deployment", "dep_1")),
    ("v2 deployment never seen", {"endpoint_id": "ep_9", "deployment_id": "dep_9"}, {}, ("deployment", "dep_9")),
    ("v2 endpoint with one deployment", {"endpoint_id": "ep_one"}, {}, ("deployment", "dep_1")),
    ("v2 endpoint with several deployments", {"endpoint_id": "ep_two"}, {}, None),
    ("v1 endpoint", {"endpoint_id": "endpoint-v1"}, {}, ("deployment", "endpoint-v1")),
    ("v1 endpoint never seen", {"endpoint_id": "endpoint-9"}, {}, ("deployment", "endpoint-9")),
    ("container, which says deployment_id, too", {"deployment_id": "c-1"}, {}, ("container", "c-1")),
    ("deployment_id alone, never seen", {"deployment_id": "x"}, {}, ("container", "x")),
    ("deployment_id alone, a dedicated one", {"deployment_id": "dep_1"}, {}, ("deployment", "dep_1")),
    ("cluster", {"cluster_id": "c"}, {}, ("cluster", "c")),
    ("volume", {"volume_id": "v"}, {"region": "us"}, ("volume", "v")),
    ("fine-tune", {"fine_tune_id": "ft-1"}, {"model": "m"}, ("fine-tune", "ft-1")),
    ("RL resource", {"model_resource_id": "r"}, {}, ("rl-resource", "r")),
    ("batch of a project", {"project_id": "p", "batch_id": "b"}, {"model": "m"}, ("batch", "b")),
    ("evaluation", {"evaluation_id": "e"}, {"model": "m"}, ("evaluation", "e")),
    ("serverless tokens", {"project_id": "p", "api_key_id": "k"}, {"model": "org/m"}, ("serverless", "p/org/m")),
    ("an id of a product to come", {"session_id": "s", "project_id": "p"}, {}, ("other", "session_id:s")),
    ("a model without project or key", {}, {"model": "m"}, None),
    ("nothing but a region", {"region": "us"}, {}, None),
    ("an empty id", {"cluster_id": " "}, {}, None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("attributes", "dimensions", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_a_line_is_matched_by_its_ids(attributes, dimensions, expected):
    match = match_line(attributes, dimensions, known=KNOWN)

    assert (match and (match.kind, match.remote_id)) == expected


def test_kinds_are_those_of_the_meters():
    assert {kind.value for kind in MeterKind} == set(models.MeterKind.values)
    assert {"batch", "evaluation", "serverless", "other"} == BILL_ONLY


def test_a_match_says_how_it_was_found():
    match = match_line({"endpoint_id": "ep_one"}, {}, known=KNOWN)

    assert match is not None
    assert match.how == "endpoint_id ep_one, which has one deployment"


def test_attributes_are_shown_in_words():
    assert describe_attributes({"b": "2", "a": "1"}, {"region": "us"}) == "a 1, b 2, region us"


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=12), max_size=4))
def test_no_attributes_break_matching(attributes):
    match = match_line(attributes, attributes)

    assert match is None or (match.remote_id and match.how)
