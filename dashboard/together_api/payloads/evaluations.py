"""Evaluation jobs (contract section 7)."""

from enum import StrEnum
from typing import Any

from pydantic import Field

from dashboard.together_api.payloads.base import (
    Items,
    LooseTimestamp,
    Payload,
    Resource,
    Table,
    Text,
    Timestamp,
)


class EvaluationStatus(StrEnum):
    """Known values of `status`; the field itself is plain `str` so that a new member survives."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    ERROR = "error"
    USER_ERROR = "user_error"


class AggregatedScores(Payload):
    """SDK `evaluation_job.ResultsEvaluationScoreResultsAggregatedScores`."""

    mean_score: float | None = None
    std_score: float | None = None
    pass_percentage: float | None = None


class EvaluationResults(Payload):
    """SDK `evaluation_job.Results` (an untagged union there): which fields are set depends on the job's type.

    `label_counts` is JSON in a string by the contract; `error` is all that a failed job has.
    """

    result_file_id: str | None = None
    error: str | None = None
    generation_fail_count: float | None = None
    judge_fail_count: float | None = None
    label_counts: str | Table[Any] | None = None
    pass_percentage: float | None = None
    invalid_label_count: float | None = None
    aggregated_scores: AggregatedScores | None = None
    failed_samples: float | None = None
    invalid_score_count: float | None = None
    a_wins: int | None = Field(default=None, alias="A_wins")
    b_wins: int | None = Field(default=None, alias="B_wins")
    ties: int | None = Field(default=None, alias="Ties")


class EvaluationStatusUpdate(Payload):
    """SDK `evaluation_job.StatusUpdate`; administrators only."""

    status: Text = ""
    message: str | None = None
    timestamp: LooseTimestamp = None


class Evaluation(Resource):
    """SDK `evaluation_job.EvaluationJob`; `type` is classify | score | compare, `parameters` as they were given."""

    identity_field = "workflow_id"

    workflow_id: Text
    type: Text = ""
    status: Text = ""
    owner_id: str | None = None
    parameters: Table[Any] = {}
    results: EvaluationResults | None = None
    status_updates: Items[EvaluationStatusUpdate] = ()
    created_at: Timestamp = None
    updated_at: Timestamp = None

    @property
    def id(self) -> str:
        """The identity, under the name that all resources share."""
        return self.workflow_id
