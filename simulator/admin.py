"""Routes for tests and people, under /_admin: time, faults, truth, and a hand on the state. Loopback only, no key."""

from collections.abc import Iterator
from dataclasses import asdict
from fractions import Fraction
from typing import Any

from starlette.requests import Request

from simulator import lifecycle, metering
from simulator.admin_route import admin_route
from simulator.charges import Line
from simulator.clock import DAY_MS, HOUR_MS, MINUTE_MS, VirtualClock, format_time, parse_time
from simulator.errors import ApiError, bad_request, not_found
from simulator.faults import Fault
from simulator.lifecycle import Phase
from simulator.traffic import Profile, Usage
from simulator.world import Deployment, LegacyEndpoint, World

_WIDTHS_MS = {"minute": MINUTE_MS, "hour": HOUR_MS, "day": DAY_MS}


def _describe_clock(world: World) -> dict[str, Any]:
    now_ms = world.now_ms()
    return {
        "now": format_time(now_ms),
        "now_ms": now_ms,
        "is_virtual": world.clock.is_virtual,
        "speed": world.speed,
    }


def tell_time(world: World, request: Request, fields: dict[str, Any]) -> Any:
    return _describe_clock(world)


def advance_time(world: World, request: Request, fields: dict[str, Any]) -> Any:
    if not isinstance(world.clock, VirtualClock):
        raise ApiError(409, "the clock is real: start the simulator with --clock virtual")
    world.clock.advance(float(fields["seconds"]))
    return _describe_clock(world)


def list_faults(world: World, request: Request, fields: dict[str, Any]) -> Any:
    return request.app.state.faults.describe()


def add_fault(world: World, request: Request, fields: dict[str, Any]) -> Any:
    return asdict(request.app.state.faults.add(Fault(**fields)))


def clear_faults(world: World, request: Request, fields: dict[str, Any]) -> Any:
    request.app.state.faults.clear()
    return {}


def remove_fault(world: World, request: Request, fields: dict[str, Any]) -> Any:
    if request.app.state.faults.faults.pop(request.path_params["fault_id"], None) is None:
        raise not_found("fault", request.path_params["fault_id"])
    return {}


def describe_world(world: World, request: Request, fields: dict[str, Any]) -> Any:
    return world.describe()


def set_switches(world: World, request: Request, fields: dict[str, Any]) -> Any:
    """Turn a switch of the world: usage_enabled, usage_hourly, metrics_enabled, tokens_per_second, first_token_seconds.

    `gpu_quota` is GPUs per type and organisation, such as {"B200": 16}; what it leaves out has no limit.
    """
    for name in ("usage_enabled", "usage_hourly", "metrics_enabled"):
        if name in fields:
            setattr(world, name, bool(fields[name]))
    for name in ("tokens_per_second", "first_token_seconds"):
        if name in fields:
            setattr(world, name, float(fields[name]))
    if "gpu_quota" in fields:
        world.gpu_quota = {str(gpu): int(most) for gpu, most in fields["gpu_quota"].items()}
    return world.describe()


def add_key(world: World, request: Request, fields: dict[str, Any]) -> Any:
    """Let a further key in; `project` is a slug or an id."""
    wanted = fields.get("project")
    for project in world.projects.values():
        if wanted in {None, project.project_id, project.slug, project.name}:
            world.add_key(str(fields["key"]), project)
            return {"project": project.project_id}
    raise not_found("project", str(wanted))


def revoke_key(world: World, request: Request, fields: dict[str, Any]) -> Any:
    world.keys.pop(request.path_params["key"], None)
    return {}


def list_requests(world: World, request: Request, fields: dict[str, Any]) -> Any:
    """Return the requests received, oldest first; ?method= and ?path= (prefix) narrow."""
    method, prefix = request.query_params.get("method"), request.query_params.get("path", "")
    return [
        entry
        for entry in world.requests
        if method in {None, entry["method"]} and entry["path"].startswith(prefix)
    ]


def clear_requests(world: World, request: Request, fields: dict[str, Any]) -> Any:
    world.requests.clear()
    return {}


def list_generations(world: World, request: Request, fields: dict[str, Any]) -> Any:
    return [asdict(generation) for generation in world.generations.values()]


def tell_bill(world: World, request: Request, fields: dict[str, Any]) -> Any:
    """Return the exact truth: ?from=&to= (default: everything until now), ?granularity=minute|hour|day."""
    query = request.query_params
    now_ms = world.now_ms()
    start_ms = parse_time(query["from"]) if "from" in query else 0
    end_ms = min(parse_time(query["to"]), now_ms) if "to" in query else now_ms
    width = query.get("granularity")
    if width is not None and width not in _WIDTHS_MS:
        raise bad_request("granularity must be minute, hour or day", param="granularity")
    return metering.describe_bill(
        world,
        start_ms=start_ms,
        end_ms=end_ms,
        width_ms=_WIDTHS_MS[width] if width else None,
        resource_id=query.get("id"),
    )


