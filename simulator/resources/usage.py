"""Billing usage as the provider reports it: its own meter, in windows of a day or an hour, as decimal strings."""

from calendar import monthrange
from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any, Final

from starlette.responses import Response

from simulator.call import Call, json_answer, route
from simulator.charges import Line, charge_lines
from simulator.clock import DAY_MS, HOUR_MS, SECOND_MS, format_time
from simulator.errors import ApiError, bad_request
from simulator.metering import Charge, charge_all, print_decimal
from simulator.paging import DEFAULT_LIMIT, decode_cursor, encode_cursor
from simulator.world import Deployment, World

MOST_WINDOWS: Final = 1_000
Lines = list[dict[str, Any]]


def list_usage(call: Call) -> Response:
    if not call.world.usage_enabled:
        raise ApiError(404, "Not found", code="not_found")
    organization_id = call.identity.organization.organization_id
    call.check_organization(call.query.get("organization_id", organization_id))
    granularity = call.query.get("granularity", "day")
    if granularity not in {"day", "hour"}:
        raise bad_request("granularity must be day or hour", param="granularity")
    if granularity == "hour" and not call.world.usage_hourly:
        raise bad_request("granularity hour is not available", param="granularity")
    width_ms = DAY_MS if granularity == "day" else HOUR_MS
    month, first_ms, end_ms = _read_month(call)
    end_ms = min(end_ms, call.now_ms - call.now_ms % width_ms)  # complete windows only

    def lines_of(window_ms: int) -> Lines:
        return _window_lines(call, window_ms, width_ms)

    earliest = _find_used(lines_of, range(first_ms, end_ms, width_ms))
    latest = _find_used(lines_of, range(first_ms, end_ms, width_ms)[::-1])
    limit = call.whole_number("limit", default=DEFAULT_LIMIT, most=MOST_WINDOWS)
    after = decode_cursor(call)
    window_ms = first_ms if after is None else int(after[0]) + width_ms
    data: list[dict[str, Any]] = []
    while window_ms < end_ms and len(data) < limit:
        if lines := lines_of(window_ms):
            data.append(_describe_window(window_ms, width_ms, lines))
        window_ms += width_ms
    more = latest is not None and window_ms <= latest
    return json_answer(
        {
            "object": "list",
            "organization_id": organization_id,
            "billing_period": month,
            "currency": "USD",
            "earliest_window_start": None if earliest is None else format_time(earliest),
            "latest_window_end": None if latest is None else format_time(latest + width_ms),
            "next_cursor": encode_cursor(call, (window_ms - width_ms,)) if more else None,
            "data": data,
        }
    )


def _read_month(call: Call) -> tuple[str, int, int]:
    """Return the month's name, its first instant and its end (exclusive), in milliseconds. Raises 400."""
    text = call.query.get("month") or datetime.fromtimestamp(call.now_ms / SECOND_MS, tz=UTC).strftime(
        "%Y-%m"
    )
    try:
        first = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    except ValueError as error:
        raise bad_request("month must be YYYY-MM", param="month") from error
    first_ms = int(first.timestamp()) * SECOND_MS
    return text, first_ms, first_ms + monthrange(first.year, first.month)[1] * DAY_MS


def _find_used(lines_of: Callable[[int], Lines], windows: range) -> int | None:
    return next((window_ms for window_ms in windows if lines_of(window_ms)), None)


def _describe_window(window_ms: int, width_ms: int, lines: Lines) -> dict[str, Any]:
    return {
        "date": format_time(window_ms)[:10],
        "start_time": format_time(window_ms),
        "end_time": format_time(window_ms + width_ms),
        "line_items": lines,
    }


def _window_lines(call: Call, window_ms: int, width_ms: int) -> Lines:
    """Return the line items of a finished window; they never change, so they are kept."""
    world, organization_id = call.world, call.identity.organization.organization_id
    key = (organization_id, window_ms, width_ms)
    lines = world.usage_windows.get(key)
    if lines is None:
        end_ms = window_ms + width_ms
        lines = [
            _describe_charge(charge)
            for charge in charge_all(world, start_ms=window_ms, end_ms=end_ms)
            if charge.resource.project.organization == call.identity.organization
        ]
        lines += _token_lines(world, organization_id, window_ms, end_ms)
        lines += [
            _describe_line(line)
            for line in charge_lines(world.charge_sources, start_ms=window_ms, end_ms=end_ms)
            if world.projects[line.project_id].organization == call.identity.organization
        ]
        if len(world.usage_windows) >= 2_000:
            world.usage_windows.clear()
        world.usage_windows[key] = lines
    return lines


def _describe_charge(charge: Charge) -> dict[str, Any]:
    resource, hardware = charge.resource, charge.resource.config.hardware
    if isinstance(resource, Deployment):
        product, name = "Dedicated Inference", hardware.name
        attributes = {"endpoint_id": resource.endpoint_id, "deployment_id": resource.deployment_id}
    else:
        product, name = "Dedicated Endpoints", hardware.v1_id
        attributes = {"endpoint_id": resource.endpoint_id}
    return {
        "product_name": f"{product} - {hardware.gpu}",
        "quantity": print_decimal(charge.gpu_hours),
        "unit_price": print_decimal(charge.cents_per_hour / hardware.count / 100),
        "cost": print_decimal(charge.cost_usd),
        "pricing_dimensions": {"hardware": name},
        "attributes": attributes,
        "applied_credit": {"type": "PREPAID"},
    }


def _describe_line(line: Line) -> dict[str, Any]:
    return {
        "product_name": line.product_name,
        "quantity": print_decimal(line.quantity),
        "unit_price": print_decimal(line.unit_price, places=line.places),
        "cost": print_decimal(line.cost_usd, places=line.places),
        "pricing_dimensions": line.pricing_dimensions,
        "attributes": line.attributes,
        **({"applied_credit": {"type": line.credit}} if line.credit else {}),
    }


def _token_lines(world: World, organization_id: str, start_ms: int, end_ms: int) -> Lines:
    totals: dict[tuple[str, str, str], list[int]] = {}
    for (hour, model, project_id, api_key_id), amounts in world.serverless_tokens.items():
        project = world.projects[project_id]
        if start_ms <= hour * HOUR_MS < end_ms and project.organization.organization_id == organization_id:
            total = totals.setdefault((model, project_id, api_key_id), [0, 0])
            total[0] += amounts[0]
            total[1] += amounts[1]
    lines = []
    for (model, project_id, api_key_id), amounts_sum in sorted(totals.items()):
        prices = world.catalogue.by_name[model].serverless_price or (0.0, 0.0)
        for direction, tokens, price in zip(("Input", "Output"), amounts_sum, prices, strict=True):
            per_token = Fraction(str(price)) / 1_000_000
            if tokens:
                lines.append(
                    {
                        "product_name": f"Serverless Inference - {direction} Tokens",
                        "quantity": str(tokens),
                        "unit_price": print_decimal(per_token, places=12),
                        "cost": print_decimal(per_token * tokens, places=12),
                        "pricing_dimensions": {"model": model},
                        "attributes": {"api_key_id": api_key_id, "project_id": project_id},
                    }
                )
    return lines


ROUTES = [route("/v1/billing/usage", list_usage)]
