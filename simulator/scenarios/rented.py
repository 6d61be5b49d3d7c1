"""What Fernhill rents beside inference: clusters and volumes, containers and RL resources; small and large."""

from dataclasses import dataclass, field
from typing import Any, Final

from simulator.clock import DAY_MS, HOUR_MS, MINUTE_MS
from simulator.compute.clusters import Cluster
from simulator.compute.remediations import propose_repair
from simulator.compute.volumes import Volume
from simulator.identifiers import derive_number, derive_uuid
from simulator.world import Project, World


@dataclass(frozen=True)
class ClusterPlan:
    """One cluster; times are before the start. `volume` is (name, TiB, stays when the cluster goes)."""

    name: str
    team: str
    region: str
    gpu_type: str
    num_gpus: int
    created_ms_ago: int
    volume: tuple[str, int, bool]
    cluster_type: str = "KUBERNETES"
    reserved_days: int | None = None
    deleted_ms_ago: int | None = None
    node_failed_ms_ago: int | None = None
    add_ons: tuple[str, ...] = field(default=())


_CLUSTERS: Final = (
    ClusterPlan("train-h100", "Research", "us-central-8", "H100_SXM", 16, 21 * DAY_MS + 30 * MINUTE_MS,
                ("training-data", 10, True), "SLURM", reserved_days=30),
    ClusterPlan("search-eval", "Search", "us-central-8", "H200_SXM", 8, 5 * DAY_MS + 7 * HOUR_MS,
                ("search-eval-cache", 2, False), add_ons=("dashboard", "ingress")),
    ClusterPlan("research-b200", "Research", "us-west-4", "B200_SXM", 16, 14 * MINUTE_MS,
                ("research-b200-scratch", 5, False)),
    ClusterPlan("docs-index", "Docs", "eu-north-1", "H100_SXM", 16, 12 * DAY_MS,
                ("docs-corpus", 4, False), node_failed_ms_ago=35 * MINUTE_MS),
    ClusterPlan("llama-70b-pretrain", "Research", "us-east-2", "H100_SXM", 32, 52 * DAY_MS,
                ("llama-70b-checkpoints", 20, True), "SLURM", deleted_ms_ago=40 * DAY_MS),
)  # fmt: skip


def add_demo_compute(world: World, projects: dict[str, Project]) -> None:
    """Rent four clusters in every situation, and leave a volume behind that nobody remembers."""
    for plan in _CLUSTERS:
        _add_cluster(world, plan, projects[plan.team])


def _add_cluster(world: World, plan: ClusterPlan, project: Project) -> Cluster:
    compute, at_ms = world.compute, world.start_ms - plan.created_ms_ago
    volume_name, size_tib, stays = plan.volume
    volume = Volume(
        derive_uuid(world.seed, "volume", volume_name), volume_name, project.project_id, plan.region,
        at_ms, compute.tempo, [(at_ms, size_tib)], stays,
    )  # fmt: skip
    volume.provision(at_ms)
    compute.add_volume(volume)
    is_slurm, is_reserved = plan.cluster_type == "SLURM", plan.reserved_days is not None
    settings: dict[str, Any] = {"slurm_shm_size_gib": 64} if is_slurm else {"install_traefik": False}
    cluster = Cluster(
        cluster_id=derive_uuid(world.seed, "cluster", plan.name),
        name=plan.name,
        project_id=project.project_id,
        region=plan.region,
        gpu_type=plan.gpu_type,
        billing_type="RESERVED" if is_reserved else "ON_DEMAND",
        cluster_type=plan.cluster_type,
        driver=compute.regions[plan.region].drivers[0],
        created_ms=at_ms,
        tempo=compute.tempo,
        num_gpus=plan.num_gpus,
        num_reserved_gpus=plan.num_gpus if is_reserved else 0,
        term_ms=plan.reserved_days * DAY_MS if plan.reserved_days is not None else None,
        settings=settings,
        add_ons=[{"add_on_type": kind, "name": kind} for kind in plan.add_ons],
        volumes=[volume],
    )
    compute.add_cluster(cluster).order(at_ms)
    if plan.deleted_ms_ago is not None:
        compute.advance(world.start_ms - plan.deleted_ms_ago)
        cluster.decommission(world.start_ms - plan.deleted_ms_ago)
    if plan.node_failed_ms_ago is not None:
        failed_ms = world.start_ms - plan.node_failed_ms_ago
        compute.advance(failed_ms)
        cluster.fail_node(cluster.nodes[-1], failed_ms)
        reason = "Xid 79: GPU has fallen off the bus"
        propose_repair(cluster, cluster.nodes[-1], failed_ms + 2 * MINUTE_MS, reason=reason)
    compute.advance(world.start_ms)
    return cluster


LARGE_CLUSTERS: Final = 50
LARGE_VOLUMES: Final = 200
_LARGE_PLACES: Final = (
    ("us-central-8", "H100_SXM"), ("us-east-2", "H100_SXM"), ("us-west-4", "B200_SXM"), ("eu-north-1", "H100_SXM"),
)  # fmt: skip


def add_large_compute(world: World, projects: list[Project]) -> None:
    """Rent many: each cluster has one volume, the other volumes lie about unattached."""
    for number in range(LARGE_CLUSTERS):
        region, gpu_type = _LARGE_PLACES[number % len(_LARGE_PLACES)]
        variety = derive_number(world.seed, "cluster", number)
        plan = ClusterPlan(
            f"cluster-{number:02d}", "", region, gpu_type, 8 * (1 + variety % 4),
            (1 + number % 20) * DAY_MS + variety % HOUR_MS, (f"cluster-{number:02d}-data", 1 + variety % 9, False),
            "SLURM" if number % 2 else "KUBERNETES", reserved_days=30 if number % 5 == 0 else None,
            node_failed_ms_ago=HOUR_MS if number % 10 == 3 else None,
        )  # fmt: skip
        _add_cluster(world, plan, projects[number % len(projects)])
    for number in range(LARGE_CLUSTERS, LARGE_VOLUMES):
        at_ms = world.start_ms - (1 + number % 50) * DAY_MS
        volume = Volume(
            derive_uuid(world.seed, "volume", number), f"volume-{number:03d}",
            projects[number % len(projects)].project_id, _LARGE_PLACES[number % 4][0], at_ms,
            world.compute.tempo, [(at_ms, 1 + number % 12)],
        )  # fmt: skip
        volume.provision(at_ms)
        world.compute.add_volume(volume)
    world.compute.advance(world.start_ms)
