"""People, teams, connections to the provider, and the audit trail."""

import uuid
from typing import Any, ClassVar

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager
from django.db import models
from django.db.models.functions import Lower, Now

from dashboard.accounts.roles import Role


class UserManager(BaseUserManager["User"]):
    """Creates users by e-mail address, stored in lower case: allauth looks addresses up so."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        """Create and return a user; without a password the account can only be entered by a link."""
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save()
        return user

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email__iexact=username)


class User(AbstractBaseUser):
    """A person who may sign in. The role is one of four; rights come from accounts/permissions.py alone."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=120, blank=True)
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.VIEWER)
    teams: "models.ManyToManyField[Team, Membership]" = models.ManyToManyField(
        "Team", through="Membership", related_name="people"
    )
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(auto_now_add=True)

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = UserManager()

    class Meta:
        constraints = [
            # Two spellings of one address must not become two accounts.
            models.UniqueConstraint(Lower("email"), name="user_email_case_insensitive"),
        ]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def initials(self) -> str:
        """Return one or two capitals for the avatar."""
        words = (self.name or self.email.split("@")[0].replace(".", " ")).split()
        return "".join(word[0] for word in words[:2]).upper()


class Team(models.Model):
    """A group of people who own projects; what a team's people may see hangs on it."""

    name = models.CharField(max_length=80, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """One person in one team."""

    user = models.ForeignKey(User, on_delete=models.CASCADE)
    team = models.ForeignKey(Team, on_delete=models.CASCADE)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "team"], name="membership_once")]


class Connection(models.Model):
    """One API key of the provider and what it was last seen to open.

    The key is AES-256-GCM ciphertext bound to this row (accounts/crypto.py); only its last four characters
    are ever shown. The provider's address comes from the environment, never from a form.
    """

    class Health(models.TextChoices):
        UNTESTED = "untested", "Not tested yet"
        WORKING = "working", "Working"
        REFUSED = "refused", "Key refused"
        FAILING = "failing", "Not answering"

    name = models.CharField(max_length=80, unique=True)
    key_ciphertext = models.TextField()
    key_hint = models.CharField(max_length=4, help_text="last four characters of the key")
    organization_id = models.TextField(blank=True)
    organization_name = models.TextField(blank=True)
    is_enabled = models.BooleanField(default=True)
    health = models.CharField(max_length=16, choices=Health.choices, default=Health.UNTESTED)
    health_detail = models.TextField(blank=True, help_text="one sentence for people")
    health_checked_at = models.DateTimeField(null=True)
    # When the first full picture (listing and past events) was stored; None until then.
    backfilled_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class SignInLink(models.Model):
    """A one-time link that signs one person in; only its SHA-256 is stored."""

    token_sha256 = models.CharField(max_length=64, unique=True)
    user = models.ForeignKey(User, on_delete=models.CASCADE)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True)


class AuditEvent(models.Model):
    """Who did what, when, from where. Append-only: a trigger refuses UPDATE, DELETE and TRUNCATE.

    Written in the transaction of the act itself (accounts/audit.py is the sole writer): no audit row, no act.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField(db_default=Now())
    actor = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    actor_label = models.TextField(help_text="name at the time, or the process that acted")
    actor_role = models.CharField(max_length=16, blank=True)
    action = models.CharField(max_length=64, help_text="verb with its area, e.g. endpoint.stop_requested")
    target_type = models.CharField(max_length=32, blank=True)
    target_id = models.TextField(blank=True)
    target_label = models.TextField(blank=True)
    detail = models.JSONField(default=dict)
    ip = models.GenericIPAddressField(null=True)
    request_id = models.CharField(max_length=36, blank=True)

    class Meta:
        indexes = [
            # Reader: the activity page, newest first.
            models.Index(fields=["-at", "-id"], name="audit_newest"),
            # Reader: "what happened to this" on detail pages.
            models.Index(fields=["target_type", "target_id", "-at"], name="audit_by_target"),
        ]
