"""What one read of the provider shows, one class per kind of target. Frozen data, no behaviour but small questions.

All of them answer `state`, `ready_replicas` and `message`: what the receipt says of the read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from dashboard.core import resource_states, status
from dashboard.together_api.errors import ErrorKind


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that failed: what kind, one sentence, what the provider asked for."""

    kind: ErrorKind
    sentence: str
    status: int | None = None
    code: str | None = None
    retry_after_seconds: float | None = None
    outcome_unknown: bool = False


@dataclass(frozen=True, slots=True)
class Gone:
    """The provider says that it does not know the resource (404 of its own path)."""


@dataclass(frozen=True, slots=True)
class Unread:
    """The read failed: nothing is known."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Seen:
    """The provider answered: this is how the deployment (or the v1 endpoint) is now.

    `min_replicas` and `max_replicas` are the wish the provider holds; None = not told. For a whole v2 endpoint
    `state` is empty and `running` names its deployments that are not stopped.
    """

    state: str
    ready_replicas: int | None = None
    min_replicas: int | None = None
    max_replicas: int | None = None
    message: str = ""
    is_in_traffic: bool = False
    running: tuple[str, ...] = ()

    @property
    def status(self) -> status.Status:
        """The product's word for the state; a state nobody documents is UNKNOWN and counts as running."""
        return status.read_state(self.state)

    @property
    def is_stopped(self) -> bool:
        """True for a stopped state without ready replicas: a contradiction is not proof."""
        return self.status == status.STOPPED and not self.ready_replicas

    @property
    def is_moving_down(self) -> bool:
        """True when the provider is stopping it or says it has."""
        return self.status in (status.STOPPING, status.STOPPED)

    @property
    def is_at_rest(self) -> bool:
        """True when it may be deleted: stopped without ready replicas, or failed."""
        return self.is_stopped or self.status == status.FAILED

    @property
    def wants_nothing(self) -> bool:
        """True when the provider holds the wish for zero replicas (v2; v1 keeps its bounds while stopped)."""
        return self.max_replicas == 0

    @property
    def short(self) -> str:
        """The state without its prefix, for sentences."""
        return status.shorten_state(self.state) or "no state"


@dataclass(frozen=True, slots=True)
class Part:
    """One deployment of an endpoint: its remote id, its name, how it is."""

    id: str
    name: str
    seen: Seen


@dataclass(frozen=True, slots=True)
class SeenTree:
    """What a deletion in order takes down: deployments (one, or all of the endpoint) and the traffic split.

    `weights` {deployment id: weight} holds every entry of the split, also those of others.
    """

    parts: tuple[Part, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """The states of the parts, each once with its count."""
        words = [part.seen.short for part in self.parts]
        if len(words) == 1:
            return self.parts[0].seen.state
        counts = {word: words.count(word) for word in words}
        return ", ".join(f"{count} {word}" for word, count in counts.items())

    @property
    def ready_replicas(self) -> int | None:
        """Ready replicas of all parts, None when one does not tell."""
        counts = [part.seen.ready_replicas for part in self.parts]
        return None if not counts or None in counts else sum(count or 0 for count in counts)

    @property
    def message(self) -> str:
        """What the first part that says something says."""
        return next((part.seen.message for part in self.parts if part.seen.message), "")


@dataclass(frozen=True, slots=True)
class SeenSettings:
    """Something whose settings are to be changed: what it has now, named as the provider names them.

    `kind` is empty for deployments and endpoints. A setting that is not in `present` is one the provider does not
    tell.
    """

    state: str
    present: Mapping[str, Any]
    kind: str = ""
    ready_replicas: int | None = None
    message: str = ""

    @property
    def status(self) -> status.Status:
        """The product's word for the state."""
        return (
            resource_states.read_state(self.kind, self.state) if self.kind else status.read_state(self.state)
        )


@dataclass(frozen=True, slots=True)
class SeenResource:
    """A job, cluster, volume, model, container or RL resource as it is now."""

    kind: str
    state: str
    ready_replicas: int | None = None
    message: str = ""

    @property
    def status(self) -> status.Status:
        """The product's word for the state."""
        return resource_states.read_state(self.kind, self.state)

    @property
    def short(self) -> str:
        """The state without its prefix, for sentences."""
        return resource_states.shorten(self.state) or "no state"


@dataclass(frozen=True, slots=True)
class SeenDeploy:
    """What exists of a deployment to be made.

    `endpoint_id` and `part` are found by their names or by the ids remembered; empty and None = not there, the whole
    list having been read. `may_rehearse`: an endpoint exists on which the provider can do its dry run.
    """

    endpoint_id: str = ""
    may_rehearse: bool = False
    part: Part | None = None
    weights: Mapping[str, float] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """The deployment's state; empty while there is none."""
        return self.part.seen.state if self.part else ""

    @property
    def ready_replicas(self) -> int | None:
        """Its ready replicas, None while there is none."""
        return self.part.seen.ready_replicas if self.part else None

    @property
    def message(self) -> str:
        """What the provider says about its state, else what exists so far."""
        if self.part is not None:
            return self.part.seen.message
        return "The endpoint exists" if self.endpoint_id else ""


@dataclass(frozen=True, slots=True)
class SeenVolumes:
    """The volumes of the wanted name, the whole list having been read: their ids, and the state of the first."""

    ids: tuple[str, ...] = ()
    state: str = ""
    ready_replicas: None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class SeenUpload:
    """What exists of a model to be filled: the model of that name, and the newest import into it. Empty = not there."""

    model_id: str = ""
    upload_id: str = ""
    state: str = ""
    message: str = ""
    ready_replicas: None = None

    @property
    def status(self) -> status.Status:
        """The product's word for the state of the import."""
        return resource_states.read_state("upload", self.state)


Present = Seen | SeenTree | SeenSettings | SeenResource | SeenDeploy | SeenVolumes | SeenUpload
Sight = Present | Gone | Unread

PresentT = TypeVar("PresentT", bound=Present)


def expect(sight: Sight, kind: type[PresentT]) -> PresentT:
    """Return the sight as the kind that the rules of an act are made for. Raises TypeError for another courier's."""
    if not isinstance(sight, kind):
        raise TypeError(f"expected {kind.__name__}, got {type(sight).__name__}")
    return sight
