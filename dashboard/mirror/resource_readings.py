"""What one body says of a resource, as the columns of the mirror. Pure.

mirror/kinds/ turns the provider's typed bodies into these; everything after that is the same for all kinds.
"""

from dataclasses import dataclass, field
from datetime import datetime

from dashboard.core import resource_states
from dashboard.core.status import Status


@dataclass(frozen=True, slots=True)
class Phase:
    """A transition that the provider dates itself: from `at` on the resource was in `state`."""

    at: datetime
    state: str

    @property
    def key(self) -> str:
        """What makes it the same transition when it is told again."""
        return f"{self.state}@{self.at.isoformat()}"


@dataclass(frozen=True, slots=True)
class ResourceReading:
    """The columns of mirror.Resource that come from one body; meanings as there, None = the body does not say.

    `project_remote_id` None: the body names no project. `links` are (relation, target) pairs.
    """

    kind: str
    remote_id: str
    name: str
    state: str
    project_remote_id: str | None = None
    model: str = ""
    hardware: str = ""
    region: str = ""
    owner: str = ""
    variety: str = ""
    state_message: str = ""
    remote_created_at: datetime | None = None
    remote_updated_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    progress: float | None = None
    seconds_remaining: int | None = None
    size_bytes: int | None = None
    tokens: int | None = None
    total_nano_usd: int | None = None
    gpu_count: int = 0
    units: int = 0
    sku: str = ""
    links: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    phases: tuple[Phase, ...] = ()

    @property
    def status(self) -> Status:
        """The product's word for the state."""
        return resource_states.read_state(self.kind, self.state)

    @property
    def state_began_at(self) -> datetime | None:
        """When the present state began by the provider's own phases, None when they do not tell."""
        known = [phase for phase in self.phases if phase.state == self.state]
        return max((phase.at for phase in known), default=None)


def name_links(*links: tuple[str, str | None]) -> frozenset[tuple[str, str]]:
    """Return those (relation, target) pairs whose target the body names."""
    return frozenset((str(relation), target) for relation, target in links if target)
