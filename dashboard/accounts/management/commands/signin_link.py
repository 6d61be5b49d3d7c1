"""Print a one-time path that signs a person in."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from dashboard.accounts import links
from dashboard.accounts.models import User
from dashboard.accounts.roles import Role

DEFAULT_EMAIL = "admin@localhost"


class Command(BaseCommand):
    help = "Print one path (/sign-in/.../) that signs in once within 30 minutes; makes the first Admin."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--email", default="", help="whom; default: the oldest active Admin, or the first one"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        email = options["email"] or _find_default_email()
        try:
            _, path = links.create_first_link(email=email, now=timezone.now())
        except links.NoSuchPersonError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(path)


def _find_default_email() -> str:
    oldest = User.objects.filter(role=Role.ADMIN, is_active=True).order_by("pk").first()
    return oldest.email if oldest else DEFAULT_EMAIL
