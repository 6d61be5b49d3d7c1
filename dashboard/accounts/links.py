"""One-time links that sign a person in: the first Admin, invited people, forgotten passwords.

The token is shown once; the database keeps its SHA-256, which is enough for 256 random bits. Opening the link
shows a button and consumes nothing: mail scanners follow links.
"""

import hashlib
import secrets
from datetime import datetime, timedelta

from django.db import transaction
from django.urls import reverse

from dashboard.accounts import audit
from dashboard.accounts.models import SignInLink, User
from dashboard.accounts.roles import Role

# From the console to the browser of the same person.
CONSOLE_LIFETIME = timedelta(minutes=30)
# Handed to somebody else, who may be off until tomorrow.
INVITATION_LIFETIME = timedelta(hours=24)
TOKEN_BYTES = 32


class NoSuchPersonError(Exception):
    """No active account has the address."""

    retryable = False


@transaction.atomic
def create_link(user: User, *, lifetime: timedelta, now: datetime, actor: audit.Actor) -> str:
    """Return the path of a new link for the person; older unused links of the person stop working."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    SignInLink.objects.filter(user=user, used_at=None, expires_at__gt=now).update(expires_at=now)
    SignInLink.objects.create(token_sha256=_hash(token), user=user, expires_at=now + lifetime)
    audit.record(
        "person.link_made", actor=actor, target=user, detail={"expires_at": (now + lifetime).isoformat()}
    )
    return reverse("sign_in_link", kwargs={"token": token})


@transaction.atomic
def create_first_link(*, email: str, now: datetime) -> tuple[User, str]:
    """Return the person and the path of a link from the console.

    Without any user yet, the address becomes the first Admin. Raises NoSuchPersonError when there are users,
    but none that is active has this address.
    """
    actor = audit.Actor.for_process("console")
    if not User.objects.exists():
        user = User.objects.create_user(email, role=Role.ADMIN)
        audit.record("person.invited", actor=actor, target=user, detail={"role": user.role})
    else:
        found = User.objects.filter(email__iexact=email, is_active=True).first()
        if found is None:
            raise NoSuchPersonError(f"no active account has the address {email}")
        user = found
    return user, create_link(user, lifetime=CONSOLE_LIFETIME, now=now, actor=actor)


def find_usable(token: str, *, now: datetime) -> SignInLink | None:
    """Return the link if it may still be used; consumes nothing."""
    return (
        SignInLink.objects.select_related("user")
        .filter(token_sha256=_hash(token), used_at=None, expires_at__gt=now, user__is_active=True)
        .first()
    )


def consume(token: str, *, now: datetime) -> User | None:
    """Use the link up and return its person; None when it is unknown, used or expired.

    The update carries its condition: of two clicks at the same moment one wins.
    """
    link = find_usable(token, now=now)
    if link is None:
        return None
    won = SignInLink.objects.filter(pk=link.pk, used_at=None, expires_at__gt=now).update(used_at=now)
    return link.user if won else None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
