"""Secrets at rest: bound to their row, readable after a rotation, absent from a dump."""

import base64
import io

import pytest
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connection as database

from dashboard.accounts import connections, crypto
from dashboard.accounts.models import AuditEvent, Connection
from tests import factories

PLACE = crypto.Place("accounts_connection", 1, "key_ciphertext")


def make_pair(key_id: str, byte: bytes) -> str:
    return f"{key_id}:{base64.b64encode(byte * 32).decode()}"


def test_a_sealed_secret_opens_at_its_place():
    sealed = crypto.seal("tgp_v1_canary", place=PLACE)

    assert "canary" not in sealed
    assert crypto.open_sealed(sealed, place=PLACE) == "tgp_v1_canary"


def test_the_same_secret_seals_differently_each_time():
    assert crypto.seal("secret", place=PLACE) != crypto.seal("secret", place=PLACE)


@pytest.mark.parametrize(
    "elsewhere",
    [
        PLACE._replace(pk=2),
        PLACE._replace(field="name"),
        PLACE._replace(table="accounts_user"),
    ],
)
def test_a_secret_moved_elsewhere_does_not_open(elsewhere: crypto.Place):
    sealed = crypto.seal("secret", place=PLACE)

    with pytest.raises(crypto.TamperedError):
        crypto.open_sealed(sealed, place=elsewhere)


@pytest.mark.parametrize("value", ["", "plain", "gcm1.test", "gcm1.test.!!!", "gcm1.test.AAAA"])
def test_what_is_no_sealed_secret_is_refused(value: str):
    with pytest.raises(crypto.TamperedError):
        crypto.open_sealed(value, place=PLACE)


def test_a_changed_byte_is_noticed():
    head, key_id, content = crypto.seal("secret", place=PLACE).split(".")
    raw = bytearray(base64.b64decode(content))
    raw[-1] ^= 1

    with pytest.raises(crypto.TamperedError):
        crypto.open_sealed(f"{head}.{key_id}.{base64.b64encode(bytes(raw)).decode()}", place=PLACE)


def test_a_key_that_is_gone_is_named(settings):
    sealed = crypto.seal("secret", place=PLACE)
    settings.FIELD_ENCRYPTION_KEYS = [make_pair("other", b"o")]

    with pytest.raises(crypto.UnknownKeyError, match="test"):
        crypto.open_sealed(sealed, place=PLACE)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ([], "is empty"),
        (["no-colon"], "id:base64 pairs"),
        ([":AAAA"], "id:base64 pairs"),
        (["k1:***"], "k1 .* is not base64"),
        (["k1:AAAA"], "has 3 bytes, 32 are needed"),
        ([make_pair("k1", b"a"), make_pair("k1", b"b")], "twice"),
    ],
)
def test_bad_keys_stop_the_start_with_one_sentence_that_does_not_quote_them(settings, keys, sentence):
    settings.FIELD_ENCRYPTION_KEYS = keys

    errors = [error for error in run_checks() if error.id == "accounts.E001"]

    assert len(errors) == 1
    with pytest.raises(crypto.KeyConfigurationError, match=sentence):
        crypto.read_keys()
    assert "***" not in errors[0].msg


def test_repr_of_a_key_hides_it():
    assert "kkkk" not in repr(crypto.read_keys()[0])


@pytest.mark.django_db
def test_swapping_the_keys_of_two_connections_is_noticed():
    first = factories.make_connection(api_key="tgp_v1_first")
    second = factories.make_connection(api_key="tgp_v1_second")
    Connection.objects.filter(pk=first.pk).update(key_ciphertext=second.key_ciphertext)
    first.refresh_from_db()

    with pytest.raises(crypto.TamperedError):
        connections.read_key(first)


@pytest.mark.django_db
def test_rotation_seals_every_key_with_the_newest_and_the_old_one_may_go(settings):
    connection = factories.make_connection(api_key="tgp_v1_canary")
    old, new = settings.FIELD_ENCRYPTION_KEYS[0], make_pair("newer", b"n")
    settings.FIELD_ENCRYPTION_KEYS = [new, old]
    out = io.StringIO()

    call_command("rotate_keys", stdout=out)

    settings.FIELD_ENCRYPTION_KEYS = [new]
    connection.refresh_from_db()
    assert connections.read_key(connection) == "tgp_v1_canary"
    assert out.getvalue().startswith("1 secrets")
    assert AuditEvent.objects.get(action="connection.keys_rotated").detail == {"key_id": "newer", "count": 1}


@pytest.mark.django_db
def test_rotating_twice_writes_nothing_the_second_time(settings):
    factories.make_connection()
    settings.FIELD_ENCRYPTION_KEYS = [make_pair("newer", b"n"), *settings.FIELD_ENCRYPTION_KEYS]
    connections.rotate_keys()

    assert connections.rotate_keys() == 0
    assert AuditEvent.objects.filter(action="connection.keys_rotated").count() == 1


@pytest.mark.django_db
def test_no_table_holds_the_key_in_the_clear(admin):
    canary = "tgp_v1_canary_in_the_coal_mine"
    factories.make_connection(api_key=canary)

    with database.cursor() as cursor:
        for table in database.introspection.table_names(cursor):
            cursor.execute(f'SELECT count(*) FROM "{table}" AS t WHERE t::text LIKE %s', [f"%{canary}%"])
            assert cursor.fetchone()[0] == 0, table
