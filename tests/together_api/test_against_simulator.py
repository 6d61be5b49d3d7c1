"""Every method of the client against a running simulator: real HTTP, real state machines, both drivers."""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from dashboard.together_api.budget import RequestBudget
from dashboard.together_api.calls.v2 import walk_events
from dashboard.together_api.client import AsyncTogetherClient, TogetherClient
from dashboard.together_api.config import ApiConfig
from dashboard.together_api.errors import (
    ApiError,
    AuthenticationError,
    CallTimeoutError,
    ConflictError,
    ConnectionFailedError,
    InvalidRequestError,
    MalformedResponseError,
    PaymentRequiredError,
    PermissionDeniedError,
    QuotaExceededError,
    RateLimitedError,
    ServerError,
    StreamBrokenError,
    is_absent,
    is_not_enabled,
)
from dashboard.together_api.metrics import count_increases
from dashboard.together_api.payloads import (
    Deployment,
    DeploymentState,
    DeploymentSummary,
    Endpoint,
)
from simulator.testing import SimulatorProcess

LIMIT_SECONDS = 20.0


@pytest.fixture(scope="module")
def running() -> Iterator[SimulatorProcess]:
    with SimulatorProcess(scenario="demo", speed=6000) as simulator:
        yield simulator


@pytest.fixture
def simulator(running: SimulatorProcess) -> Iterator[SimulatorProcess]:
    yield running
    running.clear_faults()


@pytest.fixture
def client(simulator: SimulatorProcess) -> Iterator[TogetherClient]:
    with TogetherClient(ApiConfig("sim-key", base_url=simulator.url)) as client:
        yield client


def find_deployment(client: TogetherClient, state: str) -> tuple[Endpoint, DeploymentSummary]:
    organization_id = client.whoami().organization_id
    assert organization_id is not None
    for endpoint in client.list_organization_endpoints(organization_id).items:
        for deployment in endpoint.deployments:
            if deployment.state == state:
                return endpoint, deployment
    raise AssertionError(f"no deployment is {state}")


def wait_for_state(client: TogetherClient, deployment: Deployment, state: str) -> Deployment:
    deadline = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < deadline:
        seen = client.get_deployment(deployment.project_id, deployment.endpoint_id, deployment.id)
        if seen.state == state:
            return seen
        time.sleep(0.05)
    raise AssertionError(f"{deployment.id} is {seen.state}, not {state}")


def test_the_key_says_who_it_is_and_what_it_sees(client: TogetherClient):
    me = client.whoami()
    projects = client.list_projects()

    assert me.type == "project_api_key"
    assert projects.complete
    assert me.project_id in {project.id for project in projects.items}
    assert {project.organization_id for project in projects.items} == {me.organization_id}


def test_a_wrong_key_is_denied_in_words(simulator: SimulatorProcess):
    with (
        TogetherClient(ApiConfig("wrong-key-123", base_url=simulator.url)) as client,
        pytest.raises(AuthenticationError) as caught,
    ):
        client.whoami()

    assert caught.value.sentence.startswith("The key was refused (401): Invalid API key")
    assert caught.value.code == "invalid_api_key"
    assert caught.value.request_id


def test_lists_of_both_generations_parse_without_a_malformed_item(client: TogetherClient):
    me = client.whoami()
    assert me.organization_id is not None
    endpoints = client.list_organization_endpoints(me.organization_id)
    listings = [
        endpoints,
        *(client.list_endpoints(project.id) for project in client.list_projects().items),
        *(client.list_deployments(endpoint.project_id, endpoint.id) for endpoint in endpoints.items),
        client.list_v1_endpoints(),
        client.list_v1_hardware(),
        client.list_instance_types(),
        client.list_supported_models(),
        client.list_models(),
    ]

    assert all(listing.complete and not listing.malformed for listing in listings)
    assert len(endpoints.items) >= 5
    assert all(item.price_cents_per_hour for item in client.list_instance_types().items)
    assert client.list_availability_zones()


