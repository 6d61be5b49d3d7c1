"""Everything rented beside inference, by id, brought up to a time together."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from simulator.charges import Line
from simulator.compute.agenda import Tempo
from simulator.compute.clusters import Cluster
from simulator.compute.container_storage import ContainerVolume, Secret
from simulator.compute.containers import Container
from simulator.compute.regions import Region, build_regions
from simulator.compute.rl import RlResource
from simulator.compute.volumes import Volume


@dataclass
class Compute:
    """The state of one world's rented compute. What is gone stays here for its costs, but is not listed."""

    tempo: Tempo
    regions: dict[str, Region] = field(default_factory=build_regions)
    clusters: dict[str, Cluster] = field(default_factory=dict)
    volumes: dict[str, Volume] = field(default_factory=dict)
    containers: dict[str, Container] = field(default_factory=dict)
    container_volumes: dict[str, ContainerVolume] = field(default_factory=dict)
    secrets: dict[str, Secret] = field(default_factory=dict)
    rl_resources: dict[str, RlResource] = field(default_factory=dict)
    has_credit: bool = True

    def advance(self, now_ms: int) -> None:
        """Play everything that was due until `now_ms`: clusters first, for they let volumes go."""
        for cluster in self.clusters.values():
            cluster.agenda.play(now_ms)
        for volume in self.volumes.values():
            volume.agenda.play(now_ms)
        for container in self.containers.values():
            container.advance(now_ms)
        for resource in self.rl_resources.values():
            resource.agenda.play(now_ms)

    def live_clusters(self) -> list[Cluster]:
        return [cluster for cluster in self.clusters.values() if cluster.gone_ms is None]

    def live_volumes(self) -> list[Volume]:
        return [volume for volume in self.volumes.values() if volume.gone_ms is None]

    def live_containers(self, project_id: str) -> list[Container]:
        return [
            container
            for container in self.containers.values()
            if container.deleted_ms is None and container.project_id == project_id
        ]

    def own_volumes(self, project_id: str) -> list[ContainerVolume]:
        return [volume for volume in self.container_volumes.values() if volume.project_id == project_id]

    def add_cluster(self, cluster: Cluster) -> Cluster:
        cluster.find_free_gpus = lambda one: self.free_gpus(one.region, one.gpu_type)
        self.clusters[cluster.cluster_id] = cluster
        for volume in cluster.volumes:
            volume.cluster_id = cluster.cluster_id
        return cluster

    def add_volume(self, volume: Volume) -> Volume:
        self.volumes[volume.volume_id] = volume
        return volume

    def free_gpus(self, region: str, gpu_type: str) -> int:
        """Return the GPUs that the region has and nobody of this world rents."""
        taken = sum(
            cluster.num_gpus + cluster.allocated_preemptible_gpus
            for cluster in self.live_clusters()
            if (cluster.region, cluster.gpu_type) == (region, gpu_type)
        )
        return max(0, self.regions[region].stock.get(gpu_type, 0) - taken)

    def set_credit(self, now_ms: int, *, has_credit: bool) -> None:
        """Use up the organisation's credit, or fill it again: compute that costs by the hour is paused."""
        self.advance(now_ms)
        self.has_credit = has_credit
        for cluster in self.live_clusters():
            if has_credit:
                cluster.resume_on_demand(now_ms)
            else:
                cluster.pause_on_demand(now_ms)
        for volume in self.live_volumes():
            if has_credit:
                volume.restore_access(now_ms)
            else:
                volume.revoke_access(now_ms)

    def charge(self, start_ms: int, end_ms: int, *, now_ms: int) -> Iterator[Line]:
        """Yield the lines of a window that lies in the past."""
        self.advance(now_ms)
        for cluster in self.clusters.values():
            yield from cluster.charge(start_ms, end_ms)
        for volume in self.volumes.values():
            yield from volume.charge(start_ms, end_ms)
        for container in self.containers.values():
            yield from container.charge(start_ms, end_ms)
        for resource in self.rl_resources.values():
            yield from resource.charge(start_ms, end_ms)
