"""Activity: everybody sees the own acts and those on what they may see; filters narrow, never widen."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from dashboard.accounts import audit
from dashboard.accounts.models import AuditEvent, User
from dashboard.web.views.activity import filter_events
from tests import factories

pytestmark = pytest.mark.django_db
PROCESS = audit.Actor.for_process("enforcer")


@pytest.fixture
def trail(team, other_team, viewer: User, admin: User) -> None:
    """One act on an endpoint of each team, one by the viewer, one on people; all from one address."""
    context = audit.RequestContext(ip="192.0.2.7")
    connection = factories.make_connection()
    for owner, name in ((team, "search-70b"), (other_team, "legal-8b")):
        project = factories.make_project(connection=connection, team=owner)
        endpoint = factories.make_endpoint(project=project, display_name=name)
        audit.record("endpoint.stop_requested", actor=PROCESS, target=endpoint)
    audit.record("person.renamed", actor=audit.Actor.for_person(viewer, context=context), target=viewer)
    audit.record("person.changed", actor=audit.Actor.for_person(admin, context=context), target=viewer)


@pytest.mark.parametrize(
    ("who", "sees", "not_seen"),
    [
        ("viewer", ["search-70b", "Person: renamed"], ["legal-8b", "Person: changed", "192.0.2.7"]),
        ("other_operator", ["legal-8b"], ["search-70b", "Person: renamed", "192.0.2.7"]),
        ("finance", ["search-70b", "legal-8b", "Person: changed", "192.0.2.7"], []),
        ("admin", ["search-70b", "legal-8b", "Person: changed", "192.0.2.7"], []),
    ],
)
def test_people_see_what_concerns_them(request, trail, who: str, sees: list[str], not_seen: list[str]):
    page = request.getfixturevalue(f"{who}_client").get("/activity/").content.decode()

    assert [word for word in sees if word not in page] == []
    assert [word for word in not_seen if word in page] == []


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("area=person", {"person.renamed", "person.changed"}),
        ("q=search-70b", {"endpoint.stop_requested"}),
        ("q=Ada", {"person.changed"}),
        ("target_type=endpoint", {"endpoint.stop_requested"}),
        ("q=nothing-like-it", set()),
        ("person=999999", {"endpoint.stop_requested", "person.renamed", "person.changed"}),
        ("area=nonsense&days=x&page=-3", {"endpoint.stop_requested", "person.renamed", "person.changed"}),
    ],
)
def test_filters_narrow_and_nonsense_is_ignored(trail, admin_client: Client, query: str, names: set[str]):
    response = admin_client.get(f"/activity/?{query}")

    assert response.status_code == 200
    assert {event.action for event in response.context["page"]} == names


def test_the_person_filter_does_not_name_everybody_to_everybody(
    trail, viewer_client: Client, admin_client: Client
):
    assert "Ada Admin" in admin_client.get("/activity/").content.decode()
    assert "Ada Admin" not in viewer_client.get("/activity/").content.decode()


def test_a_period_ends_now():
    audit.record("team.created", actor=PROCESS)
    now = timezone.now()
    events = AuditEvent.objects.all()

    assert filter_events(events, {"days": "1"}, now=now).count() == 1
    assert filter_events(events, {"days": "1"}, now=now + timedelta(days=1, seconds=1)).count() == 0


def test_the_newest_stands_first_and_pages_do_not_overlap(admin_client: Client):
    for number in range(60):
        audit.record(f"team.number_{number}", actor=PROCESS)

    first = [event.pk for event in admin_client.get("/activity/").context["page"]]
    second = [event.pk for event in admin_client.get("/activity/?page=2").context["page"]]

    assert (len(first), len(second)) == (50, 10)
    assert not set(first) & set(second)
