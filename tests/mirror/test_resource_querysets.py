"""What pages read of resources: only what a person may see, searched by words, counted once, cut without loss."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from dashboard.accounts.models import Team, User
from dashboard.mirror import resource_querysets as read
from dashboard.mirror.models import Project, Resource, ResourceKind
from tests import factories
from tests.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.fixture
def project(team: Team) -> Project:
    return factories.make_project(team=team, name="search-prod")


def names(rows: object) -> list[str]:
    return [row.name for row in rows]  # type: ignore[attr-defined]


def test_people_see_their_teams_and_what_nobody_owns(
    project: Project, viewer: User, other_operator: User, admin: User
):
    factories.make_resource(project=project, name="ours")
    factories.make_resource(name="nobodys")

    seen = {user.pk: set(names(read.visible_resources(user))) for user in (viewer, other_operator, admin)}

    assert seen == {
        viewer.pk: {"ours", "nobodys"}, other_operator.pk: {"nobodys"}, admin.pk: {"ours", "nobodys"},
    }  # fmt: skip


def test_inactive_people_see_nothing(project: Project, viewer: User):
    factories.make_resource(project=project)
    viewer.is_active = False

    assert not read.visible_resources(viewer).exists()


def test_a_row_costs_one_query_with_its_team_and_without_its_payload(project: Project, viewer: User):
    factories.make_resource(project=project, payload={"big": "x" * 10_000})

    with CaptureQueriesContext(connection) as captured:
        row = read.visible_resources(viewer, ["fine-tune"]).get()
        assert row.project.team is not None
        assert row.project.team.name == "Search"

    assert len(captured) == 1
    assert '"payload"' not in captured[0]["sql"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("tuned", True), ("TUNED qwen", True), ("ft-77", True), ("anna", True), ("h100", True), ("us-east", True),
        ("search-prod", True), ("Search", True), ("lora", True), ("tuned llama", False), ("%", False),
        ("_", False), ("", True),
    ],
)  # fmt: skip
def test_every_word_must_stand_somewhere(project: Project, viewer: User, text: str, found: bool):
    factories.make_resource(
        project=project, name="support-tuned", remote_id="ft-77", model="Qwen/Qwen3-8B", owner="user-anna",
        hardware="H100-SXM", region="us-east-1", variety="LoRA SFT",
    )  # fmt: skip

    assert read.search_resources(read.visible_resources(viewer), text).exists() is found


def test_groups_count_each_row_once_and_sum_exactly(project: Project, viewer: User):
    price = 3_141_592_653
    for state in ("Ready", "Ready", "Paused"):
        factories.make_resource(
            kind=ResourceKind.CLUSTER,
            project=project,
            state=state,
            gpu_count=8,
            units=8,
            nano_usd_per_unit_hour=price,
        )
    factories.make_resource(kind=ResourceKind.VOLUME, project=project, units=4)

    groups = {(one.kind, one.status): one for one in read.group_resources(read.visible_resources(viewer))}

    assert {key: group.count for key, group in groups.items()} == {
        ("cluster", "running"): 2, ("cluster", "paused"): 1, ("volume", "attached"): 1,
    }  # fmt: skip
    assert groups["cluster", "running"].burn == 16 * price
    assert groups["cluster", "running"].gpu_count == 16
    assert groups["volume", "attached"].unpriced_units == 4


@pytest.mark.parametrize("sort", sorted(read.SORTS))
def test_every_order_is_total(project: Project, viewer: User, sort: str):
    for number in range(12):
        factories.make_resource(
            project=project, name="same", remote_created_at=None if number % 3 else NOW,
            total_nano_usd=None if number % 2 else 5, kind=ResourceKind.BATCH if number % 4 else ResourceKind.FILE,
        )  # fmt: skip
    rows = read.sort_resources(read.visible_resources(viewer), sort)

    pages = [row.pk for start in range(0, 12, 5) for row in rows[start : start + 5]]

    assert len(set(pages)) == 12
    assert rows.query.order_by[-1] in ("id", "-id")


def test_what_is_not_told_stands_last_whichever_way(project: Project, viewer: User):
    factories.make_resource(project=project, name="dear", total_nano_usd=9)
    factories.make_resource(project=project, name="untold", total_nano_usd=None)
    factories.make_resource(project=project, name="cheap", total_nano_usd=1)
    rows = read.visible_resources(viewer)

    assert names(read.sort_resources(rows, "-price")) == ["dear", "cheap", "untold"]
    assert names(read.sort_resources(rows, "price")) == ["cheap", "dear", "untold"]


def test_an_order_that_does_not_exist_is_an_error(viewer: User):
    with pytest.raises(KeyError):
        read.sort_resources(read.visible_resources(viewer), "payload")


def test_values_and_teams_are_counted_for_menus(project: Project, admin: User):
    for owner in ("anna", "anna", "ben", ""):
        factories.make_resource(project=project, owner=owner)
    factories.make_resource(owner="ben")
    rows = read.visible_resources(admin)

    assert [(one.value, one.count) for one in read.list_values(rows, "owner")] == [("anna", 2), ("ben", 2)]
    assert [(one.label, one.count) for one in read.list_resource_teams(rows)] == [
        ("Search", 4),
        ("No team", 1),
    ]


@pytest.mark.parametrize(("value", "count"), [("none", 1), ("x", 0), ("9" * 30, 0), ("", 0), ("-1", 0)])
def test_a_team_that_makes_no_sense_matches_nothing(project: Project, admin: User, value: str, count: int):
    factories.make_resource(project=project)
    factories.make_resource()

    assert read.filter_resource_team(read.visible_resources(admin), value).count() == count


def test_links_are_followed_within_one_connection_and_back(project: Project, viewer: User):
    file = factories.make_resource(kind=ResourceKind.FILE, project=project, remote_id="file-1", name="ours")
    factories.make_resource(kind=ResourceKind.FILE, remote_id="file-1", name="of another connection")
    job = factories.make_resource(project=project, links={"input": "file-1"})
    factories.make_resource(project=project, links={"input": "file-1"}, absent_since=NOW)

    found = read.find_named(viewer, ["file-1"], connection_id=project.connection_id)
    users = read.find_links_to(viewer, file, limit=10)

    assert names(found) == ["ours"]
    assert [link.resource_id for link in users] == [job.pk]


def test_a_model_is_named_by_its_id_or_its_name(project: Project, viewer: User):
    model = factories.make_resource(kind=ResourceKind.MODEL, project=project, remote_id="ml_1", name="acme/x")
    by_name = factories.make_resource(project=project, links={"model": "acme/x"})
    by_id = factories.make_resource(project=project, links={"model": "ml_1"})

    found = {link.resource_id for link in read.find_links_to(viewer, model, limit=10)}

    assert found == {by_name.pk, by_id.pk}
    assert names(read.find_named(viewer, ["acme/x"], connection_id=project.connection_id)) == ["acme/x"]


def test_users_are_limited_and_newest_first(project: Project, viewer: User):
    file = factories.make_resource(kind=ResourceKind.FILE, project=project, remote_id="file-1")
    jobs = [
        factories.make_resource(
            project=project, links={"input": "file-1"}, remote_created_at=NOW - timedelta(hours=number)
        )
        for number in range(5)
    ]

    found = read.find_links_to(viewer, file, limit=3)

    assert [link.resource_id for link in found] == [job.pk for job in jobs[:3]]


def test_the_palette_takes_the_newest_of_each_kind_in_one_query(project: Project, viewer: User):
    for kind in ResourceKind:
        for number in range(4):
            factories.make_resource(
                kind=kind,
                project=project,
                name=f"word-{number}",
                remote_created_at=NOW - timedelta(hours=number),
            )

    with CaptureQueriesContext(connection) as captured:
        found = read.find_by_name(viewer, "word", limit=2)

    assert len(captured) == 1
    assert {(row.kind, row.name) for row in found} == {
        (kind.value, f"word-{number}") for kind in ResourceKind for number in range(2)
    }


def test_an_absent_resource_is_no_hit(project: Project, viewer: User):
    factories.make_resource(project=project, name="gone", absent_since=NOW)

    assert read.find_by_name(viewer, "gone", limit=5) == []
    assert Resource.objects.count() == 1
