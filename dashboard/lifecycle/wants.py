"""What an act wants beyond replica bounds: the shape of StopAction.arguments, per kind, and its words. Pure.

DELETE  {"in_order": true} for a deletion that stops first
CONFIGURE, SPLIT, RESIZE  {"settings": {name as the provider writes it: value}}, a split with {"labels": {id: name}}
DEPLOY  the fields of DeployWant
CREATE  the fields of VolumeWant
UPLOAD  the fields of UploadWant; address and token are sealed apart
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

IN_ORDER: Final = "in_order"
SETTINGS: Final = "settings"
LABELS: Final = "labels"

# Names of settings as the provider writes them.
MIN_REPLICAS: Final = "minReplicas"
MAX_REPLICAS: Final = "maxReplicas"
TRAFFIC_SPLIT: Final = "trafficSplit"
INACTIVE_TIMEOUT: Final = "inactiveTimeout"
MAX_CONCURRENT: Final = "maxConcurrentRequestsPerReplica"
NUM_GPUS: Final = "num_gpus"
SIZE_TIB: Final = "size_tib"
WINDOWS: Final = ("scaleUpWindow", "scaleDownWindow", "scaleToZeroWindow")
SCALING_METRICS: Final = "scalingMetrics"
AUTOSCALING: Final = (MIN_REPLICAS, MAX_REPLICAS, *WINDOWS, SCALING_METRICS)

_LABELS: Final = {
    MIN_REPLICAS: "Least replicas",
    MAX_REPLICAS: "Most replicas",
    "scaleUpWindow": "Scale up after",
    "scaleDownWindow": "Scale down after",
    "scaleToZeroWindow": "Scale to zero after",
    SCALING_METRICS: "Scaling metrics",
    INACTIVE_TIMEOUT: "Stop when idle for",
    MAX_CONCURRENT: "Requests at once per replica",
    TRAFFIC_SPLIT: "Traffic",
    NUM_GPUS: "GPUs",
    SIZE_TIB: "Size",
}
_UNITS: Final = {INACTIVE_TIMEOUT: " min", SIZE_TIB: " TiB"}


@dataclass(frozen=True, slots=True)
class DeployWant:
    """A deployment to be made; `endpoint_id` empty = a new endpoint of `endpoint_name`, else the remote id to use.

    `model` and `config` are resource names; `weight` None = no traffic. All names are fixed before the first call.
    """

    endpoint_name: str
    deployment_name: str
    model: str
    config: str
    min_replicas: int
    max_replicas: int
    endpoint_id: str = ""
    autoscaling: Mapping[str, Any] = field(default_factory=dict)
    inactive_timeout: int | None = None
    max_concurrent: int | None = None
    placement: Mapping[str, Any] | None = None
    weight: float | None = None
    model_label: str = ""
    hardware_label: str = ""

    @classmethod
    def read(cls, arguments: Mapping[str, Any]) -> Self:
        """Return what a row asks for."""
        return cls(**arguments)

    def write(self) -> dict[str, Any]:
        """Return it as StopAction.arguments."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class VolumeWant:
    """A shared volume to be made."""

    name: str
    size_tib: int
    region: str
    is_lifecycle_independent: bool = False

    @classmethod
    def read(cls, arguments: Mapping[str, Any]) -> Self:
        """Return what a row asks for."""
        return cls(**arguments)

    def write(self) -> dict[str, Any]:
        """Return it as StopAction.arguments."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class UploadWant:
    """A model to be registered and filled; `source` is the address without anything secret, for people."""

    model_name: str
    model_type: str
    base_model_id: str
    source: str
    description: str = ""

    @classmethod
    def read(cls, arguments: Mapping[str, Any]) -> Self:
        """Return what a row asks for."""
        return cls(**arguments)

    def write(self) -> dict[str, Any]:
        """Return it as StopAction.arguments."""
        return asdict(self)


def describe(kind: str, arguments: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return what was asked for as (label, value) pairs for a receipt; empty where the kind says it all."""
    if kind == "deploy":
        return _describe_deploy(DeployWant.read(arguments))
    if kind == "create":
        volume = VolumeWant.read(arguments)
        survives = "survives its cluster" if volume.is_lifecycle_independent else "goes with its cluster"
        return (("Size", f"{volume.size_tib} TiB"), ("Region", volume.region), ("Kept", survives))
    if kind == "upload":
        upload = UploadWant.read(arguments)
        return (("Type", upload.model_type), ("Base model", upload.base_model_id), ("From", upload.source))
    if arguments.get(IN_ORDER):
        return (("Order", "stop, leave the traffic split, delete"),)
    names = arguments.get(LABELS) or {}
    settings: dict[str, Any] = dict(arguments.get(SETTINGS) or {})
    if TRAFFIC_SPLIT in settings:
        split = settings[TRAFFIC_SPLIT]
        settings[TRAFFIC_SPLIT] = {names.get(one, one): weight for one, weight in split.items()}
    return tuple((_LABELS.get(name, name), _format(name, value)) for name, value in settings.items())


def _describe_deploy(want: DeployWant) -> tuple[tuple[str, str], ...]:
    settings = {**want.autoscaling}
    if want.inactive_timeout is not None:
        settings[INACTIVE_TIMEOUT] = want.inactive_timeout
    if want.max_concurrent is not None:
        settings[MAX_CONCURRENT] = want.max_concurrent
    pairs = [
        ("Endpoint", want.endpoint_name),
        ("Deployment", want.deployment_name),
        ("Model", want.model_label or want.model),
        ("Hardware", want.hardware_label or want.config),
        ("Replicas", f"{want.min_replicas} to {want.max_replicas}"),
        *((_LABELS.get(name, name), _format(name, value)) for name, value in settings.items()),
        ("Traffic", "none" if want.weight is None else f"weight {want.weight:g}"),
    ]
    return tuple(pairs)


def _format(name: str, value: Any) -> str:
    if name == INACTIVE_TIMEOUT and not value:
        return "off"
    if name == TRAFFIC_SPLIT:
        return ", ".join(f"{one} {weight:g}" for one, weight in value.items()) or "nobody"
    if name == SCALING_METRICS:
        return ", ".join(f"{one.get('name')} {one.get('target')}" for one in value) or "the provider's own"
    return f"{value}{_UNITS.get(name, '')}"
