"""Admin routes of jobs: the truth, forced states, a lost node, the credit, and things that vanish."""

from typing import Any

from starlette.requests import Request

from simulator.admin_route import admin_route
from simulator.clock import format_time
from simulator.errors import bad_request, not_found
from simulator.jobs import batches, evaluations, files
from simulator.jobs import course as courses
from simulator.jobs.batches import Batch
from simulator.jobs.endings import settle_jobs
from simulator.jobs.evaluations import Evaluation
from simulator.jobs.files import StoredFile
from simulator.jobs.fine_tunes import FineTune
from simulator.jobs.rates import to_nano
from simulator.world import World

Fields = dict[str, Any]
Job = FineTune | Batch | Evaluation | StoredFile


def _find(world: World, identifier: str) -> Job:
    settle_jobs(world, world.now_ms())
    jobs = world.jobs
    found = (
        jobs.fine_tunes.get(identifier)
        or jobs.batches.get(identifier)
        or jobs.evaluations.get(identifier)
        or jobs.files.get(identifier)
    )
    if found is None:
        raise not_found("job", identifier)
    return found


def _describe(world: World, job: Job) -> Fields:
    now_ms = world.now_ms()
    if isinstance(job, StoredFile):
        steps = [(step.at_ms, step.status) for step in job.timeline]
        body: Fields = {"id": job.file_id, "kind": "file", "purpose": job.purpose}
    elif isinstance(job, FineTune):
        steps = [(job.tempo.to_world(step.at_ms), step.status) for step in job.course.statuses]
        charge = job.charge(now_ms)
        body = {
            "id": job.fine_tune_id,
            "kind": "fine_tune",
            "steps_completed": job.steps_done(now_ms),
            "total_steps": job.total_steps,
            "charged_nano_usd": to_nano(charge.cost_usd) if charge else 0,
        }
    else:
        steps = [(job.tempo.to_world(step.at_ms), step.status) for step in job.steps]
        if isinstance(job, Batch):
            done = job.requests_done(now_ms)
            body = {"id": job.batch_id, "kind": "batch", "requests_done": done, "requests": job.load.requests}
        else:
            body = {"id": job.evaluation_id, "kind": "evaluation", "samples": job.samples}
    return {
        **body,
        "status": job.status(now_ms),
        "timeline": [
            {"at": format_time(at_ms), "status": status, "past": at_ms <= now_ms} for at_ms, status in steps
        ],
    }


def tell_job(world: World, request: Request, fields: Fields) -> Any:
    """Return the timeline of a job or file, what is to come included."""
    return _describe(world, _find(world, request.path_params["identifier"]))


def force_state(world: World, request: Request, fields: Fields) -> Any:
    """Put a job or file into a status now: `{state, message?, stay?}`.

    A fine-tune that is forced to `error` is refunded, to `cancelled` or `cancel_requested` pays what is done (the
    latter goes on to `cancelled` unless `stay`), to `running` trains on unless `stay`, to `completed` delivers its
    model. Everything else stays there.
    """
    job, now_ms = _find(world, request.path_params["identifier"]), world.now_ms()
    state, message = str(fields["state"]), str(fields.get("message", ""))
    if isinstance(job, FineTune):
        _force_fine_tune(job, now_ms, state, message, stay=bool(fields.get("stay", False)))
        world.jobs.plan_end(job.fine_tune_id, job.tempo.to_world(job.course.end_ms))
    elif isinstance(job, Batch):
        _check(state, batches.STATUSES)
        job.put(now_ms, state, message)
        world.jobs.plan_end(job.batch_id, now_ms)
    elif isinstance(job, Evaluation):
        _check(state, evaluations.STATUSES)
        job.put(now_ms, state, message)
        world.jobs.plan_end(job.evaluation_id, now_ms)
    else:
        _check(state, files.STATUSES)
        job.force(now_ms, state)
    settle_jobs(world, now_ms)
    return _describe(world, job)


def _check(state: str, known: tuple[str, ...]) -> None:
    if state not in known:
        raise bad_request(f"state must be one of {', '.join(known)}", param="state")


def _force_fine_tune(job: FineTune, now_ms: int, state: str, message: str, *, stay: bool) -> None:
    _check(state, courses.STATUSES)
    plan_ms = job.tempo.to_plan(now_ms)
    if state == courses.ERROR:
        job.course = courses.fail(job.course, plan_ms, message=message or "Forced to error")
    elif state == courses.CANCEL_REQUESTED:
        job.course = (courses.linger if stay else courses.cancel)(job.course, plan_ms)
    elif state == courses.RUNNING and not stay:
        step_ms = job.work.step_ms(job.settings)
        job.course = courses.resume(job.course, plan_ms, total_steps=job.total_steps, step_ms=step_ms)
    elif state == courses.COMPLETED:
        job.course = courses.finish(job.course, plan_ms, total_steps=job.total_steps)
    else:
        job.course = courses.force(job.course, plan_ms, state)


def lose_node(world: World, request: Request, fields: Fields) -> Any:
    """Let the node of a fine-tune that trains fail now: it is restarted from its last checkpoint."""
    job = _find(world, request.path_params["identifier"])
    if not isinstance(job, FineTune):
        raise bad_request("only a fine-tune can be restarted")
    job.restart(world.now_ms())
    world.jobs.plan_end(job.fine_tune_id, job.tempo.to_world(job.course.end_ms))
    return _describe(world, job)


def remove_job(world: World, request: Request, fields: Fields) -> Any:
    """Let a job or file vanish as if somebody else had deleted it; what it cost stays on the bill."""
    job, jobs = _find(world, request.path_params["identifier"]), world.jobs
    if isinstance(job, FineTune):
        jobs.remove_fine_tune(job, at_ms=world.now_ms())
    elif isinstance(job, StoredFile):
        del jobs.files[job.file_id]
    else:
        raise bad_request("batches and evaluations cannot be deleted")
    return {}


def set_credit(world: World, request: Request, fields: Fields) -> Any:
    """Set the credit that a fine-tune may use up: `{user_limit: USD}`. Jobs made before keep theirs."""
    world.jobs.user_limit_usd = float(fields["user_limit"])
    return {"user_limit": world.jobs.user_limit_usd}


_ONE = "/jobs/{identifier}"
ROUTES = [
    admin_route("/jobs", set_credit, "PATCH"),
    admin_route(_ONE, tell_job),
    admin_route(_ONE, remove_job, "DELETE"),
    admin_route(f"{_ONE}/state", force_state, "POST"),
    admin_route(f"{_ONE}/restart", lose_node, "POST"),
]
