"""The audit trail: in the transaction of the act, and never changed again."""

import uuid

import pytest
from django.db import IntegrityError, connection, transaction

from dashboard.accounts import audit
from dashboard.accounts.models import AuditEvent, User
from tests import factories

ACTOR = audit.Actor.for_process("tests")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE accounts_auditevent SET actor_label = 'somebody else'",
        "DELETE FROM accounts_auditevent",
        "TRUNCATE accounts_auditevent",
        "TRUNCATE accounts_user CASCADE",
    ],
)
def test_the_database_refuses_to_change_the_trail(statement: str):
    with connection.cursor() as cursor:
        # The test database may be emptied between tests (tests/conftest.py); the product's may not.
        cursor.execute("ALTER TABLE accounts_auditevent ENABLE TRIGGER audit_refuse_truncate")
        # Otherwise deferred checks are pending, and TRUNCATE fails for that reason.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    audit.record("team.created", actor=ACTOR)

    with (
        pytest.raises(IntegrityError, match="append-only"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)

    assert AuditEvent.objects.get().actor_label == "tests"


@pytest.mark.django_db
def test_who_acted_cannot_be_deleted(admin: User):
    audit.record("team.created", actor=audit.Actor.for_person(admin))

    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=admin.pk).delete()


@pytest.mark.django_db(transaction=True)
def test_an_act_that_fails_leaves_no_trace():
    def act() -> None:
        with transaction.atomic():
            audit.record("team.created", actor=ACTOR)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        act()

    assert not AuditEvent.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_outside_of_a_transaction_nothing_is_recorded():
    with pytest.raises(audit.NotInTransactionError):
        audit.record("team.created", actor=ACTOR)

    assert not AuditEvent.objects.exists()


@pytest.mark.django_db
def test_a_row_says_who_what_on_what_and_from_where(admin: User):
    team = factories.make_team("Research")
    context = audit.RequestContext(ip="192.0.2.7")

    audit.record(
        "team.changed",
        actor=audit.Actor.for_person(admin, context=context),
        target=team,
        detail={"before": 1, "after": 2},
    )

    event = AuditEvent.objects.get()
    assert (event.actor, event.actor_label, event.actor_role) == (admin, "Ada Admin", "admin")
    assert (event.target_type, event.target_id, event.target_label) == ("team", str(team.pk), "Research")
    assert event.detail == {"before": 1, "after": 2}
    assert event.ip == "192.0.2.7"
    assert uuid.UUID(event.request_id)
    assert event.at is not None
