"""What the resources of jobs share: who owns what a key creates."""

from simulator.identifiers import derive_number
from simulator.jobs.owner import Owner
from simulator.world import Identity, Project


def owner_in(project: Project, *, name: str) -> Owner:
    """Return a person of a project; the id follows from the name."""
    slug = project.organization.slug
    return Owner(
        project_id=project.project_id,
        project_slug=project.slug,
        organization_id=project.organization.organization_id,
        organization_slug=slug,
        user_id=f"user_{derive_number(project.project_id, name) & 0xFFFFFFFFFF:010x}",
        address=f"{name}@{slug}.example",
    )


def owner_of(identity: Identity) -> Owner:
    """Return the owner of what a key creates."""
    return owner_in(identity.project, name=f"{identity.project.slug}-{identity.api_key_id[-4:].lower()}")
