"""What containers refer to by name: secrets, whose values nobody gets back, and read-only volumes with versions."""

from dataclasses import dataclass, field
from typing import Any, Final

from simulator.clock import MINUTE_MS, SECOND_MS
from simulator.compute.agenda import Agenda, Tempo

SYNC_MS: Final = 2 * MINUTE_MS


@dataclass
class Secret:
    """A secret without its value: the simulator does not keep it. `ttl_seconds` None = it never expires."""

    secret_id: str
    project_id: str
    name: str
    created_by: str
    created_ms: int
    description: str = ""
    ttl_seconds: int | None = None
    updated_by: str = ""
    updated_ms: int = 0
    kept_since_ms: int = 0  # the lifetime counts from the last change of value or lifetime

    @property
    def expires_ms(self) -> int | None:
        return None if self.ttl_seconds is None else self.kept_since_ms + self.ttl_seconds * SECOND_MS

    def exists_at(self, now_ms: int) -> bool:
        return self.expires_ms is None or now_ms < self.expires_ms


@dataclass
class VolumeVersion:
    number: int
    content: dict[str, Any]
    status: str = "pending"


@dataclass
class ContainerVolume:
    """A read-only volume; each change of its content is a version that is synchronised first."""

    volume_id: str
    project_id: str
    name: str
    created_ms: int
    tempo: Tempo
    updated_ms: int = 0
    versions: list[VolumeVersion] = field(default_factory=list)
    agenda: Agenda = field(default_factory=Agenda)

    @property
    def current(self) -> VolumeVersion:
        return self.versions[-1]

    def add_version(self, at_ms: int, content: dict[str, Any]) -> None:
        version = VolumeVersion(len(self.versions) + 1, content)
        self.versions.append(version)
        self.updated_ms = at_ms
        half_ms = self.tempo.length(at_ms, SYNC_MS // 2)

        def sync(due_ms: int) -> None:
            version.status = "syncing"

        def finish(due_ms: int) -> None:
            version.status = "ready"

        self.agenda.plan(at_ms + half_ms, "sync", sync)
        self.agenda.plan(at_ms + 2 * half_ms, "sync", finish)
