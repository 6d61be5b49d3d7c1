"""Writing resources: rows, edges, links, prices, absences; an observation never undoes a later one."""

from datetime import datetime, timedelta

import pytest

from dashboard.accounts.models import Connection
from dashboard.mirror.models import Resource, ResourceChange, ResourceLink, UnitPrice
from dashboard.mirror.resource_readings import Phase, ResourceReading, name_links
from dashboard.mirror.store_resources import ResourceObservation, SeenResource, store_resources
from dashboard.mirror.store_unit_prices import store_unit_prices
from dashboard.mirror.unit_prices import DerivedPrice
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
SKU = "cluster/H100_SXM/ON_DEMAND"


@pytest.fixture
def connection() -> Connection:
    connection: Connection = factories.make_project(is_key_project=True).connection
    return connection


def read(state: str = "Ready", **fields: object) -> ResourceReading:
    defaults = {"kind": "cluster", "remote_id": "c-1", "name": "train", "units": 16, "sku": SKU}
    return ResourceReading(state=state, **(defaults | fields))


def see(
    connection: Connection,
    *readings: ResourceReading,
    at: datetime = NOW,
    before: datetime | None = None,
    **lists: list[tuple[str, str]],
) -> None:
    seen = [
        SeenResource(
            one, {"state": one.state}, one.state.encode().ljust(16)[:16], at, at + timedelta(seconds=1)
        )
        for one in readings
    ]
    store_resources(connection, ResourceObservation(before, at, seen=seen, **lists))


def edges() -> list[tuple[str, int | None, str]]:
    return list(ResourceChange.objects.order_by("at", "pk").values_list("state", "units", "source"))


def test_a_first_sight_writes_the_row_its_edge_and_its_links(connection: Connection):
    see(connection, read(links=name_links(("volume", "vol-1"), ("volume", None)), gpu_count=24))

    row = Resource.objects.get()
    assert (row.name, row.status, row.units, row.gpu_count) == ("train", "running", 16, 24)
    assert row.state_since is None, "what was there before we looked has no known beginning"
    assert edges() == [("Ready", 16, "poll")]
    assert list(ResourceLink.objects.values_list("relation", "target")) == [("volume", "vol-1")]


def test_what_names_no_project_or_a_foreign_one_belongs_to_the_keys_own(connection: Connection):
    other = factories.make_project(connection=connection)

    see(
        connection,
        read(),
        read(remote_id="c-2", project_remote_id=other.remote_id),
        read(remote_id="c-3", project_remote_id="proj_of_somebody_else"),
    )

    owners = {row.remote_id: row.project.is_key_project for row in Resource.objects.all()}
    assert owners == {"c-1": True, "c-2": False, "c-3": True}


def test_what_names_no_project_stays_where_it_was_put(connection: Connection):
    other = factories.make_project(connection=connection)
    see(connection, read(project_remote_id=other.remote_id))

    see(connection, read("Degraded"), at=NOW + MINUTE, before=NOW)

    row = Resource.objects.get()
    assert (row.project, row.state) == (other, "Degraded")


def test_a_new_state_is_an_edge_bounded_by_the_pass_before(connection: Connection):
    see(connection, read("InstallingDrivers", units=0))

    see(connection, read("Ready"), at=NOW + MINUTE, before=NOW)

    change = ResourceChange.objects.latest("pk")
    assert (change.state, change.units, change.not_before) == ("Ready", 16, NOW)
    assert Resource.objects.get().state_since == change.at


def test_other_units_in_the_same_state_are_an_edge(connection: Connection):
    see(connection, read())

    see(connection, read(units=24), at=NOW + MINUTE, before=NOW)
    see(connection, read(units=24, name="renamed"), at=NOW + 2 * MINUTE, before=NOW + MINUTE)

    assert edges() == [("Ready", 16, "poll"), ("Ready", 24, "poll")]


