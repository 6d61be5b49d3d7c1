"""The variable parts of the shell: sidebar, counts, burn meter, user. Filled once per page, lazily.

Fragments never show the shell, so they never pay for it: `shell` is a lazy object, read by layout.html only.
"""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from billing.burn import ZERO
from dashboard.core import resource_states, status
from dashboard.web.snapshot import Snapshot, take_snapshot


@dataclass(frozen=True)
class NavItem:
    """One entry of the sidebar. ``count`` None shows no number; ``section`` is the small head above it."""

    label: str
    url: str
    icon: str
    is_current: bool = False
    count: int | None = None
    section: str = ""


@dataclass(frozen=True)
class BurnMeter:
    """What costs money now, in nano-dollars per hour; low = high unless the provider hides replicas (v1)."""

    low: int
    high: int
    # Burn of what is idle by evidence; None while nothing says what is idle.
    idle_low: int | None = None
    idle_high: int | None = None
    # Billable replicas whose price is unknown: the meter then says "at least".
    unpriced_replicas: int = 0


@dataclass(frozen=True)
class MenuItem:
    """One line of a row menu. ``detail`` says the effect; a destructive item is put last, after a rule."""

    label: str
    url: str
    icon: str
    detail: str = ""
    is_destructive: bool = False
    # True: the address is a confirmation that opens as a dialog; False: an ordinary link.
    opens_dialog: bool = False


@dataclass(frozen=True)
class FindResult:
    """One hit of the palette."""

    label: str
    url: str
    icon: str
    detail: str = ""


@dataclass(frozen=True)
class FindGroup:
    """Hits under one head: Pages, Endpoints."""

    label: str
    results: tuple[FindResult, ...]


@dataclass(frozen=True)
class Shell:
    """Everything that layout.html shows around a page; None or empty parts are left out, never faked."""

    nav: tuple[NavItem, ...]
    organisation: str = ""
    burn: BurnMeter | None = None
    find_url: str = ""
    live_url: str = ""
    # Where the burn meter refetches itself.
    burn_meter_url: str = ""
    # True when the bundled simulator answers: the shell then says that the organisation is a demonstration.
    is_simulated: bool = False


@dataclass(frozen=True)
class NavEntry:
    """A page of the product as the sidebar knows it: the route's name, and the prefix that makes it current."""

    label: str
    route: str
    icon: str
    section: str = ""


ENTRIES = (
    NavEntry("Overview", "overview", "overview"),
    NavEntry("Endpoints", "endpoints", "endpoints"),
    NavEntry("Jobs", "jobs", "job", section="Build"),
    NavEntry("Models", "models", "model"),
    NavEntry("Files", "files", "file"),
    NavEntry("Clusters", "clusters", "cluster", section="Compute"),
    NavEntry("Volumes", "volumes", "volume"),
    NavEntry("Containers", "containers", "container"),
    NavEntry("RL training", "rl", "rl"),
    NavEntry("Costs", "costs", "costs", section="Money"),
    NavEntry("Budgets", "budgets", "budget"),
    NavEntry("Activity", "activity", "activity", section="Control"),
    NavEntry("Settings", "settings", "settings"),
)


_UNDER_WAY = tuple(one.value for one in status.ALL if one.is_moving)
_BILLING = tuple(one.value for one in status.ALL if one.may_bill)
# Beside a page's name stands the number of what is under way there, or of what bills.
_COUNTED = {
    "jobs": (resource_states.JOB_KINDS, _UNDER_WAY),
    "clusters": (("cluster",), _BILLING),
    "volumes": (("volume",), _BILLING),
    "containers": (("container",), _BILLING),
    "rl": (("rl-resource",), _BILLING),
}


def shell(request: HttpRequest) -> dict[str, Any]:
    """Return the context of every template: ``now`` (one reading per response) and the lazy ``shell``."""
    return {"now": timezone.now(), "shell": SimpleLazyObject(lambda: build_shell(request))}


def build_shell(request: HttpRequest) -> Shell:
    """Return the shell of one page for the person who asked: the snapshot's queries, if not read yet."""
    if not getattr(request.user, "is_authenticated", False):
        return Shell(nav=list_nav(request, counts={}))
    snapshot = take_snapshot(request)
    return Shell(
        nav=list_nav(request, counts=_count_pages(snapshot)),
        organisation=snapshot.freshness.organization,
        burn=build_meter(snapshot) if snapshot.freshness.connections else None,
        find_url=_resolve("find"),
        live_url=_resolve("live"),
        burn_meter_url=_resolve("burn_meter"),
        is_simulated=settings.SIMULATED,
    )


def _count_pages(snapshot: Snapshot) -> dict[str, int]:
    """Return by route what stands beside a page's name: what runs or bills, and what is under way.."""
    counts = {"endpoints": snapshot.totals.serving().count}
    for route, (kinds, statuses) in _COUNTED.items():
        count = sum(snapshot.resources.add(kind=kind, statuses=statuses).count for kind in kinds)
        if count:
            counts[route] = count
    return counts


def build_meter(snapshot: Snapshot) -> BurnMeter:
    """Return the burn meter of a snapshot; idle is left out where nothing is, and on evidence that is too old."""
    everything = snapshot.burn
    idle = ZERO if snapshot.is_stale else snapshot.totals.idle().burn
    return BurnMeter(
        low=everything.low,
        high=everything.high,
        idle_low=idle.low if idle.high else None,
        idle_high=idle.high or None,
        unpriced_replicas=everything.unpriced_replicas,
    )


def list_nav(request: HttpRequest, *, counts: dict[str, int]) -> tuple[NavItem, ...]:
    """Return the sidebar with ``counts`` by route name; pages without a route are left out."""
    items = []
    for entry in ENTRIES:
        url = _resolve(entry.route)
        if not url:
            continue
        is_current = request.path == url or (url != "/" and request.path.startswith(url))
        items.append(
            NavItem(
                entry.label,
                url,
                entry.icon,
                is_current=is_current,
                count=counts.get(entry.route),
                section=entry.section,
            )
        )
    return tuple(items)


def _resolve(route: str) -> str:
    try:
        return reverse(route)
    except NoReverseMatch:
        return ""
