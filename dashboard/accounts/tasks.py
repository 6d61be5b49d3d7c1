"""The queue `mail`: one task, which sends one mail and tries again while the mail server is away."""

import logging
import smtplib

from celery import Task, shared_task

from dashboard.accounts import crypto, mail

logger = logging.getLogger(__name__)

# Pauses of 5, 10, 20, 40 and then 60 seconds: about a quarter of an hour, which outlasts a restart over there.
FIRST_PAUSE_SECONDS = 5
LONGEST_PAUSE_SECONDS = 60
MAX_RETRIES = 17


@shared_task(name="mail.send_message", bind=True, max_retries=MAX_RETRIES)
def send_message(self: Task, *, sealed: str) -> None:
    """Send one sealed mail. What cannot be sent ends as an error in the log, by its subject and without addresses.

    Not safe against the loss of the worker in the very moment of sending: that mail is gone, and is asked for again.
    """
    try:
        letter = mail.open_letter(sealed)
    except crypto.CryptoError as error:
        logger.error("a mail from the queue cannot be opened: %s", error)
        return
    try:
        mail.send_now(letter.to_message())
    except (OSError, smtplib.SMTPException) as error:
        tries = self.request.retries + 1
        if not mail.is_temporary(error) or tries > MAX_RETRIES:
            logger.error(
                "a mail (%s) could not be sent, given up after try %d: %s",
                letter.subject,
                tries,
                mail.describe(error),
            )
            return
        logger.warning("a mail (%s) waits for the mail server: %s", letter.subject, mail.describe(error))
        pause = min(FIRST_PAUSE_SECONDS * 2**self.request.retries, LONGEST_PAUSE_SECONDS)
        raise self.retry(countdown=pause, exc=error) from error
