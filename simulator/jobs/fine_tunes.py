"""One fine-tune: what was asked for, how much work that is, and what it costs at any time."""

import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

from simulator.clock import SECOND_MS
from simulator.jobs import course as courses
from simulator.jobs.course import Course
from simulator.jobs.curves import Curve
from simulator.jobs.owner import Owner, Tempo
from simulator.jobs.rates import cost_of, price_of, rate_per_million

#: Tokens per second that an 8-billion-parameter LoRA run processes; larger models are slower.
_TOKENS_PER_SECOND: Final = 12_000
DEFAULT_SEQUENCE: Final = 8_192


@dataclass(frozen=True)
class Patience:
    """Early stopping: how many evaluations without improvement are borne, after how many to begin with."""

    evals: int = 2
    warmup_evals: int = 1
    min_delta: float = 0.0


@dataclass(frozen=True)
class Settings:
    """What a job was created with, defaults filled in."""

    model: str
    training_file: str
    validation_file: str = ""
    n_epochs: int = 1
    n_evals: int = 0
    n_checkpoints: int = 1
    batch_size: int = 8
    learning_rate: float = 1e-5
    schedule: str = "cosine"
    min_ratio: float = 0.0
    cycles: float = 0.5
    warmup_ratio: float = 0.0
    max_grad_norm: float = 1.0
    weight_decay: float = 0.0
    packing: bool = True
    max_seq_length: int = DEFAULT_SEQUENCE
    training_type: dict[str, Any] = field(
        default_factory=lambda: {"type": "Lora", "lora_r": 16, "lora_alpha": 32}
    )
    training_method: dict[str, Any] = field(
        default_factory=lambda: {"method": "sft", "train_on_inputs": "auto"}
    )
    suffix: str = ""
    wandb_project_name: str | None = None
    wandb_name: str | None = None
    wandb_entity: str | None = None
    from_checkpoint: str | None = None
    from_hf_model: str | None = None
    hf_model_revision: str | None = None
    random_seed: int | None = None
    train_vision: bool = False
    patience: Patience | None = None

    @property
    def is_full(self) -> bool:
        return bool(self.training_type.get("type") == "Full")

    @property
    def is_dpo(self) -> bool:
        return bool(self.training_method.get("method") == "dpo")


@dataclass(frozen=True)
class Work:
    """How much there is to train on."""

    billions: float
    lines: int
    file_bytes: int
    train_tokens: int  # of one epoch
    eval_tokens: int  # of one evaluation

    def steps_per_epoch(self, settings: Settings) -> int:
        per_step = settings.batch_size * (settings.max_seq_length if settings.packing else 1)
        amount = self.train_tokens if settings.packing else self.lines
        return max(1, math.ceil(amount / per_step))

    def total_steps(self, settings: Settings) -> int:
        return self.steps_per_epoch(settings) * settings.n_epochs

    def step_ms(self, settings: Settings) -> int:
        speed = _TOKENS_PER_SECOND * (8 / max(1.0, self.billions)) ** 0.75 / (1.6 if settings.is_full else 1)
        tokens = self.train_tokens / self.steps_per_epoch(settings)
        return max(1, round(tokens * SECOND_MS / speed))


@dataclass(frozen=True)
class Charge:
    """What a job was charged, when it ended. `cost_usd` counts the minimum in."""

    at_ms: int
    tokens: int
    rate: Fraction  # USD per million tokens
    cost_usd: Fraction

    @property
    def top_up_usd(self) -> Fraction:
        """Return what the minimum adds to the tokens."""
        return self.cost_usd - cost_of(self.tokens, self.rate)


