"""What each method puts on the wire: method, path, query and body."""

from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
import pytest

from dashboard.together_api.client import AsyncTogetherClient, TogetherClient
from dashboard.together_api.config import ApiConfig
from dashboard.together_api.errors import PermissionDeniedError
from dashboard.together_api.methods import Call, Calls
from tests.together_api.api_doubles import KEY, Provider, answering, client_for, error_answer, listing

ONE = httpx.Response(200, json={"id": "x", "status": {"state": "s"}})
MOMENT = datetime(2026, 11, 20, 9, tzinfo=UTC)
D = "/v2/projects/p/endpoints/e/deployments/d"

WIRE: list[tuple[str, Any, str, str, Any]] = [
    ("get", lambda c: c.get_deployment("p", "e", "d"), "GET", D, None),
    (
        "stop",
        lambda c: c.stop_deployment("p", "e", "d", etag="W1"),
        "PATCH",
        f"{D}?updateMask=autoscaling",
        {"autoscaling": {"minReplicas": 0, "maxReplicas": 0}, "etag": "W1"},
    ),
    (
        "start keeps the rest of the block",
        lambda c: c.start_deployment(
            "p", "e", "d", min_replicas=1, max_replicas=3, autoscaling={"scaleDownWindow": "300s", "minReplicas": 0}
        ),
        "PATCH",
        f"{D}?updateMask=autoscaling",
        {"autoscaling": {"scaleDownWindow": "300s", "minReplicas": 1, "maxReplicas": 3}},
    ),
    (
        "patch two fields",
        lambda c: c.patch_deployment("p", "e", "d", inactive_timeout=0, name="n"),
        "PATCH",
        f"{D}?updateMask=inactiveTimeout%2Cname",
        {"inactiveTimeout": 0, "name": "n"},
    ),
    ("delete with etag", lambda c: c.delete_deployment("p", "e", "d", etag="W/1"), "DELETE", f"{D}?etag=W%2F1", None),
    (
        "dry run",
        lambda c: c.create_deployment(
            "p", "e", name="n", model="m", config="c", min_replicas=1, max_replicas=2,
            max_concurrent_requests_per_replica=63, validate_only=True,
        ),
        "POST",
        "/v2/projects/p/endpoints/e/deployments?validateOnly=true",
        {
            "name": "n", "model": "m", "config": "c", "autoscaling": {"minReplicas": 1, "maxReplicas": 2},
            "maxConcurrentRequestsPerReplica": "63",
        },
    ),
    (
        "no traffic",
        lambda c: c.set_traffic_split("p", "e", weights={}),
        "PATCH",
        "/v2/projects/p/endpoints/e?updateMask=trafficSplit",
        {"trafficSplit": []},
    ),
    (
        "traffic",
        lambda c: c.set_traffic_split("p", "e", weights={"d": 1.0}, etag="W"),
        "PATCH",
        "/v2/projects/p/endpoints/e?updateMask=trafficSplit",
        {"trafficSplit": [{"deploymentId": "d", "weight": 1.0}], "etag": "W"},
    ),
    ("rename", lambda c: c.rename_endpoint("p", "e", name="n"), "PATCH", "/v2/projects/p/endpoints/e?updateMask=name",
     {"name": "n"}),
    ("create endpoint", lambda c: c.create_endpoint("p", name="n"), "POST", "/v2/projects/p/endpoints", {"name": "n"}),
    ("delete endpoint", lambda c: c.delete_endpoint("p", "e"), "DELETE", "/v2/projects/p/endpoints/e", None),
    (
        "analytics",
        lambda c: c.get_analytics("p", "e", start=MOMENT, end=MOMENT, granularity="1m", include_time_series=True),
        "GET",
        "/v2/projects/p/endpoints/e/analytics?startTime=2026-11-20T09%3A00%3A00Z&endTime=2026-11-20T09%3A00%3A00Z"
        "&granularity=1m&includeTimeSeries=true",
        None,
    ),
    ("v1 stop", lambda c: c.stop_v1_endpoint("e"), "PATCH", "/v1/endpoints/e", {"state": "STOPPED"}),
    (
        "v1 scale",
        lambda c: c.patch_v1_endpoint("e", min_replicas=1, max_replicas=2, inactive_timeout=0),
        "PATCH",
        "/v1/endpoints/e",
        {"autoscaling": {"min_replicas": 1, "max_replicas": 2}, "inactive_timeout": 0},
    ),
    ("v1 delete", lambda c: c.delete_v1_endpoint("e"), "DELETE", "/v1/endpoints/e", None),
    ("ids are quoted", lambda c: c.get_endpoint("p/../q", "e?x"), "GET", "/v2/projects/p%2F..%2Fq/endpoints/e%3Fx",
     None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("call", "method", "target", "body"), [c[1:] for c in WIRE], ids=[c[0] for c in WIRE]
)
def test_calls_are_spelled_as_the_contract_says(call, method, target, body):
    provider = answering(ONE)

    call(client_for(provider))

    (request,) = provider.requests
    assert request.method == method
    assert request.url.raw_path.decode() == target
    assert (orjson.loads(request.content) if request.content else None) == body


LISTS = [
    (lambda c: c.list_projects(), "/v1/projects?limit=500"),
    (lambda c: c.list_endpoints("p", order_by="created_at desc"),
     "/v2/projects/p/endpoints?limit=500&orderBy=created_at%20desc"),
    (lambda c: c.list_organization_endpoints("o"), "/v2/organizations/o/endpoints?limit=500"),
    (lambda c: c.list_deployments("p", "e"), "/v2/projects/p/endpoints/e/deployments?limit=500"),
    (lambda c: c.list_events("p", "e", since=MOMENT, types=["a", "b"], min_level="LEVEL_INFO"),
     "/v2/projects/p/endpoints/e/events?limit=500&since=2026-11-20T09%3A00%3A00Z&types=a%2Cb&minLevel=LEVEL_INFO"),
    (lambda c: c.list_v1_endpoints(mine=True), "/v1/endpoints?type=dedicated&mine=true"),
    (lambda c: c.list_v1_hardware(model="m/x"), "/v1/hardware?model=m%2Fx"),
    (lambda c: c.list_instance_types(), "/v2/public/inference-instance-types"),
    (lambda c: c.list_supported_models(product="PRODUCT_DEDICATED"),
     "/v2/supported-models?product=PRODUCT_DEDICATED&limit=500"),
    (lambda c: c.list_models(), "/v1/models"),
    (lambda c: c.get_billing_usage(month="2026-11").windows,
     "/v1/billing/usage?month=2026-11&granularity=day&limit=1000"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "target"), LISTS, ids=[c[1] for c in LISTS])
def test_lists_are_asked_for_with_full_pages(call, target):
    provider = answering(listing([]))

    result = call(client_for(provider))

    assert result.complete
    assert provider.requests[0].url.raw_path.decode() == target


def test_bare_arrays_are_lists_too():
    assert [
        m.id for m in client_for(answering(httpx.Response(200, json=[{"id": "m"}]))).list_models().items
    ] == ["m"]


@pytest.mark.parametrize("bad_id", ["", ".", ".."])
def test_ids_that_would_change_the_path_are_refused(bad_id):
    provider = answering(ONE)

    with pytest.raises(ValueError, match="must not be"):
        client_for(provider).get_endpoint("p", bad_id)

    assert provider.requests == []


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c.start_deployment("p", "e", "d", min_replicas=0, max_replicas=2),
        lambda c: c.start_deployment("p", "e", "d", min_replicas=3, max_replicas=2),
        lambda c: c.patch_deployment("p", "e", "d"),
        lambda c: c.patch_v1_endpoint("e", min_replicas=1),
        lambda c: c.get_analytics("p", "e", start=datetime(2026, 1, 1)),  # noqa: DTZ001
    ],
)
def test_requests_that_the_contract_forbids_never_leave(call):
    provider = answering(ONE)

    with pytest.raises(ValueError):
        call(client_for(provider))

    assert provider.requests == []


