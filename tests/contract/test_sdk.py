"""Every call of the 3.x SDK that the simulator answers, with strict validation of the declared types."""

import itertools
from decimal import Decimal

import pytest
from together import (
    AuthenticationError,
    BadRequestError,
    ConflictError,
    NotFoundError,
    Together,
)

MESSAGES = [{"role": "user", "content": "repeat: one two three"}]
NAMES = itertools.count()
STOPPED = {"min_replicas": 0, "max_replicas": 0}


@pytest.fixture
def endpoint(client):
    """Return a new endpoint without deployments."""
    return client.endpoints.create(name=f"made-{next(NAMES)}")


def deploy(client, endpoint, name="main"):
    model = next(model for model in client.models.list_supported(search="openai/gpt-oss-20b"))
    profile = model.deployment_profiles[0]
    return client.endpoints.deployments.create(
        endpoint_id=endpoint.id,
        name=name,
        model=profile.model,
        config=profile.config,
        autoscaling={"min_replicas": 1, "max_replicas": 2},
    )


def test_identity_and_projects(client):
    who = client.whoami()
    projects = list(client.projects.list(limit=2))

    assert who.type == "project_api_key"
    assert len(projects) == 4
    assert who.project.id in {project.id for project in projects}


def test_lists_iterate_over_all_pages(client, process):
    organization = client.whoami().organization.id
    whole = client.endpoints.list_org_scoped(organization, limit=500).data
    paged = list(client.endpoints.list_org_scoped(organization, limit=3))

    assert [item.id for item in paged] == [item.id for item in whole]
    assert len(paged) >= 11


def test_endpoints_of_every_project_parse(client):
    for project in client.projects.list():
        for endpoint in client.endpoints.list(project_id=project.id):
            assert client.endpoints.retrieve(endpoint.id, project_id=project.id) == endpoint
            for deployment in client.endpoints.deployments.list(
                endpoint_id=endpoint.id, project_id=project.id
            ):
                read = client.endpoints.deployments.retrieve(
                    deployment.id, endpoint_id=endpoint.id, project_id=project.id
                )
                assert read.status.state.startswith("DEPLOYMENT_STATE_")
                assert read.config == deployment.config
                client.models.retrieve(read.api_model_id, project_id=read.model.split("/")[1])
            events = list(
                itertools.islice(
                    client.endpoints.list_events(endpoint.id, project_id=project.id, limit=20), 60
                )
            )
            assert events
            analytics = client.endpoints.analytics(
                endpoint.id, project_id=project.id, granularity="1h", include_time_series=True
            )
            assert analytics.endpoint_id == endpoint.id


def test_a_deployment_from_creation_to_deletion(client, process, endpoint):
    deployment = deploy(client, endpoint)
    assert deployment.status.state == "DEPLOYMENT_STATE_PROVISIONING"
    client.endpoints.update(
        endpoint.id, traffic_split=[{"deployment_id": deployment.id, "weight": 1}], update_mask="trafficSplit"
    )
    process.advance(10)  # speed 60: ten minutes take ten seconds

    def read():
        return client.endpoints.deployments.retrieve(deployment.id, endpoint_id=endpoint.id)

    assert read().status.state == "DEPLOYMENT_STATE_READY"
    stopped = client.endpoints.deployments.update(
        deployment.id, endpoint_id=endpoint.id, autoscaling=STOPPED, etag=read().etag
    )
    assert stopped.status.state == "DEPLOYMENT_STATE_STOPPING"
    process.advance(10)
    assert read().status.state == "DEPLOYMENT_STATE_STOPPED"

    with pytest.raises(BadRequestError, match="traffic split"):
        client.endpoints.deployments.delete(deployment.id, endpoint_id=endpoint.id)
    client.endpoints.update(endpoint.id, traffic_split=[], update_mask="trafficSplit")
    client.endpoints.deployments.delete(deployment.id, endpoint_id=endpoint.id)
    client.endpoints.delete(endpoint.id)
    with pytest.raises(NotFoundError):
        client.endpoints.retrieve(endpoint.id)


def test_refusals_become_the_errors_of_the_sdk(client, process, endpoint):
    with pytest.raises(ConflictError):
        client.endpoints.create(name=endpoint.name.partition("/")[2])
    with pytest.raises(ConflictError):
        client.endpoints.update(endpoint.id, visibility="VISIBILITY_INTERNAL", etag="Wstale")
    deployment = deploy(client, endpoint)
    with pytest.raises(BadRequestError):
        client.endpoints.deployments.update(
            deployment.id, endpoint_id=endpoint.id, autoscaling={"min_replicas": 0, "max_replicas": 3}
        )
    with (
        Together(base_url=process.url, api_key="wrong", max_retries=0) as stranger,
        pytest.raises(AuthenticationError),
    ):
        stranger.whoami()


def test_the_sdk_waits_and_repeats_after_429(process, client):
    process.add_fault("rate_limit_retry_after", retry_after=0.05, times=2)
    patient = client.with_options(max_retries=2)  # shares the connection pool: closing it would close both
    assert patient.whoami().type == "project_api_key"
    assert [entry["status"] for entry in process.requests(path="/v3/whoami")][-3:] == [429, 429, 200]


def test_catalogues(client):
    types = client.endpoints.hardware.list().data
    assert {item.name for item in types} >= {"1xnvidia-h100-80gb", "8xnvidia-b200-192gb"}
    assert client.endpoints.hardware.retrieve(types[0].id) == types[0]

    supported = list(client.models.list_supported(product="PRODUCT_DEDICATED", limit=50))
    assert len(supported) > 80
    model = next(item for item in supported if item.name == "openai/gpt-oss-120b")
    configs = list(client.models.configs.list(reference_model_id=model.base_model_id))
    assert {config.id for config in configs} == {
        p.certified_config_revision_id for p in model.deployment_profiles
    }
    assert client.models.configs.retrieve(configs[0].id) == configs[0]
    assert client.models.list_revisions(model.id, project_id="proj_together").data
    assert int(client.models.list_files(model.id, project_id="proj_together").total_size_bytes) > 10**9
    assert list(client.endpoints.placement_profiles.list())


def test_shared_models_are_listed_in_their_organisation(client):
    organization = client.whoami().organization.id

    names = [model.name for model in client.models.list_org_scoped(organization)]

    assert set(names) == {"fernhill/Llama-3.1-8B-legal-v4", "fernhill-docs/contract-review-32b"}


def test_usage(client):
    windows = list(client.organization.usage.costs.list(granularity="day", limit=5))

    assert len(windows) == 17
    line = windows[0].line_items[0]
    assert Decimal(line.cost) == pytest.approx(
        Decimal(line.quantity) * Decimal(line.unit_price), abs=Decimal("1e-6")
    )


def test_chat_whole_and_streamed(client):
    whole = client.chat.completions.create(model="Qwen/Qwen3.5-9B-FP8", messages=MESSAGES)
    chunks = list(client.chat.completions.create(model="Qwen/Qwen3.5-9B-FP8", messages=MESSAGES, stream=True))

    assert whole.choices[0].message.content == "one two three"
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == "one two three"
    assert chunks[-1].usage.completion_tokens == 3


def test_an_error_in_the_stream_is_raised_by_the_sdk(process, client):
    process.add_fault("stream_error", times=1)
    stream = client.chat.completions.create(model="Qwen/Qwen3.5-9B-FP8", messages=MESSAGES, stream=True)

    with pytest.raises(Exception, match="The model server failed"):
        list(stream)
