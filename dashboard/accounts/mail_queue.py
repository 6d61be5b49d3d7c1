"""Mail leaves a page through the queue `mail`: nobody waits for a mail server, and one that restarts costs no mail.

Without a broker the page sends by itself, as if there were no queue. Whatever happens, the caller is not told: an error
on one address and none on another would tell who has an account. The log says it.
"""

import logging
import smtplib
from collections.abc import Sequence
from functools import partial

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.db import transaction
from kombu.exceptions import OperationalError

from dashboard.accounts import mail
from dashboard.accounts.tasks import send_message

logger = logging.getLogger(__name__)

# Seconds. Who waited longer for a mail has asked again; a worker drops it then.
LIFETIME_SECONDS = 3600


class QueuedBackend(BaseEmailBackend):
    """Django's way to the queue; each mail goes once the present transaction is committed."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        for message in email_messages:
            transaction.on_commit(partial(hand_over, message))
        return len(email_messages)


def hand_over(message: EmailMessage) -> None:
    """Put the mail into the queue, or send it here when the queue cannot take it."""
    letter = mail.read_letter(message)
    if letter is not None:
        try:
            # One try: the way around the broker is shorter than waiting for it.
            send_message.apply_async(
                kwargs={"sealed": mail.seal_letter(letter)}, expires=LIFETIME_SECONDS, retry=False
            )
            return
        except OperationalError as error:
            logger.warning("the queue of mails cannot be reached, sending from here: %s", error)
    try:
        mail.send_now(message)
    except (OSError, smtplib.SMTPException) as error:
        logger.error("a mail (%s) could not be sent: %s", message.subject, mail.describe(error))