def test_single_reads_agree_with_their_lists(client: TogetherClient):
    endpoint, summary = find_deployment(client, DeploymentState.READY)

    listed = client.list_deployments(endpoint.project_id, endpoint.id)
    single = client.get_deployment(endpoint.project_id, endpoint.id, summary.id)

    assert client.get_endpoint(endpoint.project_id, endpoint.id).name == endpoint.name
    assert single.hardware in {item.hardware for item in listed.items}
    assert single.ready_replicas
    assert (single.id, single.model, single.etag) in {
        (item.id, item.model, item.etag) for item in listed.items
    }


def test_v1_items_lack_what_the_single_read_has(client: TogetherClient):
    item = client.list_v1_endpoints().items[0]

    single = client.get_v1_endpoint(item.id)

    assert (item.hardware, item.autoscaling) == (None, None)
    assert single.hardware
    assert single.autoscaling is not None


def test_small_pages_give_the_same_list_as_one_big_page(client: TogetherClient):
    endpoint, _ = find_deployment(client, DeploymentState.READY)
    until = datetime.now(UTC)  # the simulator lives on while we read
    whole = client.list_events(endpoint.project_id, endpoint.id, until=until)

    pages = list(client.iterate_pages(walk_events(endpoint.project_id, endpoint.id, until=until, limit=2)))

    assert len(pages) > 2
    assert [item.id for page in pages for item in page.items] == [item.id for item in whole.items]
    times = [item.created_at for item in whole.items if item.created_at]
    assert times == sorted(times, reverse=True), "newest first"


