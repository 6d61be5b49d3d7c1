"""How an import of model files goes: a pure plan of its steps, as a function of time and of what is imported.

The states are documented (contract 3.8); the durations, messages and event types are believable inventions. What the
source is called decides how it ends, so that every outcome can be asked for: see `simulator/README.md`.
"""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from simulator.clock import SECOND_MS

PENDING: Final = "PENDING"
RUNNING: Final = "RUNNING"
ERROR: Final = "ERROR"
SUCCEEDED: Final = "SUCCEEDED"
FAILED: Final = "FAILED"
ENDED: Final = frozenset({SUCCEEDED, FAILED})

MAX_RESTARTS: Final = 3
QUEUE_MS: Final = 8 * SECOND_MS
RESTART_MS: Final = 20 * SECOND_MS
VALIDATION_MS: Final = 40 * SECOND_MS
BYTES_PER_SECOND: Final = 200_000_000
CORRUPT: Final = "model-00001: header of the safetensors file is not valid JSON"
_REPOSITORY = re.compile(r"[A-Za-z0-9._-]+/[A-Za-z0-9._-]+")
_HUGGING_FACE = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})


@dataclass(frozen=True)
class Source:
    """Where files come from. `address` is what the client sent and may carry a signature."""

    address: str
    name: str  # repository, or the archive's path without the query
    is_repository: bool
    has_token: bool

    @property
    def needs_token(self) -> bool:
        return self.is_repository and "private" in self.name.lower() and not self.has_token

    @property
    def is_corrupt(self) -> bool:
        return self.name.endswith(".corrupt")


@dataclass(frozen=True)
class Step:
    """A moment of an import; its status holds until the next step."""

    at_ms: int
    status: str
    kind: str  # event type
    message: str
    level: str = "INFO"
    restarts: int = 0


def read_source(address: str, *, has_token: bool, bare_repository: bool = False) -> Source | None:
    """Return what an address names; None = nothing that can be imported.

    `bare_repository`: `organisation/name` is a Hugging Face repository too, as v1 takes it.
    """
    if bare_repository and _REPOSITORY.fullmatch(address):
        return Source(address, address, is_repository=True, has_token=has_token)
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    if parts.scheme not in {"https", "s3"} or not parts.netloc:
        return None
    path = parts.path.strip("/")
    if (parts.hostname or "") in _HUGGING_FACE:
        match = _REPOSITORY.match(path)
        return Source(address, match.group(), is_repository=True, has_token=has_token) if match else None
    return Source(address, path, is_repository=False, has_token=has_token) if path else None


def plan_import(at_ms: int, source: Source, *, size_bytes: int, speed: float) -> tuple[Step, ...]:
    """Return every step from the request to the end, in order of time."""
    clock = _Clock(at_ms, speed)
    steps = [Step(at_ms, PENDING, "import.queued", "Waiting for an import worker")]
    clock.wait(QUEUE_MS)
    steps.append(Step(clock.at_ms, RUNNING, "download.started", "Downloading model files"))
    if source.needs_token:
        clock.wait(SECOND_MS)
        message = (
            f"Access to the repository {source.name} was refused (401): it is private or gated."
            " Pass a token that may read it."
        )
        return (*steps, Step(clock.at_ms, FAILED, "import.failed", message, "ERROR"))
    restarts = 0
    breaks = {".flaky": 2, ".unreachable": MAX_RESTARTS + 1}.get(source.name[source.name.rfind(".") :], 0)
    whole_ms = max(1, size_bytes * SECOND_MS // BYTES_PER_SECOND)
    for _ in range(breaks):
        clock.wait(whole_ms // 10)
        message = "The connection was reset while reading model-00001"
        if restarts == MAX_RESTARTS:
            message = f"Gave up after {MAX_RESTARTS} restarts: {message[0].lower()}{message[1:]}"
            return (*steps, Step(clock.at_ms, FAILED, "import.failed", message, "ERROR", restarts))
        steps.append(Step(clock.at_ms, ERROR, "download.failed", message, "ERROR", restarts))
        restarts += 1
        clock.wait(RESTART_MS)
        again = f"Restart {restarts} of {MAX_RESTARTS}"
        steps.append(Step(clock.at_ms, RUNNING, "import.restarted", again, "WARN", restarts))
    for quarter in (1, 2, 3):
        clock.wait(whole_ms // 4)
        done = size_bytes * quarter // 4
        message = f"Downloaded {done // 10**6} of {size_bytes // 10**6} MB"
        steps.append(Step(clock.at_ms, RUNNING, "download.progress", message, restarts=restarts))
    clock.wait(whole_ms - 3 * (whole_ms // 4))
    steps.append(
        Step(clock.at_ms, SUCCEEDED, "import.completed", "Model revision created", restarts=restarts)
    )
    return tuple(steps)


class _Clock:
    """Walk through the plan; a wait is shortened by the speed, but never to nothing."""

    def __init__(self, at_ms: int, speed: float) -> None:
        self.at_ms = at_ms
        self._speed = speed

    def wait(self, milliseconds: int) -> None:
        self.at_ms += max(1, round(milliseconds / self._speed))
