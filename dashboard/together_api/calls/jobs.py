"""Batches, evaluations and files (contract section 7). Bodies are snake_case; nothing is paged."""

from dataclasses import replace
from typing import Final

from dashboard.together_api.calls.reading import fetch_all, fetch_one
from dashboard.together_api.pagination import Listing
from dashboard.together_api.payloads.batches import Batch
from dashboard.together_api.payloads.evaluations import Evaluation
from dashboard.together_api.payloads.files import File
from dashboard.together_api.requests import ApiCall, Flow

EVALUATIONS_LIMIT: Final = 1_000
"""Our choice: the default is 10, a maximum is not documented, and there is no cursor (contract 1.4)."""

_BATCH = "/v1/batches/{batch_id}"


def list_batches() -> Flow[Listing[Batch]]:
    """Return all batches; the body is a bare array."""
    return (yield from fetch_all(Batch, ApiCall(template="/v1/batches")))


def get_batch(batch_id: str) -> Flow[Batch]:
    """Return one batch; is_absent(error) when it is gone."""
    return (yield from fetch_one(Batch, ApiCall(template=_BATCH, ids={"batch_id": batch_id})))


def cancel_batch(batch_id: str) -> Flow[Batch]:
    """Ask for the end of a batch, with priority (its requests cost). Accepted is not cancelled: read back."""
    call = ApiCall(method="POST", template=f"{_BATCH}/cancel", ids={"batch_id": batch_id}, priority="stop")
    return (yield from fetch_one(Batch, call))


def list_evaluations(*, limit: int = EVALUATIONS_LIMIT) -> Flow[Listing[Evaluation]]:
    """Return up to `limit` evaluations; a full list is incomplete, for there may be more and no cursor leads there."""
    listing = yield from fetch_all(Evaluation, ApiCall(template="/v1/evaluation", query={"limit": limit}))
    if listing.complete and listing.count >= limit:
        reason = f"The list was asked for {limit} entries and may have more."
        return replace(listing, complete=False, incomplete_reason=reason)
    return listing


def get_evaluation(evaluation_id: str) -> Flow[Evaluation]:
    """Return one evaluation by its workflow id; is_absent(error) when it is gone."""
    call = ApiCall(template="/v1/evaluation/{evaluation_id}", ids={"evaluation_id": evaluation_id})
    return (yield from fetch_one(Evaluation, call))


def list_files() -> Flow[Listing[File]]:
    """Return all files (what they are, never what is in them)."""
    return (yield from fetch_all(File, ApiCall(template="/v1/files")))


def get_file(file_id: str) -> Flow[File]:
    """Return one file's description; is_absent(error) when it is gone."""
    return (yield from fetch_one(File, ApiCall(template="/v1/files/{file_id}", ids={"file_id": file_id})))
