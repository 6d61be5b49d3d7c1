"""Projects, hardware, prices and model names."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise

import pytest

from dashboard.mirror.models import Deployment, Endpoint, Hardware, HardwarePrice, ModelName, Project, SyncRun
from dashboard.mirror.store_catalogue import reprice
from tests import factories
from tests.mirror.conftest import Mirror

HARDWARE = "1xnvidia-h100-80gb"


def prices(name: str, generation: str = "v2") -> list[tuple]:
    rows = HardwarePrice.objects.filter(hardware__name=name, hardware__generation=generation).order_by(
        "valid_from"
    )
    return list(rows.values_list("nano_usd_per_hour", "valid_from", "valid_until"))


def change_price(mirror: Mirror, **fields: float) -> None:
    mirror.simulator.admin("POST", "/prices", hardware=HARDWARE, **fields)


def test_projects_of_the_organisation_and_the_keys_own_are_known(mirror: Mirror):
    run = mirror.sync_projects()

    own = mirror.simulator.call("GET", "/v3/whoami")["project"]["id"]
    assert (run.outcome, run.created) == (SyncRun.Outcome.COMPLETE, 4)
    assert set(Project.objects.values_list("name", flat=True)) == {"Support", "Search", "Research", "Docs"}
    assert Project.objects.get(is_key_project=True).remote_id == own


def test_every_size_has_the_price_of_its_list(mirror: Mirror):
    mirror.sync_catalogue()

    listed = mirror.simulator.call("GET", "/v2/public/inference-instance-types?limit=500")["data"]
    assert {one["name"]: one["priceCentsPerHour"] * 10_000_000 for one in listed} == dict(
        HardwarePrice.objects.filter(hardware__generation="v2", valid_until=None).values_list(
            "hardware__name", "nano_usd_per_hour"
        )
    )


def test_a_change_of_price_closes_one_row_opens_the_next_and_reprices_what_runs(filled: Mirror):
    first_seen = filled.now
    ((old, _, _),) = prices(HARDWARE)
    endpoint = filled.endpoint("search-embed-e5")
    filled.advance(300)
    change_price(filled, cents_per_hour=999)

    filled.sync_hardware()

    endpoint.refresh_from_db()
    assert prices(HARDWARE) == [(old, first_seen, filled.now), (9_990_000_000, filled.now, None)]
    on_it = Deployment.objects.filter(hardware=HARDWARE)
    assert set(on_it.values_list("nano_usd_per_hour", flat=True)) == {9_990_000_000}
    assert endpoint.burn_high == sum(
        one.billable_high * one.nano_usd_per_hour for one in endpoint.deployments.all()
    )
    assert endpoint.burn_high >= 9_990_000_000
    # The other generation has its own price.
    assert len(prices("1x_nvidia_h100_80gb_sxm", "v1")) == 1


def test_an_unchanged_price_writes_nothing(filled: Mirror):
    before = prices(HARDWARE)
    filled.advance(300)

    filled.sync_hardware()

    assert prices(HARDWARE) == before


def test_hardware_without_a_price_is_counted_as_unpriced_not_as_free(filled: Mirror):
    endpoint = filled.endpoint("search-embed-e5")
    Hardware.objects.filter(name=HARDWARE).update(name="other", remote_id="other")

    reprice(filled.connection)

    endpoint.refresh_from_db()
    unpriced = Deployment.objects.filter(hardware=HARDWARE)
    assert set(unpriced.values_list("nano_usd_per_hour", flat=True)) == {None}
    assert endpoint.unpriced_replicas == sum(
        one.billable_high for one in endpoint.deployments.filter(hardware=HARDWARE)
    )
    assert endpoint.unpriced_replicas > 0


def test_a_price_that_was_written_with_old_knowledge_is_put_right_by_the_next_pass(filled: Mirror):
    """A pass over endpoints may have loaded the price list just before it changed."""
    deployment = filled.deployment("search-embed-e5")
    price = deployment.nano_usd_per_hour
    Deployment.objects.filter(pk=deployment.pk).update(nano_usd_per_hour=1)

    filled.sync_hardware()

    deployment.refresh_from_db()
    assert deployment.nano_usd_per_hour == price


@pytest.mark.parametrize("path", ["/v1/projects*", "/v2/public/*", "/v1/hardware"])
@pytest.mark.parametrize("kind", ["missing_item", "empty_list", "cursor_loop"])
def test_lists_that_lack_something_once_remove_nothing(filled: Mirror, path: str, kind: str):
    filled.break_with(kind, route=path)
    filled.advance(300)
    filled.sync_projects()
    filled.sync_hardware()
    filled.simulator.clear_faults()
    filled.advance(300)

    filled.sync_projects()
    filled.sync_hardware()

    for model in (Project, Hardware):
        assert not model.objects.exclude(absent_since=None, missing_since=None).exists()
    assert Endpoint.objects.filter(unpriced_replicas__gt=0).count() == 0


def test_a_size_that_stays_away_is_absent_since_it_was_first_missing(filled: Mirror):
    filled.break_with("missing_item", route="/v2/public/*")
    filled.advance(300)
    filled.sync_hardware()
    missing_since = filled.now
    filled.advance(300)

    run = filled.sync_hardware()

    assert run.absent == 1
    assert Hardware.objects.get(absent_since__isnull=False).absent_since == missing_since


def test_model_ids_get_the_names_people_use(filled: Mirror):
    deployment = filled.deployment("support-triage-70b")

    assert deployment.model == "meta-llama/Llama-3.3-70B-Instruct-Turbo"
    assert deployment.model_id.startswith("ml_")
    assert ModelName.objects.get(remote_id=deployment.model_id).name == deployment.model


class TestTwoConnections:
    """Two keys of one organisation must not show, and count, everything twice."""

    @pytest.fixture
    def second(self, filled: Mirror) -> Mirror:
        filled.simulator.admin("POST", "/keys", key="second-key")
        connection = factories.make_connection(
            api_key="second-key", organization_id=filled.connection.organization_id
        )
        return Mirror(connection, filled.simulator)

    def test_what_one_mirrors_the_other_leaves_alone(self, filled: Mirror, second: Mirror):
        burn = sum(Endpoint.objects.values_list("burn_high", flat=True))

        second.sync_all()

        assert not Project.objects.filter(connection=second.connection).exists()
        assert sum(Endpoint.objects.filter(absent_since=None).values_list("burn_high", flat=True)) == burn

    def test_where_both_got_hold_of_a_project_the_elder_keeps_it(self, filled: Mirror, second: Mirror):
        Project.objects.update(connection=second.connection)
        second.sync_hardware()
        second.sync_endpoints()
        filled.connection.is_enabled = True
        for project in Project.objects.all():
            project.pk, project.connection = None, filled.connection
            project.save()

        filled.sync_projects()
        second.sync_projects()

        assert Project.objects.filter(connection=filled.connection, absent_since=None).count() == 4
        assert not Project.objects.filter(connection=second.connection, absent_since=None).exists()
        assert not Endpoint.objects.filter(connection=second.connection, absent_since=None).exists()

    def test_what_a_disabled_connection_had_goes_to_the_other_and_is_counted_once(
        self, filled: Mirror, second: Mirror
    ):
        burn = sum(Endpoint.objects.values_list("burn_high", flat=True))
        filled.connection.is_enabled = False
        filled.connection.save(update_fields=["is_enabled"])

        second.sync_all()

        present = Endpoint.objects.filter(absent_since=None)
        assert set(present.values_list("connection", flat=True)) == {second.connection.pk}
        assert sum(present.values_list("burn_high", flat=True)) == burn

    def test_a_project_handed_over_comes_back_only_by_the_others_leave(self, filled: Mirror, second: Mirror):
        connection = filled.connection
        connection.is_enabled = False
        connection.save(update_fields=["is_enabled"])
        second.sync_projects()
        connection.is_enabled = True
        connection.save(update_fields=["is_enabled"])

        filled.advance(300)
        filled.sync_projects()

        assert not Project.objects.filter(connection=connection, absent_since=None).exists()
        assert Project.objects.filter(connection=second.connection, absent_since=None).count() == 4


def test_valid_times_of_a_price_follow_each_other(filled: Mirror):
    for cents in (600, 700, 800):
        filled.advance(300)
        change_price(filled, cents_per_hour=cents)
        filled.sync_hardware()

    rows = prices(HARDWARE)
    assert [row[0] for row in rows[1:]] == [6_000_000_000, 7_000_000_000, 8_000_000_000]
    assert all(one[2] == other[1] for one, other in pairwise(rows))
    assert all(row[2] is None or row[2] - row[1] == timedelta(seconds=300) for row in rows)


def test_a_change_of_price_moves_all_that_runs_on_it_at_once(db: None, organize: Callable[..., Mirror]):
    mirror = organize(scenario="large", speed=1)
    mirror.sync_catalogue()
    mirror.sync_endpoints()
    change_price(mirror, cents_per_hour=1_000)
    mirror.advance(300)

    mirror.sync_hardware()

    on_it = Deployment.objects.filter(hardware=HARDWARE)
    assert on_it.count() > 1_000
    assert set(on_it.values_list("nano_usd_per_hour", flat=True)) == {10_000_000_000}
