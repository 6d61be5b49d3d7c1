"""What can be rented and run: hardware with prices and their history, models with configs."""

import csv
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path

from simulator.clock import parse_time
from simulator.identifiers import derive_id

PUBLIC_PROJECT_ID = "proj_together"
_DATA = Path(__file__).with_name("data")
_MODELS_FILE = _DATA / "dedicated-models-2025-11.csv"
_DEPRECATIONS_FILE = _DATA / "model-deprecations-2025.csv"
CATALOGUE_SINCE_MS = parse_time("2025-11-08T00:00:00Z")

#: GPU -> (v2 accelerator type, v1 name, link, memory GiB, v2 cents/h, v1 cents/min per GPU): contract section 14.
_GPUS = {
    "H100": ("nvidia-h100-80gb", "h100-80gb", "sxm", 80, 549, 9.0),
    "H200": ("nvidia-h200-140gb", "h200-140gb", "sxm", 140, 665, 11.0),
    "B200": ("nvidia-b200-192gb", "b200-192gb", "sxm", 192, 899, 15.0),
}
_REGIONS = {
    "H100": ("us-east-1", "us-central-4b"),
    "H200": ("us-central-4b", "eu-north-1"),
    "B200": ("us-west-2",),
}
ZONES = ("us-central-4b", "us-east-1", "us-west-2")

#: Models that the November 2025 list lacks, and private ones; (id, organisation, name, type, context).
_FURTHER_MODELS = (
    ("Qwen/Qwen3-32B", "Qwen", "Qwen3 32B", "chat", 40960),
    ("Qwen/Qwen3.5-9B-FP8", "Qwen", "Qwen3.5 9B FP8", "chat", 131072),
    ("google/gemma-3-27b-it", "Google", "Gemma 3 27B", "chat", 131072),
    ("meta-llama/Llama-3.1-8B-Instruct", "Meta", "Llama 3.1 8B Instruct", "chat", 131072),
    ("BAAI/bge-reranker-v2-m3", "BAAI", "BGE Reranker v2 M3", "rerank", 8192),
    ("meta-llama/Meta-Llama-3.1-8B-Instruct-lora", "Meta", "Llama 3.1 8B Instruct LoRA", "chat", 131072),
)
#: Of the deprecated models the ones that dedicated endpoints still serve, which the November list leaves out.
_STILL_DEDICATED = {
    "qwen-qwen2-5-14b-instruct-lora": ("Qwen", "Qwen2.5 14B Instruct LoRA", "chat", 32768),
    "Qwen/Qwen2-72B-Instruct": ("Qwen", "Qwen2 72B Instruct", "chat", 32768),
    "Qwen/Qwen2-VL-72B-Instruct": ("Qwen", "Qwen2 VL 72B Instruct", "chat", 32768),
    "Qwen/Qwen2.5-14B": ("Qwen", "Qwen2.5 14B", "language", 32768),
    "google/gemma-2-27b-it": ("Google", "Gemma 2 27B", "chat", 8192),
    "nvidia/Llama-3.1-Nemotron-70B-Instruct-HF": ("NVIDIA", "Llama 3.1 Nemotron 70B", "chat", 32768),
}
#: In the catalogue, but not on offer to people who look for a model.
_HIDDEN = frozenset(
    {
        "deepseek-ai/DeepSeek-R1-Distill-Llama-70B-free",
        "meta-llama/Llama-3.3-70B-Instruct-Turbo-Free",
        "black-forest-labs/FLUX.1-schnell-Free",
    }
)
#: Serverless list prices in USD per million tokens, recorded July 2026; the rest follow from size.
_SERVERLESS_PRICES = {
    "openai/gpt-oss-120b": (0.15, 0.60),
    "openai/gpt-oss-20b": (0.05, 0.20),
    "meta-llama/Llama-3.3-70B-Instruct-Turbo": (1.0399999999999998, 1.0399999999999998),
    "Qwen/Qwen3.5-9B-FP8": (0.17, 0.25),
}


