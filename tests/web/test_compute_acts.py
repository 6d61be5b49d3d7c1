"""Acts on rented compute: the price and the loss are said first, rights are checked, one wish is written."""

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from dashboard.accounts.models import AuditEvent
from dashboard.lifecycle.models import StopAction
from dashboard.mirror.models import Resource, ResourceKind
from tests import factories
from tests.compute_factories import cluster_body, make_region, make_unit_price, write_time
from tests.factories import NOW
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")
H100 = 3_490_000_000
TIB = 224_438_356


def key() -> dict[str, Any]:
    return {"key": str(uuid.uuid4())}


def read(client: Client, url: str) -> str:
    response = client.get(url)
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def make_cluster(desk: Desk, *, reserved: int = 0, **fields: Any) -> Resource:
    body = cluster_body(
        nodes=2,
        reserved=reserved,
        volumes=fields.pop("volumes", []),
        reservation_end_time=write_time(NOW + timedelta(days=9)) if reserved else None,
    )
    defaults: dict[str, Any] = {
        "units": 16 - reserved,
        "gpu_count": 16,
        "hardware": "H100_SXM",
        "sku": "cluster/H100_SXM/ON_DEMAND",
        "nano_usd_per_unit_hour": H100,
        "payload": body,
    }
    return desk.resource(ResourceKind.CLUSTER, "train-h100", **(defaults | fields))


def make_volume(desk: Desk, name: str = "data", **fields: Any) -> Resource:
    defaults: dict[str, Any] = {
        "state": "available",
        "size_bytes": 10 * 2**40,
        "units": 10,
        "sku": "volume",
        "nano_usd_per_unit_hour": TIB,
        "payload": {"size_tib": 10},
    }
    return desk.resource(ResourceKind.VOLUME, name, **(defaults | fields))


# --- Scale a cluster --------------------------------------------------------------------------------------------


def test_sizes_are_whole_nodes_with_their_price(desk: Desk, operator_client: Client):
    make_unit_price(connection=desk.connection)
    cluster = make_cluster(desk)

    html = read(operator_client, f"/clusters/{cluster.pk}/scale/")

    assert "8 GPUs, 1 node: $27.92/h (−27.92)" in html
    assert "24 GPUs, 3 nodes: $83.76/h (+27.92)" in html
    assert "16 GPUs, 2 nodes" not in html
    assert not StopAction.objects.exists()


def test_the_reserved_part_is_no_choice_and_costs_nothing_more(desk: Desk, operator_client: Client):
    make_unit_price(connection=desk.connection)
    cluster = make_cluster(desk, reserved=16)

    html = read(operator_client, f"/clusters/{cluster.pk}/scale/")

    assert "8 GPUs, 1 node" not in html
    assert "24 GPUs, 3 nodes: $27.92/h (+27.92)" in html
    assert "16 GPUs are paid in advance until the term ends" in html


def test_without_a_price_sizes_say_so(desk: Desk, operator_client: Client):
    cluster = make_cluster(desk)

    assert "24 GPUs, 3 nodes: 24 bill, price unknown" in read(
        operator_client, f"/clusters/{cluster.pk}/scale/"
    )


def test_a_change_of_size_is_written_once_and_leads_to_its_receipt(desk: Desk, operator_client: Client):
    cluster = make_cluster(desk)
    form = key() | {"gpus": 24}

    response = operator_client.post(f"/clusters/{cluster.pk}/scale/", form)
    operator_client.post(f"/clusters/{cluster.pk}/scale/", form)

    action = StopAction.objects.get()
    assert (action.kind, action.resource_id) == ("resize", cluster.pk)
    assert response["Location"] == f"/actions/{action.public_id}/"
    assert AuditEvent.objects.filter(action="cluster.resize_requested").count() == 1
    assert "24" in read(operator_client, response["Location"])


@pytest.mark.parametrize("gpus", ["", "7", "16", "0", "-8", "8000", "many"])
def test_other_sizes_are_refused_and_nothing_is_written(desk: Desk, operator_client: Client, gpus: str):
    cluster = make_cluster(desk)

    response = operator_client.post(f"/clusters/{cluster.pk}/scale/", key() | {"gpus": gpus})

    assert response.status_code == 422
    assert not StopAction.objects.exists()


def test_less_than_reserved_is_refused(desk: Desk, operator_client: Client):
    cluster = make_cluster(desk, reserved=16)

    response = operator_client.post(f"/clusters/{cluster.pk}/scale/", key() | {"gpus": 8})

    assert response.status_code == 422
    assert not StopAction.objects.exists()


