"""v1 fine-tunes: list, read, create, cancel, delete."""

from fractions import Fraction

from starlette.responses import Response

from simulator import lifecycle
from simulator.call import Call, json_answer, route
from simulator.clock import SECOND_MS
from simulator.errors import bad_request, not_found
from simulator.identifiers import derive_number
from simulator.jobs import course as courses
from simulator.jobs.course import plan_course
from simulator.jobs.fine_tunes import FineTune, apply_credit, apply_early_stopping
from simulator.jobs.owner import Tempo
from simulator.resources.fine_tune_bodies import describe_created, describe_full, describe_truncated
from simulator.resources.fine_tune_requests import is_invalid, measure, read_files, read_settings
from simulator.resources.jobs_access import owner_of

_INVALID_FILE = "The training file has no valid format: see its validation_report"
_NODE_LOST = "Cancelling failed: the node did not answer"


def find_fine_tune(call: Call, fine_tune_id: str) -> FineTune:
    """Return a fine-tune of the key's organisation. Raises 404."""
    job = call.world.jobs.fine_tunes.get(fine_tune_id)
    if job is None and call.world.any_id:
        return next(iter(call.world.jobs.fine_tunes.values()))
    if job is None or job.owner.organization_id != call.identity.organization.organization_id:
        raise not_found("fine-tune", fine_tune_id)
    return job


def list_fine_tunes(call: Call) -> Response:
    organization_id = call.identity.organization.organization_id
    jobs = [
        job for job in call.world.jobs.fine_tunes.values() if job.owner.organization_id == organization_id
    ]
    jobs.sort(key=lambda job: (-job.created_ms, job.fine_tune_id))
    return json_answer({"data": [describe_truncated(job, now_ms=call.now_ms) for job in jobs]})


def read_fine_tune(call: Call) -> Response:
    job = find_fine_tune(call, call.path["fine_tune_id"])
    return json_answer(describe_full(call.world, job, now_ms=call.now_ms))


def create_fine_tune(call: Call) -> Response:
    """Create a job. One on an invalid file is accepted and ends in error, as the official CLI warns."""
    if call.world.any_id:
        return json_answer(
            describe_created(next(iter(call.world.jobs.fine_tunes.values())), now_ms=call.now_ms)
        )
    fields = call.fields()
    training, validation = read_files(call, fields)
    settings, trainable = read_settings(call, fields)
    work = measure(settings, trainable, training, validation)
    fine_tune_id = f"ft-{call.world.new_uuid()}"
    owner = owner_of(call.identity)
    base_name = trainable.name.rpartition("/")[2]
    ending = f"{derive_number(fine_tune_id) & 0xFFFFFFFF:08x}"
    output = "-".join(part for part in (base_name, settings.suffix, ending) if part)
    job = FineTune(
        fine_tune_id=fine_tune_id,
        owner=owner,
        created_ms=call.now_ms,
        settings=settings,
        work=work,
        course=plan_course(
            call.now_ms, total_steps=work.total_steps(settings), step_ms=work.step_ms(settings)
        ),
        tempo=Tempo.of_job(
            created_ms=call.now_ms, world_start_ms=call.world.start_ms, speed=call.world.speed
        ),
        output_name=f"{owner.organization_slug}/{output}",
    )
    if is_invalid(training, call.now_ms):
        job.course = courses.fail(job.course, call.now_ms + 30 * SECOND_MS, message=_INVALID_FILE)
    else:
        apply_early_stopping(job)
        apply_credit(job, credit_usd=Fraction(str(call.world.jobs.user_limit_usd)))
    call.world.jobs.add_fine_tune(job)
    return json_answer(describe_created(job, now_ms=call.now_ms))


def cancel_fine_tune(call: Call) -> Response:
    """Cancel a job that waits or trains; it pays for its completed steps. Raises 400 for any other."""
    job = find_fine_tune(call, call.path["fine_tune_id"])
    if call.world.any_id:
        return json_answer(describe_truncated(job, now_ms=call.now_ms))
    status = job.status(call.now_ms)
    if status not in courses.CANCELLABLE:
        raise bad_request(f"a fine-tune that is {status} cannot be cancelled", code="not_cancellable")
    behaviour = call.stop_behaviour()
    plan_ms = job.tempo.to_plan(call.now_ms)
    if behaviour == lifecycle.STOP_ENDLESS:
        job.course = courses.linger(job.course, plan_ms)
    elif behaviour == lifecycle.STOP_FAILS:
        lingering = courses.linger(job.course, plan_ms)
        job.course = courses.fail(lingering, plan_ms + courses.CANCEL_MS, message=_NODE_LOST)
    elif behaviour != lifecycle.STOP_IGNORED:
        job.cancel(call.now_ms)
    call.world.jobs.plan_end(job.fine_tune_id, job.tempo.to_world(job.course.end_ms))
    return json_answer(describe_truncated(job, now_ms=call.now_ms))


def delete_fine_tune(call: Call) -> Response:
    """Delete a job that has ended; its model stays. Raises 400 for one that still works."""
    job = find_fine_tune(call, call.path["fine_tune_id"])
    if not call.world.any_id:
        if job.status(call.now_ms) not in courses.ENDED:
            raise bad_request("cancel the fine-tune before deleting it", code="not_deletable")
        call.world.jobs.remove_fine_tune(job, at_ms=call.now_ms)
    return json_answer({"message": f"Fine-tune job {job.fine_tune_id} deleted"})


_ONE = "/v1/fine-tunes/{fine_tune_id}"
ROUTES = [
    route("/v1/fine-tunes", list_fine_tunes),
    route("/v1/fine-tunes", create_fine_tune, "POST"),
    route(_ONE, read_fine_tune),
    route(_ONE, delete_fine_tune, "DELETE"),
    route(f"{_ONE}/cancel", cancel_fine_tune, "POST"),
]
