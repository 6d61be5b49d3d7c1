"""How a fine-tune runs: pure plans of statuses and training stretches, in plan time (see `owner.Tempo`).

The statuses are documented; the arrows between them and the lengths are believable inventions.
"""

from dataclasses import dataclass, replace
from typing import Final

from simulator.clock import MINUTE_MS, SECOND_MS
from simulator.jobs.owner import Step, step_at

PENDING: Final = "pending"
QUEUED: Final = "queued"
RUNNING: Final = "running"
COMPRESSING: Final = "compressing"
UPLOADING: Final = "uploading"
COMPLETED: Final = "completed"
CANCEL_REQUESTED: Final = "cancel_requested"
CANCELLED: Final = "cancelled"
ERROR: Final = "error"
STATUSES: Final = (
    *(PENDING, QUEUED, RUNNING, COMPRESSING, UPLOADING, COMPLETED, CANCEL_REQUESTED, CANCELLED, ERROR),
)
CANCELLABLE: Final = frozenset({PENDING, QUEUED, RUNNING})
ENDED: Final = frozenset({COMPLETED, CANCELLED, ERROR})

PENDING_MS: Final = 15 * SECOND_MS
QUEUE_MS: Final = 4 * MINUTE_MS
#: From the start of a run to its first step: model and data are fetched.
SETUP_MS: Final = 4 * MINUTE_MS
COMPRESSING_MS: Final = 5 * MINUTE_MS
UPLOADING_MS: Final = 7 * MINUTE_MS
CANCEL_MS: Final = 90 * SECOND_MS
RESTART_MS: Final = 6 * MINUTE_MS
REFUND_MS: Final = 2 * MINUTE_MS


@dataclass(frozen=True, slots=True)
class Leg:
    """A stretch of training without interruption: steps `first + 1` to `last` are done in it, evenly."""

    start_ms: int
    end_ms: int
    first: int
    last: int

    def done(self, at_ms: int) -> int:
        """Return the last step that is finished at an instant."""
        if at_ms >= self.end_ms:
            return self.last
        share = max(0, at_ms - self.start_ms) / max(1, self.end_ms - self.start_ms)
        return self.first + int(share * (self.last - self.first))

    def at(self, step: int) -> int:
        """Return when a step of this leg is finished."""
        span = max(1, self.last - self.first)
        return self.start_ms + (self.end_ms - self.start_ms) * (step - self.first) // span


@dataclass(frozen=True, slots=True)
class Note:
    """Something that happened to the run and is told as an event."""

    at_ms: int
    kind: str
    message: str
    level: str = "info"
    step: int = 0


@dataclass(frozen=True)
class Course:
    """The whole plan of one job, past and to come."""

    statuses: tuple[Step, ...]
    legs: tuple[Leg, ...] = ()
    notes: tuple[Note, ...] = ()

    def present(self, at_ms: int) -> Step:
        return step_at(list(self.statuses), at_ms)

    def status(self, at_ms: int) -> str:
        return self.present(at_ms).status

    @property
    def end_ms(self) -> int:
        return self.statuses[-1].at_ms

    @property
    def outcome(self) -> str:
        return self.statuses[-1].status

    def steps_done(self, at_ms: int) -> int:
        """Return the finished steps; a restart takes back those since the last checkpoint."""
        done = 0
        for leg in self.legs:
            if leg.start_ms <= at_ms:
                done = leg.done(at_ms)
        return done

    def when(self, step: int) -> int | None:
        """Return when a step was (first) finished; None = it is not in the plan."""
        for leg in self.legs:
            if leg.first < step <= leg.last:
                return leg.at(step)
        return None

    def next_status_ms(self, at_ms: int) -> int | None:
        """Return when the status changes next; None = it stays."""
        return next((step.at_ms for step in self.statuses if step.at_ms > at_ms), None)


def plan_course(
    created_ms: int, *, total_steps: int, step_ms: int, queue_ms: int = QUEUE_MS, setup_ms: int = SETUP_MS
) -> Course:
    """Return the course of a job to which nothing happens."""
    running_ms = created_ms + PENDING_MS + queue_ms
    leg = Leg(running_ms + setup_ms, running_ms + setup_ms + total_steps * step_ms, 0, total_steps)
    return Course(
        (
            Step(created_ms, PENDING),
            Step(created_ms + PENDING_MS, QUEUED),
            Step(running_ms, RUNNING),
            *_plan_delivery(leg.end_ms),
        ),
        (leg,),
    )


def _plan_delivery(trained_ms: int) -> tuple[Step, ...]:
    uploading_ms = trained_ms + COMPRESSING_MS
    return (
        Step(trained_ms, COMPRESSING),
        Step(uploading_ms, UPLOADING),
        Step(uploading_ms + UPLOADING_MS, COMPLETED),
    )


