"""A mail on its way: sealed for the broker, opened by the worker, sent with what MAIL_TRANSPORT names.

Sealed, because a password-reset link lets whoever reads it into an account, and Redis writes what it holds to disk:
the broker, its backup and whoever looks into a queue see the id of the key and nothing else.
"""

import json
import smtplib
from dataclasses import asdict, dataclass

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives, get_connection

from dashboard.accounts import crypto

# Every mail has the same place: there is no row that it could be moved to.
_PLACE = crypto.Place("mail", 0, "letter")
PERMANENT_REPLY = 500  # RFC 5321, 4.2.1: 5yz means that the same again gets the same answer


@dataclass(frozen=True)
class Letter:
    """What is kept of a message between page and worker. Attachments are not: nothing sends any."""

    subject: str
    body: str
    sender: str
    to: list[str]
    cc: list[str]
    bcc: list[str]
    reply_to: list[str]
    headers: dict[str, str]
    html: str = ""

    def to_message(self) -> EmailMultiAlternatives:
        message = EmailMultiAlternatives(
            subject=self.subject,
            body=self.body,
            from_email=self.sender,
            to=self.to,
            cc=self.cc,
            bcc=self.bcc,
            reply_to=self.reply_to,
            headers=self.headers,
        )
        if self.html:
            message.attach_alternative(self.html, "text/html")
        return message


def read_letter(message: EmailMessage) -> Letter | None:
    """Return what the queue can carry of the message, None when that is not all of it (attachments)."""
    alternatives = list(getattr(message, "alternatives", []))
    html = [str(content) for content, kind in alternatives if kind == "text/html"]
    is_whole = len(html) == len(alternatives) <= 1 and not message.attachments
    if not is_whole or message.content_subtype != "plain":
        return None
    return Letter(
        subject=str(message.subject),
        body=str(message.body),
        sender=message.from_email,
        to=list(message.to),
        cc=list(message.cc),
        bcc=list(message.bcc),
        reply_to=list(message.reply_to),
        headers={name: str(value) for name, value in message.extra_headers.items()},
        html="".join(html),
    )


def seal_letter(letter: Letter) -> str:
    """Return the letter as the broker may hold it."""
    return crypto.seal(json.dumps(asdict(letter)), place=_PLACE)


def open_letter(sealed: str) -> Letter:
    """Return the letter. Raises crypto.CryptoError when its key is gone or it is none of ours."""
    return Letter(**json.loads(crypto.open_sealed(sealed, place=_PLACE)))


def send_now(message: EmailMessage) -> None:
    """Hand the message to the mail server. Raises OSError or smtplib.SMTPException."""
    get_connection(settings.MAIL_TRANSPORT).send_messages([message])


def is_temporary(error: OSError | smtplib.SMTPException) -> bool:
    """Return whether the same mail may go through later."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return any(code < PERMANENT_REPLY for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code < PERMANENT_REPLY
    return not isinstance(error, smtplib.SMTPNotSupportedError)


def describe(error: OSError | smtplib.SMTPException) -> str:
    """Return what went wrong for the log: kind and code. The server's own words often name the address."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = sorted({str(code) for code, _ in error.recipients.values()})
        return f"recipient refused ({', '.join(codes)})"
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{type(error).__name__} ({error.smtp_code})"
    return f"{type(error).__name__}: {error.strerror}" if error.strerror else type(error).__name__
