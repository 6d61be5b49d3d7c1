"""What the provider said, row by row, and how it changed.

Sole writer of every table here: mirror/store.py and its parts (Project.team: mirror/ownership.py; ModelDeprecation:
mirror/deprecations.py). Queried fields are typed columns, the rest stays in `payload` (secrets already dropped by
together_api). `observed_at` is the time just before the read that first told the present content: unchanged data
writes no row, so the age of what a page shows comes from SyncRun. What vanished keeps its row; `absent_since` says
when it was first found missing.
"""

from dashboard.mirror.models.base import Mirrored, Project, Source
from dashboard.mirror.models.catalogue import (
    CatalogueModel,
    ClusterRegion,
    Generation,
    Hardware,
    HardwarePrice,
    ModelConfig,
    ModelDeprecation,
    ModelName,
    TokenPrice,
    UnitPrice,
)
from dashboard.mirror.models.endpoints import Deployment, Endpoint, EndpointEvent, EventCursor, StateChange
from dashboard.mirror.models.resources import (
    Resource,
    ResourceChange,
    ResourceDocument,
    ResourceEvent,
    ResourceKind,
    ResourceLink,
)
from dashboard.mirror.models.runs import MalformedPayload, SyncRun
from dashboard.mirror.models.traffic import (
    CounterReading,
    TrafficCoverage,
    TrafficCursor,
    TrafficHalfHour,
    TrafficMinute,
)

__all__ = [
    "CatalogueModel",
    "ClusterRegion",
    "CounterReading",
    "Deployment",
    "Endpoint",
    "EndpointEvent",
    "EventCursor",
    "Generation",
    "Hardware",
    "HardwarePrice",
    "MalformedPayload",
    "Mirrored",
    "ModelConfig",
    "ModelDeprecation",
    "ModelName",
    "Project",
    "Resource",
    "ResourceChange",
    "ResourceDocument",
    "ResourceEvent",
    "ResourceKind",
    "ResourceLink",
    "Source",
    "StateChange",
    "SyncRun",
    "TokenPrice",
    "TrafficCoverage",
    "TrafficCursor",
    "TrafficHalfHour",
    "TrafficMinute",
    "UnitPrice",
]
