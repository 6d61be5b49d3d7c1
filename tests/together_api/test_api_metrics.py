"""The Prometheus text as counters per deployment (contract 12)."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.together_api.errors import MalformedResponseError
from dashboard.together_api.metrics import TrafficIncrease, count_increases, parse_metrics
from tests.together_api.api_doubles import answering, client_for


def line(name: str, value: float, deployment: str = "dep_1", **labels: str) -> str:
    pairs = {"endpoint_id": "ep_1", "owner_project_id": "proj_1", "deployment_id": deployment, **labels}
    text = ",".join(f'{key}="{item}"' for key, item in pairs.items())
    return f"{name}{{{text}}} {value}\n"


TEXT = (
    "# HELP edge_inference_requests_total Requests.\n# TYPE edge_inference_requests_total counter\n"
    + line("edge_inference_requests_total", 10, status_code="200", replica_id="a")
    + line("edge_inference_requests_total", 2, status_code="503", replica_id="a")
    + line("edge_inference_requests_total", 5, status_code="200", replica_id="b")
    + line("edge_inference_requests_total", 7, "dep_2", status_code="200")
    + "# TYPE router_inference_requests_total counter\n"
    + line("router_inference_requests_total", 999)
    + "# TYPE router_token_count counter\n"
    + line("router_token_count", 1000, token_type="input")
    + line("router_token_count", 300, token_type="output")
    + line("router_token_count", 50, token_type="cached")
    + "# TYPE worker_token_total counter\n"
    + line("worker_token_total", 4242, token_type="input")
    + "# TYPE edge_inference_inflight_requests gauge\n"
    + line("edge_inference_inflight_requests", 3)
    + "# TYPE edge_inference_ttft_ms histogram\n"
    + line("edge_inference_ttft_ms_bucket", 9, le="+Inf")
    + line("edge_inference_ttft_ms_count", 9)
    + line("edge_inference_ttft_ms_sum", 900)
)


def test_counters_are_summed_per_deployment_from_one_source_each():
    counters = parse_metrics(TEXT).deployments["dep_1"]

    assert (counters.endpoint_id, counters.project_id) == ("ep_1", "proj_1")
    assert (counters.requests_total, counters.failed_requests_total) == (17, 2)
    assert (counters.input_tokens_total, counters.output_tokens_total) == (1000, 300)
    assert counters.inflight_requests == 3


def test_what_the_text_does_not_say_is_none_and_not_zero():
    counters = parse_metrics(TEXT).deployments["dep_2"]

    assert counters.requests_total == 7
    assert (counters.input_tokens_total, counters.inflight_requests) == (None, None)


@pytest.mark.parametrize("text", ["", "\n", "# TYPE other counter\n", 'other_total{a="b"} 1\n'])
def test_no_recent_traffic_is_an_empty_snapshot(text: str):
    snapshot = parse_metrics(text)

    assert snapshot.series == ()
    assert snapshot.deployments == {}


@pytest.mark.parametrize(
    "body",
    [b"<html>gateway</html>", b'{"error":"x"}', b"edge_inference_requests_total{broken 1\n", b"\xff\xfe"],
)
def test_something_else_is_a_malformed_answer(body: bytes):
    client = client_for(answering(httpx.Response(200, content=body)))

    with pytest.raises(MalformedResponseError):
        client.get_metrics("org_1")


def test_increases_are_per_series_so_that_a_restarted_pod_does_not_hide_traffic():
    before = parse_metrics(
        line("edge_inference_requests_total", 100, replica_id="a")
        + line("edge_inference_requests_total", 50, replica_id="b")
    )
    after = parse_metrics(
        line("edge_inference_requests_total", 104, replica_id="a")  # 4 more
        + line("edge_inference_requests_total", 3, replica_id="b")  # restarted, 3 since
        + line("edge_inference_requests_total", 2, replica_id="c")  # new pod
    )

    assert count_increases(after, previous=before.values) == {"dep_1": TrafficIncrease(requests=9)}


def test_an_unchanged_snapshot_increases_by_nothing():
    snapshot = parse_metrics(TEXT)

    increases = count_increases(snapshot, previous=snapshot.values)

    assert set(increases) == {"dep_1", "dep_2"}
    assert set(increases.values()) == {TrafficIncrease()}


def test_failures_and_tokens_increase_on_their_own():
    before = parse_metrics(TEXT)
    after = parse_metrics(
        line("edge_inference_requests_total", 10, status_code="200", replica_id="a")
        + line("edge_inference_requests_total", 6, status_code="503", replica_id="a")
        + line("router_token_count", 1500, token_type="input")
    )

    assert count_increases(after, previous=before.values) == {
        "dep_1": TrafficIncrease(requests=4, failed_requests=4, input_tokens=500)
    }


@given(st.lists(st.integers(0, 1_000), min_size=1, max_size=20))
def test_increases_of_one_growing_counter_add_up_to_its_growth(steps: list[int]):
    total, counted = 0, 0
    previous = parse_metrics(line("edge_inference_requests_total", 0)).values
    for step in steps:
        total += step
        snapshot = parse_metrics(line("edge_inference_requests_total", total))
        counted += count_increases(snapshot, previous=previous)["dep_1"].requests
        previous = snapshot.values

    assert counted == sum(steps)
