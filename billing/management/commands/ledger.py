"""`manage.py ledger verify`: prove that the ledger is whole, or say where it is not."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from billing.amounts import TICKS_PER_NANO
from billing.models import Meter
from billing.verification import Figures, Outcome, Scope, count_checked, verify

_MONTH = re.compile(r"^(\d{4})-(0[1-9]|1[0-2])$")


class Command(BaseCommand):
    help = "Check the ledger: no overlap, no gap, entries = intervals x price, totals = sum. Changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True)
        checks = commands.add_parser("verify", help="check everything; exit code 1 when something is wrong")
        checks.add_argument("--month", help="only what touches this month (UTC), e.g. 2026-11")
        checks.add_argument("--meter", help="only this meter: its number, or the provider's id of the thing")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run the checks. Raises CommandError (exit code 1) when something is wrong or asked for wrongly."""
        scope = _read_scope(options["month"], options["meter"])
        self._print_figures(count_checked(scope))
        wrong = 0
        for outcome in verify(scope):
            wrong += outcome.count
            self._print_outcome(outcome)
        if wrong:
            raise CommandError(f"The ledger is not whole: {wrong} {'finding' if wrong == 1 else 'findings'}.")
        self.stdout.write("The ledger is whole.")

    def _print_figures(self, figures: Figures) -> None:
        self.stdout.write(
            f"Checked {figures.intervals:,} intervals of {figures.meters:,} meters ({figures.settled:,} settled), "
            f"{figures.entries:,} entries ({figures.reversals:,} reversals)."
        )
        self.stdout.write(f"Settled intervals: {_print_range(figures.settled_low, figures.settled_high)}")
        self.stdout.write(f"Entries, net:      {_print_range(figures.net_low, figures.net_high)}")

    def _print_outcome(self, outcome: Outcome) -> None:
        self.stdout.write(f"{'ok   ' if not outcome.count else 'WRONG'} {outcome.name}")
        for one in outcome.findings:
            at = f" at {one.at.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f} UTC" if one.at else ""
            self.stdout.write(f"      meter {one.meter_id} ({one.meter}){at}: {one.words}")
        if outcome.count > len(outcome.findings):
            self.stdout.write(f"      ... and {outcome.count - len(outcome.findings):,} more")


def _print_range(low: Decimal, high: Decimal) -> str:
    """Return exact dollars: ticks are 3.6e9 to a nano-dollar."""
    parts = [f"${ticks / TICKS_PER_NANO / 1_000_000_000:,.9f}" for ticks in (Decimal(low), Decimal(high))]
    return parts[0] if low == high else " to ".join(parts)


def _read_scope(month: str | None, meter: str | None) -> Scope:
    """Return what is asked for. Raises CommandError when a month or a meter makes no sense."""
    start = end = None
    if month is not None:
        found = _MONTH.match(month)
        if found is None:
            raise CommandError(f"{month} is no month: write it like 2026-11.")
        year, number = int(found[1]), int(found[2])
        start = datetime(year, number, 1, tzinfo=UTC)
        end = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    return Scope(start, end, None if meter is None else _find_meter(meter))


def _find_meter(name: str) -> int:
    rows = Meter.objects.filter(remote_id=name)
    if not rows.exists() and name.isdecimal():
        rows = Meter.objects.filter(pk=int(name))
    pk = rows.values_list("pk", flat=True).first()
    if pk is None:
        raise CommandError(f"No meter is known by {name}.")
    return pk
