"""Frozen typed bodies of the API; see `base` for the rules of tolerance."""

from dashboard.together_api.payloads.analytics import Analytics
from dashboard.together_api.payloads.base import (
    MalformedItem,
    Page,
    Payload,
    RawItem,
    Resource,
    Timestamp,
    fingerprint,
    item_id,
    parse_items,
)
from dashboard.together_api.payloads.catalogue import InstanceType, ProjectModel, SupportedModel
from dashboard.together_api.payloads.identity import Model, Project, Whoami
from dashboard.together_api.payloads.usage import UsageLine, UsageReport, UsageWindow
from dashboard.together_api.payloads.v1 import V1Autoscaling, V1Endpoint, V1EndpointState, V1Hardware
from dashboard.together_api.payloads.v2 import (
    Autoscaling,
    Deployment,
    DeploymentState,
    DeploymentStatus,
    DeploymentSummary,
    Endpoint,
    EndpointEvent,
    TrafficSplitEntry,
)

__all__ = [
    "Analytics",
    "Autoscaling",
    "Deployment",
    "DeploymentState",
    "DeploymentStatus",
    "DeploymentSummary",
    "Endpoint",
    "EndpointEvent",
    "InstanceType",
    "MalformedItem",
    "Model",
    "Page",
    "Payload",
    "Project",
    "ProjectModel",
    "RawItem",
    "Resource",
    "SupportedModel",
    "Timestamp",
    "TrafficSplitEntry",
    "UsageLine",
    "UsageReport",
    "UsageWindow",
    "V1Autoscaling",
    "V1Endpoint",
    "V1EndpointState",
    "V1Hardware",
    "Whoami",
    "fingerprint",
    "item_id",
    "parse_items",
]