def _cut(course: Course, at_ms: int) -> Course:
    """Return what happened before an instant."""
    legs = []
    for leg in course.legs:
        if leg.start_ms < at_ms:
            end_ms = min(leg.end_ms, at_ms)
            legs.append(replace(leg, end_ms=end_ms, last=leg.done(end_ms)))
    return Course(
        tuple(step for step in course.statuses if step.at_ms <= at_ms),
        tuple(legs),
        tuple(note for note in course.notes if note.at_ms <= at_ms),
    )


def cancel(
    course: Course, at_ms: int, *, reason: str = "Cancellation requested", kind: str = "cancel_requested"
) -> Course:
    """Stop training at once; the job is cancelled a little later."""
    cut = _cut(course, at_ms)
    end_ms = at_ms + CANCEL_MS
    level = "warning" if kind == "billing_limit" else "info"
    notes = (
        Note(at_ms, kind, reason, level, cut.steps_done(at_ms)),
        Note(end_ms, "job_stopped", "Job stopped", step=cut.steps_done(at_ms)),
    )
    statuses = (*cut.statuses, Step(at_ms, CANCEL_REQUESTED), Step(end_ms, CANCELLED))
    return replace(cut, statuses=statuses, notes=(*cut.notes, *notes))


def linger(course: Course, at_ms: int) -> Course:
    """Take a cancellation that never ends (a fault asked for by a test)."""
    asked = cancel(course, at_ms)
    return replace(asked, statuses=asked.statuses[:-1], notes=asked.notes[:-1])


def fail(course: Course, at_ms: int, *, message: str) -> Course:
    """End in error; the refund follows."""
    cut = _cut(course, at_ms)
    step = cut.steps_done(at_ms)
    notes = (
        Note(at_ms, "job_error", message, "error", step),
        Note(at_ms + REFUND_MS, "refund", "The job was refunded in full", step=step),
    )
    return replace(cut, statuses=(*cut.statuses, Step(at_ms, ERROR)), notes=(*cut.notes, *notes))


def restart(course: Course, at_ms: int, *, from_step: int, total_steps: int, step_ms: int) -> Course:
    """Lose a node while training, and go on from a checkpoint on another one."""
    cut = _cut(course, at_ms)
    lost = cut.steps_done(at_ms)
    start_ms = at_ms + RESTART_MS
    leg = Leg(start_ms, start_ms + (total_steps - from_step) * step_ms, from_step, total_steps)
    message = f"Node failure at step {lost}; job restarted from step {from_step}"
    return Course(
        (*cut.statuses, *_plan_delivery(leg.end_ms)),
        (*cut.legs, leg),
        (*cut.notes, Note(at_ms, "job_restarted", message, "warning", from_step)),
    )


def stop_early(course: Course, step: int, *, message: str) -> Course:
    """End training after a step, because the evaluation stopped improving; the model is delivered."""
    at_ms = course.when(step)
    if at_ms is None:
        return course
    cut = _cut(course, at_ms)
    legs = (*cut.legs[:-1], replace(cut.legs[-1], last=step))
    note = Note(at_ms, "early_stopped", message, step=step)
    return Course((*cut.statuses, *_plan_delivery(at_ms)), legs, (*cut.notes, note))


def resume(course: Course, at_ms: int, *, total_steps: int, step_ms: int) -> Course:
    """Let the job train from now on, with the steps that are done, and be delivered."""
    cut = _cut(course, at_ms)
    done = cut.steps_done(at_ms)
    leg = Leg(at_ms, at_ms + (total_steps - done) * step_ms, done, total_steps)
    statuses = (*cut.statuses, Step(at_ms, RUNNING), *_plan_delivery(leg.end_ms))
    return replace(cut, statuses=statuses, legs=(*cut.legs, leg))


def force(course: Course, at_ms: int, status: str) -> Course:
    """Put the job into a status now; it stays there."""
    cut = _cut(course, at_ms)
    return replace(cut, statuses=(*cut.statuses, Step(at_ms, status)))


def finish(course: Course, at_ms: int, *, total_steps: int) -> Course:
    """Let the job be completed now, with all its steps done."""
    cut = _cut(course, at_ms)
    start_ms = cut.legs[-1].start_ms if cut.legs else at_ms
    legs = (*cut.legs[:-1], Leg(start_ms, at_ms, cut.legs[-1].first if cut.legs else 0, total_steps))
    return replace(cut, statuses=(*cut.statuses, Step(at_ms, COMPLETED)), legs=legs)
