"""Acts that an open page waits for: when one has ended, the page says so with a link to the receipt.

The page carries the numbers of the acts it waits for, and when it was told last, in the address that it refreshes
from, so that the server keeps nothing about open pages. The time is there for an answer that crosses the request of an
act: the page then never hears the act's number, and is told of it because it ended since.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Q
from django.urls import reverse

from dashboard.accounts.models import User
from dashboard.core import durations
from dashboard.lifecycle.models import StopAction
from dashboard.web.htmx import Toast

# More than this many acts of one person at a time are not announced one by one.
MOST_WATCHED = 50
# A page that slept longer is not told what it missed: Activity has it.
LONGEST_SLEEP = timedelta(minutes=10)

_ENDED = {
    "stop": "stopped",
    "start": "is ready",
    "scale": "has its new bounds",
    "delete": "was deleted",
    "configure": "has its new settings",
    "split": "has its new traffic split",
    "cancel": "was cancelled",
    "resize": "has its new size",
    "create": "was created",
    "upload": "was imported",
    "deploy": "is ready",
}


@dataclass(frozen=True, slots=True)
class Watch:
    """Open acts of the person (`token` names them in an address) and what to say about those that ended."""

    open: tuple[StopAction, ...]
    toasts: tuple[Toast, ...]
    at: datetime

    @property
    def token(self) -> str:
        """Return the ids of the open acts, joined by dots."""
        return ".".join(str(action.pk) for action in self.open)

    @property
    def query(self) -> str:
        """Return the part of an address from which the page refreshes; `seen` in milliseconds since 1970."""
        return f"watch={self.token}&seen={int(self.at.timestamp() * 1000)}"


def read_watch(user: User, *, watched: str, seen: str, now: datetime) -> Watch:
    """Return what the person's page waits for now, and toasts for what has ended. One query.

    These are the `watched` acts, and those that ended since the page was told last. Only acts that the person asked
    for: others' are no news to everybody.
    """
    ids = [int(part) for part in watched.split(".")[:MOST_WATCHED] if part.isdecimal() and len(part) < 19]
    mine = (
        StopAction.objects.filter(requested_by=user)
        .select_related("endpoint", "deployment", "resource")
        .defer("endpoint__payload", "deployment__payload", "resource__payload", "autoscaling_before")
    )
    wanted = Q(state__in=StopAction.OPEN_STATES) | Q(pk__in=ids)
    since = _read_moment(seen, now=now)
    if since is not None:
        wanted |= Q(finished_at__gt=since)
    found = list(mine.filter(wanted).order_by("pk"))[-2 * MOST_WATCHED :]
    still_open = tuple(row for row in found if row.is_open)[-MOST_WATCHED:]
    return Watch(still_open, tuple(_list_toasts((row for row in found if not row.is_open), now=now)), now)


def _read_moment(text: str, *, now: datetime) -> datetime | None:
    """Return the moment that an address tells; None for nonsense, for the future and for what is long ago."""
    if not text.isascii() or not text.isdecimal() or len(text) > 13:
        return None
    moment = datetime.fromtimestamp(int(text) // 1000, tz=UTC) + timedelta(milliseconds=int(text) % 1000)
    return moment if now - LONGEST_SLEEP <= moment <= now else None


def _list_toasts(ended: Iterable[StopAction], *, now: datetime) -> Iterable[Toast]:
    for action in ended:
        links = (("Receipt", reverse("action", args=[action.public_id])),)
        if action.state == StopAction.State.OBSERVED:
            yield Toast(
                title=f"{_name(action)} {_describe_end(action)}",
                detail=_describe_proof(action),
                links=links,
            )
        else:
            title = f"{action.get_kind_display()} of {_name(action)}: {action.get_state_display().lower()}"
            tone = "fail" if action.state == StopAction.State.REFUSED else "quiet"
            yield Toast(title=title, detail=action.outcome, links=links, tone=tone)  # type: ignore[arg-type]


def _describe_end(action: StopAction) -> str:
    """Return what became of it: a stop whose target vanished did not stop it."""
    is_gone = action.absent_seen_at is not None and action.kind != StopAction.Kind.DELETE
    return "is gone" if is_gone else _ENDED[action.kind]


def _name(action: StopAction) -> str:
    if action.endpoint is None:
        return action.title
    if action.deployment is None or action.endpoint.deployment_count < 2:
        return action.endpoint.display_name
    return f"{action.endpoint.display_name}, {action.deployment.name},"


def _describe_proof(action: StopAction) -> str:
    if action.finished_at is None:
        return action.outcome
    took = durations.format_exact(action.finished_at - action.requested_at)
    return f"{action.outcome.rstrip('.')}, after {took}."
