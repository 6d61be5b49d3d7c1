"""Seal every stored secret anew with the newest key."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dashboard.accounts import connections, crypto


class Command(BaseCommand):
    help = (
        "Seal every stored API key anew with the first key of FIELD_ENCRYPTION_KEYS; older ones may then go."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            rotated = connections.rotate_keys()
        except crypto.CryptoError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{rotated} secrets sealed anew with the key {crypto.read_keys()[0].id}")
