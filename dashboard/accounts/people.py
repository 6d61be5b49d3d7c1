"""Making, changing and switching off accounts; sole writer of User (but for passwords: adapter.py) and Membership.

Every function is one transaction with its audit row. Accounts are never deleted: history names them.
"""

from collections.abc import Iterable

from django.db import IntegrityError, transaction

from dashboard.accounts import audit, sessions
from dashboard.accounts.models import Membership, SignInLink, Team, User
from dashboard.accounts.roles import Role


class PeopleError(Exception):
    """The change cannot be made; the message is for people."""

    retryable = False


class LastAdminError(PeopleError):
    """Nobody would be left who could let anybody in."""

    def __init__(self) -> None:
        super().__init__("This is the last active Admin: make somebody else an Admin first")


class AddressTakenError(PeopleError):
    """Another account has the address, in whatever spelling."""

    def __init__(self, email: str) -> None:
        super().__init__(f"There is already an account for {email}")


class OwnAccountError(PeopleError):
    """People do not switch themselves off."""

    def __init__(self) -> None:
        super().__init__("You cannot deactivate your own account: another Admin can")


@transaction.atomic
def invite_user(email: str, *, name: str, role: Role, teams: Iterable[Team], actor: audit.Actor) -> User:
    """Make an account without a password, which a one-time link opens. Raises AddressTakenError."""
    if User.objects.filter(email__iexact=email).exists():
        raise AddressTakenError(email)
    try:
        with transaction.atomic():
            user = User.objects.create_user(email, name=name, role=role)
    except IntegrityError as error:  # somebody invited the same address between the question and the answer
        raise AddressTakenError(email) from error
    _set_teams(user, teams)
    audit.record(
        "person.invited",
        actor=actor,
        target=user,
        detail={"role": role, "teams": sorted(team.name for team in teams)},
    )
    return user


@transaction.atomic
def change_user(user: User, *, name: str, role: Role, teams: Iterable[Team], actor: audit.Actor) -> User:
    """Change name, role and teams. Rights follow at once: they are read per request. Raises LastAdminError."""
    user = _lock(user)
    before = _describe(user)
    if user.role == Role.ADMIN and role != Role.ADMIN:
        _require_another_admin(user)
    user.name, user.role = name, role
    user.save(update_fields=["name", "role"])
    _set_teams(user, teams)
    after = _describe(user)
    audit.record("person.changed", actor=actor, target=user, detail={"before": before, "after": after})
    return user


@transaction.atomic
def rename_user(user: User, *, name: str, actor: audit.Actor) -> None:
    """Change the person's own name."""
    before = user.name
    User.objects.filter(pk=user.pk).update(name=name)
    user.name = name
    audit.record("person.renamed", actor=actor, target=user, detail={"before": before, "after": name})


@transaction.atomic
def deactivate_user(user: User, *, actor: audit.Actor) -> None:
    """Refuse the person from now on: sessions and unused links end. Raises LastAdminError, OwnAccountError."""
    if actor.user is not None and actor.user.pk == user.pk:
        raise OwnAccountError
    user = _lock(user)
    if user.role == Role.ADMIN:
        _require_another_admin(user)
    user.is_active = False
    user.save(update_fields=["is_active"])
    ended = sessions.end_sessions(user)
    SignInLink.objects.filter(user=user, used_at=None).delete()
    audit.record("person.deactivated", actor=actor, target=user, detail={"sessions_ended": ended})


@transaction.atomic
def activate_user(user: User, *, actor: audit.Actor) -> None:
    """Let the person in again, with the password and role held before."""
    User.objects.filter(pk=user.pk).update(is_active=True)
    audit.record("person.activated", actor=actor, target=user)


def _lock(user: User) -> User:
    """Lock all Admins and the person, in order of pk: two Admins demoting each other must queue."""
    rows = User.objects.select_for_update().filter(role=Role.ADMIN) | User.objects.select_for_update().filter(
        pk=user.pk
    )
    return next(row for row in rows.order_by("pk") if row.pk == user.pk)


def _require_another_admin(user: User) -> None:
    if (
        user.is_active
        and not User.objects.filter(role=Role.ADMIN, is_active=True).exclude(pk=user.pk).exists()
    ):
        raise LastAdminError


def _set_teams(user: User, teams: Iterable[Team]) -> None:
    wanted = {team.pk for team in teams}
    Membership.objects.filter(user=user).exclude(team_id__in=wanted).delete()
    Membership.objects.bulk_create(
        [Membership(user=user, team_id=team_id) for team_id in sorted(wanted)], ignore_conflicts=True
    )


def _describe(user: User) -> dict[str, object]:
    teams = Team.objects.filter(people=user).values_list("name", flat=True)
    return {"name": user.name, "role": user.role, "teams": list(teams)}
