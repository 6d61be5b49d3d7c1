"""What is known to come, gathered from the mirror and from whoever arms ends and starts of things.

Billing knows of jobs that run and of things that expire. Timers and schedules belong to lifecycle, which lies above:
it hands its own source to `register_source` when it starts up.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from billing.forecast_plans import PlannedChange, PlannedCharge
from billing.models import Meter, MeterKind
from dashboard.core import status

# Contract 2: a fine-tune costs this at least, nano-dollars.
_FINE_TUNE_MINIMUM = 4_000_000_000
# Of a job whose remaining time nobody tells.
_USUAL_JOB = timedelta(hours=2)
_MOVING = tuple(one.value for one in status.ALL if one.is_moving)


@dataclass(frozen=True, slots=True)
class MeterPlan:
    """What is known to come for one meter."""

    meter_id: int
    changes: tuple[PlannedChange, ...] = ()
    charges: tuple[PlannedCharge, ...] = ()


Source = Callable[[datetime, datetime], Iterable[MeterPlan]]
_SOURCES: list[Source] = []


def register_source(source: Source) -> None:
    """Ask `source(now, until)` too, in every forecast of this process; registering it again changes nothing."""
    if source not in _SOURCES:
        _SOURCES.append(source)


def load_plans(*, now: datetime, until: datetime) -> list[MeterPlan]:
    """Return what is known to come before `until`, one plan a meter. One query, and those of registered sources."""
    found: dict[int, MeterPlan] = {}
    for source in (_load_mirrored, *_SOURCES):
        for plan in source(now, until):
            known = found.get(plan.meter_id, MeterPlan(plan.meter_id))
            found[plan.meter_id] = MeterPlan(
                plan.meter_id, known.changes + plan.changes, known.charges + plan.charges
            )
    return list(found.values())


def _load_mirrored(now: datetime, until: datetime) -> Iterable[MeterPlan]:
    """Yield running fine-tunes whose price is told, and what burns and expires."""
    running = Q(kind=MeterKind.FINE_TUNE, resource__status__in=_MOVING, resource__total_nano_usd__gt=0)
    expiring = Q(
        kind=MeterKind.RL_RESOURCE,
        resource__burn__gt=0,
        resource__expires_at__gt=now,
        resource__expires_at__lt=until,
    )
    rows = Meter.objects.filter(running | expiring, resource__absent_since=None).values_list(
        "pk",
        "kind",
        "resource__total_nano_usd",
        "resource__seconds_remaining",
        "resource__burn",
        "resource__expires_at",
    )
    for pk, kind, price, seconds, burn, expires_at in rows:
        if kind == MeterKind.RL_RESOURCE and burn and expires_at:
            yield MeterPlan(pk, changes=(PlannedChange(expires_at, -burn),))
        elif price:
            at = now + (_USUAL_JOB if seconds is None else timedelta(seconds=seconds))
            if at < until:
                yield MeterPlan(pk, charges=(PlannedCharge(at, max(price, _FINE_TUNE_MINIMUM)),))
