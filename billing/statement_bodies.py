"""What a team's month consists of, as it is frozen, and the hash that holds it. Pure.

Amounts are whole ticks (billing/amounts.py), written as text because JSON readers round large numbers.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

from billing.amounts import ZERO, Cost, add_costs
from billing.exports.lines import Line

VERSION = 1


@dataclass(frozen=True, slots=True)
class StatementLine:
    """What one resource cost in the month."""

    kind: str
    name: str
    remote_id: str
    endpoint: str
    cost: Cost

    @property
    def group(self) -> str:
        """What it is listed under: its endpoint, else its own name."""
        return self.endpoint or self.name


@dataclass(frozen=True, slots=True)
class StatementCorrection:
    """What was posted for an earlier, closed month; the cost may be negative."""

    month: date
    kind: str
    name: str
    remote_id: str
    reason: str
    cost: Cost


@dataclass(frozen=True, slots=True)
class StatementBody:
    """A team's month. `unsettled` names the resources of which the month was not final."""

    month: date
    zone: str
    team: str
    lines: tuple[StatementLine, ...] = ()
    corrections: tuple[StatementCorrection, ...] = ()
    unsettled: tuple[str, ...] = ()

    @property
    def spent(self) -> Cost:
        return add_costs(line.cost for line in self.lines)

    @property
    def corrected(self) -> Cost:
        return add_costs(line.cost for line in self.corrections)

    @property
    def total(self) -> Cost:
        """What the month comes to, corrections of earlier months included."""
        return self.spent + self.corrected


@dataclass(slots=True)
class _Sheet:
    unsettled: set[str] = field(default_factory=set)
    lines: dict[tuple[str, str], tuple[Line, Cost]] = field(default_factory=dict)
    corrections: dict[tuple[date, str, str, str], tuple[Line, Cost]] = field(default_factory=dict)


def build_bodies(
    month: date,
    *,
    zone: str,
    lines: Iterable[Line],
    corrections: Iterable[tuple[date, Line]] = (),
    present: Iterable[Line] | None = None,
) -> dict[str, StatementBody]:
    """Return a body per name of a team, "" = what nobody owns; dearest lines first.

    `present` is what is known best of the same month, which tells what is not settled; None: the lines are it.
    """
    sheets: dict[str, _Sheet] = {}
    for line in lines:
        found = sheets.setdefault(line.team, _Sheet()).lines
        key = (line.kind, line.remote_id)
        found[key] = (line, found.get(key, (line, ZERO))[1] + read_cost(line))
        if present is None and not line.is_settled:
            sheets[line.team].unsettled.add(line.name)
    for line in present or ():
        if not line.is_settled:
            sheets.setdefault(line.team, _Sheet()).unsettled.add(line.name)
    for of_month, line in corrections:
        told = sheets.setdefault(line.team, _Sheet()).corrections
        place = (of_month, line.kind, line.remote_id, line.reason)
        told[place] = (line, told.get(place, (line, ZERO))[1] + _amount(line))
    return {
        team: StatementBody(
            month,
            zone,
            team,
            tuple(
                StatementLine(line.kind, line.name, line.remote_id, line.endpoint, cost)
                for line, cost in sorted(
                    sheet.lines.values(), key=lambda pair: (-pair[1].high, pair[0].name, pair[0].remote_id)
                )
            ),
            tuple(
                StatementCorrection(place[0], line.kind, line.name, line.remote_id, line.reason, cost)
                for place, (line, cost) in sorted(sheet.corrections.items(), key=lambda item: item[0])
                if cost != ZERO
            ),
            tuple(sorted(sheet.unsettled)),
        )
        for team, sheet in sheets.items()
    }


def read_cost(line: Line) -> Cost:
    """Return a line's cost; idle is what ran without a request."""
    is_idle = line.use == "idle"
    low, high = int(line.ticks_low), int(line.ticks_high)
    return Cost(
        low, high, low if is_idle else 0, high if is_idle else 0, int(line.unpriced_us), int(line.unknown_us)
    )


def _amount(line: Line) -> Cost:
    """Return a correction's cost without its times: that something is priced by now takes nothing from this month."""
    return replace(read_cost(line), unpriced_us=0, unknown_us=0)


def freeze(body: StatementBody) -> dict[str, Any]:
    """Return the body as JSON holds it."""
    return {
        "version": VERSION,
        "month": body.month.isoformat(),
        "zone": body.zone,
        "team": body.team,
        "lines": [
            {"kind": one.kind, "name": one.name, "remote_id": one.remote_id, "endpoint": one.endpoint}
            | {"cost": _freeze_cost(one.cost)}
            for one in body.lines
        ],
        "corrections": [
            {"month": one.month.isoformat(), "kind": one.kind, "name": one.name, "remote_id": one.remote_id}
            | {"reason": one.reason, "cost": _freeze_cost(one.cost)}
            for one in body.corrections
        ],
        "unsettled": list(body.unsettled),
    }


def thaw(frozen: Mapping[str, Any]) -> StatementBody:
    """Return the body that was frozen. Raises ValueError for one of another version."""
    if frozen.get("version") != VERSION:
        raise ValueError(f"a statement of version {frozen.get('version')} cannot be read")
    return StatementBody(
        date.fromisoformat(frozen["month"]),
        frozen["zone"],
        frozen["team"],
        tuple(
            StatementLine(
                one["kind"], one["name"], one["remote_id"], one["endpoint"], _thaw_cost(one["cost"])
            )
            for one in frozen["lines"]
        ),
        tuple(
            StatementCorrection(
                date.fromisoformat(one["month"]),
                one["kind"],
                one["name"],
                one["remote_id"],
                one["reason"],
                _thaw_cost(one["cost"]),
            )
            for one in frozen["corrections"]
        ),
        tuple(frozen["unsettled"]),
    )


def hash_statement(
    frozen: Mapping[str, Any], *, posted_until: datetime, team_key: str, previous_sha256: str
) -> str:
    """Return SHA-256, in hex, of the canonical JSON of the statement and the hash before it."""
    text = json.dumps(
        {
            "body": frozen,
            "posted_until": posted_until.astimezone(UTC).isoformat(),
            "team_key": team_key,
            "previous": previous_sha256,
        },
        ensure_ascii=False,
        sort_keys=True,
        separators=(",", ":"),
    )
    return hashlib.sha256(text.encode()).hexdigest()


_FIELDS = ("low", "high", "idle_low", "idle_high", "unpriced_us", "unknown_us")


def _freeze_cost(cost: Cost) -> dict[str, str]:
    return {name: str(getattr(cost, name)) for name in _FIELDS}


def _thaw_cost(frozen: Mapping[str, str]) -> Cost:
    return Cost(*(int(frozen[name]) for name in _FIELDS))
