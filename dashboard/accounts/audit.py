"""Who did what: the sole writer of AuditEvent.

`record` runs in the transaction of the act itself: an act without its audit row rolls back, and so does an
audit row without its act. Who acts is passed as an argument, never looked up in the thread.
"""

import uuid
from dataclasses import dataclass, field
from typing import Any, Self

from django.db import connection, models
from django.http import HttpRequest

from dashboard.accounts.models import AuditEvent, User
from dashboard.core import live


class NotInTransactionError(Exception):
    """`record` was called outside transaction.atomic(): the row could outlive an act that failed."""

    retryable = False


@dataclass(frozen=True)
class RequestContext:
    """Where a request comes from; RequestContextMiddleware puts it on `request.context`."""

    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    ip: str | None = None


@dataclass(frozen=True)
class Actor:
    """Who acts: a person, or one of our processes (then `user` is None)."""

    user: User | None
    label: str
    role: str = ""
    ip: str | None = None
    request_id: str = ""

    @classmethod
    def for_process(cls, name: str) -> Self:
        """Return a process of ours as actor, e.g. ``enforcer`` or ``bootstrap``."""
        return cls(user=None, label=name)

    @classmethod
    def for_person(cls, user: User, *, context: RequestContext | None = None) -> Self:
        """Return a person as actor, with the role held now."""
        context = context or RequestContext(request_id="")
        return cls(user=user, label=str(user), role=user.role, ip=context.ip, request_id=context.request_id)


def read_context(request: HttpRequest) -> RequestContext:
    """Return what the middleware learnt about the request; an empty context outside the middleware."""
    return getattr(request, "context", None) or RequestContext(request_id="")


def actor_of(request: HttpRequest) -> Actor:
    """Return the signed-in person behind the request. Raises TypeError for an anonymous one."""
    if not isinstance(request.user, User):
        raise TypeError("nobody is signed in")
    return Actor.for_person(request.user, context=read_context(request))


def record(
    action: str,
    *,
    actor: Actor,
    target: models.Model | None = None,
    detail: dict[str, Any] | None = None,
) -> AuditEvent:
    """Write one audit row and wake the activity page. Two statements.

    `action` is an area and a past participle, e.g. ``connection.created``; `detail` holds before and after
    where something changed, and never a secret. Raises NotInTransactionError outside of a transaction.
    """
    if not connection.in_atomic_block:
        raise NotInTransactionError(f"{action} must be recorded in the transaction of the act")
    event = AuditEvent.objects.create(
        actor=actor.user,
        actor_label=actor.label,
        actor_role=actor.role,
        action=action,
        target_type=target._meta.model_name or "" if target is not None else "",
        target_id=str(target.pk) if target is not None else "",
        target_label=str(target) if target is not None else "",
        detail=detail or {},
        ip=actor.ip,
        request_id=actor.request_id,
    )
    live.announce(["activity"])
    return event
