"""Containers: one that serves, one that waits for jobs, one whose image is not there; and many for `large`."""

from typing import Any, Final

from simulator.clock import DAY_MS, HOUR_MS, MINUTE_MS
from simulator.compute.container_storage import ContainerVolume, Secret
from simulator.compute.containers import BROKEN_TAG, HTTP_METRIC, QUEUE_METRIC, Container
from simulator.compute.queue import Job
from simulator.identifiers import derive_number, derive_uuid
from simulator.traffic import QUIET, Profile, shift_to_office_hours
from simulator.world import DEFAULT_KEY, Project, World

LARGE_CONTAINERS: Final = 20
_REGISTRY: Final = "registry.together.ai/fernhill"
_SECRET: Final = "whisper-registry-token"  # noqa: S105  (a name, not a value)


def _settings(image: str, *, low: int, high: int, gpu_type: str = "h100-80gb", **more: Any) -> dict[str, Any]:
    return {
        "image": f"{_REGISTRY}/{image}", "gpu_type": gpu_type, "gpu_count": 1, "cpu": 8.0, "memory": 64.0,
        "storage": 100, "port": 8080, "health_check_path": "/health", "capacity_type": "stable",
        "min_replicas": low, "max_replicas": high, **more,
    }  # fmt: skip


def _add(
    world: World, project: Project, name: str, at_ms: int, settings: dict[str, Any], profile: Profile = QUIET
) -> Container:
    container_id = derive_uuid(world.seed, "container", name)
    workload = world.new_workload(container_id, min_replicas=0, max_replicas=0, profile=profile)
    container = Container(
        container_id, project.project_id, name, at_ms, world.compute.tempo, workload, settings
    )
    world.compute.containers[container_id] = container
    container.begin(at_ms)
    return container


def add_demo_containers(world: World, project: Project) -> None:
    """Deploy three containers, with a secret and a volume that one of them uses."""
    start_ms, compute = world.start_ms, world.compute
    by = world.keys[DEFAULT_KEY].api_key_id
    secret = Secret(
        derive_uuid(world.seed, "secret", _SECRET), project.project_id, _SECRET, by, start_ms - 31 * DAY_MS,
        "Token of the model registry", None, by, start_ms - 31 * DAY_MS,
    )  # fmt: skip
    compute.secrets[secret.secret_id] = secret
    volume = ContainerVolume(
        derive_uuid(world.seed, "container-volume", "whisper-weights"), project.project_id, "whisper-weights",
        start_ms - 31 * DAY_MS, compute.tempo,
    )  # fmt: skip
    volume.add_version(volume.created_ms, {"type": "files", "source_prefix": "whisper-large-v3/"})
    compute.container_volumes[volume.volume_id] = volume
    profile = Profile(80, "office", shift_hours=shift_to_office_hours(start_ms))
    per_replica = {"metric": HTTP_METRIC, "target": 400, "time_interval_minutes": 10}
    environment = [
        {"name": "LOG_LEVEL", "value": "info"},
        {"name": "CRM_PASSWORD", "value": "simulated-environment-secret"},
    ]
    _add(
        world, project, "ticket-router", start_ms - 20 * DAY_MS - 3 * HOUR_MS,
        _settings("ticket-router:2.4.1", low=1, high=4, autoscaling=per_replica, environment_variables=environment),
        profile,
    )  # fmt: skip
    jobs = _add(
        world, project, "whisper-worker", start_ms - 30 * DAY_MS,
        _settings(
            "whisper-worker:1.0.9", low=0, high=4, gpu_type="h200-140gb",
            autoscaling={"metric": QUEUE_METRIC, "target": 1.01},
            environment_variables=[{"name": "REGISTRY_TOKEN", "value_from_secret": _SECRET}],
            volumes=[{"name": "whisper-weights", "mount_path": "/weights", "version": 1}],
        ),
    )  # fmt: skip
    for day in range(29, 0, -1):
        _submit_batch(world, jobs, start_ms - day * DAY_MS - 5 * HOUR_MS, day)
    _add(
        world, project, "avatar-renderer", start_ms - 26 * HOUR_MS,
        _settings(f"avatar-renderer{BROKEN_TAG}", low=1, high=1),
    )  # fmt: skip
    compute.advance(start_ms)


def _submit_batch(world: World, container: Container, at_ms: int, day: int) -> None:
    """Submit the recordings of one day: some dozens, every few seconds."""
    for number in range(20 + derive_number(world.seed, "batch", day) % 60):
        due_ms = at_ms + number * 7_000
        container.advance(due_ms)
        payload = {"audio": f"calls/{day}/{number}.wav"}
        container.queue.submit(
            Job(derive_uuid(world.seed, "job", day, number), payload, {}, number % 3, due_ms)
        )
        container.work(due_ms)


def add_large_containers(world: World, project: Project) -> None:
    for number in range(LARGE_CONTAINERS):
        at_ms = world.start_ms - (1 + number) * DAY_MS - number * MINUTE_MS
        low = 0 if number % 4 == 1 else 1 + number % 3
        image = f"worker-{number:02d}{BROKEN_TAG if number % 7 == 5 else ':1.0'}"
        settings = _settings(image, low=low, high=low + 2)
        if low == 0:
            settings["autoscaling"] = {"metric": QUEUE_METRIC, "target": 1.01}
        _add(world, project, f"worker-{number:02d}", at_ms, settings)
    world.compute.advance(world.start_ms)
