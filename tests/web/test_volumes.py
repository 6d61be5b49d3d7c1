"""Shared volumes: what each costs, what holds it, and those that nothing uses."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from dashboard.mirror.models import Resource, ResourceKind, SyncRun
from tests import factories
from tests.compute_factories import make_unit_price
from tests.factories import NOW
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")
Run = SyncRun.Resource
TIB = 224_438_356


def read(client: Client, url: str = "/volumes/", **headers: str) -> str:
    response = client.get(url, headers=headers)
    assert response.status_code == 200
    return response.content.decode()


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def make_volume(desk: Desk, name: str, tib: int = 10, **fields: Any) -> Resource:
    defaults: dict[str, Any] = {
        "size_bytes": tib * 2**40,
        "units": tib,
        "sku": "volume",
        "nano_usd_per_unit_hour": TIB,
        "payload": {"size_tib": tib},
    }
    return desk.resource(ResourceKind.VOLUME, name, **(defaults | fields))


@pytest.fixture
def mixed(desk: Desk) -> Desk:
    make_volume(desk, "data", remote_id="vol-1")
    make_volume(desk, "forgotten", 20, state="available", state_since=NOW - timedelta(days=12))
    make_volume(desk, "fresh", 1, state="provisioning", units=0)
    desk.resource(ResourceKind.CLUSTER, "train-h100", region="us-central-8", links={"volume": "vol-1"})
    return desk


def test_rows_name_the_cluster_and_its_region(mixed: Desk, viewer_client: Client):
    cluster = Resource.objects.get(name="train-h100")

    html = read(viewer_client, "/volumes/?status=attached")

    assert f'href="/clusters/{cluster.pk}/">train-h100</a>' in html
    assert "us-central-8" in words(html)
    assert "10 TiB 1,638 2.24" in words(html)


def test_what_nothing_uses_is_flagged_with_its_cost(mixed: Desk, viewer_client: Client):
    html = words(read(viewer_client, "/volumes/?status=unattached"))

    assert "Not attached not attached for 12 d costs $3,277 per month all the same" in html
    assert "not told 20 TiB" in html


def test_a_first_sight_says_at_least(desk: Desk, viewer_client: Client):
    volume = make_volume(
        desk, "old", state="available", state_since=None, first_observed_at=NOW - timedelta(days=30)
    )

    assert "not attached for at least 30 d" in words(read(viewer_client))
    page = words(read(viewer_client, f"/volumes/{volume.pk}/"))
    assert "Not attached for at least 30 d . No cluster uses it" in page
    assert "It was so when it was first read here." in page


def test_an_unknown_price_is_no_number(desk: Desk, viewer_client: Client):
    make_volume(desk, "dear", state="available", nano_usd_per_unit_hour=None)

    html = words(read(viewer_client))

    assert "bills all the same, price unknown" in html
    assert "not known" in html
    assert "0.00" not in html


def test_the_footer_sums_what_bills(mixed: Desk, viewer_client: Client):
    html = read(viewer_client)
    foot = words(html[html.index("<tfoot>") : html.index("</tfoot>")])

    assert foot.startswith("3 volumes")
    assert "30 TiB 4,915 6.73" in foot


def test_a_cluster_that_the_person_does_not_see_is_not_named(desk: Desk, viewer_client: Client):
    hidden = factories.make_project(connection=desk.connection, team=factories.make_team("Legal"))
    make_volume(desk, "data", remote_id="vol-1")
    factories.make_resource(
        kind=ResourceKind.CLUSTER, project=hidden, name="secret-cluster", links={"volume": "vol-1"}
    )

    html = read(viewer_client)

    assert "secret-cluster" not in html
    assert "a cluster that you do not see" in html


def test_a_cluster_of_another_connection_does_not_hold_it(desk: Desk, admin_client: Client):
    make_volume(desk, "data", remote_id="vol-1")
    factories.make_resource(kind=ResourceKind.CLUSTER, name="elsewhere", links={"volume": "vol-1"})

    assert "elsewhere" not in read(admin_client)


def test_only_admins_make_resize_and_delete(
    desk: Desk, operator_client: Client, viewer_client: Client, admin_client: Client
):
    volume = make_volume(desk, "data", state="available")

    for client in (viewer_client, operator_client):
        assert "/volumes/new/" not in read(client)
        assert f"/volumes/{volume.pk}/delete/" not in read(client, f"/volumes/{volume.pk}/")
    assert "/volumes/new/" in read(admin_client)
    page = read(admin_client, f"/volumes/{volume.pk}/")
    assert f"/volumes/{volume.pk}/resize/" in page
    assert f"/volumes/{volume.pk}/delete/" in page


def test_states_of_the_list(desk: Desk, viewer_client: Client):
    assert "No volume" in read(viewer_client)

    SyncRun.objects.filter(resource__in=(Run.VOLUMES, Run.CLUSTERS)).update(
        outcome=SyncRun.Outcome.UNAVAILABLE, error="403: not enabled."
    )
    assert "Not offered to this key" in read(viewer_client)

    SyncRun.objects.filter(resource__in=(Run.VOLUMES, Run.CLUSTERS)).delete()
    assert "First reading" in read(viewer_client)


def test_the_page_explains_price_and_use(mixed: Desk, viewer_client: Client):
    make_unit_price(
        connection=mixed.connection, sku="volume", nano=TIB,
        evidence="billed hour of 2026-11-18 11:00 UTC, Shared Storage",
    )  # fmt: skip
    volume = Resource.objects.get(name="data")

    html = read(viewer_client, f"/volumes/{volume.pk}/")
    shown = words(html)

    assert "Per TiB and hour $0.2244" in shown
    assert "Per TiB and month $163.84" in shown
    assert "Price from the billed hour of 2026-11-18 11:00 UTC, Shared Storage; no API tells it." in shown
    assert "Attached to train-h100" in shown
    assert "Outlives its cluster not told" in shown
    assert "Not attached" not in shown


def test_another_team_finds_nothing(mixed: Desk, other_operator_client: Client):
    volume = Resource.objects.get(name="data")

    assert other_operator_client.get(f"/volumes/{volume.pk}/").status_code == 404
    assert "forgotten" not in read(other_operator_client)


def test_a_volume_that_is_gone_still_has_a_page(desk: Desk, admin_client: Client):
    volume = make_volume(desk, "gone", absent_since=NOW - timedelta(days=1))

    html = read(admin_client, f"/volumes/{volume.pk}/")

    assert "The provider no longer lists it" in html
    assert f"/volumes/{volume.pk}/delete/" not in html
    assert "gone" not in re.findall(r'class="ui-t-name"[^>]*>([^<]+)<', read(admin_client))
