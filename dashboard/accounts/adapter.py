"""allauth as we use it: nobody signs up, every sign-in leaves a trace, a confirmation is remembered."""

import logging
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone

from dashboard.accounts import audit, sessions
from dashboard.accounts.models import User

logger = logging.getLogger(__name__)


class ClosedSignupAdapter(DefaultAccountAdapter):
    """Accounts are made by an Admin (or the first start); allauth only signs them in and out."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    @transaction.atomic
    def login(self, request: HttpRequest, user: AbstractBaseUser) -> None:
        """Sign the person in, start the session's clock and record it."""
        super().login(request, user)
        sessions.start_clock(request.session, now=timezone.now())
        assert isinstance(user, User)  # noqa: S101 - AUTH_USER_MODEL is ours
        actor = audit.Actor.for_person(user, context=audit.read_context(request))
        audit.record("session.started", actor=actor, target=user)

    @transaction.atomic
    def logout(self, request: HttpRequest) -> None:
        """Sign the person out and record it."""
        if isinstance(request.user, User):
            audit.record("session.ended", actor=audit.actor_of(request), target=request.user)
        super().logout(request)

    def authentication_failed(self, request: HttpRequest, **credentials: Any) -> None:
        """Record a refused password, against the account it was tried on.

        An address without an account goes to the log without the address: people type passwords there.
        """
        context = audit.read_context(request)
        user = User.objects.filter(email__iexact=credentials.get("email") or "").first()
        if user is None:
            logger.warning("sign-in refused: no such account, from %s", context.ip)
            return
        actor = audit.Actor(user=None, label="Somebody", ip=context.ip, request_id=context.request_id)
        with transaction.atomic():
            audit.record("session.refused", actor=actor, target=user)

    def reauthenticate(self, user: AbstractBaseUser, password: str) -> bool:
        """Check the password again and remember when; allauth would look for e-mail rows that we do not keep."""
        assert isinstance(user, User)  # noqa: S101 - AUTH_USER_MODEL is ours
        known = self.authenticate(self.request, email=user.email, password=password)
        if known is None or known.pk != user.pk:
            return False
        sessions.confirm(self.request.session, now=timezone.now())
        return True

    @transaction.atomic
    def set_password(self, user: AbstractBaseUser, password: str) -> None:
        """Store the new password; every other session of the person ends with it (its hash no longer fits)."""
        assert isinstance(user, User)  # noqa: S101 - AUTH_USER_MODEL is ours
        user.set_password(password)
        user.save(update_fields=["password"])
        sessions.end_sessions(user, keep_key=self.request.session.session_key)
        if self.request.user.is_authenticated:
            sessions.confirm(self.request.session, now=timezone.now())
        actor = audit.Actor.for_person(user, context=audit.read_context(self.request))
        audit.record("person.password_set", actor=actor, target=user)

    def get_password_change_redirect_url(self, request: HttpRequest) -> str:
        return reverse("settings_you")
