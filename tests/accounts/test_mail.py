"""Mail through the queue: sealed in the broker, retried by a real worker, sent from the page without a broker."""

import base64
import json
import logging
import os
import smtplib
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from celery import current_app
from django.core import mail as django_mail
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.db import transaction
from django.test import Client
from django.urls import reverse
from redis import Redis

from dashboard.accounts import crypto, mail
from dashboard.accounts.mail_queue import LIFETIME_SECONDS, QueuedBackend
from dashboard.accounts.models import User
from dashboard.accounts.tasks import send_message
from dashboard.processes import PROCESSES

ROOT = Path(__file__).resolve().parents[2]
DEAD_REDIS = "redis://127.0.0.1:1/0"
QUEUED = "dashboard.accounts.mail_queue.QueuedBackend"


@pytest.fixture
def queue(settings) -> Iterator[Redis]:
    """The Redis of the run with an empty queue of mails."""
    settings.EMAIL_BACKEND = QUEUED
    with Redis.from_url(os.environ["REDIS_URL"].replace("redis+socket://", "unix://")) as redis:
        redis.delete("mail")
        yield redis
        redis.delete("mail")


@pytest.fixture
def no_broker(settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Celery's application with a broker that refuses connections."""
    settings.EMAIL_BACKEND = QUEUED
    app = current_app._get_current_object()
    # Celery asks for this name before it looks at its settings.
    monkeypatch.setenv("CELERY_BROKER_WRITE_URL", DEAD_REDIS)
    monkeypatch.setattr(app.amqp, "_producer_pool", None)
    monkeypatch.setattr(app, "_pool", None)


def read_queue(redis: Redis) -> list[dict]:
    return [json.loads(raw) for raw in redis.lrange("mail", 0, -1)]


def ask_for_password(user: User) -> None:
    response = Client().post(reverse("account_reset_password"), {"email": user.email})
    assert response.status_code == 302


def make_message(**options: object) -> EmailMessage:
    return EmailMessage("Subject", "Body", "desk@example.com", ["you@example.com"], **options)


@pytest.mark.django_db(transaction=True)
def test_a_reset_link_waits_in_the_broker_sealed_and_not_for_ever(queue: Redis, viewer: User):
    ask_for_password(viewer)

    (envelope,) = read_queue(queue)
    assert django_mail.outbox == []
    _, kwargs, _ = json.loads(base64.b64decode(envelope["body"]))
    text = json.dumps(envelope) + json.dumps(kwargs)
    assert viewer.email not in text
    assert "password" not in text
    assert envelope["headers"]["expires"] is not None
    assert LIFETIME_SECONDS <= 3600
    letter = mail.open_letter(kwargs["sealed"])
    assert letter.to == [viewer.email]
    assert letter.subject.endswith("Set a new password")
    assert "/password/reset/key/" in letter.body


@pytest.mark.django_db(transaction=True)
def test_a_mail_of_a_transaction_that_fails_is_never_sent(queue: Redis):
    with transaction.atomic():
        QueuedBackend().send_messages([make_message()])
        transaction.set_rollback(True)
    with transaction.atomic():
        QueuedBackend().send_messages([make_message()])
        assert read_queue(queue) == []

    assert len(read_queue(queue)) == 1


@pytest.mark.django_db(transaction=True)
def test_without_a_broker_the_page_sends_by_itself_and_says_so(
    no_broker: None, viewer: User, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.WARNING):
        ask_for_password(viewer)

    assert [message.to for message in django_mail.outbox] == [[viewer.email]]
    assert "the queue of mails cannot be reached" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_neither_broker_nor_mail_server_tells_who_has_an_account(
    no_broker: None, viewer: User, settings, caplog: pytest.LogCaptureFixture
):
    settings.MAIL_TRANSPORT = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1

    ask_for_password(viewer)

    assert "Set a new password) could not be sent: ConnectionRefusedError" in caplog.text
    assert viewer.email not in caplog.text


@pytest.mark.django_db(transaction=True)
def test_what_the_queue_cannot_carry_whole_is_sent_from_the_page(queue: Redis):
    message = make_message()
    message.attach("costs.csv", "1", "text/csv")

    with_file = mail.read_letter(message)
    QueuedBackend().send_messages([message])

    assert with_file is None
    assert read_queue(queue) == []
    assert len(django_mail.outbox) == 1


def test_a_letter_keeps_all_of_a_message():
    message = EmailMultiAlternatives(
        "Ünïcode",
        "Body\nof two lines",
        "desk@example.com",
        ["a@example.com"],
        bcc=["b@example.com"],
        cc=["c@example.com"],
        reply_to=["d@example.com"],
        headers={"X-Desk": "1"},
    )
    message.attach_alternative("<p>Body</p>", "text/html")

    letter = mail.read_letter(message)
    assert letter is not None
    again = mail.open_letter(mail.seal_letter(letter)).to_message()

    assert again.recipients() == message.recipients()
    same = ("subject", "body", "from_email", "to", "cc", "bcc", "reply_to", "extra_headers")
    assert [getattr(again, name) for name in same] == [getattr(message, name) for name in same]
    assert [tuple(part) for part in again.alternatives] == [("<p>Body</p>", "text/html")]


def test_a_letter_of_a_lost_key_is_an_error_in_the_log_and_nothing_else(
    settings, caplog: pytest.LogCaptureFixture
):
    sealed = mail.seal_letter(mail.read_letter(make_message()))  # type: ignore[arg-type]
    settings.FIELD_ENCRYPTION_KEYS = ["other:" + base64.b64encode(b"o" * 32).decode()]

    send_message(sealed=sealed)

    assert "cannot be opened" in caplog.text
    with pytest.raises(crypto.UnknownKeyError):
        mail.open_letter(sealed)


@pytest.mark.parametrize(
    ("error", "is_temporary"),
    [
        (ConnectionRefusedError(111, "Connection refused"), True),
        (TimeoutError("timed out"), True),
        (smtplib.SMTPServerDisconnected("gone"), True),
        (smtplib.SMTPConnectError(421, b"busy"), True),
        (smtplib.SMTPDataError(451, b"try later"), True),
        (smtplib.SMTPDataError(552, b"too big"), False),
        (smtplib.SMTPAuthenticationError(535, b"wrong"), False),
        (smtplib.SMTPRecipientsRefused({"you@example.com": (550, b"you@example.com unknown")}), False),
        (smtplib.SMTPRecipientsRefused({"you@example.com": (450, b"grey you@example.com")}), True),
        (smtplib.SMTPNotSupportedError("no TLS"), False),
    ],
    ids=repr,
)
def test_only_what_may_pass_is_tried_again_and_no_log_names_the_address(error, is_temporary: bool):
    assert mail.is_temporary(error) is is_temporary
    assert "you@" not in mail.describe(error)


class MailServer(socketserver.ThreadingTCPServer):
    """An SMTP server that answers RCPT with the codes it is given, then with 250, and keeps what it takes."""

    daemon_threads = True

    def __init__(self, codes: list[int]) -> None:
        super().__init__(("127.0.0.1", 0), MailConversation)
        self.codes = codes
        self.tries = 0
        self.taken: list[str] = []


class MailConversation(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.say("220 ready")
        for raw in self.rfile:
            word = raw.decode().split(" ")[0].strip().upper()
            if word == "RCPT":
                code = (
                    self.server.codes[self.server.tries]
                    if self.server.tries < len(self.server.codes)
                    else 250
                )
                self.server.tries += 1
                self.say(f"{code} so be it")
            elif word == "DATA":
                self.say("354 go on")
                lines = []
                while (line := self.rfile.readline().decode()) not in {".\r\n", ""}:
                    lines.append(line)
                self.server.taken.append("".join(lines))
                self.say("250 taken")
            elif word == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 fine")

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@pytest.fixture
def serve_mail() -> Iterator[Callable[..., MailServer]]:
    servers = []

    def start(*codes: int) -> MailServer:
        server = MailServer(list(codes))
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def run_worker(tmp_path: Path) -> Iterator[Callable[[MailServer], Path]]:
    """Start the worker of the product's table, on its queue of mails alone, before the given mail server."""
    children = []
    log = tmp_path / "worker.log"

    def start(server: MailServer) -> Path:
        spec = next(spec for spec in PROCESSES if "mail" in spec.queues)
        words = [",".join(spec.queues)]
        argv = ["mail" if word in words else word.format(python=sys.executable) for word in spec.argv]
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "dashboard.settings",
            "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
            "EMAIL_HOST": "127.0.0.1",
            "EMAIL_PORT": str(server.server_address[1]),
        }
        with log.open("ab") as output:
            children.append(
                subprocess.Popen(
                    argv,
                    cwd=ROOT,
                    env=environment,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                )
            )
        return log

    yield start
    for child in children:
        child.kill()
        child.wait()


def wait_for(condition: Callable[[], object], *, log: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, log.read_text(errors="replace")[-3000:]
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_worker_sends_the_mail_when_the_server_takes_it_at_last(
    queue: Redis,
    viewer: User,
    serve_mail: Callable[..., MailServer],
    run_worker: Callable[[MailServer], Path],
):
    server = serve_mail(451)
    ask_for_password(viewer)

    log = run_worker(server)
    wait_for(lambda: server.taken, log=log)

    assert server.tries == 2
    assert f"To: {viewer.email}" in server.taken[0]
    assert "/password/reset/key/" in server.taken[0]
    text = log.read_text()
    assert "waits for the mail server: recipient refused (451)" in text
    assert "/password/reset/key/" not in text
    assert viewer.email not in text


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_worker_gives_a_refused_mail_up_and_says_so(
    queue: Redis,
    viewer: User,
    serve_mail: Callable[..., MailServer],
    run_worker: Callable[[MailServer], Path],
):
    server = serve_mail(550, 550)
    ask_for_password(viewer)

    log = run_worker(server)
    wait_for(lambda: "could not be sent, given up after try 1" in log.read_text(), log=log)

    assert server.tries == 1
    assert server.taken == []
    assert read_queue(queue) == []
