"""Make what a first start needs; harmless at every other start."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from dashboard.accounts import audit, connections, crypto
from dashboard.accounts.models import Connection, Team
from dashboard.core.locks import Lock, try_lock
from dashboard.mirror import onboarding, ownership
from dashboard.mirror.models import Project
from dashboard.mirror.sync_catalogue import sync_projects

# The key that the bundled simulator takes.
SIMULATOR_KEY = "sim-key"


class Command(BaseCommand):
    help = "Make a connection of TOGETHER_API_KEY (or of the simulator's key) unless one holds it already."

    def handle(self, *args: Any, **options: Any) -> None:
        with try_lock(Lock.BOOTSTRAP) as is_held:
            if not is_held:
                self.stdout.write("another bootstrap is at work")
                return
            self._adopt_key()

    def _adopt_key(self) -> None:
        api_key = SIMULATOR_KEY if settings.SIMULATED else settings.TOGETHER_API_KEY
        if not api_key:
            self.stdout.write("no TOGETHER_API_KEY: add a connection in Settings")
            return
        actor = audit.Actor.for_process("bootstrap")
        try:
            connection, is_new = onboarding.adopt_environment_key(
                api_key, is_simulated=settings.SIMULATED, now=timezone.now(), actor=actor
            )
        except (connections.ConnectionChangeError, crypto.CryptoError) as error:
            raise CommandError(str(error)) from error
        if is_new:
            self.stdout.write(f"{connection.name}: {connection.health_detail}")
            if connection.health == Connection.Health.WORKING:
                # The first ticks all come at once; the one that reads endpoints needs the projects.
                sync_projects(connection)
        if settings.SIMULATED:
            self._make_demonstration_teams(connection, actor)

    def _make_demonstration_teams(self, connection: Connection, actor: audit.Actor) -> None:
        """Give every project of the simulator a team, once: teams that people deleted stay deleted."""
        if Team.objects.exists() or connection.health != Connection.Health.WORKING:
            return
        if not Project.objects.filter(connection=connection).exists():
            sync_projects(connection)
        created = ownership.create_teams_from_projects(actor=actor)
        if created:
            self.stdout.write(f"{len(created)} teams made from the simulator's projects")
