"""Fernhill's own models: what was imported, what is on its way, and what went wrong, in both generations."""

from dataclasses import dataclass
from typing import Final

from simulator.clock import DAY_MS, HOUR_MS, MINUTE_MS
from simulator.identifiers import derive_id
from simulator.registry.imports import Source, read_source
from simulator.registry.models import INTERNAL
from simulator.world import Project, World

_LLAMA: Final = "meta-llama/Llama-3.1-8B-Instruct"
_HUB: Final = "https://huggingface.co/fernhill"
_BUCKET: Final = "https://fernhill-models.s3.us-west-2.example"


@dataclass(frozen=True)
class Import:
    """One import of the demo into a model of its own; times are before the start."""

    name: str
    team: str
    base: str
    address: str
    ago_ms: int
    is_adapter: bool = False
    is_shared: bool = False
    description: str | None = None


_IMPORTS: Final = (
    Import("contract-review-32b", "Docs", "Qwen/Qwen3-32B", f"{_HUB}/contract-review-32b", 31 * DAY_MS,
           is_shared=True, description="Reads supplier contracts; tuned on 12,000 reviewed clauses"),
    Import("tone-of-voice-lora", "Support", _LLAMA, f"{_BUCKET}/tone-v3.tar.gz?X-Amz-Signature=9f2c", 12 * DAY_MS,
           is_adapter=True, description="House style of the support team"),
    Import("intent-router-8b", "Support", _LLAMA, f"{_BUCKET}/router-2026-10.flaky", 9 * DAY_MS),
    Import("summary-70b-nightly", "Research", "meta-llama/Llama-3.3-70B-Instruct-Turbo",
           f"{_HUB}/summary-70b-private", 6 * HOUR_MS),
    Import("search-embedder", "Search", "intfloat/multilingual-e5-large-instruct",
           f"{_BUCKET}/embedder.corrupt?X-Amz-Signature=41aa", 3 * HOUR_MS),
    Import("reasoner-deepseek", "Research", "deepseek-ai/DeepSeek-V3.1",
           f"{_HUB}/reasoner-v31", 50 * MINUTE_MS, description="Takes two hours to download"),
)  # fmt: skip
#: v1 jobs: name, source, milliseconds ago.
_JOBS: Final = (
    ("Llama-3.1-8B-faq", "fernhill/Llama-3.1-8B-Instruct-faq", 44 * DAY_MS),
    ("gemma-translate", "fernhill/gemma-3-27b-it-private", 20 * DAY_MS),
    ("qwen-tickets", "fernhill/Qwen2.5-72B-Instruct-tickets", 5 * MINUTE_MS),
)


def _source(address: str) -> Source:
    source = read_source(address, has_token=False, bare_repository=True)
    if source is None:
        raise ValueError(f"{address} is no source of the demo")
    return source


def add_demo_models(world: World, projects: dict[str, Project]) -> None:
    """Register the models and begin their imports in the past; what was due by now has happened."""
    registry, catalogue = world.registry, world.catalogue
    for item in _IMPORTS:
        project = projects[item.team]
        own = registry.register(
            model_id=derive_id("ml", world.seed, item.name),
            name=f"{project.slug}/{item.name}",
            project_id=project.project_id,
            base=catalogue.by_name[item.base],
            at_ms=world.start_ms - item.ago_ms,
            is_adapter=item.is_adapter,
            description=item.description,
        )
        own.visibility = INTERNAL if item.is_shared else own.visibility
        registry.start_import(
            upload_id=derive_id("job", world.seed, item.name),
            own=own,
            source=_source(item.address),
            at_ms=world.start_ms - item.ago_ms,
        )
    support = projects["Support"]
    for name, address, ago_ms in _JOBS:
        registry.start_job(
            model_id=derive_id("ml", world.seed, name),
            name=f"{support.organization.slug}/{name}",
            project_id=support.project_id,
            source=_source(address),
            at_ms=world.start_ms - ago_ms,
            arguments={"description": f"Imported as {name}"},
        )
    registry.refresh(world.start_ms)
