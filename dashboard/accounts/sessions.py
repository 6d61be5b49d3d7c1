"""How long a sign-in lasts, and ending it.

Sessions live in PostgreSQL, so that a Redis flush signs nobody out. The limits are checked on the server with
the times kept in the session itself (OWASP ASVS 5.0: 7.3.1, 7.3.2; 7.5.1 for the recent confirmation).
"""

from collections.abc import MutableMapping
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.sessions.backends.base import SessionBase
from django.db import transaction

from dashboard.accounts import audit
from dashboard.accounts.models import User

ABSOLUTE_LIMIT = timedelta(hours=12)
IDLE_LIMIT = timedelta(minutes=60)
# Changing keys, roles and people asks for the password again after this long.
CONFIRMATION_LIMIT = timedelta(minutes=15)
# The last use is written at most this often: a write per request would be a write per request.
TOUCH_EVERY = timedelta(minutes=1)

SIGNED_IN_AT = "signed_in_at"
ACTIVE_AT = "active_at"
CONFIRMED_AT = "confirmed_at"


def start_clock(session: MutableMapping[str, Any] | SessionBase, *, now: datetime) -> None:
    """Note that the person signed in now, which also confirms who it is."""
    session[SIGNED_IN_AT] = session[ACTIVE_AT] = session[CONFIRMED_AT] = now.timestamp()


def confirm(session: MutableMapping[str, Any] | SessionBase, *, now: datetime) -> None:
    """Note that the person has just proved again who it is."""
    session[CONFIRMED_AT] = now.timestamp()


def is_expired(session: MutableMapping[str, Any] | SessionBase, *, now: datetime) -> bool:
    """Tell whether the sign-in is too old or was too long unused."""
    return (
        now - _read_time(session, SIGNED_IN_AT, missing=now) >= ABSOLUTE_LIMIT
        or now - _read_time(session, ACTIVE_AT, missing=now) >= IDLE_LIMIT
    )


def is_confirmed(session: MutableMapping[str, Any] | SessionBase, *, now: datetime) -> bool:
    """Tell whether the person proved within CONFIRMATION_LIMIT who it is."""
    never = datetime.fromtimestamp(0, tz=UTC)
    return now - _read_time(session, CONFIRMED_AT, missing=never) < CONFIRMATION_LIMIT


def touch(session: SessionBase, *, now: datetime) -> None:
    """Note that the session is used, at most once per TOUCH_EVERY. Then one statement and a session save."""
    session.setdefault(SIGNED_IN_AT, now.timestamp())
    active_at = session.get(ACTIVE_AT)
    if active_at is not None and now.timestamp() - active_at < TOUCH_EVERY.total_seconds():
        return
    session[ACTIVE_AT] = now.timestamp()
    UserSession.objects.filter(session_key=session.session_key).update(last_seen_at=now)


def find_user(session_key: str, *, now: datetime) -> User | None:
    """Return who is signed in by this session now, or None; for long streams, which ask again and again.

    Reads the session and the user anew: a deactivated person, an ended or expired session give None.
    """
    session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    user_id = session.get("_auth_user_id")
    if user_id is None or is_expired(session, now=now):
        return None
    user = get_user_model().objects.filter(pk=user_id, is_active=True).first()
    if user is None or session.get("_auth_user_hash") != user.get_session_auth_hash():
        return None
    return user


def list_sessions(user: User) -> list[UserSession]:
    """Return the person's live sessions, the last used first; rows of dead ones are dropped on the way."""
    return sorted(
        UserSession.objects.purge_and_list(user), key=lambda session: session.last_seen_at, reverse=True
    )


def end_sessions(user: User, *, keep_key: str | None = None) -> int:
    """Sign the person out everywhere but in the session `keep_key`; return how many were ended."""
    ended = 0
    for session in UserSession.objects.filter(user=user).exclude(session_key=keep_key):
        session.end()
        ended += 1
    return ended


@transaction.atomic
def end_other_sessions(user: User, *, keep_key: str | None, actor: audit.Actor) -> int:
    """Sign the person out everywhere else, on the person's own wish."""
    ended = end_sessions(user, keep_key=keep_key)
    audit.record("session.others_ended", actor=actor, target=user, detail={"ended": ended})
    return ended


def _read_time(session: MutableMapping[str, Any] | SessionBase, key: str, *, missing: datetime) -> datetime:
    seconds = session.get(key)
    return missing if seconds is None else datetime.fromtimestamp(seconds, tz=UTC)
