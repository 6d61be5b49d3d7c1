"""What the states of jobs, files, models, clusters, volumes, containers and RL resources mean. Pure.

Words of contract sections 5 to 9 and 13, compared without case, dashes and underscores. Keys are the values of
mirror.ResourceKind. A state that is not listed is Unknown: shown with the provider's own word, counted as billing.
"""

from collections.abc import Mapping
from typing import Final

from dashboard.core import status
from dashboard.core.status import Status

_FINE_TUNE: Final = {
    "pending": status.QUEUED,
    "queued": status.QUEUED,
    "running": status.WORKING,
    "compressing": status.FINISHING,
    "uploading": status.FINISHING,
    "completed": status.COMPLETED,
    "cancelrequested": status.CANCELLING,
    "cancelled": status.CANCELLED,
    "error": status.FAILED,
}
_BATCH: Final = {
    "validating": status.QUEUED,
    "inprogress": status.WORKING,
    "completed": status.COMPLETED,
    "failed": status.FAILED,
    "expired": status.EXPIRED,
    "cancelled": status.CANCELLED,
    "cancelling": status.CANCELLING,
}
_EVALUATION: Final = {
    "pending": status.QUEUED,
    "queued": status.QUEUED,
    "running": status.WORKING,
    "completed": status.COMPLETED,
    "error": status.FAILED,
    "usererror": status.FAILED,
}
_UPLOAD: Final = {
    "pending": status.QUEUED,
    "running": status.WORKING,
    "error": status.WORKING,  # the provider tries again: restartCount of maxRestarts (contract 3.8)
    "succeeded": status.COMPLETED,
    "failed": status.FAILED,
}
_UPLOAD_V1: Final = {
    "queued": status.QUEUED,
    "running": status.WORKING,
    "complete": status.COMPLETED,
    "failed": status.FAILED,
}
_FILE: Final = {
    "": status.AVAILABLE,
    "processed": status.AVAILABLE,
    "completed": status.AVAILABLE,
    "pending": status.QUEUED,
    "queued": status.QUEUED,
    "running": status.FINISHING,
    "failed": status.FAILED,
    "invalidformat": status.FAILED,
}
_MODEL: Final = {
    "": status.AVAILABLE,
    "success": status.AVAILABLE,
    "pending": status.QUEUED,
    "failed": status.FAILED,
    "error": status.FAILED,
}
_CLUSTER: Final = {
    "queued": status.QUEUED,
    "scheduled": status.QUEUED,
    "waitingforcontrolplanenodes": status.STARTING,
    "waitingfordataplanenodes": status.STARTING,
    "waitingforsubnet": status.STARTING,
    "waitingforsharedvolume": status.STARTING,
    "waitingforautoscaler": status.STARTING,
    "installingdrivers": status.STARTING,
    "runningacceptancetests": status.STARTING,
    "acceptancetestsfailed": status.FAILED,
    "runningnccltests": status.STARTING,
    "nccltestsfailed": status.FAILED,
    "ready": status.RUNNING,
    "degraded": status.DEGRADED,
    "paused": status.PAUSED,
    "ondemandcomputepaused": status.PAUSED,
    "deleting": status.DELETING,
}
_VOLUME: Final = {
    "scheduled": status.STARTING,
    "provisioning": status.STARTING,
    "available": status.UNATTACHED,
    "bound": status.ATTACHED,
    "deleting": status.DELETING,
    "failed": status.FAILED,
    "accessrevoked": status.PAUSED,
}
_CONTAINER: Final = {
    "updating": status.SCALING,
    "scaling": status.SCALING,
    "ready": status.RUNNING,
    "failed": status.FAILED,
    "scaledtozero": status.SCALED_TO_ZERO,
}
_RL_RESOURCE: Final = {
    "pending": status.QUEUED,
    "creating": status.STARTING,
    "ready": status.RUNNING,
    "error": status.FAILED,
    "stopping": status.STOPPING,
    "stopped": status.STOPPED,
}
_RL_SESSION: Final = _RL_RESOURCE | {
    "running": status.WORKING,
    "active": status.WORKING,
    "completed": status.COMPLETED,
    "failed": status.FAILED,
    "expired": status.EXPIRED,
}
_BY_KIND: Final[Mapping[str, Mapping[str, Status]]] = {
    "fine-tune": _FINE_TUNE,
    "batch": _BATCH,
    "evaluation": _EVALUATION,
    "upload": _UPLOAD,
    "upload-v1": _UPLOAD_V1,
    "file": _FILE,
    "model": _MODEL,
    "cluster": _CLUSTER,
    "volume": _VOLUME,
    "container": _CONTAINER,
    "rl-resource": _RL_RESOURCE,
    "rl-session": _RL_SESSION,
}
# In the SDK's enums of v2 and RL each value carries the name of its enum.
_PREFIXES: Final = (
    "REMOTE_UPLOAD_STATUS_",
    "REVISION_VALIDATION_STATUS_",
    "MODEL_RESOURCES_STATUS_",
    "TRAINING_SESSION_STATUS_",
)

_CLUSTER_PHASE: Final = "CLUSTER_PHASE_"
_NODE_PHASE: Final = "NODE_PHASE_"
# Phases and words of a node that certainly runs nothing; any other one, unknown ones included, counts as live.
_NODE_AT_REST: Final = frozenset(
    {"pending", "scheduling", "booting", "bootstrapping", "succeeded", "failed", "paused", "deleted"}
)

# Unit of what bills by the hour; kinds that are not here bill once, by what they process, or not at all.
UNITS: Final[Mapping[str, str]] = {
    "cluster": "GPU",
    "volume": "TiB",
    "container": "GPU",
    "rl-resource": "set",
}
JOB_KINDS: Final = ("fine-tune", "batch", "evaluation", "upload", "upload-v1")


def shorten(state: str) -> str:
    """Return the provider's word without the name of its enum: ``REMOTE_UPLOAD_STATUS_RUNNING`` is ``RUNNING``."""
    for prefix in _PREFIXES:
        state = state.removeprefix(prefix)
    return state


def read_state(kind: str, state: str) -> Status:
    """Return the status of a provider ``state`` of one kind of resource; Unknown for one that is not listed."""
    word = shorten(state).replace("_", "").replace("-", "").replace(" ", "").lower()
    return _BY_KIND.get(kind, {}).get(word, status.UNKNOWN)


def spell_cluster_phase(phase: str) -> str:
    """Return a cluster's phase in the words of its status: CLUSTER_PHASE_INSTALLING_DRIVERS is InstallingDrivers."""
    if not phase.startswith(_CLUSTER_PHASE):
        return phase
    return "".join(part.capitalize() for part in phase.removeprefix(_CLUSTER_PHASE).split("_"))


def is_node_at_rest(word: str) -> bool:
    """Tell whether a phase or status of a cluster's node says that it runs nothing."""
    return word.removeprefix(_NODE_PHASE).lower() in _NODE_AT_REST


def moving_states(kind: str) -> tuple[str, ...]:
    """Return the normalised states of a kind that are left by themselves."""
    return tuple(word for word, meaning in _BY_KIND.get(kind, {}).items() if meaning.is_moving)
