"""``manage.py enforcer``: run the enforcer in the foreground, here or on another machine with the same database."""

import signal
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from dashboard.embedded.environment import find_data_dir
from dashboard.lifecycle.enforcer import Enforcer


class Command(BaseCommand):
    """Run the enforcer until SIGTERM or Ctrl-C."""

    # A page that cannot be imported must not keep stops from happening.
    requires_system_checks = []
    help = "Carry out stops and other acts without Redis; keeps stopping while PostgreSQL is away."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--threads", type=int, default=3, help="acts carried out at once (default 3)")

    def handle(self, *args: Any, **options: Any) -> None:
        folder = find_data_dir()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CommandError(f"The data folder {folder} cannot be made: {error.strerror}") from error
        enforcer = Enforcer(folder=folder, worker_count=options["threads"])
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: enforcer.stop())
        enforcer.run()
