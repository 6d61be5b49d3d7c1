"""Analytics, billing usage and the Prometheus text: three views of one truth."""

from decimal import Decimal

import pytest
from prometheus_client.parser import text_string_to_metric_families

from simulator.clock import HOUR_MS, format_time


def inject(sim, ids, **usage):
    sim.admin("POST", f"/deployments/{ids[1]}/traffic", usage)


def analytics(sim, ids, query="", **options):
    return sim.get(f"{sim.base}/{ids[0]}/analytics{query}", **options)


def metrics_text(sim, **options):
    return sim.ask("GET", f"/organizations/{sim.organization_id}/metrics", **options)


def counters(sim, family):
    found = {item.name: item for item in text_string_to_metric_families(metrics_text(sim).text)}
    return (
        {}
        if family not in found
        else {sample.labels["deployment_id"]: 0 for sample in found[family].samples}
        | _sums(found[family].samples)
    )


def _sums(samples):
    sums = {}
    for sample in samples:
        identifier = sample.labels["deployment_id"]
        sums[identifier] = sums.get(identifier, 0) + sample.value
    return sums


def test_analytics_count_what_was_sent(sim):
    ids = sim.start_deployment()
    inject(sim, ids, requests=12, input_tokens=600, output_tokens=240, failed=3)
    sim.advance(60)

    metrics = analytics(sim, ids)["metrics"]

    assert metrics["requestMetrics"]["totalRequests"] == "12"
    assert metrics["requestMetrics"]["requestsByStatusCode"] == {"200": "9", "500": "3"}
    assert metrics["tokenMetrics"]["totalInputTokens"] == "600"
    assert metrics["tokenMetrics"]["avgOutputTokens"] == 20
    assert metrics["errorMetrics"]["errorRate"] == 25
    assert metrics["latencyMetrics"]["ttftP99Ms"] > metrics["latencyMetrics"]["ttftP50Ms"] > 0


def test_what_was_not_measured_is_absent(sim):
    endpoint_id = sim.create_endpoint()
    ids = (endpoint_id, sim.create_deployment(endpoint_id))
    sim.advance(60)

    assert "requestMetrics" not in analytics(sim, ids)["metrics"]
    assert "timeSeries" not in analytics(sim, ids)


def test_a_minute_series_has_a_point_per_served_minute(sim):
    ids = sim.start_deployment()  # ready at 13:59
    sim.advance(120)
    inject(sim, ids, requests=5)
    sim.advance(60)

    series = analytics(sim, ids, "?granularity=1m&includeTimeSeries=true")["timeSeries"]

    assert [(point["timestamp"][11:16], point["values"]["total_requests"]) for point in series] == [
        ("13:59", 0),
        ("14:00", 0),
        ("14:01", 5),
    ]


def test_hours_add_up_to_the_whole(demo):
    endpoint = next(item for item in demo.world.endpoints.values() if item.slug == "support-triage-70b")
    path = f"/v2/projects/{endpoint.project.project_id}/endpoints/{endpoint.endpoint_id}/analytics"

    body = demo.get(f"{path}?granularity=1h&includeTimeSeries=true")

    total = int(body["metrics"]["requestMetrics"]["totalRequests"])
    assert total > 50_000
    assert sum(point["values"]["total_requests"] for point in body["timeSeries"]) == total
    assert (
        sum(int(m["requestMetrics"]["totalRequests"]) for m in body["metrics"]["deploymentMetrics"]) == total
    )


@pytest.mark.parametrize(
    "query", ["?granularity=5m", "?startTime=yesterday", "?startTime=2027-01-01T00:00:00Z"]
)
def test_ranges_that_cannot_be_are_refused(sim, query):
    analytics(sim, sim.start_deployment(), query, status=400)


def test_metrics_are_empty_without_recent_traffic(sim):
    ids = sim.start_deployment()
    sim.advance(60)

    answer = metrics_text(sim)
    assert (answer.status_code, answer.text) == (200, "")

    inject(sim, ids, requests=4)
    sim.advance(60)
    assert counters(sim, "edge_inference_requests") == {ids[1]: 4}
    sim.advance(20 * 60)
    assert metrics_text(sim).text == ""