def add_bill_line(world: World, request: Request, fields: dict[str, Any]) -> Any:
    """Put a line on the bill that nothing ran for: `{attributes, cost, quantity?, unit_price?, credit?, at?}`.

    A credit has a cost below zero; `at` is when (default: now). What was told of that window before changes.
    """
    at_ms = parse_time(fields["at"]) if "at" in fields else world.now_ms()
    line = Line(
        start_ms=at_ms,
        end_ms=at_ms,
        product_name=str(fields.get("product_name", "Adjustment")),
        quantity=Fraction(str(fields.get("quantity", 1))),
        unit_price=Fraction(str(fields.get("unit_price", fields["cost"]))),
        cost_usd=Fraction(str(fields["cost"])),
        pricing_dimensions=dict(fields.get("pricing_dimensions", {})),
        attributes=dict(fields["attributes"]),
        project_id=str(fields.get("project_id") or next(iter(world.projects))),
        credit=str(fields.get("credit", "PREPAID")),
    )

    def tell(start_ms: int, end_ms: int) -> Iterator[Line]:
        if start_ms <= at_ms < end_ms:
            yield line

    world.charge_sources.append(tell)
    world.usage_windows.clear()
    return {"at": format_time(at_ms)}


def change_price(world: World, request: Request, fields: dict[str, Any]) -> Any:
    """Change a machine's price from now on: `{hardware: any id, cents_per_hour?, cents_per_minute?}`."""
    for hardware in world.catalogue.hardware.values():
        if fields["hardware"] in {hardware.name, hardware.v1_id, hardware.instance_id}:
            if "cents_per_hour" in fields:
                hardware.hourly.change(world.now_ms(), int(fields["cents_per_hour"]))
            if "cents_per_minute" in fields:
                hardware.per_minute.change(world.now_ms(), float(fields["cents_per_minute"]))
            return {"hardware": hardware.name}
    raise not_found("hardware", str(fields["hardware"]))


def _find(world: World, identifier: str) -> Deployment | LegacyEndpoint:
    found = world.deployments.get(identifier) or world.legacy.get(identifier)
    if found is None:
        raise not_found("deployment", identifier)
    found.workload.advance(world.now_ms())
    return found


def _describe_resource(world: World, resource: Deployment | LegacyEndpoint) -> dict[str, Any]:
    workload = resource.workload
    return {
        "id": resource.deployment_id if isinstance(resource, Deployment) else resource.endpoint_id,
        "name": resource.name,
        "present": asdict(workload.present),
        "pending": [asdict(phase) for phase in workload.pending],
        "min_replicas": workload.min_replicas,
        "max_replicas": workload.max_replicas,
        "timeline": [asdict(phase) for phase in workload.timeline],
        "ready_ms": workload.count_ready_ms(0, world.now_ms()),
    }


def _forget_payload(world: World, resource: Deployment | LegacyEndpoint) -> None:
    if isinstance(resource, Deployment):
        world.endpoints[resource.endpoint_id].payload_until_ms = 0


def tell_resource(world: World, request: Request, fields: dict[str, Any]) -> Any:
    return _describe_resource(world, _find(world, request.path_params["identifier"]))


def force_state(world: World, request: Request, fields: dict[str, Any]) -> Any:
    """Put a deployment or v1 endpoint into a state now: `{state, ready?, desired?, message?, stay?}`.

    `stay` false (the default) lets PROVISIONING, SCALING, STOPPING and DEGRADED go on to where they lead.
    """
    resource = _find(world, request.path_params["identifier"])
    workload, now_ms, state = resource.workload, world.now_ms(), fields["state"]
    if state not in lifecycle.STATES:
        raise bad_request(f"state must be one of {', '.join(lifecycle.STATES)}", param="state")
    durations = workload.pace.at(now_ms)
    runs = state in lifecycle.RUNNING or state == lifecycle.PROVISIONING
    desired = int(fields.get("desired", max(1, workload.min_replicas) if runs else 0))
    default_ready = desired - 1 if state in {lifecycle.DEGRADED, lifecycle.SCALING} else desired
    ready = int(fields.get("ready", default_ready if state in lifecycle.RUNNING else 0))
    message = fields.get("message", f"Forced to {state}")
    phase = Phase(now_ms, state, ready, max(ready, desired), desired, message, "Forced", "admin")
    plan: tuple[Phase, ...] = (phase,)
    if not fields.get("stay", False):
        if state == lifecycle.PROVISIONING:
            plan = (phase, *lifecycle.plan_start(now_ms, desired, durations)[1:])
        elif state in {lifecycle.SCALING, lifecycle.DEGRADED}:
            plan = (phase, lifecycle.plan_degradation(now_ms, phase, 0, durations)[-1])
        elif state == lifecycle.STOPPING:
            plan = (phase, *lifecycle.plan_stop(now_ms, _as_running(phase), durations)[1:])
    if runs and workload.max_replicas == 0:
        workload.min_replicas = workload.max_replicas = max(1, desired)
    if state in {lifecycle.STOPPED, lifecycle.STOPPING}:
        workload.min_replicas = workload.max_replicas = 0
    workload.follow(plan)
    _forget_payload(world, resource)
    return _describe_resource(world, resource)


