"""Where webhooks may go, and what they carry."""

import hashlib
import hmac
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from dashboard.webhooks.addresses import AddressError, UnresolvedError, find_address, is_public, read_target
from dashboard.webhooks.posting import SIGNATURE_HEADER, PostError, post, sign
from tests.webhooks.receiver import HOST, Receiver, receive, resolve

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receive() as receiver:
        yield receiver


def _post(receiver: Receiver, body: bytes = b"a,b\r\n1,2\r\n", **changes) -> int:
    options = {"allow_private": True, "resolve": resolve, "tls": receiver.tls} | changes
    return post(receiver.url, body, headers={"Content-Type": "text/csv"}, secret="hush", now=NOW, **options)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://example.com/", "must begin with https"),
        ("ftp://example.com/", "must begin with https"),
        ("https:///path", "names no host"),
        ("https://me:pw@example.com/", "would be shown to others"),
        ("https://exam ple.com/", "a space in it"),
        ("https://example.com/\r\nHost: other", "a space in it"),
        ("https://example.com:port/", "cannot be read"),
        ("https://example.com/" + "x" * 2_000, "too long"),
    ],
)
def test_addresses_that_are_refused(url, sentence):
    with pytest.raises(AddressError, match=sentence):
        read_target(url)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("127.0.0.1", False),
        ("10.0.0.8", False),
        ("172.16.3.4", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
    ],
)
def test_what_is_public(address, expected):
    assert is_public(address) is expected


def test_one_private_address_among_those_of_a_name_refuses_it():
    target = read_target("https://example.com/")

    with pytest.raises(AddressError, match="within the own network"):
        find_address(target, allow_private=False, resolve=lambda host, port: ["93.184.216.34", "10.0.0.1"])


def test_a_name_that_is_not_known_may_be_known_later():
    def fail(host: str, port: int) -> list[str]:
        raise OSError

    with pytest.raises(UnresolvedError) as failed:
        find_address(read_target("https://example.com/"), allow_private=False, resolve=fail)

    assert failed.value.retryable


def test_a_post_arrives_signed_at_the_address_that_was_checked(receiver):
    assert _post(receiver) == 200

    assert receiver.bodies == [b"a,b\r\n1,2\r\n"]
    headers = receiver.headers[0]
    assert headers["Host"] == f"{HOST}:{receiver.port}"
    stamp, _, digest = headers[SIGNATURE_HEADER].removeprefix("t=").partition(",v1=")
    assert stamp == str(int(NOW.timestamp()))
    assert digest == hmac.new(b"hush", f"{stamp}.".encode() + receiver.bodies[0], hashlib.sha256).hexdigest()


def test_another_body_or_secret_has_another_signature():
    signatures = {
        sign(b"a", secret="x", at=NOW),
        sign(b"b", secret="x", at=NOW),
        sign(b"a", secret="y", at=NOW),
    }

    assert len(signatures) == 3


def test_a_private_address_gets_nothing(receiver):
    with pytest.raises(AddressError, match="within the own network"):
        _post(receiver, allow_private=False)

    assert receiver.bodies == []


@pytest.mark.parametrize(
    ("status", "retryable"), [(500, True), (503, True), (429, True), (404, False), (401, False), (302, False)]
)
def test_another_status_is_an_error_and_a_redirect_is_not_followed(receiver, status, retryable):
    receiver.statuses = [status]

    with pytest.raises(PostError, match=f"answered with status {status}") as failed:
        _post(receiver)

    assert failed.value.retryable is retryable
    assert "secret" not in failed.value.sentence
    assert len(receiver.bodies) == 1


def test_a_certificate_of_nobody_is_refused(receiver):
    with pytest.raises(PostError, match="could not be reached"):
        _post(receiver, tls=ssl.create_default_context())

    assert receiver.bodies == []
