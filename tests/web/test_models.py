"""Models: own ones with who made and serves them, the catalogue with prices, what is deprecated; import and delete."""

import uuid
from datetime import date
from typing import Any

import pytest
from django.test import Client

from dashboard.accounts.models import AuditEvent
from dashboard.lifecycle.models import StopAction
from dashboard.mirror.models import CatalogueModel, ModelDeprecation, Resource
from tests import factories, model_factories
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")
HTMX = {"HX-Request": "true"}


@pytest.fixture
def base(desk: Desk) -> CatalogueModel:
    ModelDeprecation.objects.all().delete()
    return model_factories.make_catalogue_model(connection=desk.connection, name="Qwen/Qwen3-32B")


@pytest.fixture
def own(desk: Desk, base: CatalogueModel) -> Resource:
    """A model that a fine-tune made."""
    model = model_factories.make_own_model(project=desk.project, base=base, name="acme/support-v3")
    factories.make_resource(
        kind="fine-tune",
        project=desk.project,
        name="support-v3",
        status="completed",
        links={"model": "acme/support-v3"},
    )
    return model


def test_own_models_say_who_made_them_and_who_serves_them(desk: Desk, own: Resource, operator_client: Client):
    endpoint = desk.endpoint("support-bot", model=own.name)
    endpoint.deployments.update(model_id=own.remote_id)

    html = operator_client.get("/models/").content.decode()

    assert "acme/support-v3" in html
    assert "full weights of Qwen/Qwen3-32B" in html
    assert "Fine-tune" in html
    assert f'href="/endpoints/{endpoint.pk}/"' in html
    assert f"/deploy/?model={own.remote_id}" in html


@pytest.mark.parametrize(
    ("state", "word"),
    [("REMOTE_UPLOAD_STATUS_RUNNING", "Running"), ("REMOTE_UPLOAD_STATUS_FAILED", "Failed")],
)
def test_a_model_without_its_weights_is_not_called_ready(
    desk: Desk, base: CatalogueModel, operator_client: Client, state: str, word: str
):
    model = model_factories.make_own_model(project=desk.project, base=base, name="acme/imported")
    factories.make_resource(
        kind="upload", project=desk.project, state=state, links={"model": model.remote_id}
    )

    html = operator_client.get("/models/", headers=HTMX).content.decode()

    assert word in html
    assert f"/deploy/?model={model.remote_id}" not in html


def test_people_without_the_right_see_models_but_no_act(
    desk: Desk, own: Resource, viewer_client: Client, other_operator_client: Client
):
    html = viewer_client.get("/models/").content.decode()

    assert "acme/support-v3" in html
    assert "/deploy/" not in html
    assert "acme/support-v3" not in other_operator_client.get("/models/").content.decode()


def test_a_model_page_shows_files_revisions_and_what_serves_it(
    desk: Desk, own: Resource, operator_client: Client, admin_client: Client
):
    factories.make_resource_document(
        own,
        "files",
        {"totalSizeBytes": "65000000000", "data": [{"path": "model-1.safetensors", "sizeBytes": "9"}]},
    )
    factories.make_resource_document(
        own,
        "revisions",
        {"data": [{"revisionId": "rv_1", "validationStatus": "REVISION_VALIDATION_STATUS_SUCCESS"}]},
    )
    desk.endpoint("support-bot", model=own.name)

    html = operator_client.get(f"/models/{own.pk}/").content.decode()

    assert "model-1.safetensors" in html
    assert "60.5 GiB" in html
    assert "rv_1" in html
    assert "success" in html
    assert "/delete/" not in html
    assert f"/models/{own.pk}/delete/" in admin_client.get(f"/models/{own.pk}/").content.decode()


def test_a_model_of_another_team_is_not_there(own: Resource, other_operator_client: Client):
    assert other_operator_client.get(f"/models/{own.pk}/").status_code == 404


def test_the_catalogue_merges_both_lists_and_prints_prices_exactly(
    desk: Desk, base: CatalogueModel, operator_client: Client
):
    model_factories.make_catalogue_model(
        connection=desk.connection,
        origin="serverless",
        name="Qwen/Qwen3-32B",
        remote_id="Qwen/Qwen3-32B",
        is_dedicated=False,
        is_serverless=True,
        input_nano_usd=1_040_000_000,
        output_nano_usd=18_800_000,
    )

    html = operator_client.get("/models/catalogue/").content.decode()

    assert html.count("model=Qwen%2FQwen3-32B") == 1
    assert "1.04" in html
    assert "0.0188" in html
    assert "serverless, dedicated" in html