def test_a_paused_cluster_is_not_scaled(desk: Desk, operator_client: Client):
    cluster = make_cluster(desk, state="Paused", units=0)

    shown = read(operator_client, f"/clusters/{cluster.pk}/scale/")
    posted = operator_client.post(f"/clusters/{cluster.pk}/scale/", key() | {"gpus": 24})

    assert "train-h100 is paused." in shown
    assert posted.status_code == 409
    assert not StopAction.objects.exists()


def test_an_act_under_way_shows_on_row_and_page(desk: Desk, operator_client: Client):
    cluster = make_cluster(desk)
    operator_client.post(f"/clusters/{cluster.pk}/scale/", key() | {"gpus": 24})
    StopAction.objects.update(state="sent", sent_at=NOW - timedelta(seconds=12))

    for url in ("/clusters/", f"/clusters/{cluster.pk}/"):
        html = read(operator_client, url)
        assert StopAction.objects.get().number in html
        assert "12 s" in html


# --- Delete a cluster -------------------------------------------------------------------------------------------


def test_a_deletion_names_the_volumes_and_what_it_saves(desk: Desk, admin_client: Client):
    named = [
        {"volume_id": f"vol-{name}", "volume_name": name, "size_tib": 2, "status": "bound"}
        for name in ("kept", "lost", "unsure", "unread")
    ]
    for name, independent in (("kept", True), ("lost", False), ("unsure", None)):
        payload = {"size_tib": 2} | ({} if independent is None else {"is_lifecycle_independent": independent})
        make_volume(desk, name, remote_id=f"vol-{name}", state="bound", payload=payload)
    cluster = make_cluster(desk, volumes=named)
    for volume in named:
        factories.make_resource_link(cluster, relation="volume", target=str(volume["volume_id"]))

    html = read(admin_client, f"/clusters/{cluster.pk}/delete/")

    assert "Delete train-h100?" in html
    assert "<b>Stays, and bills on:</b> kept." in html
    assert "<b>Deleted with it, data included:</b> lost." in html
    assert "<b>May go with it, data included:</b> unsure, unread." in html
    assert 'saves <span class="ui-num">$55.84/h</span>' in html
    assert "Leave running" in html


def test_a_prepaid_cluster_says_that_nothing_is_refunded(desk: Desk, admin_client: Client):
    cluster = make_cluster(desk, reserved=16)

    html = read(admin_client, f"/clusters/{cluster.pk}/delete/")

    assert "16 GPUs are paid until" in html
    assert "nothing is refunded" in html
    assert "Nothing of it bills by the hour now." in html


def test_a_deletion_is_written_once_and_shows_where_it_is(desk: Desk, admin_client: Client):
    cluster = make_cluster(desk)
    form = key()

    response = admin_client.post(f"/clusters/{cluster.pk}/delete/", form)
    admin_client.post(f"/clusters/{cluster.pk}/delete/", form)

    action = StopAction.objects.get()
    assert (action.kind, action.resource_id) == ("delete", cluster.pk)
    assert f'href="/clusters/{cluster.pk}/"' in read(admin_client, response["Location"])


def test_with_htmx_the_dialog_closes_and_the_page_waits(desk: Desk, admin_client: Client):
    cluster = make_cluster(desk)

    response = admin_client.post(
        f"/clusters/{cluster.pk}/delete/", key(), headers={"HX-Request": "true", "HX-Target": "dialog#dialog"}
    )

    html = response.content.decode()
    assert "Delete requested: train-h100" in html
    assert "groups=clusters" in html


# --- Volumes ----------------------------------------------------------------------------------------------------


def fresh(desk: Desk, **changes: Any) -> dict[str, Any]:
    return (
        key()
        | {"name": "scratch", "project": desk.project.pk, "region": "us-central-8", "size_tib": 3}
        | changes
    )


def test_a_new_volume_says_its_price_first(desk: Desk, admin_client: Client):
    make_region(connection=desk.connection)
    make_unit_price(connection=desk.connection, sku="volume", nano=TIB)

    html = read(admin_client, "/volumes/new/")

    assert "$0.2244</span>/h" in html
    assert "$163.84" in html
    assert "us-central-8" in html
    assert not StopAction.objects.exists()


def test_a_new_volume_without_a_price_says_so(desk: Desk, admin_client: Client):
    html = read(admin_client, "/volumes/new/")

    assert "Price unknown." in html
    assert "No region is known." in html


