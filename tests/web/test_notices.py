"""Notes above the page: late, refused, silent, unconfirmed; and toasts of acts that have ended."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection
from django.test import Client

from billing.models import Budget, BudgetCrossing
from dashboard.accounts.audit import Actor
from dashboard.accounts.models import Connection, Team, User
from dashboard.lifecycle import actions
from dashboard.lifecycle.models import StopAction
from dashboard.mirror.models import SyncRun
from tests import factories
from tests.factories import NOW
from tests.web.conftest import Desk

pytestmark = pytest.mark.usefixtures("frozen")
HTMX = {"HX-Request": "true"}


def read(client: Client, watch: str = "", seen: str = "") -> str:
    response = client.get(f"/notices/?watch={watch}&seen={seen}", headers=HTMX)
    assert response.status_code == 200
    return response.content.decode()


def age_heartbeat(name: str, seconds: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE core_heartbeat SET beat_at = now() - make_interval(secs => %s) WHERE name = %s",
            [seconds, name],
        )


def request_stop(desk: Desk, user: User, name: str = "docs-qa") -> StopAction:
    made = actions.request_stop_of_endpoint(
        desk.idle(name), actor=Actor.for_person(user), idempotency_key=name
    )
    return made[0].action


def test_without_htmx_it_leads_to_a_page(desk: Desk, viewer_client: Client):
    assert viewer_client.get("/notices/")["Location"] == "/"
    assert viewer_client.get("/meter/")["Location"] == "/"


def test_when_all_is_well_nothing_is_noted(desk: Desk, viewer_client: Client):
    html = read(viewer_client)

    assert "ui-note" not in html.replace("ui-notices", "")
    assert '<hx-partial hx-target="#stamp"' in html
    assert "synced 20 s ago" in html


def test_a_silent_enforcer_is_said_and_who_still_stops(desk: Desk, viewer_client: Client):
    age_heartbeat("enforcer", 180)

    html = read(viewer_client)

    assert "The enforcer has not reported for 3 min." in html
    assert "The stop worker still sends stops." in html


def test_two_silent_stoppers_are_a_failure(desk: Desk, viewer_client: Client):
    age_heartbeat("enforcer", 61)
    age_heartbeat("worker-stops", 90)

    html = read(viewer_client)

    assert "Nothing sends stops now." in html
    assert "ui-note-fail" in html


def test_a_refused_key_offers_replacement_to_admins_only(
    desk: Desk, viewer_client: Client, admin_client: Client
):
    Connection.objects.update(health="refused", health_detail="401, the key was revoked.")

    assert "Together AI refuses the key of Fernhill." in read(viewer_client)
    assert "Replace the key" not in read(viewer_client)
    assert f"/settings/connections/{desk.connection.pk}/key/" in read(admin_client)


def test_an_incomplete_reading_is_quoted(desk: Desk, viewer_client: Client):
    factories.make_sync_run(
        connection=desk.connection,
        outcome=SyncRun.Outcome.PARTIAL,
        error="2 items could not be read.",
        started_at=NOW - timedelta(seconds=5),
    )

    assert "2 items could not be read." in read(viewer_client)


def test_a_disabled_connection_is_not_missed(desk: Desk, viewer_client: Client):
    Connection.objects.update(is_enabled=False)
    SyncRun.objects.update(started_at=NOW - timedelta(days=1))

    assert "old." not in read(viewer_client)


def test_an_unconfirmed_stop_is_red_and_can_be_sent_again(
    desk: Desk, operator: User, operator_client: Client, viewer_client: Client, other_operator_client: Client
):
    action = request_stop(desk, operator)
    StopAction.objects.update(
        state="sent", due_at=NOW - timedelta(minutes=6), sent_at=NOW, seen_state="DEPLOYMENT_STATE_READY"
    )

    html = read(operator_client)

    assert "Stop not confirmed after 6 min." in html
    assert "docs-qa" in html
    assert "still reports READY and burns $5.40/h." in html
    assert f"/actions/{action.public_id}/again/" in html
    assert "Send again" not in read(viewer_client)
    assert "not confirmed" not in read(other_operator_client)


def test_a_stop_of_four_minutes_is_not_yet_red(desk: Desk, operator: User, operator_client: Client):
    request_stop(desk, operator)
    StopAction.objects.update(state="sent", due_at=NOW - timedelta(minutes=4), sent_at=NOW)

    assert "not confirmed" not in read(operator_client)


def test_a_watched_act_that_ended_is_toasted_once_to_who_asked(
    desk: Desk, operator: User, operator_client: Client, admin_client: Client
):
    action = request_stop(desk, operator)
    assert f"?watch={action.pk}" in read(operator_client)
    StopAction.objects.update(
        state="observed",
        outcome="State read back from the provider as STOPPED",
        requested_at=NOW - timedelta(seconds=16),
        finished_at=NOW,
        sent_at=NOW,
    )

    told = read(operator_client, str(action.pk))

    assert "docs-qa stopped" in told
    assert "State read back from the provider as STOPPED, after 16 s." in told
    assert f"/actions/{action.public_id}/" in told
    assert 'hx-get="/notices/?watch=&amp;seen=' in told
    assert "docs-qa stopped" not in read(operator_client)
    assert "docs-qa stopped" not in read(admin_client, str(action.pk))


def to_seen(moment: datetime) -> str:
    return str(int(moment.timestamp() * 1000))


def test_an_act_that_ended_before_the_page_heard_its_number_is_toasted_all_the_same(
    desk: Desk, operator: User, operator_client: Client, admin_client: Client
):
    request_stop(desk, operator)
    StopAction.objects.update(state="observed", outcome="Read back", finished_at=NOW, sent_at=NOW)

    seen = to_seen(NOW - timedelta(seconds=3))

    assert "docs-qa stopped" in read(operator_client, seen=seen)
    assert "docs-qa stopped" not in read(operator_client, seen=to_seen(NOW))
    assert "docs-qa stopped" not in read(admin_client, seen=seen)


def test_a_page_that_slept_for_long_is_not_told_everything(
    desk: Desk, operator: User, operator_client: Client
):
    request_stop(desk, operator)
    StopAction.objects.update(state="observed", outcome="Read back", finished_at=NOW, sent_at=NOW)

    assert "docs-qa stopped" not in read(operator_client, seen=to_seen(NOW - timedelta(hours=1)))


@pytest.mark.parametrize("seen", ["x", "-1", "9" * 15, "9" * 400, "\u0663"])
def test_a_nonsense_moment_is_harmless(desk: Desk, operator_client: Client, seen: str):
    read(operator_client, seen=seen)


def test_a_stop_whose_target_vanished_is_not_called_stopped(
    desk: Desk, operator: User, operator_client: Client
):
    action = request_stop(desk, operator)
    StopAction.objects.update(
        state="observed", outcome="Gone", finished_at=NOW, sent_at=NOW, absent_seen_at=NOW
    )

    told = read(operator_client, str(action.pk))

    assert "docs-qa is gone" in told
    assert "docs-qa stopped" not in told


def test_a_refused_act_is_toasted_as_a_failure(desk: Desk, operator: User, operator_client: Client):
    action = request_stop(desk, operator)
    StopAction.objects.update(state="refused", outcome="The provider said no.", finished_at=NOW)

    told = read(operator_client, str(action.pk))

    assert 'data-toast="fail"' in told
    assert "The provider said no." in told


@pytest.mark.parametrize("watch", ["x", "1.2.x", "9" * 40, ".".join(["7"] * 500), "%00"])
def test_a_nonsense_watch_is_harmless(desk: Desk, operator_client: Client, watch: str):
    read(operator_client, watch)


def test_the_meter_says_the_same_burn(desk: Desk, viewer_client: Client):
    desk.idle("one")

    html = viewer_client.get("/meter/", headers=HTMX).content.decode()

    assert "$5.40/h" in html
    assert "of which idle" in html


# --- Budgets --------------------------------------------------------------------------------------------------------


def cross(name: str, *, team: Team | None = None, percent: int = 80, **fields: object) -> Budget:
    """Write a budget of $100 that was crossed this month."""
    scope = Budget.Scope.TEAM if team else Budget.Scope.ORGANISATION
    values = {"name": name, "scope": scope, "team": team, "nano_usd": 100 * 10**9} | fields
    budget = Budget.objects.create(**values)
    BudgetCrossing.objects.create(
        budget=budget,
        period_start=datetime(2026, 11, 1, tzinfo=UTC),
        percent=percent,
        basis="actual",
        action="notify",
        amount_nano_usd=percent * 10**9,
        crossed_at=NOW,
        outcome="done",
        detail="Told the people.",
    )
    return budget


def test_a_crossed_budget_is_said_to_those_whose_it_is(
    desk: Desk, viewer_client: Client, finance_client: Client, other_team: Team
):
    cross("Ours", team=desk.team)
    cross("Theirs", team=other_team)

    assert "<b>Budget Ours:</b> $80.00 spent, 80% of it or more." in read(viewer_client)
    assert "Theirs" not in read(viewer_client)
    assert "<b>2 budgets are crossed:</b> Ours, Theirs." in read(finance_client)


def test_a_held_budget_is_said(desk: Desk, viewer_client: Client):
    cross("Ours", team=desk.team, paused_reason="a price rose")

    html = read(viewer_client)

    assert "Budget Ours stops nothing now:" in html
    assert "80% of it" not in html


def test_what_is_over_switched_off_or_raised_since_is_not_said(desk: Desk, viewer_client: Client):
    cross("Off", is_enabled=False)
    cross("Raised", nano_usd=200 * 10**9)
    last_month = cross("Last month")
    last_month.crossings.update(period_start=datetime(2026, 10, 1, tzinfo=UTC))
    cross("Days ago", cycle="custom", starts_on=date(2026, 11, 1), ends_on=date(2026, 11, 10))

    assert "udget" not in read(viewer_client)
