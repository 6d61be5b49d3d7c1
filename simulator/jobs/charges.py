"""What jobs are billed: fine-tunes when they end, batches and evaluations for their tokens when they end."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from simulator.catalogue import Catalogue
from simulator.charges import Line
from simulator.jobs import batches, evaluations
from simulator.jobs.batches import Batch
from simulator.jobs.evaluations import Evaluation
from simulator.jobs.fine_tunes import FineTune
from simulator.jobs.owner import Owner
from simulator.jobs.store import Jobs

#: Documented is "50 % off for a few models only"; which ones they are is an invention.
HALF_PRICE: Final = frozenset(
    {"openai/gpt-oss-20b", "openai/gpt-oss-120b", "meta-llama/Llama-3.3-70B-Instruct-Turbo"}
)
_MILLION: Final = 1_000_000


def charge_jobs(jobs: Jobs, catalogue: Catalogue, start_ms: int, end_ms: int) -> Iterator[Line]:
    """Yield what jobs that ended within `[start_ms, end_ms)` cost; the instant of a line is the job's end."""
    for job in (*jobs.fine_tunes.values(), *jobs.deleted_fine_tunes):
        yield from _charge_fine_tune(job, start_ms, end_ms)
    for batch in jobs.batches.values():
        if start_ms <= batch.end_ms < end_ms and batch.steps[-1].status in batches.ENDED:
            yield from _charge_batch(catalogue, batch)
    for evaluation in jobs.evaluations.values():
        ended = evaluation.steps[-1].status == evaluations.COMPLETED
        if ended and start_ms <= evaluation.end_ms < end_ms:
            yield from _charge_evaluation(catalogue, evaluation)


def _charge_fine_tune(job: FineTune, start_ms: int, end_ms: int) -> Iterator[Line]:
    """Yield the tokens of a job and what the minimum adds to them, each as a line."""
    ended_ms = job.tempo.to_world(job.course.end_ms)
    charge = job.charge(ended_ms) if start_ms <= ended_ms < end_ms else None
    if charge is None:
        return
    method = job.settings.training_method["method"]
    dimensions = {
        "model": job.settings.model,
        "training_type": job.settings.training_type["type"],
        "training_method": method,
    }
    parts = (
        ("Fine-tuning", Fraction(charge.tokens, _MILLION), charge.rate),
        ("Fine-tuning - Minimum Charge", Fraction(1), charge.top_up_usd),
    )
    for product, quantity, unit_price in parts:
        if quantity * unit_price:
            yield Line(
                start_ms=charge.at_ms,
                end_ms=charge.at_ms,
                product_name=product,
                quantity=quantity,
                unit_price=unit_price,
                cost_usd=quantity * unit_price,
                pricing_dimensions=dimensions,
                attributes={"fine_tune_id": job.fine_tune_id},
                project_id=job.owner.project_id,
                name=job.output_name,
            )


def _charge_batch(catalogue: Catalogue, batch: Batch) -> Iterator[Line]:
    share = Fraction(1, 2) if batch.model in HALF_PRICE else Fraction(1)
    attributes = {"batch_id": batch.batch_id}
    yield from _token_lines(
        catalogue,
        batch.owner,
        batch.end_ms,
        "Batch Inference",
        batch.model,
        batch.tokens(batch.end_ms),
        attributes,
        share,
    )


def _charge_evaluation(catalogue: Catalogue, evaluation: Evaluation) -> Iterator[Line]:
    attributes = {"evaluation_id": evaluation.evaluation_id}
    for model, *tokens in evaluation.tokens():
        used = (tokens[0], tokens[1])
        yield from _token_lines(
            catalogue, evaluation.owner, evaluation.end_ms, "Evaluation", model, used, attributes, Fraction(1)
        )


def _token_lines(
    catalogue: Catalogue,
    owner: Owner,
    at_ms: int,
    product: str,
    model_name: str,
    tokens: tuple[int, int],
    attributes: dict[str, str],
    share: Fraction,
) -> Iterator[Line]:
    model = catalogue.by_name.get(model_name)
    prices = model.serverless_price if model else None
    if prices is None:
        return  # it runs on a dedicated endpoint, which is billed by itself
    for direction, count, price in zip(("Input", "Output"), tokens, prices, strict=True):
        unit_price = Fraction(str(price)) * share / _MILLION
        if count:
            yield Line(
                start_ms=at_ms,
                end_ms=at_ms,
                product_name=f"{product} - {direction} Tokens",
                quantity=Fraction(count),
                unit_price=unit_price,
                cost_usd=unit_price * count,
                pricing_dimensions={"model": model_name},
                attributes=attributes,
                project_id=owner.project_id,
                name=model_name,
                places=12,
            )
