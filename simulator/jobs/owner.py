"""Whose a job or a file is, and how plan time becomes time of the world."""

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Owner:
    """A person in a project. Ids and slugs only, so that nothing here depends on the world."""

    project_id: str
    project_slug: str
    organization_id: str
    organization_slug: str
    user_id: str
    address: str


@dataclass(frozen=True)
class Tempo:
    """A plan is made in real lengths; from `origin_ms` on the world plays it `speed` times faster.

    What lies before the origin (the past of a scenario) happened at real length.
    """

    origin_ms: int
    speed: float

    @classmethod
    def of_job(cls, *, created_ms: int, world_start_ms: int, speed: float) -> Self:
        return cls(max(created_ms, world_start_ms), speed)

    def to_world(self, plan_ms: int) -> int:
        if plan_ms <= self.origin_ms:
            return plan_ms
        return self.origin_ms + round((plan_ms - self.origin_ms) / self.speed)

    def to_plan(self, world_ms: int) -> int:
        if world_ms <= self.origin_ms:
            return world_ms
        return self.origin_ms + round((world_ms - self.origin_ms) * self.speed)


@dataclass(frozen=True, slots=True)
class Step:
    """A status that holds from `at_ms` until the next step."""

    at_ms: int
    status: str
    message: str = ""


def step_at(steps: list[Step], at_ms: int) -> Step:
    """Return the step that holds at an instant; the first one also before it began."""
    present = steps[0]
    for step in steps:
        if step.at_ms > at_ms:
            break
        present = step
    return present