def test_counters_are_split_over_labels_and_begin_again_with_the_pods(sim):
    ids = sim.start_deployment()
    inject(sim, ids, requests=10, input_tokens=100, failed=2)
    sim.advance(60)

    samples = next(
        family.samples
        for family in text_string_to_metric_families(metrics_text(sim).text)
        if family.name == "edge_inference_requests"
    )
    assert {(s.labels["status_code"], s.labels["is_streaming"]) for s in samples} == {
        ("200", "true"), ("200", "false"), ("500", "true"), ("500", "false"),
    }  # fmt: skip
    assert sum(sample.value for sample in samples) == 10

    sim.stop(ids)
    sim.advance(90)
    sim.patch(ids, {"autoscaling": {"minReplicas": 1, "maxReplicas": 1}})
    sim.advance(600)
    inject(sim, ids, requests=1)
    sim.advance(60)
    assert counters(sim, "edge_inference_requests") == {ids[1]: 1}


def test_metrics_are_refused_where_they_are_off_or_foreign(sim):
    sim.get("/organizations/org_foreign/metrics", status=403)
    sim.admin("PATCH", "/world", {"metrics_enabled": False})

    sim.get(f"/organizations/{sim.organization_id}/metrics", status=404)


def test_usage_of_a_day_equals_the_bill_of_that_day(demo):
    report = demo.get("/v1/billing/usage?granularity=day&limit=1000")
    window = report["data"][-1]
    bill = demo.admin("GET", f"/bill?from={window['start_time']}&to={window['end_time']}")

    cost = sum(Decimal(line["cost"]) for line in window["line_items"])

    assert window["end_time"] == "2026-11-18T00:00:00Z"  # complete through yesterday
    assert cost == pytest.approx(Decimal(bill["cost_usd"]), abs=Decimal("1e-7"))
    line = window["line_items"][0]
    assert Decimal(line["quantity"]) * Decimal(line["unit_price"]) == pytest.approx(
        Decimal(line["cost"]), abs=Decimal("1e-6")
    )


def test_hours_are_complete_through_the_last_full_hour(demo):
    report = demo.get("/v1/billing/usage?granularity=hour&limit=1000")

    assert report["latest_window_end"] == "2026-11-18T13:00:00Z"
    assert report["data"][-1]["end_time"] == report["latest_window_end"]
    assert report["data"][0]["start_time"] == report["earliest_window_start"] == "2026-11-01T00:00:00Z"


def test_usage_pages_join(demo):
    whole = demo.get("/v1/billing/usage?month=2026-10&limit=1000")["data"]
    pages, cursor = [], ""
    while cursor is not None:
        page = demo.get(f"/v1/billing/usage?month=2026-10&limit=10&after={cursor}")
        pages += page["data"]
        cursor = page["next_cursor"]

    assert pages == whole
    assert len(whole) == 31


def test_usage_follows_the_clock(sim):
    ids = sim.start_deployment()
    assert sim.get("/v1/billing/usage?granularity=hour")["data"] == []
    sim.advance(3600)

    report = sim.get("/v1/billing/usage?granularity=hour")
    line = report["data"][0]["line_items"][0]

    assert report["data"][0]["start_time"] == "2026-11-18T13:00:00Z"
    assert line["attributes"] == {"endpoint_id": ids[0], "deployment_id": ids[1]}
    assert (line["quantity"], line["unit_price"], line["cost"]) == ("0.016666667", "5.49", "0.0915")


def test_usage_is_refused_where_it_must_be(sim):
    sim.get("/v1/billing/usage?organization_id=org_foreign", status=403)
    sim.get("/v1/billing/usage?month=November", status=400)
    sim.get("/v1/billing/usage?granularity=week", status=400)
    sim.get("/v1/billing/usage?limit=1001", status=400)
    sim.admin("PATCH", "/world", {"usage_enabled": False})

    sim.get("/v1/billing/usage", status=404)


def test_serverless_tokens_are_billed_to_their_key_and_project(sim):
    message = {"role": "user", "content": "repeat: one two three"}
    sim.send("POST", "/v1/chat/completions", {"model": "openai/gpt-oss-20b", "messages": [message],
                                              "reasoning": {"enabled": False}})  # fmt: skip
    sim.clock.advance((HOUR_MS - sim.clock.now_ms() % HOUR_MS) / 1000)

    lines = sim.get("/v1/billing/usage?granularity=hour")["data"][0]["line_items"]

    output = next(line for line in lines if "Output" in line["product_name"])
    assert (output["quantity"], output["unit_price"], output["cost"]) == ("3", "0.0000002", "0.0000006")
    assert output["attributes"]["project_id"] == sim.project.project_id
    assert format_time(sim.clock.now_ms()) == "2026-11-18T14:00:00Z"