@dataclass
class FineTune:
    """A fine-tune job. Its course is in plan time; every method takes time of the world."""

    fine_tune_id: str
    owner: Owner
    created_ms: int
    settings: Settings
    work: Work
    course: Course
    tempo: Tempo
    output_name: str
    deleted_ms: int | None = None

    @property
    def total_steps(self) -> int:
        return self.work.total_steps(self.settings)

    @property
    def steps_per_epoch(self) -> int:
        return self.work.steps_per_epoch(self.settings)

    @property
    def rate(self) -> Fraction:
        return rate_per_million(
            billions=self.work.billions, is_full=self.settings.is_full, is_dpo=self.settings.is_dpo
        )

    @property
    def curve(self) -> Curve:
        settings = self.settings
        return Curve(
            seed=f"{self.fine_tune_id}/{settings.random_seed}",
            total_steps=self.total_steps,
            steps_per_epoch=self.steps_per_epoch,
            peak_rate=settings.learning_rate,
            warmup_ratio=settings.warmup_ratio,
            schedule=settings.schedule,
            min_ratio=settings.min_ratio,
            cycles=settings.cycles,
            is_dpo=settings.is_dpo,
        )

    def status(self, now_ms: int) -> str:
        return self.course.status(self.tempo.to_plan(now_ms))

    def steps_done(self, now_ms: int) -> int:
        return self.course.steps_done(self.tempo.to_plan(now_ms))

    def checkpoint_steps(self) -> list[int]:
        """Return the steps after which a checkpoint is kept; the last one is the final model."""
        count = min(self.settings.n_checkpoints, self.total_steps)
        return [round(self.total_steps * number / count) for number in range(1, count + 1)]

    def eval_steps(self) -> list[int]:
        """Return the steps after which the validation set is evaluated."""
        if not self.settings.validation_file:
            return []
        count = min(self.settings.n_evals, self.total_steps)
        return [round(self.total_steps * number / count) for number in range(1, count + 1)]

    def tokens_of(self, steps: int) -> int:
        """Return the tokens that so many steps cost, their evaluations counted in."""
        trained = self.work.train_tokens * self.settings.n_epochs * steps // self.total_steps
        return trained + self.work.eval_tokens * sum(step <= steps for step in self.eval_steps())

    def price_usd(self, now_ms: int) -> Fraction:
        """Return the price: of what was done once the job has ended, else of the whole job."""
        plan_ms = self.tempo.to_plan(now_ms)
        status = self.course.status(plan_ms)
        if status == courses.ERROR:
            return Fraction(0)
        if status in {courses.CANCEL_REQUESTED, courses.CANCELLED}:
            return self._price_so_far(plan_ms)
        if status == courses.COMPLETED:
            return price_of(self.tokens_of(self.course.steps_done(plan_ms)), self.rate)
        return price_of(self.tokens_of(self.total_steps), self.rate)

    def _price_so_far(self, plan_ms: int) -> Fraction:
        """Return what a cancelled job pays. Never started = nothing (the documentation leaves this open)."""
        if not any(step.status == courses.RUNNING for step in self.course.statuses):
            return Fraction(0)
        return price_of(self.tokens_of(self.course.steps_done(plan_ms)), self.rate)

    def charge(self, now_ms: int) -> Charge | None:
        """Return the charge once the job is completed or cancelled; None = not charged (yet)."""
        ended_ms = self.tempo.to_world(self.course.end_ms)
        if ended_ms > now_ms or self.course.outcome not in {courses.COMPLETED, courses.CANCELLED}:
            return None
        if self.deleted_ms is not None and self.deleted_ms < ended_ms:
            return None
        cost = self.price_usd(ended_ms)
        if not cost:
            return None
        return Charge(ended_ms, self.tokens_of(self.course.steps_done(self.course.end_ms)), self.rate, cost)

    def cancel(self, now_ms: int) -> None:
        self.course = courses.cancel(self.course, self.tempo.to_plan(now_ms))

    def restart(self, now_ms: int) -> None:
        """Lose the node now. Raises ValueError while nothing is trained."""
        plan_ms = self.tempo.to_plan(now_ms)
        if self.course.status(plan_ms) != courses.RUNNING or plan_ms < self.course.legs[0].start_ms:
            raise ValueError("only a job that trains can be restarted")
        self.course = restart_course(self, plan_ms)


def restart_course(job: FineTune, plan_ms: int) -> Course:
    """Return the course after a node failure at an instant of the plan."""
    done = job.course.steps_done(plan_ms)
    kept = max((step for step in job.checkpoint_steps() if step <= done), default=0)
    return courses.restart(
        job.course,
        plan_ms,
        from_step=kept,
        total_steps=job.total_steps,
        step_ms=job.work.step_ms(job.settings),
    )


def find_halt(job: FineTune) -> tuple[int, int, float] | None:
    """Return (step at which early stopping ends it, best step, best loss); None = it runs to its end."""
    patience = job.settings.patience
    if patience is None:
        return None
    best_step, best_loss, misses = 0, math.inf, 0
    for number, step in enumerate(job.eval_steps(), start=1):
        loss = job.curve.eval_loss(step)
        if loss < best_loss - patience.min_delta:
            best_step, best_loss, misses = step, loss, 0
        elif number > patience.warmup_evals:
            misses += 1
        if misses >= patience.evals and step < job.total_steps:
            return step, best_step, best_loss
    return None


def apply_early_stopping(job: FineTune) -> None:
    """Let the course end where the evaluations stop improving."""
    halt = find_halt(job)
    if halt is not None:
        step, best_step, best_loss = halt
        message = f"Early stopping at step {step}: best eval loss {best_loss} at step {best_step}"
        job.course = courses.stop_early(job.course, step, message=message)


def apply_credit(job: FineTune, *, credit_usd: Fraction) -> None:
    """Let a job whose price exceeds the credit end where the credit is used up."""
    if price_of(job.tokens_of(job.total_steps), job.rate) <= credit_usd:
        return
    step = next(
        step for step in range(job.total_steps + 1) if cost_of(job.tokens_of(step), job.rate) >= credit_usd
    )
    at_ms = job.course.when(max(1, step))
    if at_ms is not None:
        job.course = courses.cancel(
            job.course, at_ms, kind="billing_limit", reason="Credit limit reached, the job is cancelled"
        )
