"""The volumes of a cluster: what the cluster names, joined with what is mirrored of each. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from dashboard.core import resource_states
from dashboard.core.status import Status
from dashboard.mirror.models import Resource, ResourceLink
from dashboard.together_api import payloads
from dashboard.web.resources.links import LinkLine


@dataclass(frozen=True, slots=True)
class VolumeLine:
    """A volume as a cluster's page shows it; `resource` None = not mirrored, or not of the person's teams."""

    name: str
    url: str
    status: Status
    state: str
    size_tib: int | None
    resource: Resource | None


def list_volume_lines(
    named: Sequence[payloads.ClusterVolume], targets: Sequence[LinkLine]
) -> tuple[VolumeLine, ...]:
    """Return the volumes that a cluster's body names, by name."""
    mirrored = {
        line.resource.remote_id: line
        for line in targets
        if line.relation == ResourceLink.Relation.VOLUME.label and line.resource is not None
    }
    lines = []
    for one in named:
        line = mirrored.get(one.volume_id)
        seen = resource_states.read_state("volume", one.status)
        lines.append(
            VolumeLine(
                name=line.name if line else one.volume_name or one.volume_id,
                url=line.url if line else "",
                status=line.status if line and line.status else seen,
                state=line.resource.state if line and line.resource else one.status,
                size_tib=one.size_tib,
                resource=line.resource if line else None,
            )
        )
    return tuple(sorted(lines, key=lambda line: line.name))
