"""What appears when a job ends: the model of a fine-tune, the files of a batch or an evaluation."""

from simulator.jobs import course as courses
from simulator.jobs.fine_tunes import FineTune
from simulator.jobs.trainable import find_base
from simulator.world import World


def settle_jobs(world: World, now_ms: int) -> None:
    """Let everything happen that was due by now, at its own instant."""
    jobs = world.jobs
    for at_ms, identifier in jobs.take_due(now_ms):
        if identifier in jobs.fine_tunes:
            deliver_model(world, jobs.fine_tunes[identifier], at_ms)


def deliver_model(world: World, job: FineTune, at_ms: int) -> None:
    """Register the model (and the adapter) of a job that is completed; a cancelled one delivers nothing."""
    if job.status(at_ms) != courses.COMPLETED or job.output_name in world.catalogue.by_name:
        return
    base = find_base(world.catalogue, job.settings.model)
    names = [(job.output_name, False)]
    if not job.settings.is_full:
        names.append((f"{job.output_name}-adapter", True))
    for name, is_adapter in names:
        world.registry.add_trained(
            name=name, project_id=job.owner.project_id, base=base, at_ms=at_ms, is_adapter=is_adapter
        )
