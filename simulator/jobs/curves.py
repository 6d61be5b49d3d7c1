"""Training curves that look like real ones: pure functions of a seed and a step."""

import math
from dataclasses import dataclass
from typing import Final

from simulator.identifiers import derive_number

_START: Final = 1.9
_NOISE: Final = 0.055


@dataclass(frozen=True)
class Curve:
    """What decides the curves of one run."""

    seed: str
    total_steps: int
    steps_per_epoch: int
    peak_rate: float
    warmup_ratio: float
    schedule: str  # linear | cosine
    min_ratio: float
    cycles: float
    is_dpo: bool

    def _chance(self, *parts: object) -> float:
        """Return a number within [0, 1) that depends on every part."""
        return derive_number(self.seed, *parts) / 2**64

    def learning_rate(self, step: int) -> float:
        """Return the rate of a step: linear warm-up, then linear or cosine decay to the minimum."""
        warmup = round(self.total_steps * self.warmup_ratio)
        if step < warmup:
            return self.peak_rate * step / warmup
        share = (step - warmup) / max(1, self.total_steps - warmup)
        if self.schedule == "cosine":
            decayed = max(0.0, 0.5 * (1 + math.cos(2 * math.pi * self.cycles * share)))
        else:
            decayed = 1 - share
        return self.peak_rate * (self.min_ratio + (1 - self.min_ratio) * decayed)

    def _trend(self, step: int) -> float:
        """Return the loss without noise: fast at first, then slow, with a small drop at each epoch."""
        start = math.log(2) if self.is_dpo else _START + 0.5 * self._chance("start")
        floor = start * (0.34 + 0.16 * self._chance("floor"))
        fast = math.exp(-step / (6 + 0.05 * self.total_steps))
        slow = math.exp(-2.2 * step / self.total_steps)
        epoch = (step - 1) // self.steps_per_epoch if step else 0
        return (floor + (start - floor) * (0.45 * fast + 0.55 * slow)) * 0.94**epoch

    def train_loss(self, step: int) -> float:
        noise = (self._chance("noise", step) + self._chance("more", step) - 1) * 2 * _NOISE
        return round(self._trend(step) * (1 + noise), 4)

    def eval_loss(self, step: int) -> float:
        """Return the loss on the validation set, which turns up again when the run overfits."""
        share = step / self.total_steps
        epochs = self.total_steps / self.steps_per_epoch
        overfit = 0.09 * max(0.0, epochs - 2) * max(0.0, share - 0.55) ** 2
        noise = (self._chance("eval", step) - 0.5) * 0.012
        smooth = self._trend(step) / 0.94 ** ((step - 1) // self.steps_per_epoch if step else 0)
        return round(smooth * (1.04 + overfit * 10) + noise, 4)

    def grad_norm(self, step: int) -> float:
        return round((0.45 + 1.3 * math.exp(-step / 12)) * (0.8 + 0.5 * self._chance("norm", step)), 4)

    def accuracy(self, step: int) -> float:
        """Return the share of preference pairs that are ranked right (DPO only)."""
        risen = 1 - math.exp(-3 * step / self.total_steps)
        return round(min(1.0, 0.5 + 0.38 * risen + 0.05 * (self._chance("acc", step) - 0.5)), 4)