def _as_running(phase: Phase) -> Phase:
    return Phase(phase.at_ms, lifecycle.READY, phase.ready, phase.ready, phase.desired, "", "")


def fail_resource(world: World, request: Request, fields: dict[str, Any]) -> Any:
    resource = _find(world, request.path_params["identifier"])
    resource.workload.follow(
        (lifecycle.fail_phase(world.now_ms(), fields.get("message", lifecycle.OUT_OF_MEMORY)),)
    )
    _forget_payload(world, resource)
    return _describe_resource(world, resource)


def delete_resource(world: World, request: Request, fields: dict[str, Any]) -> Any:
    """Let something vanish as if somebody else had deleted it: deployment, v1 endpoint or v2 endpoint."""
    identifier, now_ms = request.path_params["identifier"], world.now_ms()
    if identifier in world.endpoints:
        world.remove_endpoint(world.endpoints[identifier], at_ms=now_ms)
        return {}
    resource = _find(world, identifier)
    if isinstance(resource, Deployment):
        world.remove_deployment(resource, at_ms=now_ms)
    else:
        world.remove_legacy(resource, at_ms=now_ms)
    return {}


def set_behaviour(world: World, request: Request, fields: dict[str, Any]) -> Any:
    """Set what later stops and starts do: `{stop: normal|ignored|endless|fails, starts_get_stuck: bool}`."""
    resource = _find(world, request.path_params["identifier"])
    stop = fields.get("stop", resource.workload.stop_behaviour)
    known = {lifecycle.STOP_NORMAL, lifecycle.STOP_IGNORED, lifecycle.STOP_ENDLESS, lifecycle.STOP_FAILS}
    if stop not in known:
        raise bad_request(f"stop must be one of {', '.join(sorted(known))}", param="stop")
    resource.workload.stop_behaviour = stop
    resource.workload.starts_get_stuck = bool(fields.get("starts_get_stuck", False))
    return {"stop": stop, "starts_get_stuck": resource.workload.starts_get_stuck}


def inject_traffic(world: World, request: Request, fields: dict[str, Any]) -> Any:
    """Add requests at an instant (`at`, default now): `{requests, input_tokens?, output_tokens?, failed?}`."""
    resource = _find(world, request.path_params["identifier"])
    at_ms = parse_time(fields["at"]) if "at" in fields else world.now_ms()
    usage = Usage(*(int(fields.get(name, 0)) for name in Usage._fields))
    resource.workload.traffic.inject(at_ms, usage)
    return usage._asdict()


def set_profile(world: World, request: Request, fields: dict[str, Any]) -> Any:
    """Replace the traffic profile; `{}` = no traffic but what is injected. Past counts change with it."""
    resource = _find(world, request.path_params["identifier"])
    resource.workload.traffic.replace_profile(Profile(**fields))
    resource.workload.note_settings(world.now_ms())
    return asdict(resource.workload.traffic.profile)


_ONE = "/deployments/{identifier}"
ROUTES = [
    admin_route("/clock", tell_time),
    admin_route("/advance", advance_time, "POST"),
    admin_route("/faults", list_faults),
    admin_route("/faults", add_fault, "POST"),
    admin_route("/faults", clear_faults, "DELETE"),
    admin_route("/faults/{fault_id}", remove_fault, "DELETE"),
    admin_route("/world", describe_world),
    admin_route("/world", set_switches, "PATCH"),
    admin_route("/keys", add_key, "POST"),
    admin_route("/keys/{key}", revoke_key, "DELETE"),
    admin_route("/requests", list_requests),
    admin_route("/requests", clear_requests, "DELETE"),
    admin_route("/generations", list_generations),
    admin_route("/bill", tell_bill),
    admin_route("/bill/lines", add_bill_line, "POST"),
    admin_route("/prices", change_price, "POST"),
    admin_route(_ONE, tell_resource),
    admin_route(_ONE, delete_resource, "DELETE"),
    admin_route(f"{_ONE}/state", force_state, "POST"),
    admin_route(f"{_ONE}/fail", fail_resource, "POST"),
    admin_route(f"{_ONE}/behaviour", set_behaviour, "POST"),
    admin_route(f"{_ONE}/traffic", inject_traffic, "POST"),
    admin_route(f"{_ONE}/profile", set_profile, "POST"),
]
