"""The metrics that a fine-tune logged: one row per training step, one per evaluation."""

from simulator.clock import SECOND_MS
from simulator.jobs.fine_tunes import FineTune

Row = dict[str, float]


def list_metrics(
    job: FineTune,
    *,
    now_ms: int,
    resolution: int | None = None,
    steps: tuple[int, int | None] = (0, None),
    logged: tuple[int, int | None] = (0, None),
) -> list[Row]:
    """Return the rows in order of time; both ranges are inclusive, None = open.

    `resolution` is the number of training rows, taken evenly; it does not limit the evaluations.
    """
    curve, done = job.curve, job.steps_done(now_ms)
    evaluated = set(job.eval_steps())
    first = max(1, steps[0])
    last = done if steps[1] is None else min(done, steps[1])
    found = []
    for step in range(first, last + 1):
        plan_ms = job.course.when(step)
        at_ms = job.tempo.to_world(plan_ms) if plan_ms is not None else now_ms
        if at_ms >= logged[0] and (logged[1] is None or at_ms <= logged[1]):
            found.append((step, at_ms))
    kept = {step for step, _ in _thin(found, resolution)}
    rows: list[Row] = []
    for step, at_ms in found:
        place = {"train/global_step": float(step), "timestamp": at_ms / SECOND_MS}
        if step in kept:
            row = {
                **place,
                "train/epoch": round(step / job.steps_per_epoch, 4),
                "train/loss": curve.train_loss(step),
                "train/learning_rate": curve.learning_rate(step),
                "train/grad_norm": curve.grad_norm(step),
            }
            if job.settings.is_dpo:
                row["train/rewards/accuracies"] = curve.accuracy(step)
            rows.append(row)
        if step in evaluated:
            rows.append({**place, "eval/loss": curve.eval_loss(step)})
    return rows


def _thin(found: list[tuple[int, int]], count: int | None) -> list[tuple[int, int]]:
    """Return so many of them, evenly and with both ends."""
    if count is None or count >= len(found):
        return found
    if count == 1:
        return found[-1:]
    return [found[round(place * (len(found) - 1) / (count - 1))] for place in range(count)]
