"""Ask the provider what a fine-tune would cost, and keep the answer for the page that asked.

The question changes nothing, so it takes no act, claim or receipt (docs/adr/0009): a row, a Celery task that is sent
once the row is committed, and a sweep for rows whose task was lost. Asking twice is harmless. Sole writer of
PriceEstimate.
"""

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from celery import current_app
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils import timezone

from dashboard.accounts.audit import Actor
from dashboard.accounts.crypto import CryptoError
from dashboard.core import live
from dashboard.lifecycle import provider
from dashboard.lifecycle.errors import InvalidValueError
from dashboard.lifecycle.models import PriceEstimate
from dashboard.mirror.models import Project
from dashboard.together_api import payloads
from dashboard.together_api.errors import ApiError, is_retryable

logger = logging.getLogger(__name__)

TASK: Final = "lifecycle.estimate_prices"
# Times a question is asked while the provider has passing trouble; a person waits for the answer.
MAX_ATTEMPTS: Final = 4
# Seconds for one call.
CALL_DEADLINE_SECONDS: Final = 10.0
# Nobody waits for an answer longer; the row stays as a record of the question for a while.
KEPT_FOR: Final = timedelta(days=7)

State = PriceEstimate.State


def request_estimate(
    project: Project,
    *,
    training_file: str,
    model: str = "",
    actor: Actor,
    n_epochs: int | None = None,
    n_evals: int | None = None,
    validation_file: str = "",
    training_type: Mapping[str, Any] | None = None,
    training_method: Mapping[str, Any] | None = None,
    from_checkpoint: str = "",
) -> PriceEstimate:
    """Write the question and let a worker ask it as soon as it is committed. Raises InvalidValueError.

    None and empty = the provider's default. `training_type` such as ``{"type": "Lora", "lora_r": 8}``.
    """
    if not training_file:
        raise InvalidValueError("Choose a training file", field="training_file")
    if not model and not from_checkpoint:
        raise InvalidValueError("Choose a model", field="model")
    for field, count in (("n_epochs", n_epochs), ("n_evals", n_evals)):
        if count is not None and count < 0:
            raise InvalidValueError("Not below 0", field=field)
    arguments = {
        "training_file": training_file,
        "model": model or None,
        "n_epochs": n_epochs,
        "n_evals": n_evals,
        "validation_file": validation_file or None,
        "training_type": dict(training_type) if training_type else None,
        "training_method": dict(training_method) if training_method else None,
        "from_checkpoint": from_checkpoint or None,
    }
    with transaction.atomic():
        estimate = PriceEstimate.objects.create(project=project, requested_by=actor.user, arguments=arguments)
        transaction.on_commit(_wake_worker, robust=True)
    return estimate


def _wake_worker() -> None:
    """Tell a worker at once; when Redis is away the sweep finds the row."""
    current_app.send_task(TASK, queue="default", expires=60, retry=False)


def answer_pending() -> int:
    """Ask the provider what is still to be asked, oldest first; return how many questions were settled.

    For any number of callers at once: a row that another one holds is skipped.
    """
    settled = 0
    while (estimate := _take_next()) is not None:
        settled += _answer(estimate)
    PriceEstimate.objects.filter(requested_at__lt=timezone.now() - KEPT_FOR).delete()
    return settled


def _take_next() -> PriceEstimate | None:
    """Take the oldest question that was not taken within the last call's time, and count the attempt."""
    with transaction.atomic():
        row = (
            PriceEstimate.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("project__connection")
            .filter(state=State.PENDING, next_try_at__lte=Now())
            .order_by("requested_at", "pk")
            .first()
        )
        if row is None:
            return None
        # Taken for longer than a call can last: a worker that dies leaves it to the sweep.
        PriceEstimate.objects.filter(pk=row.pk).update(
            attempts=F("attempts") + 1, next_try_at=Now() + timedelta(seconds=2 * CALL_DEADLINE_SECONDS)
        )
    row.attempts += 1
    return row


def _answer(estimate: PriceEstimate) -> bool:
    """Ask for one; return whether that settled it."""
    try:
        client = provider.open_client(estimate.project.connection)
        body = client.with_options(deadline_seconds=CALL_DEADLINE_SECONDS).estimate_fine_tune_price(
            **estimate.arguments
        )
    except CryptoError as error:
        return _settle(estimate, state=State.FAILED, reason=f"The stored key cannot be opened: {error}.")
    except ApiError as error:
        if is_retryable(error) and estimate.attempts < MAX_ATTEMPTS:
            logger.info("%s: %s", estimate, error)
            PriceEstimate.objects.filter(pk=estimate.pk).update(
                next_try_at=Now() + timedelta(seconds=2**estimate.attempts)
            )
            return False
        return _settle(estimate, state=State.FAILED, reason=error.sentence)
    return _settle(estimate, state=State.ANSWERED, **_read(body))


def _read(body: payloads.FineTunePriceEstimate) -> dict[str, Any]:
    """Return the columns of an answer. Not available = no price, and the provider's word why."""
    is_known = bool(body.estimation_available)
    return {
        "nano_usd": body.total_nano_dollars if is_known else None,
        "limit_nano_usd": body.limit_nano_dollars,
        "is_allowed": body.allowed_to_proceed,
        "train_tokens": _count(body.estimated_train_token_count),
        "eval_tokens": _count(body.estimated_eval_token_count),
        "reason": "" if is_known else body.unavailable_reason or "",
    }


def _count(tokens: float | None) -> int | None:
    return None if tokens is None else round(tokens)


def _settle(estimate: PriceEstimate, **columns: Any) -> bool:
    with transaction.atomic():
        PriceEstimate.objects.filter(pk=estimate.pk, state=State.PENDING).update(answered_at=Now(), **columns)
        live.announce(["estimates"])
    return True
