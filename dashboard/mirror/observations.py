"""What a pass saw and what it wrote, as the sync hands it to the store. Data only."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from dashboard.mirror.readings import DeploymentReading, EndpointReading

_TIMES = ("seen_before", "observed_at")


@dataclass(frozen=True, slots=True)
class SeenEndpoint:
    """An endpoint to be written: its columns, the body as received, that body's fingerprint, and when it was asked."""

    reading: EndpointReading
    generation: str
    raw: dict[str, Any]
    fingerprint: bytes
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class SeenDeployment:
    """A deployment to be written, and the remote id of the endpoint that it belongs to.

    What the body says was true between `fetched_at` (just before it was asked for) and `answered_at`.
    """

    reading: DeploymentReading
    endpoint_remote_id: str
    generation: str
    raw: dict[str, Any]
    fingerprint: bytes
    fetched_at: datetime
    answered_at: datetime


@dataclass(frozen=True, slots=True)
class Observation:
    """What one pass saw and has to write.

    `seen_before` is when the previous complete pass began: the lower bound of every edge found by comparing; None
    when there was none. `missing_*` were not found for the first time, `absent_*` again after long enough, `found_*`
    had been missing and are there all the same.
    """

    seen_before: datetime | None
    observed_at: datetime
    endpoints: Sequence[SeenEndpoint] = ()
    deployments: Sequence[SeenDeployment] = ()
    missing_endpoints: Sequence[str] = ()
    missing_deployments: Sequence[str] = ()
    absent_endpoints: Sequence[str] = ()
    absent_deployments: Sequence[str] = ()
    found_endpoints: Sequence[str] = ()
    found_deployments: Sequence[str] = ()

    @property
    def is_empty(self) -> bool:
        """Return True when there is nothing to write."""
        return not any(getattr(self, column.name) for column in fields(self) if column.name not in _TIMES)


@dataclass(slots=True)
class Written:
    """Rows written by a pass."""

    created: int = 0
    updated: int = 0
    absent: int = 0
    endpoint_ids: set[int] = field(default_factory=set)
