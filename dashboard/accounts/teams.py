"""Teams and who is in them. Which project a team owns is written by mirror/ownership.py."""

from collections.abc import Iterable

from django.db import IntegrityError, transaction

from dashboard.accounts import audit
from dashboard.accounts.models import Membership, Team, User


class TeamNameTakenError(Exception):
    """Another team has the name; the message is for people."""

    retryable = False

    def __init__(self, name: str) -> None:
        super().__init__(f"There is already a team {name}")


@transaction.atomic
def create_team(name: str, *, actor: audit.Actor) -> Team:
    """Make an empty team. Raises TeamNameTakenError."""
    try:
        with transaction.atomic():
            team = Team.objects.create(name=name)
    except IntegrityError as error:
        raise TeamNameTakenError(name) from error
    audit.record("team.created", actor=actor, target=team)
    return team


@transaction.atomic
def change_team(team: Team, *, name: str, people: Iterable[User], actor: audit.Actor) -> None:
    """Set the team's name and members. Raises TeamNameTakenError."""
    before = {"name": team.name, "people": _list_addresses(team)}
    try:
        with transaction.atomic():
            Team.objects.filter(pk=team.pk).update(name=name)
    except IntegrityError as error:
        raise TeamNameTakenError(name) from error
    team.name = name
    wanted = {user.pk for user in people}
    Membership.objects.filter(team=team).exclude(user_id__in=wanted).delete()
    Membership.objects.bulk_create(
        [Membership(team=team, user_id=user_id) for user_id in sorted(wanted)], ignore_conflicts=True
    )
    after = {"name": name, "people": _list_addresses(team)}
    audit.record("team.changed", actor=actor, target=team, detail={"before": before, "after": after})


@transaction.atomic
def delete_team(team: Team, *, actor: audit.Actor) -> None:
    """Delete the team; its projects become unowned, its people stay."""
    audit.record("team.deleted", actor=actor, target=team, detail={"people": _list_addresses(team)})
    team.delete()


def _list_addresses(team: Team) -> list[str]:
    return list(User.objects.filter(teams=team).order_by("email").values_list("email", flat=True))