def test_whoami_falls_back_to_v1_only_where_v3_is_unknown():
    flat = httpx.Response(200, json={"api_key_id": "k", "organization_id": "o", "project_id": "p"})
    provider = answering(error_answer(404), flat)

    assert client_for(provider).whoami().project_id == "p"
    assert [request.url.path for request in provider.requests] == ["/v3/whoami", "/v1/whoami"]

    refused = answering(error_answer(403), flat)
    with pytest.raises(PermissionDeniedError):
        client_for(refused).whoami()
    assert len(refused.requests) == 1


def test_hosts_default_to_the_provider_and_follow_an_own_base_url():
    provider = Provider([httpx.Response(200, text="")])
    client_for(provider).get_metrics("org_1")
    client_for(provider, base_url="http://localhost:9000").get_metrics("org_1")
    client_for(provider, base_url="http://localhost:9000", metrics_url="http://m:1").get_metrics("org_1")

    assert [str(request.url) for request in provider.requests] == [
        "https://o11y-de2-metrics.cloud.together.ai/organizations/org_1/metrics",
        "http://localhost:9000/organizations/org_1/metrics",
        "http://m:1/organizations/org_1/metrics",
    ]
    assert ApiConfig(KEY).inference_url == "https://api-inference.together.ai"
    assert ApiConfig(KEY, base_url="http://h").inference_url == "http://h"


@pytest.mark.parametrize("url", ["ftp://h", "h:80", "http://u:p@h", "http://h?x=1", ""])
def test_base_urls_that_are_no_plain_http_root_are_refused(url):
    with pytest.raises(ValueError):
        ApiConfig(KEY, base_url=url)


@pytest.mark.parametrize("key", ["", "  ", "a b", "a\nb", "schlüssel"])
def test_keys_that_cannot_be_keys_are_refused(key):
    with pytest.raises(ValueError):
        ApiConfig(key)


def test_the_config_never_shows_its_key():
    assert KEY not in repr(ApiConfig(KEY))
    assert KEY not in str(ApiConfig(KEY))


def test_a_page_of_the_bill_is_asked_for_behind_its_cursor():
    window = {"start_time": "2026-11-01T00:00:00Z", "end_time": "2026-11-01T01:00:00Z"}
    provider = answering(listing([window], cursor="c2"))

    page = client_for(provider).get_usage_page(month="2026-11", granularity="hour", after="c1", limit=48)

    assert provider.requests[0].url.raw_path.decode() == (
        "/v1/billing/usage?month=2026-11&granularity=hour&limit=48&after=c1"
    )
    assert (page.windows.next_cursor, len(page.windows.items)) == ("c2", 1)


def test_every_call_is_a_method_of_both_clients_with_a_docstring():
    calls = {name: value for name, value in vars(Calls).items() if isinstance(value, Call)}

    assert len(calls) >= 30
    for name, call in calls.items():
        assert call.__doc__, name
        assert hasattr(TogetherClient, name)
        assert hasattr(AsyncTogetherClient, name)
