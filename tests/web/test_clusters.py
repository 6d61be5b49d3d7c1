"""Clusters: the list with its filters and states, and the page with nodes, phases, what bills and what is prepaid."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from dashboard.mirror.models import Resource, ResourceKind, SyncRun
from tests import factories
from tests.compute_factories import cluster_body, make_unit_price, node_body, write_time
from tests.factories import NOW
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")
Run = SyncRun.Resource
H100 = 3_490_000_000


def read(client: Client, url: str = "/clusters/", **headers: str) -> str:
    response = client.get(url, headers=headers)
    assert response.status_code == 200
    return response.content.decode()


def list_names(html: str) -> list[str]:
    return re.findall(r'class="ui-t-name" href="/clusters/\d+/"[^>]*>([^<]+)</a>', html)


def panel(html: str, panel_id: str) -> str:
    start = html.index(f'id="{panel_id}"')
    return " ".join(re.sub(r"<[^>]+>", " ", html[start : html.index("</section>", start)]).split())


def make_cluster(desk: Desk, name: str = "train-h100", **fields: Any) -> Resource:
    body = fields.pop("body", None) or cluster_body()
    defaults: dict[str, Any] = {
        "hardware": "H100_SXM",
        "region": "us-central-8",
        "variety": "Slurm, on-demand",
        "gpu_count": 16,
        "units": 16,
        "sku": "cluster/H100_SXM/ON_DEMAND",
        "nano_usd_per_unit_hour": H100,
        "payload": body,
    }
    return desk.resource(ResourceKind.CLUSTER, name, **(defaults | fields))


@pytest.fixture
def mixed(desk: Desk) -> Desk:
    make_cluster(desk, "research", links={"volume": "vol-1"})
    make_cluster(
        desk, "prepaid", units=0, variety="Slurm, reserved", region="eu-north-1",
        expires_at=NOW + timedelta(days=9), body=cluster_body(reserved=16),
    )  # fmt: skip
    make_cluster(desk, "booting", state="InstallingDrivers", units=0, hardware="B200_SXM", gpu_count=32)
    make_cluster(desk, "broken", state="Degraded", units=8, nano_usd_per_unit_hour=None)
    return desk


def test_the_most_expensive_stands_first(mixed: Desk, viewer_client: Client):
    assert list_names(read(viewer_client))[0] == "research"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?status=running", {"research", "prepaid"}),
        ("?status=starting", {"booting"}),
        ("?status=degraded", {"broken"}),
        ("?hardware=B200_SXM", {"booting"}),
        ("?region=eu-north-1", {"prepaid"}),
        ("?q=north", {"prepaid"}),
        ("?team=none", set()),
    ],
)
def test_filters_narrow(mixed: Desk, viewer_client: Client, query: str, names: set[str]):
    assert set(list_names(read(viewer_client, f"/clusters/{query}"))) == names


@pytest.mark.parametrize(
    ("sort", "first"),
    [("-gpus", "booting"), ("expires", "prepaid"), ("name", "booting"), ("region", "prepaid")],
)
def test_sorting(mixed: Desk, viewer_client: Client, sort: str, first: str):
    assert list_names(read(viewer_client, f"/clusters/?sort={sort}"))[0] == first


def test_rows_say_what_bills_and_when_a_reservation_ends(mixed: Desk, viewer_client: Client):
    html = " ".join(read(viewer_client).split())

    assert "16 × H100 SXM" in html
    assert "16 bill by the hour" in html
    assert "55.84" in html
    assert "paid in advance" in html
    assert re.search(r"ends in <time[^>]*data-countdown>9 d</time>", html)
    assert "Installing drivers" in html
    assert "not billed yet" in html
    assert "price unknown" in html


@pytest.mark.parametrize(
    ("who", "labels"),
    [
        ("viewer", set()),
        ("operator", {"cluster_scale"}),
        ("admin", {"cluster_scale", "cluster_delete"}),
        ("finance", set()),
    ],
)
def test_the_menu_holds_what_the_person_may_do(
    desk: Desk, who: str, labels: set[str], request: pytest.FixtureRequest
):
    cluster = make_cluster(desk)
    client = request.getfixturevalue(f"{who}_client")

    for url in ("/clusters/", f"/clusters/{cluster.pk}/"):
        html = read(client, url)

        assert (f"/clusters/{cluster.pk}/scale/" in html) is ("cluster_scale" in labels)
        assert (f"/clusters/{cluster.pk}/delete/" in html) is ("cluster_delete" in labels)


def test_states_of_the_list(desk: Desk, viewer_client: Client):
    assert "No cluster" in read(viewer_client)

    SyncRun.objects.filter(resource=Run.CLUSTERS).update(
        outcome=SyncRun.Outcome.UNAVAILABLE, error="403: not enabled."
    )
    assert "Not offered to this key" in read(viewer_client)

    SyncRun.objects.filter(resource=Run.CLUSTERS).delete()
    html = read(viewer_client)
    assert "First reading" in html
    assert "No cluster" not in html


def test_old_rows_are_past_and_a_failed_reading_is_told(mixed: Desk, viewer_client: Client):
    SyncRun.objects.filter(resource=Run.CLUSTERS).update(started_at=NOW - timedelta(minutes=9))
    factories.make_sync_run(
        connection=mixed.connection, resource=Run.CLUSTERS, outcome=SyncRun.Outcome.FAILED,
        started_at=NOW - timedelta(seconds=5), error="The provider answered 503.",
    )  # fmt: skip

    html = read(viewer_client)

    assert "sync late: 9 min ago" in html
    assert "Was running" in html
    assert "The provider answered 503." in html


def test_the_live_part_listens_to_its_kind(mixed: Desk, viewer_client: Client):
    html = read(viewer_client, **{"HX-Request": "true"})

    assert "<html" not in html
    assert 'data-live="cluster,actions' in html


def test_another_team_finds_no_cluster(mixed: Desk, other_operator_client: Client):
    pk = Resource.objects.values_list("pk", flat=True).filter(name="research").get()

    assert list_names(read(other_operator_client)) == []
    assert other_operator_client.get(f"/clusters/{pk}/").status_code == 404


def test_a_volume_is_no_cluster(desk: Desk, viewer_client: Client):
    volume = desk.resource(ResourceKind.VOLUME)

    assert viewer_client.get(f"/clusters/{volume.pk}/").status_code == 404


# --- The page ---------------------------------------------------------------------------------------------------


def test_the_bill_of_an_on_demand_cluster_is_explained(desk: Desk, viewer_client: Client):
    make_unit_price(connection=desk.connection)
    cluster = make_cluster(desk)

    bill = panel(read(viewer_client, f"/clusters/{cluster.pk}/"), "bill")

    assert "On live nodes 16" in bill
    assert "of these on demand 16" in bill
    assert "Bill by the hour 16 GPUs" in bill
    assert "Per GPU-hour $3.49" in bill
    assert "Per hour $55.84/h" in bill
    assert "Per month, 730 h $40,763" in bill
    assert "Price from the billed hour of 2026-11-18 11:00 UTC, GPU Cluster - H100; no API tells it." in bill


def test_a_price_that_nothing_tells_is_no_number(desk: Desk, viewer_client: Client):
    cluster = make_cluster(desk, nano_usd_per_unit_hour=None)

    bill = panel(read(viewer_client, f"/clusters/{cluster.pk}/"), "bill")

    assert "$" not in bill
    assert "Price unknown" in bill


def test_prepaid_gpus_are_explained_with_their_end(desk: Desk, viewer_client: Client):
    body = cluster_body(
        nodes=3, reserved=16,
        reservation_start_time=write_time(NOW - timedelta(days=21)),
        reservation_end_time=write_time(NOW + timedelta(days=9)),
    )  # fmt: skip
    cluster = make_cluster(desk, body=body, units=8, gpu_count=24, expires_at=NOW + timedelta(days=9))

    html = read(viewer_client, f"/clusters/{cluster.pk}/")

    assert "of these prepaid 16" in panel(html, "bill")
    assert "of these on demand 8" in panel(html, "bill")
    assert "Reserved 16 GPUs" in panel(html, "prepaid")
    assert "Left 9 d" in panel(html, "prepaid")
    assert "is not refunded" in panel(html, "prepaid")
    assert "the provider decommissions the cluster" in panel(html, "prepaid")
    assert "not on which nodes" in panel(html, "nodes")


def test_nodes_say_their_phase_and_their_repair(desk: Desk, viewer_client: Client):
    repair = {
        "mode": "REMEDIATION_MODE_HOST_AWARE",
        "state": "PENDING_APPROVAL",
        "reason": "Xid 79",
        "update_time": write_time(NOW - timedelta(minutes=12)),
    }
    nodes = [node_body("gpu-001"), node_body("gpu-002", "FAILED", latest_remediation=repair)]
    cluster = make_cluster(desk, state="Degraded", units=8, body=cluster_body(gpu_worker_nodes=nodes))

    html = read(viewer_client, f"/clusters/{cluster.pk}/")
    shown = panel(html, "nodes")

    assert "1 of 2 live" in shown
    assert "gpu-001 10.0.0.1 Running for 1 h 00 min 8 176 1,800 by the hour" in shown
    assert "gpu-002 10.0.0.1 Failed for 1 h 00 min 8 176 1,800 no" in shown
    assert "Repair: pending approval, a new machine on another host; Xid 79" in shown
    assert "A repair of gpu-002 waits for approval:" in html


def test_phases_show_the_way_and_what_lies_ahead(desk: Desk, viewer_client: Client):
    transitions = [
        ("CLUSTER_PHASE_WAITING_FOR_CONTROL_PLANE_NODES", 20),
        ("CLUSTER_PHASE_WAITING_FOR_DATA_PLANE_NODES", 17),
        ("CLUSTER_PHASE_INSTALLING_DRIVERS", 8),
    ]
    body = cluster_body(
        status="InstallingDrivers",
        phase_transitions=[
            {"phase": phase, "transition_time": write_time(NOW - timedelta(minutes=ago))}
            for phase, ago in transitions
        ],
    )
    cluster = make_cluster(desk, state="InstallingDrivers", units=0, body=body)
    for phase, ago in transitions:
        factories.make_resource_change(
            cluster, phase.removeprefix("CLUSTER_PHASE_").title().replace("_", ""), units=None,
            at=NOW - timedelta(minutes=ago), source="phase", phase_key=phase,
        )  # fmt: skip

    shown = panel(read(viewer_client, f"/clusters/{cluster.pk}/"), "phases")

    assert "Control plane 3 min Data plane 9 min Drivers for 8 min Tests not yet Ready not yet" in shown
    assert "Waiting for data plane nodes" in shown
    assert "phase transition" in shown


def test_volumes_are_linked_and_priced_and_what_is_not_mirrored_is_named(desk: Desk, viewer_client: Client):
    desk.resource(
        ResourceKind.VOLUME, "data", remote_id="vol-1", units=10, nano_usd_per_unit_hour=224_000_000
    )
    body = cluster_body(
        volumes=[
            {"volume_id": "vol-1", "volume_name": "data", "size_tib": 10, "status": "bound"},
            {"volume_id": "vol-2", "volume_name": "scratch", "size_tib": 3, "status": "bound"},
        ]
    )
    cluster = make_cluster(desk, body=body, links={"volume": "vol-1"})

    html = read(viewer_client, f"/clusters/{cluster.pk}/")
    shown = panel(html, "volumes")

    assert "data 10 TiB, $2.24/h Attached" in shown
    assert "scratch 3 TiB Attached" in shown
    assert 'id="links"' not in html


def test_what_is_not_told_is_said(desk: Desk, viewer_client: Client):
    cluster = make_cluster(desk, body={"cluster_id": "c"}, hardware="", region="", gpu_count=0, units=0)

    html = read(viewer_client, f"/clusters/{cluster.pk}/")

    assert "No node yet" in html
    assert "tells no load of clusters" in html
    assert "Ordered not told" in panel(html, "bill")


def test_a_body_that_cannot_be_read_does_not_break_the_page(desk: Desk, viewer_client: Client):
    cluster = make_cluster(desk, body={"gpu_worker_nodes": "none", "num_gpus": {"odd": 1}})

    assert "No node yet" in read(viewer_client, f"/clusters/{cluster.pk}/")


def test_paused_compute_is_explained(desk: Desk, viewer_client: Client):
    cluster = make_cluster(desk, state="OnDemandComputePaused", units=0)

    html = read(viewer_client, f"/clusters/{cluster.pk}/")

    assert "On demand compute paused." in html
    assert "revokes access to its storage" in " ".join(html.split())


def test_words_of_the_provider_are_escaped(desk: Desk, viewer_client: Client):
    body = cluster_body(
        gpu_worker_nodes=[node_body("<b>node</b>")],
        add_ons=[{"name": "<script>x</script>", "add_on_type": "x"}],
        cuda_version="<i>12</i>",
    )
    cluster = make_cluster(desk, "<u>name</u>", body=body)

    html = read(viewer_client, f"/clusters/{cluster.pk}/")

    for text in ("<b>node", "<script>x", "<i>12", "<u>name"):
        assert text not in html
