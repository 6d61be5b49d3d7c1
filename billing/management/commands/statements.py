"""`manage.py statements verify`: prove that closed months are as they were closed."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.models import Statement
from billing.statements import verify_statements


class Command(BaseCommand):
    help = "Check hashes and chain of closed months, and their sums against the ledger's postings of then."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("act", choices=["verify"])

    def handle(self, *args: Any, **options: Any) -> None:
        """Print what was checked. Raises CommandError, which ends with status 1, when something is wrong."""
        faults = verify_statements()
        for fault in faults:
            name = fault.statement.team_name or "Unowned"
            self.stderr.write(f"{fault.statement.month:%Y-%m} {name}: {fault.sentence}")
        if faults:
            raise CommandError(f"{len(faults)} faults in closed statements")
        count = Statement.objects.count()
        self.stdout.write(
            f"{count} statements: each content fits its hash, each follows the one before it, "
            "each month sums to the ledger's postings of then."
        )