def test_the_catalogue_leaves_out_hidden_and_own_models_and_filters(
    desk: Desk, own: Resource, base: CatalogueModel, operator_client: Client
):
    make = model_factories.make_catalogue_model
    make(connection=desk.connection, name="acme/secret", support="HIDDEN")
    make(connection=desk.connection, name="acme/free", support="HIDDEN")
    make(connection=desk.connection, name="acme/free", origin="serverless")
    make(connection=desk.connection, name=own.name, origin="serverless")
    make(
        connection=desk.connection,
        name="BAAI/bge",
        type="embedding",
        is_dedicated=False,
        is_fine_tunable=True,
    )

    everything = operator_client.get("/models/catalogue/", headers=HTMX).content.decode()
    tunable = operator_client.get("/models/catalogue/?use=fine-tuning", headers=HTMX).content.decode()
    searched = operator_client.get("/models/catalogue/?q=zephyr", headers=HTMX).content.decode()

    assert "acme/secret" not in everything
    assert "acme/free" not in everything
    assert own.name not in everything
    assert "BAAI/bge" in tunable
    assert "Qwen/Qwen3-32B" not in tunable
    assert "No model matches “zephyr”" in searched


@pytest.mark.parametrize(
    ("sort", "first"),
    [("input", "a/cheap"), ("-input", "b/dear"), ("-context", "b/dear"), ("nonsense", "a/cheap")],
)
def test_the_catalogue_sorts_and_keeps_what_is_not_told_last(
    desk: Desk, base: CatalogueModel, operator_client: Client, sort: str, first: str
):
    make = model_factories.make_catalogue_model
    make(connection=desk.connection, name="a/cheap", input_nano_usd=10_000_000, context_length=1_000)
    make(connection=desk.connection, name="b/dear", input_nano_usd=90_000_000, context_length=90_000)

    html = operator_client.get(f"/models/catalogue/?sort={sort}", headers=HTMX).content.decode()

    names = ["a/cheap", "b/dear", "Qwen/Qwen3-32B"]
    order = sorted(names, key=lambda name: html.index(f'title="{name}"'))
    assert order[0] == first
    assert sort == "nonsense" or "context" in sort or order[-1] == "Qwen/Qwen3-32B"


def test_a_model_of_the_catalogue_shows_hardware_and_who_uses_it(
    desk: Desk, base: CatalogueModel, own: Resource, operator_client: Client
):
    hardware = factories.make_hardware(connection=desk.connection, name="1xnvidia-h100-80gb")
    model_factories.make_config(model=base, hardware=hardware)
    endpoint = desk.endpoint("plain", model=base.name)

    html = operator_client.get(f"/models/catalogue/{base.pk}/").content.decode()

    assert "1× H100" in html
    assert "5.40" in html
    assert f'href="/endpoints/{endpoint.pk}/"' in html


def test_a_catalogue_of_connections_that_are_not_seen_is_not_there(operator_client: Client, desk: Desk):
    foreign = model_factories.make_catalogue_model(connection=factories.make_connection(is_enabled=False))

    assert operator_client.get(f"/models/catalogue/{foreign.pk}/").status_code == 404


def test_deprecated_models_name_replacement_days_and_what_still_burns(
    desk: Desk, base: CatalogueModel, operator_client: Client
):
    model_factories.make_deprecation("acme/old", replacement="Qwen/Qwen3-32B", removal_on=date(2026, 12, 1))
    model_factories.make_deprecation("acme/gone", removal_on=date(2025, 6, 1))
    endpoint = desk.endpoint("legacy", model="acme/old")

    html = operator_client.get("/models/deprecations/").content.decode()

    assert html.index("acme/old") < html.index("acme/gone")
    assert "in 11 days" in html
    assert "1 of them in use here" in html
    assert f'href="/endpoints/{endpoint.pk}/"' in html
    assert "5.40" in html
    assert "model=Qwen%2FQwen3-32B" in html


def test_what_other_teams_serve_is_not_named(desk: Desk, base: CatalogueModel, other_operator_client: Client):
    model_factories.make_deprecation("acme/old")
    desk.endpoint("legacy", model="acme/old")

    html = other_operator_client.get("/models/deprecations/").content.decode()

    assert "acme/old" in html
    assert "legacy" not in html
    assert "None of them is in use here" in html


def upload(**changes: Any) -> dict[str, Any]:
    return {
        "key": str(uuid.uuid4()),
        "model_name": "legal-draft",
        "model_type": "model",
        "base_model": "Qwen/Qwen3-32B",
        "remote_url": "acme/legal-draft",
        "token": "hf_secret",
    } | changes


