"""An organisation with one project, another organisation beside it, and nothing that runs."""

from simulator.identifiers import derive_id
from simulator.world import DEFAULT_KEY, Organization, Project, World


def add_organization(world: World, name: str) -> Organization:
    slug = name.lower()
    return Organization(derive_id("org", world.seed, slug), name, slug)


def fill_world(world: World) -> None:
    project = world.add_project(add_organization(world, "fernhill"), "Support")
    world.add_key(DEFAULT_KEY, project)
    add_foreign_project(world)


def add_foreign_project(world: World) -> Project:
    """Add a project of another organisation, which the usual key must not see (`--key other=thornfield-lab`)."""
    return world.add_project(add_organization(world, "thornfield"), "Lab")
