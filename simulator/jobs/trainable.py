"""Which models can be fine-tuned, and within which limits (snapshot of the documentation, November 2025)."""

import csv
import re
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from simulator.catalogue import PUBLIC_PROJECT_ID, Catalogue, Model, guess_billions

_FILE: Final = Path(__file__).parents[1] / "data" / "fine-tuning-models-2025-11.csv"
DEFAULT_RANK: Final = 16
MAX_RANK: Final = 64
MAX_EPOCHS: Final = 20
MAX_EVALS: Final = 100
MAX_CHECKPOINTS: Final = 20
MAX_LEARNING_RATE: Final = 0.01
MIN_LEARNING_RATE: Final = 1e-8
MIN_SEQUENCE: Final = 512
_MODULES: Final = ("k_proj", "o_proj", "q_proj", "v_proj")


@dataclass(frozen=True)
class Batches:
    """Limits of the batch size of one training type."""

    most_sft: int
    most_dpo: int
    least: int


@dataclass(frozen=True)
class Trainable:
    """One model of the fine-tuning list."""

    name: str
    context_sft: int
    context_dpo: int
    lora: Batches
    full: Batches | None = None

    @property
    def billions(self) -> float:
        return guess_billions(self.name)

    def batches(self, *, is_full: bool) -> Batches:
        """Return the limits of a training type. Raises ValueError where full training is not on offer."""
        if not is_full:
            return self.lora
        if self.full is None:
            raise ValueError(f"full training is not supported for {self.name}")
        return self.full


@cache
def trainable_models() -> dict[str, Trainable]:
    """Return the list by model name; a model may have rows for LoRA, long-context LoRA and full training."""
    found: dict[str, Trainable] = {}
    with _FILE.open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            batches = Batches(int(row["max_batch_sft"]), int(row["max_batch_dpo"]), int(row["min_batch"]))
            known = found.get(row["model"])
            if known is None:
                known = Trainable(row["model"], int(row["context_sft"]), int(row["context_dpo"]), batches)
            if row["method"].startswith("Full"):
                known = replace(known, full=batches)
            found[row["model"]] = known
    return found


def describe_limits(model: Trainable) -> dict[str, Any]:
    """Return the answer of `/v1/fine-tunes/models/limits`."""
    full = model.full
    body: dict[str, Any] = {
        "model_name": model.name,
        "lora_training": {
            **_describe_batches(model.lora),
            "default_rank": DEFAULT_RANK,
            "max_rank": MAX_RANK,
            "target_modules": list(_MODULES),
        },
        "default_gradient_accumulation_steps": 1,
        "max_num_epochs": MAX_EPOCHS,
        "max_num_evals": MAX_EVALS,
        "max_num_checkpoints": MAX_CHECKPOINTS,
        "max_learning_rate": MAX_LEARNING_RATE,
        "min_learning_rate": MIN_LEARNING_RATE,
        "max_seq_length_sft": model.context_sft,
        "max_seq_length_dpo": model.context_dpo,
        "min_max_seq_length": MIN_SEQUENCE,
        "merge_output_lora": True,
        "supports_full_training": full is not None,
        "supports_vision": "VL" in model.name or "Llama-4" in model.name,
        "supports_tools": "Instruct" in model.name or "gpt-oss" in model.name,
        "supports_reasoning": bool(re.search(r"gpt-oss|Thinking|DeepSeek-R1", model.name)),
    }
    if full is not None:
        body["full_training"] = _describe_batches(full)
    return body


def _describe_batches(batches: Batches) -> dict[str, Any]:
    return {
        "max_batch_size": batches.most_sft,
        "max_batch_size_dpo": batches.most_dpo,
        "min_batch_size": batches.least,
    }


def find_base(catalogue: Catalogue, name: str) -> Model:
    """Return the catalogue's model that a trained one runs like: of the same name, else of the nearest size."""
    if name in catalogue.by_name:
        return catalogue.by_name[name]
    public = [model for model in catalogue.models.values() if model.project_id == PUBLIC_PROJECT_ID]
    wanted = _plain_name(name)
    same = [model for model in public if _plain_name(model.name) == wanted]
    if same:
        return same[0]
    billions = guess_billions(name)
    chats = [model for model in public if model.kind == "chat"]
    return min(chats, key=lambda model: (abs(model.billions - billions), model.name))


def _plain_name(name: str) -> str:
    """Return a name without what tells copies of one model apart."""
    return re.sub(r"-(Reference|\d+k|Turbo|tput|FP8)(?=-|$)", "", name).replace("/Meta-", "/")