@dataclass
class Price:
    """A price over time, in US cents; v1 is per minute (may be fractional), v2 per hour (whole)."""

    steps: list[tuple[int, float]]

    def at(self, at_ms: int) -> float:
        index = bisect_right(self.steps, at_ms, key=lambda step: step[0]) - 1
        return self.steps[max(0, index)][1]

    def change(self, at_ms: int, cents: float) -> None:
        self.steps = [step for step in self.steps if step[0] < at_ms] + [(at_ms, cents)]


@dataclass(frozen=True)
class Hardware:
    """One replica's machine, under its v2 name and its v1 name."""

    gpu: str
    count: int
    name: str
    instance_id: str
    v1_id: str
    memory_gib: int
    hourly: Price  # v2
    per_minute: Price  # v1
    regions: tuple[str, ...]


@dataclass(frozen=True)
class Config:
    """A certified way to run a model: the hardware of one replica, and whether adapters can be attached."""

    config_id: str
    hardware: Hardware
    adapter_mode: str = "disabled"  # or dynamic


@dataclass(frozen=True)
class Deprecation:
    """When a model left the serverless platform, and what takes its place (None = nothing is named)."""

    removal_on: str
    replacement: str | None


@dataclass(frozen=True)
class Model:
    """A model of the catalogue, or a private one of a project."""

    model_id: str
    name: str
    organization: str
    display_name: str
    kind: str
    context_length: int
    billions: float
    revision_id: str
    project_id: str = PUBLIC_PROJECT_ID
    configs: tuple[Config, ...] = ()
    base_model_id: str | None = None
    deprecation: Deprecation | None = None

    @property
    def status(self) -> str:
        """Return how the provider recommends it, without the prefix of the API."""
        if self.deprecation:
            return "DEPRECATED"
        if self.name in _HIDDEN:
            return "HIDDEN"
        return "RECOMMENDED" if "gpt-oss" in self.name else "SUPPORTED"

    @property
    def path(self) -> str:
        return f"projects/{self.project_id}/models/{self.model_id}"

    @property
    def serverless_price(self) -> tuple[float, float] | None:
        """Return USD per million input and output tokens; None = dedicated only."""
        if self.project_id != PUBLIC_PROJECT_ID or self.kind not in {"chat", "embedding", "rerank"}:
            return None
        if self.deprecation:
            return None
        if self.name in _SERVERLESS_PRICES:
            return _SERVERLESS_PRICES[self.name]
        if self.billions > 40 or self.name.startswith("google/"):
            return None
        return (0.1, 0.1) if self.billions <= 8 else (0.3, 0.4)

    @property
    def reasons(self) -> bool:
        return bool(re.search(r"gpt-oss|Thinking|DeepSeek-R1|QwQ|deep-32b", self.name))


@dataclass
class Catalogue:
    """Everything on offer, indexed by every id a client may use."""

    hardware: dict[str, Hardware] = field(default_factory=dict)
    models: dict[str, Model] = field(default_factory=dict)
    by_name: dict[str, Model] = field(default_factory=dict)
    configs: dict[str, tuple[Config, Model]] = field(default_factory=dict)

    def add_model(self, model: Model) -> Model:
        self.models[model.model_id] = model
        self.by_name[model.name] = model
        if model.base_model_id is None:
            for config in model.configs:
                self.configs[config.config_id] = (config, model)
        return model

    def remove_model(self, model: Model) -> None:
        """Take out a private model; deployments that serve it keep their own copy."""
        self.models.pop(model.model_id, None)
        self.by_name.pop(model.name, None)

    def add_private_model(self, *, name: str, project_id: str, base: Model) -> Model:
        """Return a fine-tuned model of a project, which runs on the configs of its base."""
        model_id = derive_id("ml", project_id, name)
        return self.add_model(
            Model(
                model_id=model_id,
                name=name,
                organization=name.partition("/")[0],
                display_name=name.rpartition("/")[2],
                kind=base.kind,
                context_length=base.context_length,
                billions=base.billions,
                revision_id=derive_id("rv", model_id),
                project_id=project_id,
                configs=base.configs,
                base_model_id=base.base_model_id or base.model_id,
            )
        )

    def config_for(self, model: Model, hardware_name: str) -> Config:
        """Return the config of a model on a machine; one is certified where the catalogue has none."""
        for config in model.configs:
            if config.hardware.name == hardware_name:
                return config
        owner = self.models[model.base_model_id or model.model_id]
        config = Config(derive_id("cr", owner.model_id, hardware_name), self.hardware[hardware_name])
        self.configs[config.config_id] = (config, owner)
        return config