def test_phases_are_exact_edges_written_once(connection: Connection):
    phases = (Phase(NOW - 3 * MINUTE, "InstallingDrivers"), Phase(NOW - MINUTE, "Ready"))

    see(connection, read(phases=phases))
    see(connection, read(phases=phases, name="renamed"), at=NOW + MINUTE, before=NOW)

    assert edges() == [("InstallingDrivers", None, "phase"), ("Ready", 16, "phase")]
    assert Resource.objects.get().state_since == NOW - MINUTE


def test_a_late_answer_does_not_undo_what_was_seen_meanwhile(connection: Connection):
    see(connection, read("Deleting"), at=NOW + MINUTE)

    see(connection, read("Ready"), at=NOW)

    assert Resource.objects.get().state == "Deleting"
    assert edges() == [("Deleting", 16, "poll")]


def test_links_are_those_of_the_newest_body(connection: Connection):
    see(connection, read(links=name_links(("volume", "vol-1"), ("volume", "vol-2"))))

    see(connection, read(links=name_links(("volume", "vol-2"), ("volume", "vol-3"))), at=NOW + MINUTE)

    assert set(ResourceLink.objects.values_list("target", flat=True)) == {"vol-2", "vol-3"}


def test_what_is_missing_twice_is_absent_since_the_first_time_and_bills_nothing(connection: Connection):
    see(connection, read())
    key = ("cluster", "c-1")

    see(connection, at=NOW + MINUTE, missing=[key])
    see(connection, at=NOW + 2 * MINUTE, absent=[key])

    row = Resource.objects.get()
    assert (row.absent_since, row.units, row.burn) == (NOW + MINUTE, 0, 0)
    assert edges() == [("Ready", 16, "poll"), ("ABSENT", 0, "poll")]


def test_what_was_found_after_all_is_no_longer_missing(connection: Connection):
    see(connection, read())
    see(connection, at=NOW + MINUTE, missing=[("cluster", "c-1")])

    see(connection, at=NOW + 2 * MINUTE, found=[("cluster", "c-1")])

    row = Resource.objects.get()
    assert (row.missing_since, row.absent_since) == (None, None)


def test_what_comes_back_is_present_again_with_an_edge(connection: Connection):
    see(connection, read())
    see(connection, at=NOW + MINUTE, absent=[("cluster", "c-1")])

    see(connection, read(), at=NOW + 2 * MINUTE, before=NOW + MINUTE)

    assert Resource.objects.get().absent_since is None
    assert [state for state, _, _ in edges()] == ["Ready", "ABSENT", "Ready"]


def test_units_without_a_price_are_counted_and_never_free(connection: Connection):
    see(connection, read())

    row = Resource.objects.get()
    assert (row.nano_usd_per_unit_hour, row.burn, row.unpriced_units) == (None, 0, 16)


def test_a_price_reaches_known_and_later_resources_and_a_change_keeps_the_past(connection: Connection):
    see(connection, read())
    bill = UnitPrice.PriceSource.BILL

    store_unit_prices(connection, [DerivedPrice(SKU, 3_490_000_000, "hour 1")], source=bill, now=NOW)
    see(connection, read(remote_id="c-2", units=8), at=NOW + MINUTE)
    store_unit_prices(connection, [DerivedPrice(SKU, 4_000_000_000, "hour 2")], source=bill, now=NOW + MINUTE)
    again = store_unit_prices(
        connection, [DerivedPrice(SKU, 4_000_000_000, "hour 3")], source=bill, now=NOW + 2 * MINUTE
    )

    burns = dict(Resource.objects.values_list("remote_id", "burn"))
    assert burns == {"c-1": 64_000_000_000, "c-2": 32_000_000_000}
    assert set(Resource.objects.values_list("unpriced_units", flat=True)) == {0}
    periods = list(UnitPrice.objects.order_by("valid_from").values_list("valid_from", "valid_until"))
    assert periods == [(NOW, NOW + MINUTE), (NOW + MINUTE, None)]
    assert again == 0
