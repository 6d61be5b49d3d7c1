"""Read the mirror for pages: what a person may see, searched, counted, summed, sorted and cut into pages.

Nothing here loads more rows than one page shows; counts and sums come from one grouped query. What "idle" means is
the caller's to say (a condition), because the mirror knows no evidence.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from django.db import connection, transaction
from django.db.models import BooleanField as Boolean
from django.db.models import Case, Count, F, OrderBy, Q, QuerySet, Sum, Value, When
from django.db.models.functions import Lower

from dashboard.accounts.models import User
from dashboard.accounts.visibility import project_filter
from dashboard.core import status
from dashboard.mirror.models import Deployment, Endpoint, Project

if TYPE_CHECKING:
    from django_stubs_ext import WithAnnotations

Row = TypeVar("Row", Endpoint, Deployment, Project)

# Columns that lists never show: they would be read from TOAST for nothing.
_HEAVY = ("payload", "fingerprint")
# What needs a person first, then what burns, then what moves, then what rests.
_STATUS_ORDER = (
    status.FAILED,
    status.UNKNOWN,
    status.DEGRADED,
    status.RUNNING,
    status.SCALING,
    status.STARTING,
    status.STOPPING,
    status.STOPPED,
    status.EMPTY,
)
MOST_SEARCH_WORDS = 8
DEFAULT_SORT = "-burn"


class IsIdle(TypedDict):
    """What `mark_idle` adds."""

    is_idle: bool


@contextmanager
def one_snapshot() -> Iterator[None]:
    """Run the block on one state of the database, so that totals and rows of a page agree to the cent.

    Read-only. Inside a transaction of the caller (tests) it changes nothing. Three statements.
    """
    if connection.in_atomic_block:
        yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def visible_projects(user: User) -> QuerySet[Project]:
    """Return the projects the user may see, absent ones included. No query yet."""
    return Project.objects.filter(project_filter(user))


def visible_endpoints(user: User) -> QuerySet[Endpoint]:
    """Return the endpoints the user may see, absent ones included, without their payloads. No query yet."""
    return Endpoint.objects.filter(project_filter(user, path="project__")).defer(*_HEAVY)


def visible_deployments(user: User) -> QuerySet[Deployment]:
    """Return the deployments the user may see, absent ones included, without their payloads. No query yet."""
    return Deployment.objects.filter(project_filter(user, path="endpoint__project__")).defer(*_HEAVY)


def present(rows: "QuerySet[Row]") -> "QuerySet[Row]":
    """Return those that the provider still lists."""
    return rows.filter(absent_since=None)


def search_endpoints(endpoints: QuerySet[Endpoint], text: str) -> QuerySet[Endpoint]:
    """Return the endpoints in which each word of ``text`` is part of name, model, hardware, project or team."""
    for word in text.split()[:MOST_SEARCH_WORDS]:
        endpoints = endpoints.filter(
            Q(name__icontains=word)
            | Q(display_name__icontains=word)
            | Q(model__icontains=word)
            | Q(hardware__icontains=word)
            | Q(project__name__icontains=word)
            | Q(project__team__name__icontains=word)
        )
    return endpoints


@dataclass(frozen=True, slots=True)
class StatusGroup:
    """Count and sums of the endpoints of one status; burn in nano-dollars per hour."""

    status: str
    is_idle: bool
    count: int
    gpu_count: int
    burn_low: int
    burn_high: int
    unpriced_replicas: int


def mark_idle(endpoints: QuerySet[Endpoint], idle: Q) -> "QuerySet[WithAnnotations[Endpoint, IsIdle]]":
    """Return the endpoints with `is_idle`, which is never NULL whatever the condition meets."""
    return endpoints.annotate(
        is_idle=Case(When(idle, then=Value(True)), default=Value(False), output_field=Boolean())
    )


def filter_statuses(
    endpoints: QuerySet[Endpoint], statuses: Sequence[str], *, is_idle: bool | None, idle: Q
) -> QuerySet[Endpoint]:
    """Return the endpoints in these statuses; `is_idle` None = idle or not."""
    found = endpoints.filter(status__in=statuses)
    return found if is_idle is None else mark_idle(found, idle).filter(is_idle=is_idle)


def group_by_status(endpoints: QuerySet[Endpoint], *, idle: Q) -> tuple[StatusGroup, ...]:
    """Return count and sums per status, idle ones apart: at most a dozen groups. One query."""
    rows = (
        mark_idle(endpoints, idle)
        .order_by()
        .values("status", "is_idle")
        .annotate(
            row_count=Count("pk"),
            gpus=Sum("gpu_count"),
            low=Sum("burn_low"),
            high=Sum("burn_high"),
            unpriced=Sum("unpriced_replicas"),
        )
    )
    # PostgreSQL sums bigint as numeric: Decimal without a fraction.
    return tuple(
        StatusGroup(
            status=row["status"],
            is_idle=row["is_idle"],
            count=row["row_count"],
            gpu_count=row["gpus"],
            burn_low=int(row["low"]),
            burn_high=int(row["high"]),
            unpriced_replicas=row["unpriced"],
        )
        for row in rows
    )


@dataclass(frozen=True, slots=True)
class Facet:
    """A value that a filter offers, with the number of endpoints behind it."""

    value: str
    label: str
    count: int


def list_teams(endpoints: QuerySet[Endpoint]) -> tuple[Facet, ...]:
    """Return the teams that own the endpoints; the empty value is what nobody owns. One query."""
    rows = (
        endpoints.order_by()
        .values("project__team_id", "project__team__name")
        .annotate(row_count=Count("pk"))
        .order_by(F("project__team__name").asc(nulls_last=True))
    )
    return tuple(
        Facet(
            value=str(row["project__team_id"] or "none"),
            label=row["project__team__name"] or "No team",
            count=row["row_count"],
        )
        for row in rows
    )


def list_hardware(endpoints: QuerySet[Endpoint]) -> tuple[Facet, ...]:
    """Return the hardware names in use, most used first. One query."""
    rows = (
        endpoints.exclude(hardware="")
        .order_by()
        .values("hardware")
        .annotate(row_count=Count("pk"))
        .order_by("-row_count", "hardware")
    )
    return tuple(Facet(row["hardware"], row["hardware"], row["row_count"]) for row in rows)


def filter_team(endpoints: QuerySet[Endpoint], value: str) -> QuerySet[Endpoint]:
    """Return the endpoints of one team; ``none`` = without a team; what is no id matches nothing."""
    if value == "none":
        return endpoints.filter(project__team=None)
    return endpoints.filter(project__team_id=int(value)) if value.isdecimal() else endpoints.none()


SORTS: dict[str, tuple[Any, ...]] = {
    # The order of the index endpoint_by_burn, ids included, so that pages are cut from it without a sort.
    "-burn": ("-burn_high", "display_name", "id"),
    "burn": ("burn_high", "-display_name", "-id"),
    "name": (Lower("display_name"), "id"),
    "-name": (Lower("display_name").desc(), "-id"),
    "status": ("status_rank", "-burn_high", "display_name", "id"),
    "-status": ("-status_rank", "-burn_high", "display_name", "id"),
    "hardware": ("hardware", "display_name", "id"),
    "-hardware": ("-hardware", "display_name", "id"),
    "request": (OrderBy(F("last_request_at"), nulls_first=True), "display_name", "id"),
    "-request": (OrderBy(F("last_request_at"), descending=True, nulls_last=True), "display_name", "id"),
}


def sort_endpoints(endpoints: QuerySet[Endpoint], sort: str, *, idle: Q) -> QuerySet[Endpoint]:
    """Return the endpoints in a total order; an unknown ``sort`` means dearest first."""
    if sort not in SORTS:
        sort = DEFAULT_SORT
    if sort.removeprefix("-") == "status":
        # Idle stands between what limps and what runs: it is the next thing to look at.
        ranks = [When(idle, then=Value(25))]
        ranks += [When(status=one.value, then=Value(10 * place)) for place, one in enumerate(_STATUS_ORDER)]
        endpoints = endpoints.annotate(status_rank=Case(*ranks, default=Value(99)))
    return endpoints.order_by(*SORTS[sort])


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the deployments of one endpoint add to its row; prices in nano-dollars per hour, None = unknown."""

    burn_when_ready: int | None
    failed_message: str
    # Sums of the bounds, None when one is not told.
    least_replicas: int | None
    most_replicas: int | None


def load_outlooks(endpoint_ids: Sequence[int]) -> dict[int, Outlook]:
    """Return by endpoint what its present deployments will cost when ready, and why one failed. One query."""
    failed = [word for word, meaning in status.BY_STATE.items() if meaning is status.FAILED]
    failed += [f"{status.V2_PREFIX}{word}" for word in failed]
    rows = Deployment.objects.filter(endpoint_id__in=endpoint_ids, absent_since=None).values_list(
        "endpoint_id",
        "desired_replicas",
        "min_replicas",
        "max_replicas",
        "nano_usd_per_hour",
        "state",
        "state_message",
    )
    found: dict[int, Outlook] = {}
    for endpoint_id, desired, least, most, price, state, message in rows:
        before = found.get(endpoint_id, Outlook(0, "", 0, 0))
        replicas = desired if desired is not None else least
        ready = None if price is None or replicas is None else price * replicas
        found[endpoint_id] = Outlook(
            burn_when_ready=_add_known(before.burn_when_ready, ready),
            failed_message=before.failed_message or (message if state in failed else ""),
            least_replicas=_add_known(before.least_replicas, least),
            most_replicas=_add_known(before.most_replicas, most),
        )
    return found


def _add_known(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other