def build_catalogue() -> Catalogue:
    """Return the catalogue; ids depend on names alone, so they are the same in every run."""
    catalogue = Catalogue()
    for gpu, (accelerator, v1_name, link, memory, hourly_cents, minute_cents) in _GPUS.items():
        for count in (1, 2, 4, 8):
            name = f"{count}x{accelerator}"
            catalogue.hardware[name] = Hardware(
                gpu=gpu,
                count=count,
                name=name,
                instance_id=f"it_{gpu.lower()}x{count}",
                v1_id=f"{count}x_nvidia_{v1_name.replace('-', '_')}_{link}",
                memory_gib=memory,
                hourly=Price([(CATALOGUE_SINCE_MS, hourly_cents * count)]),
                per_minute=Price([(CATALOGUE_SINCE_MS, minute_cents * count)]),
                regions=_REGIONS[gpu],
            )
    deprecations = _read_deprecations()
    with _MODELS_FILE.open(encoding="utf-8") as lines:
        rows = [tuple(row.values()) for row in csv.DictReader(lines)]
    still = ((identifier, *facts) for identifier, facts in _STILL_DEDICATED.items())
    for row in (*rows, *_FURTHER_MODELS, *still):
        _add_public_model(catalogue, *map(str, row), deprecation=deprecations.get(str(row[0])))
    return catalogue


def _read_deprecations() -> dict[str, Deprecation]:
    """Return the deprecations by model id; the last column says "Yes", "No" or what takes its place."""
    with _DEPRECATIONS_FILE.open(encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    return {
        row["model"]: Deprecation(
            row["removal_on"],
            None
            if row["dedicated_endpoint_or_replacement"].startswith(("Yes", "No"))
            else row["dedicated_endpoint_or_replacement"],
        )
        for row in rows
    }


def _add_public_model(
    catalogue: Catalogue,
    identifier: str,
    organization: str,
    name: str,
    kind: str,
    context: str,
    *,
    deprecation: Deprecation | None,
) -> None:
    model_id = derive_id("ml", identifier)
    billions = guess_billions(identifier)
    configs = tuple(
        Config(
            derive_id("cr", model_id, hardware),
            catalogue.hardware[hardware],
            "dynamic" if kind == "chat" and not place and billions <= 80 else "disabled",
        )
        for place, hardware in enumerate(_machines_for(billions))
    )
    catalogue.add_model(
        Model(
            model_id=model_id,
            name=identifier,
            organization=organization,
            display_name=name,
            kind=kind,
            context_length=int(context),
            billions=billions,
            revision_id=derive_id("rv", model_id),
            configs=configs,
            deprecation=deprecation,
        )
    )


def guess_billions(identifier: str) -> float:
    """Return the parameter count in billions that the name tells; 8 where it tells nothing."""
    sizes = [float(size) for size in re.findall(r"(\d+(?:\.\d+)?)[bB](?![a-zA-Z])", identifier)]
    if sizes:
        return max(sizes)
    if re.search(r"DeepSeek-(V3|R1)|Kimi-K2", identifier):
        return 671.0
    return 106.0 if "GLM-4.5-Air" in identifier else 8.0


def _machines_for(billions: float) -> tuple[str, ...]:
    if billions <= 34:
        return ("1xnvidia-h100-80gb", "1xnvidia-h200-140gb")
    if billions <= 80:
        return ("2xnvidia-h100-80gb", "4xnvidia-h100-80gb")
    if billions <= 130:
        return ("2xnvidia-h100-80gb", "4xnvidia-h200-140gb")
    if billions <= 420:
        return ("4xnvidia-h200-140gb", "8xnvidia-h100-80gb")
    return ("8xnvidia-h200-140gb", "8xnvidia-b200-192gb")