def test_events_respect_their_bounds(client: TogetherClient):
    endpoint, _ = find_deployment(client, DeploymentState.READY)
    every = client.list_events(endpoint.project_id, endpoint.id).items
    middle = every[len(every) // 2].created_at
    assert middle is not None

    since = client.list_events(endpoint.project_id, endpoint.id, since=middle)
    until = client.list_events(endpoint.project_id, endpoint.id, until=middle)

    assert all(item.created_at and item.created_at >= middle for item in since.items)
    assert all(item.created_at and item.created_at < middle for item in until.items)
    assert len(since.items) + len(until.items) >= len(every)


def test_analytics_usage_and_metrics_bring_numbers(client: TogetherClient):
    me = client.whoami()
    assert me.organization_id is not None
    endpoint, deployment = find_deployment(client, DeploymentState.READY)
    now = datetime.now(UTC)

    analytics = client.get_analytics(
        endpoint.project_id,
        endpoint.id,
        start=now - timedelta(days=7),
        end=now,
        granularity="1h",
        include_time_series=True,
        deployment_id=deployment.id,
    )
    usage = client.get_billing_usage(granularity="hour")
    first = client.get_metrics(me.organization_id)

    assert analytics.metrics is not None
    assert analytics.time_series
    assert usage.windows.complete
    assert usage.report.organization_id == me.organization_id
    assert usage.report.currency == "USD"
    assert any(line.cost for window in usage.windows.items for line in window.line_items)
    assert first.deployments
    assert any(counters.requests_total for counters in first.deployments.values())
    second = client.get_metrics(me.organization_id)
    assert all(increase.requests >= 0 for increase in count_increases(second, previous=first.values).values())


def test_a_deployment_lives_from_creation_to_deletion(client: TogetherClient):
    project_id = client.whoami().project_id
    assert project_id is not None
    endpoint, summary = find_deployment(client, DeploymentState.READY)
    template = client.get_deployment(endpoint.project_id, endpoint.id, summary.id)
    created = client.create_endpoint(project_id, name=f"lifecycle-{time.monotonic_ns()}")
    spec = {
        "name": "one",
        "model": template.model,
        "config": template.config,
        "min_replicas": 1,
        "max_replicas": 2,
    }

    client.create_deployment(project_id, created.id, **spec, validate_only=True)  # type: ignore[arg-type]
    assert client.list_deployments(project_id, created.id).items == ()

    deployment = client.create_deployment(project_id, created.id, **spec)  # type: ignore[arg-type]
    ready = wait_for_state(client, deployment, DeploymentState.READY)
    split = client.set_traffic_split(project_id, created.id, weights={deployment.id: 1.0})
    assert [entry.deployment_id for entry in split.traffic_split] == [deployment.id]

    patched = client.patch_deployment(
        project_id, created.id, deployment.id, inactive_timeout=45, etag=ready.etag
    )
    assert patched.inactive_timeout == 45
    with pytest.raises(ConflictError):
        client.patch_deployment(project_id, created.id, deployment.id, inactive_timeout=60, etag=ready.etag)
    with pytest.raises(InvalidRequestError):
        client.delete_deployment(project_id, created.id, deployment.id)

    stopping = client.stop_deployment(project_id, created.id, deployment.id, etag=patched.etag)
    assert stopping.state in {DeploymentState.STOPPING, DeploymentState.STOPPED}
    wait_for_state(client, deployment, DeploymentState.STOPPED)
    client.start_deployment(project_id, created.id, deployment.id, min_replicas=1, max_replicas=1)
    wait_for_state(client, deployment, DeploymentState.READY)
    client.stop_deployment(project_id, created.id, deployment.id)
    wait_for_state(client, deployment, DeploymentState.STOPPED)

    client.set_traffic_split(project_id, created.id, weights={})
    client.delete_deployment(project_id, created.id, deployment.id)
    with pytest.raises(ApiError) as gone:
        client.get_deployment(project_id, created.id, deployment.id)
    assert is_absent(gone.value)
    renamed = client.rename_endpoint(project_id, created.id, name=f"renamed-{time.monotonic_ns()}")
    assert renamed.name != created.name
    client.delete_endpoint(project_id, created.id)
    with pytest.raises(ApiError) as gone:
        client.get_endpoint(project_id, created.id)
    assert is_absent(gone.value)


def test_a_v1_endpoint_is_changed_stopped_and_deleted_and_never_created(client: TogetherClient):
    endpoint = next(item for item in client.list_v1_endpoints().items if item.state == "STARTED")

    assert client.patch_v1_endpoint(endpoint.id, display_name="Renamed").display_name == "Renamed"
    assert client.stop_v1_endpoint(endpoint.id).state in {"STOPPING", "STOPPED"}
    client.delete_v1_endpoint(endpoint.id)
    with pytest.raises(ApiError) as gone:
        client.get_v1_endpoint(endpoint.id)
    assert is_absent(gone.value)
    with pytest.raises(PermissionDeniedError) as refused:
        client.create_v1_endpoint(
            model="Qwen/Qwen3.5-9B-FP8", hardware="1x_nvidia_h100_80gb_sxm", min_replicas=1, max_replicas=1
        )
    assert refused.value.code == "endpoints_v1_create_access_disabled"


def test_chat_answers_whole_and_streamed(client: TogetherClient):
    endpoint, _ = find_deployment(client, DeploymentState.READY)
    body = {"model": endpoint.name, "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 40}

    answer = client.complete_chat(body)
    with client.stream_chat(body) as stream:
        chunks = list(stream)

    assert answer.summary.content or answer.summary.reasoning
    assert answer.summary.usage is not None
    assert stream.summary.completed
    assert stream.summary.usage is not None
    assert stream.summary.ttft_seconds is not None
    assert "".join(chunk.content for chunk in chunks) == stream.summary.content


async def test_the_async_client_does_the_same(simulator: SimulatorProcess):
    async with AsyncTogetherClient(ApiConfig("sim-key", base_url=simulator.url)) as client:
        me = await client.whoami()
        assert me.organization_id is not None
        endpoints = await client.list_organization_endpoints(me.organization_id)
        listings = await asyncio.gather(
            *(client.list_deployments(endpoint.project_id, endpoint.id) for endpoint in endpoints.items)
        )
        ready = next(
            item
            for item in endpoints.items
            if any(deployment.state == DeploymentState.READY for deployment in item.deployments)
        )
        async with client.stream_chat(
            {"model": ready.name, "messages": [{"role": "user", "content": "Hi"}]}
        ) as stream:
            async for _ in stream:
                pass

    assert all(listing.complete for listing in listings)
    assert stream.summary.completed


def test_betas_that_are_off_are_recognised():
    with (
        SimulatorProcess(scenario="empty", org_without_usage=True, org_without_metrics=True) as simulator,
        TogetherClient(ApiConfig("sim-key", base_url=simulator.url)) as client,
    ):
        organization_id = client.whoami().organization_id
        assert organization_id is not None
        for call in (client.get_billing_usage, lambda: client.get_metrics(organization_id)):
            with pytest.raises(ApiError) as caught:
                call()
            assert is_not_enabled(caught.value)


FAULTS = [
    ("rate_limit", {}, RateLimitedError),
    ("rate_limit_retry_after", {"retry_after": 60}, RateLimitedError),
    ("rate_limit_reset", {"retry_after": 60}, RateLimitedError),
    ("gpu_quota", {}, QuotaExceededError),
    ("html_ok", {}, MalformedResponseError),
    ("html_error", {}, ServerError),
    ("empty_body", {"status": 200}, MalformedResponseError),
    ("gateway_timeout", {}, ServerError),
    ("overloaded", {}, ServerError),
    ("grpc_error", {}, ServerError),
    ("text_error", {}, ServerError),
    ("cut_body", {}, MalformedResponseError),
    ("reset", {}, ConnectionFailedError),
    ("timeout", {}, CallTimeoutError),
    ("revoked_key", {}, AuthenticationError),
    ("forbidden", {}, PermissionDeniedError),
    ("payment_required", {}, PaymentRequiredError),
    ("conflict", {}, ConflictError),
]


@pytest.mark.parametrize(("kind", "fields", "error_class"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_faults_of_the_provider_become_their_errors(simulator, client, kind, fields, error_class):
    project_id = client.whoami().project_id
    simulator.add_fault(kind, route="/v2/projects/*", **fields)
    config = ApiConfig("sim-key", base_url=simulator.url, deadline_seconds=1.0, max_retries=0)

    with TogetherClient(config, budget=RequestBudget()) as hurried, pytest.raises(error_class):
        hurried.list_endpoints(project_id)


def test_reads_survive_a_passing_failure(simulator, client):
    project_id = client.whoami().project_id
    simulator.add_fault("server_error", route="/v2/projects/*", times=1)

    assert client.list_endpoints(project_id).complete


def test_unknown_fields_and_members_of_the_provider_are_survived(simulator, client):
    project_id = client.whoami().project_id
    for kind in ("unknown_fields", "unknown_enums", "null_optionals"):
        simulator.add_fault(kind, route="/v2/*")

    listing = client.list_endpoints(project_id)

    assert listing.complete
    assert listing.items
    assert not listing.malformed


def test_a_malformed_item_costs_only_itself(simulator, client):
    project_id = client.whoami().project_id
    count = len(client.list_endpoints(project_id).entries)
    simulator.add_fault("malformed_item", route="/v2/projects/*/endpoints")

    listing = client.list_endpoints(project_id)

    assert (len(listing.items), len(listing.malformed)) == (count - 1, 1)


def test_a_looping_list_is_incomplete(simulator, client):
    endpoint, _ = find_deployment(client, DeploymentState.READY)
    simulator.add_fault("cursor_loop", route="/v2/*/events")

    with_loop = client.list_events(endpoint.project_id, endpoint.id)

    assert not with_loop.complete
    assert with_loop.incomplete_reason


def test_a_write_whose_answer_is_lost_may_have_happened(simulator, client):
    project_id = client.whoami().project_id
    name = f"lost-{time.monotonic_ns()}"
    simulator.add_fault("answer_lost", route="/v2/projects/*/endpoints", method="POST", times=1)
    hurried = client.with_options(deadline_seconds=1.0)

    with pytest.raises(ApiError) as caught:
        hurried.create_endpoint(project_id, name=name)

    assert caught.value.outcome_unknown
    created = [item for item in client.list_endpoints(project_id).items if item.name.endswith(name)]
    assert len(created) == 1, "it happened, once"


def test_a_stream_that_breaks_says_so(simulator, client):
    endpoint, _ = find_deployment(client, DeploymentState.READY)
    simulator.add_fault("stream_error", route="*/chat/completions", times=1)
    body = {"model": endpoint.name, "messages": [{"role": "user", "content": "Hi"}]}

    with client.stream_chat(body) as stream, pytest.raises(StreamBrokenError):
        list(stream)
    simulator.add_fault("stream_cut", route="*/chat/completions", times=1)
    with client.stream_chat(body) as cut, pytest.raises(StreamBrokenError):
        list(cut)

    assert not stream.summary.completed
    assert not cut.summary.completed
