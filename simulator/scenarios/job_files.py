"""Files of a scenario's past, filled with made-up lines."""

from simulator.clock import SECOND_MS
from simulator.identifiers import derive_uuid
from simulator.jobs.content import Sample
from simulator.jobs.files import StoredFile
from simulator.jobs.inspection import Findings
from simulator.jobs.owner import Owner
from simulator.world import World


def add_file(
    world: World,
    *,
    name: str,
    owner: Owner,
    purpose: str,
    at_ms: int,
    lines: int,
    size_bytes: int,
    shape: str,
    findings: Findings | None = None,
) -> StoredFile:
    """Upload a file at an instant; `findings` None = its purpose asks for no validation."""
    at_ms -= at_ms % SECOND_MS
    stored = StoredFile(
        file_id=f"file-{derive_uuid(world.seed, 'file', name)}",
        owner=owner,
        filename=name,
        purpose=purpose,
        file_type="jsonl",
        created_ms=at_ms,
        content=Sample(shape, lines, size_bytes, name),
        findings=findings,
    )
    stored.process(at_ms, world_start_ms=world.start_ms, speed=world.speed)
    world.jobs.files[stored.file_id] = stored
    return stored
