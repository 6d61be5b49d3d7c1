"""What a line of the bill is for, told by its ids and never by its product name. Pure.

Product names are display names and may change (contract 10). Ids stand in `attributes`; which ones is not documented
in full, so an id that is not known here still names something: it becomes a meter of kind "other".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class MeterKind(StrEnum):
    """The values of billing.models.MeterKind, for code without a database; a test holds the two together."""

    DEPLOYMENT = "deployment"
    FINE_TUNE = "fine-tune"
    BATCH = "batch"
    EVALUATION = "evaluation"
    CLUSTER = "cluster"
    VOLUME = "volume"
    CONTAINER = "container"
    RL_RESOURCE = "rl-resource"
    SERVERLESS = "serverless"
    OTHER = "other"


# Ids that name what costs, by the words the provider uses for them elsewhere. `deployment_id` is read apart: dedicated
# deployments and containers share the word.
_KINDS_BY_ID: Final[Mapping[str, MeterKind]] = {
    "cluster_id": MeterKind.CLUSTER,
    "volume_id": MeterKind.VOLUME,
    "shared_volume_id": MeterKind.VOLUME,
    "container_id": MeterKind.CONTAINER,
    "fine_tune_id": MeterKind.FINE_TUNE,
    "finetune_id": MeterKind.FINE_TUNE,
    "model_resource_id": MeterKind.RL_RESOURCE,
    "model_resources_id": MeterKind.RL_RESOURCE,
    "batch_id": MeterKind.BATCH,
    "evaluation_id": MeterKind.EVALUATION,
}
# Ids that say who asked or who pays, never what costs.
_OTHERS: Final = frozenset(
    {"api_key_id", "project_id", "organization_id", "user_id", "endpoint_id", "deployment_id"}
)
# Kinds whose cost no other call tells: only the bill can meter them.
BILL_ONLY: Final = frozenset({MeterKind.BATCH, MeterKind.EVALUATION, MeterKind.SERVERLESS, MeterKind.OTHER})


@dataclass(frozen=True, slots=True)
class Known:
    """What is mirrored: pairs of kind and remote id, and the deployments of each endpoint by remote ids."""

    meters: frozenset[tuple[str, str]] = frozenset()
    deployments: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """The meter that a line belongs to; `how` is the evidence for people, `project_id` empty where it is not told."""

    kind: MeterKind
    remote_id: str
    name: str
    how: str
    model: str = ""
    project_id: str = ""


def match_line(
    attributes: Mapping[str, str], dimensions: Mapping[str, str], *, known: Known = Known()
) -> Match | None:
    """Return what the line is for, None when none of its attributes names anything."""
    project_id = _read(attributes, "project_id")
    model = _read(dimensions, "model") or _read(attributes, "model")
    found = _match_deployment(attributes, known) or _match_id(attributes)
    if found is None and model and (project_id or "api_key_id" in attributes):
        # Serverless tokens are told by project and model: what a team owns is a project, not a model.
        remote_id = f"{project_id}/{model}"
        found = (MeterKind.SERVERLESS, remote_id, model, f"model {model}")
    if found is None:
        return None
    kind, remote_id, name, how = found
    return Match(kind, remote_id, name, how, model=model, project_id=project_id)


_Found = tuple[MeterKind, str, str, str]


def _match_deployment(attributes: Mapping[str, str], known: Known) -> _Found | None:
    deployment, endpoint = _read(attributes, "deployment_id"), _read(attributes, "endpoint_id")
    if deployment:
        # Lines of dedicated deployments name their endpoint, too (contract 10); a container has none.
        is_dedicated = bool(endpoint) or (MeterKind.DEPLOYMENT, deployment) in known.meters
        is_container = (MeterKind.CONTAINER, deployment) in known.meters
        kind = MeterKind.DEPLOYMENT if is_dedicated and not is_container else MeterKind.CONTAINER
        return (kind, deployment, deployment, f"deployment_id {deployment}")
    if not endpoint:
        return None
    if (MeterKind.DEPLOYMENT, endpoint) in known.meters:  # a v1 endpoint is its own deployment
        return (MeterKind.DEPLOYMENT, endpoint, endpoint, f"endpoint_id {endpoint}")
    deployments = known.deployments.get(endpoint, ())
    if len(deployments) == 1:
        how = f"endpoint_id {endpoint}, which has one deployment"
        return (MeterKind.DEPLOYMENT, deployments[0], deployments[0], how)
    if deployments:
        return None  # one of several: which is not told
    return (MeterKind.DEPLOYMENT, endpoint, endpoint, f"endpoint_id {endpoint}")


def _match_id(attributes: Mapping[str, str]) -> _Found | None:
    for name, kind in _KINDS_BY_ID.items():
        if remote_id := _read(attributes, name):
            return (kind, remote_id, remote_id, f"{name} {remote_id}")
    for name in sorted(attributes):
        if name.endswith("_id") and name not in _OTHERS and (remote_id := _read(attributes, name)):
            return (MeterKind.OTHER, f"{name}:{remote_id}", remote_id, f"{name} {remote_id}")
    return None


def _read(table: Mapping[str, str], name: str) -> str:
    value = table.get(name, "")
    return value.strip() if isinstance(value, str) else ""


def describe_attributes(*tables: Mapping[str, str]) -> str:
    """Return attributes and dimensions as words, for a line that matches nothing: ``region us-east, tier 2``."""
    return ", ".join(f"{name} {value}" for table in tables for name, value in sorted(_items(table)))


def _items(table: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    return ((str(name), str(value)) for name, value in table.items())
