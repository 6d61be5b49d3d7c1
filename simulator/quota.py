"""How many GPUs of a type an organisation may run: what goes beyond is refused with 429 (contract 1.5)."""

from simulator import lifecycle
from simulator.catalogue import Hardware
from simulator.errors import GatewayError
from simulator.world import Deployment, Endpoint, World

_IDLE = frozenset({lifecycle.STOPPED, lifecycle.FAILED})


def check_quota(
    world: World,
    endpoint: Endpoint,
    hardware: Hardware,
    replicas: int,
    *,
    now_ms: int,
    instead_of: Deployment | None = None,
) -> None:
    """Raise 429 where the replicas asked for do not fit beside what the organisation runs. No quota = no limit.

    `instead_of` is the deployment whose bounds change; it does not count against itself.
    """
    most = world.gpu_quota.get(hardware.gpu)
    if most is None:
        return
    used = 0
    for deployment in world.deployments.values():
        if deployment is instead_of or deployment.config.hardware.gpu != hardware.gpu:
            continue
        if deployment.project.organization != endpoint.project.organization:
            continue
        deployment.workload.advance(now_ms)
        if deployment.workload.state not in _IDLE:
            used += (
                max(deployment.workload.present.desired, deployment.workload.min_replicas)
                * deployment.config.hardware.count
            )
    if used + replicas * hardware.count > most:
        raise GatewayError(429, "GPU quota exceeded")