def test_a_new_volume_is_written_once_with_what_it_will_burn(desk: Desk, admin_client: Client):
    make_region(connection=desk.connection)
    make_unit_price(connection=desk.connection, sku="volume", nano=TIB)
    form = fresh(desk, is_lifecycle_independent="on")

    response = admin_client.post("/volumes/new/", form)
    admin_client.post("/volumes/new/", form)

    action = StopAction.objects.get()
    assert (action.kind, action.project_id, action.target_name) == ("create", desk.project.pk, "scratch")
    assert action.burn_high_at_request == 3 * TIB
    receipt = read(admin_client, response["Location"])
    assert "scratch" in receipt
    assert "us-central-8" in receipt


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"size_tib": 0}, "greater than or equal to 1"),
        ({"size_tib": 9999}, "less than or equal to 500"),
        ({"region": "atlantis"}, "not one of the available choices"),
        ({"region": ""}, "Choose a region."),
        ({"name": ""}, "This field is required"),
        ({"name": "data"}, "data exists already"),
        ({"name": "no spaces"}, ""),
        ({"project": 0}, "Open the form again."),
    ],
)
def test_a_refused_new_volume_says_why_and_writes_nothing(
    desk: Desk, admin_client: Client, changes: dict[str, Any], words: str
):
    make_region(connection=desk.connection)
    make_volume(desk)

    response = admin_client.post("/volumes/new/", fresh(desk, **changes))

    assert response.status_code == 422
    assert words in response.content.decode()
    assert not StopAction.objects.exists()


def test_a_volume_grows(desk: Desk, admin_client: Client):
    volume = make_volume(desk)

    response = admin_client.post(f"/volumes/{volume.pk}/resize/", key() | {"size_tib": 12})

    assert response.status_code == 302
    assert StopAction.objects.get().kind == "resize"


@pytest.mark.parametrize("size", ["10", "9", "0", "-1", "", "9999", "big"])
def test_a_volume_does_not_shrink(desk: Desk, admin_client: Client, size: str):
    volume = make_volume(desk)

    response = admin_client.post(f"/volumes/{volume.pk}/resize/", key() | {"size_tib": size})

    assert response.status_code == 422
    assert not StopAction.objects.exists()


def test_an_unattached_volume_is_deleted(desk: Desk, admin_client: Client):
    volume = make_volume(desk)

    html = read(admin_client, f"/volumes/{volume.pk}/delete/")
    response = admin_client.post(f"/volumes/{volume.pk}/delete/", key())

    assert "10 TiB of data are deleted" in html
    assert "$1,638 per month" in html
    assert response.status_code == 302
    assert StopAction.objects.get().kind == "delete"


def test_a_volume_that_a_cluster_holds_is_not_deleted(desk: Desk, admin_client: Client):
    volume = make_volume(desk, remote_id="vol-1", state="bound")
    make_cluster(desk, links={"volume": "vol-1"})

    shown = read(admin_client, f"/volumes/{volume.pk}/delete/")
    posted = admin_client.post(f"/volumes/{volume.pk}/delete/", key())

    assert "data is attached to train-h100." in shown
    assert posted.status_code == 409
    assert not StopAction.objects.exists()


# --- Containers and RL ------------------------------------------------------------------------------------------


def test_a_container_is_stopped(desk: Desk, operator_client: Client):
    container = desk.resource(ResourceKind.CONTAINER, "router", units=3, nano_usd_per_unit_hour=5_490_000_000)

    html = read(operator_client, f"/containers/{container.pk}/stop/")
    response = operator_client.post(f"/containers/{container.pk}/stop/", key())

    assert "least and most replicas are set to 0" in html
    assert "$16.47/h" in html
    assert response.status_code == 302
    assert StopAction.objects.get().kind == "stop"


def test_rl_resources_are_stopped_with_their_sessions_named(desk: Desk, operator_client: Client):
    resource = desk.resource(
        ResourceKind.RL_RESOURCE,
        "Llama-set",
        units=1,
        nano_usd_per_unit_hour=87_840_000_000,
        remote_id="mr-1",
    )
    desk.resource(ResourceKind.RL_SESSION, "grpo-2", links={"rl-resource": "mr-1"})
    desk.resource(
        ResourceKind.RL_SESSION,
        "grpo-1",
        state="TRAINING_SESSION_STATUS_STOPPED",
        links={"rl-resource": "mr-1"},
    )

    html = read(operator_client, f"/rl/resources/{resource.pk}/stop/")
    response = operator_client.post(f"/rl/resources/{resource.pk}/stop/", key())

    assert "1 session ends with it:" in html
    assert "grpo-2" in html
    assert "grpo-1" not in html
    assert response.status_code == 302
    assert StopAction.objects.get().resource_id == resource.pk


