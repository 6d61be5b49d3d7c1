"""Which kinds are read in one pass, under one name and one age."""

from dataclasses import dataclass
from typing import Final

from dashboard.mirror.kinds import compute, jobs, storage
from dashboard.mirror.kinds.source import Source
from dashboard.mirror.models import ResourceKind, SyncRun

Run = SyncRun.Resource


@dataclass(frozen=True, slots=True)
class Group:
    """One pass: the name of its runs, and the kinds it lists."""

    run: SyncRun.Resource
    sources: tuple[Source, ...]


GROUPS: Final = (
    Group(Run.FINE_TUNES, (jobs.FINE_TUNES,)),
    Group(Run.BATCHES, (jobs.BATCHES,)),
    Group(Run.EVALUATIONS, (jobs.EVALUATIONS,)),
    Group(Run.FILES, (storage.FILES,)),
    Group(Run.UPLOADS, (storage.UPLOADS, storage.UPLOADS_V1)),
    Group(Run.MODELS, (storage.MODELS,)),
    Group(Run.CLUSTERS, (compute.CLUSTERS,)),
    Group(Run.VOLUMES, (compute.VOLUMES,)),
    Group(Run.CONTAINERS, (compute.CONTAINERS,)),
    Group(Run.RL, (compute.RL_RESOURCES, compute.RL_SESSIONS)),
)
GROUP_OF: Final = {source.kind: group for group in GROUPS for source in group.sources}
SOURCE_OF: Final = {source.kind: source for group in GROUPS for source in group.sources}


def find_source(kind: str) -> Source:
    """Return how a kind is listed and read. Raises ValueError for a word that is no kind."""
    return SOURCE_OF[ResourceKind(kind)]