def test_an_import_is_asked_for_once_and_its_secrets_stay_sealed(
    desk: Desk, base: CatalogueModel, operator_client: Client
):
    form = upload(project=desk.project.pk)

    first = operator_client.post("/models/upload/", form)
    second = operator_client.post("/models/upload/", form)

    action = StopAction.objects.get()
    assert first["Location"] == second["Location"] == f"/actions/{action.public_id}/"
    assert (action.kind, action.target_name) == ("upload", "legal-draft")
    stored = str(list(StopAction.objects.values())) + str(list(AuditEvent.objects.values()))
    assert "hf_secret" not in stored
    page = operator_client.get(first["Location"]).content.decode()
    assert "hf_secret" not in page


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"remote_url": "http://example.com/model"}, "An https address"),
        ({"base_model": "acme/unknown"}, "The catalogue does not know this model"),
        ({"model_name": ""}, "This field is required"),
        ({"model_name": "no spaces please"}, "letters"),
        (
            {"model_name": "", "remote_url": "https://files.example/m?signature=hf_secret"},
            "This field is required",
        ),
    ],
)
def test_an_import_that_makes_no_sense_says_why_and_shows_no_secret(
    desk: Desk, base: CatalogueModel, operator_client: Client, changes: dict[str, Any], sentence: str
):
    response = operator_client.post("/models/upload/", upload(project=desk.project.pk, **changes))

    html = response.content.decode()
    assert response.status_code == 422
    assert sentence in html
    assert "hf_secret" not in html
    assert not StopAction.objects.exists()


def test_deleting_a_model_names_who_serves_it_and_needs_an_admin(
    desk: Desk, own: Resource, admin_client: Client, operator_client: Client
):
    desk.endpoint("support-bot", model=own.name)
    url = f"/models/{own.pk}/delete/"

    html = admin_client.get(url).content.decode()
    refused = operator_client.post(url, {"key": str(uuid.uuid4())})
    assert not StopAction.objects.exists()
    done = admin_client.post(url, {"key": str(uuid.uuid4())})

    assert "1 endpoint serves it:" in html
    assert refused.status_code == 403
    assert done.status_code == 302
    assert StopAction.objects.get().resource_id == own.pk


def test_an_admin_keeps_the_list(desk: Desk, base: CatalogueModel, admin_client: Client):
    entry = {"model": "acme/old", "removal_on": "2026-12-01", "source": "their letter", "replacement": ""}

    added = admin_client.post("/settings/deprecations/", entry)
    again = admin_client.post("/settings/deprecations/", entry)
    row = ModelDeprecation.objects.get()
    wrong = admin_client.post(f"/settings/deprecations/{row.pk}/", entry | {"removal_on": "soon"})
    admin_client.post(
        f"/settings/deprecations/{row.pk}/", entry | {"replacement": "b", "is_dedicated_possible": "no"}
    )
    row.refresh_from_db()
    admin_client.post(f"/settings/deprecations/{row.pk}/remove/")

    assert (added.status_code, again.status_code, wrong.status_code) == (302, 422, 422)
    assert (row.replacement, row.is_dedicated_possible) == ("b", False)
    assert not ModelDeprecation.objects.exists()
    assert set(AuditEvent.objects.values_list("action", flat=True)) == {
        "deprecation.added",
        "deprecation.changed",
        "deprecation.removed",
    }


def test_an_endpoint_whose_model_goes_says_so_on_its_row_and_its_page(
    desk: Desk, base: CatalogueModel, operator_client: Client
):
    model_factories.make_deprecation("acme/old", replacement="Qwen/Qwen3-32B", is_dedicated_possible=True)
    endpoint = desk.endpoint("legacy", model="acme/old")
    desk.endpoint("modern", model="Qwen/Qwen3-32B")

    listed = operator_client.get("/endpoints/").content.decode()
    page = operator_client.get(f"/endpoints/{endpoint.pk}/").content.decode()

    assert listed.count("deprecated model") == 1
    assert (
        "acme/old leaves serverless on 30 Nov 2026, in 10 days; dedicated endpoints may still serve it."
        in page
    )
    assert "Replaced by Qwen/Qwen3-32B" in page
    assert "/deploy/?model=Qwen%2FQwen3-32B" in page


def test_without_a_named_replacement_the_nearest_of_the_maker_is_suggested(
    desk: Desk, base: CatalogueModel, operator_client: Client
):
    model_factories.make_catalogue_model(
        connection=desk.connection, name="Qwen/Qwen2-30B", support="DEPRECATED"
    )
    endpoint = desk.endpoint("legacy", model="Qwen/Qwen2-30B")

    page = operator_client.get(f"/endpoints/{endpoint.pk}/").content.decode()

    assert "is deprecated in the provider&#x27;s catalogue" in page
    assert "nearest of the same maker is Qwen/Qwen3-32B" in page