@pytest.mark.parametrize(
    ("kind", "state", "url"),
    [
        (ResourceKind.CONTAINER, "ScaledToZero", "/containers/{pk}/stop/"),
        (ResourceKind.CONTAINER, "Failed", "/containers/{pk}/stop/"),
        (ResourceKind.RL_RESOURCE, "MODEL_RESOURCES_STATUS_STOPPED", "/rl/resources/{pk}/stop/"),
        (ResourceKind.CLUSTER, "Deleting", "/clusters/{pk}/delete/"),
        (ResourceKind.VOLUME, "deleting", "/volumes/{pk}/delete/"),
    ],
)
def test_what_does_not_fit_is_explained_and_nothing_is_written(
    desk: Desk, admin_client: Client, kind: ResourceKind, state: str, url: str
):
    resource = desk.resource(kind, "thing", state=state)
    address = url.format(pk=resource.pk)

    shown = read(admin_client, address)
    posted = admin_client.post(address, key())

    assert "thing is" in shown
    assert posted.status_code == 409
    assert not StopAction.objects.exists()


# --- Rights -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("act", "who", "code"),
    [
        ("/clusters/{cluster}/scale/", "viewer", 403),
        ("/clusters/{cluster}/scale/", "finance", 403),
        ("/clusters/{cluster}/scale/", "other_operator", 404),
        ("/clusters/{cluster}/delete/", "operator", 403),
        ("/volumes/new/", "operator", 403),
        ("/volumes/{volume}/resize/", "operator", 403),
        ("/volumes/{volume}/delete/", "operator", 403),
        ("/volumes/{volume}/delete/", "finance", 403),
        ("/clusters/{volume}/delete/", "admin", 404),
        ("/volumes/{cluster}/delete/", "admin", 404),
        ("/containers/{cluster}/stop/", "operator", 404),
        ("/rl/resources/{volume}/stop/", "operator", 404),
    ],
)
def test_who_may_not_changes_nothing(
    desk: Desk, act: str, who: str, code: int, request: pytest.FixtureRequest
):
    cluster, volume = make_cluster(desk), make_volume(desk)
    client = request.getfixturevalue(f"{who}_client")
    url = act.format(cluster=cluster.pk, volume=volume.pk)
    form = fresh(desk, gpus=24, size_tib=12)

    response = client.post(url, form)

    assert response.status_code == code
    assert not StopAction.objects.exists()
    assert not AuditEvent.objects.filter(action__endswith="_requested").exists()


@pytest.mark.parametrize(
    "act", ["/clusters/{cluster}/delete/", "/volumes/{volume}/delete/", "/clusters/{cluster}/scale/"]
)
def test_a_form_without_its_key_does_nothing(desk: Desk, admin_client: Client, act: str):
    cluster, volume = make_cluster(desk), make_volume(desk)

    response = admin_client.post(act.format(cluster=cluster.pk, volume=volume.pk), {"gpus": 24})

    assert response.status_code in (409, 422)
    assert "Open the form again." in response.content.decode()
    assert not StopAction.objects.exists()


def test_what_nobody_owns_is_scaled_by_admins(desk: Desk, operator_client: Client, admin_client: Client):
    lonely = factories.make_resource(
        kind=ResourceKind.CLUSTER,
        project=factories.make_project(connection=desk.connection),
        payload=cluster_body(),
    )
    url = f"/clusters/{lonely.pk}/scale/"

    assert operator_client.post(url, key() | {"gpus": 24}).status_code == 403
    assert not StopAction.objects.exists()
    assert admin_client.post(url, key() | {"gpus": 24}).status_code == 302


@pytest.mark.parametrize(
    "act",
    [
        "/clusters/{cluster}/scale/",
        "/clusters/{cluster}/delete/",
        "/volumes/{volume}/delete/",
        "/volumes/{volume}/resize/",
    ],
)
def test_an_unknown_price_is_said_and_no_saving_promised(desk: Desk, admin_client: Client, act: str):
    cluster = make_cluster(desk, nano_usd_per_unit_hour=None)
    volume = make_volume(desk, nano_usd_per_unit_hour=None)

    html = read(admin_client, act.format(cluster=cluster.pk, volume=volume.pk))

    assert "It bills now at an <b>unknown price</b>" in html
    assert "saves" not in html
