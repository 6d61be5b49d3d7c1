"""Do the numbers agree? Projected, metered, billed and the named gaps between them, of a period, a day, a meter."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from django.db.models import F, Func, QuerySet, Sum

from billing.amounts import to_nano
from billing.bill_source import load_coverage
from billing.models import AgreementCause, AgreementDay, BillReading
from billing.reconciliation import Cause
from dashboard.core import money
from dashboard.core.periods import Period

METERED, BILLED = AgreementCause.Step.METERED, AgreementCause.Step.BILLED
LABELS: Final[Mapping[tuple[str, str], str]] = {
    (METERED, Cause.START_UP): "Start-up we reckoned, not billed",
    (METERED, Cause.ROUNDING): "Rounding of starts and stops",
    (METERED, Cause.PRICE): "Contract price, not list price",
    (METERED, Cause.NOT_MIRRORED): "Known from the bill alone",
    (BILLED, Cause.START_UP): "Start-up that was billed",
    (BILLED, Cause.ROUNDING): "Rounding of starts and stops",
    (BILLED, Cause.PRICE): "A price other than ours, or unknown to us",
    (BILLED, Cause.MISSING_INTERVAL): "Time that we did not see",
    (BILLED, Cause.REPLICA_MISMATCH): "Another number of replicas",
    (BILLED, Cause.CREDIT): "Credits",
    (BILLED, Cause.LAG): "Ran, not on the bill yet",
    (BILLED, Cause.NOT_MIRRORED): "Lines that match nothing we know",
    (BILLED, Cause.UNEXPLAINED): "Unexplained",
}
#: Short words for chips.
CHIPS: Final[Mapping[str, str]] = {cause.value: cause.value.replace("-", " ") for cause in Cause} | {
    Cause.MISSING_INTERVAL: "not seen",
    Cause.REPLICA_MISMATCH: "replicas",
    Cause.NOT_MIRRORED: "not mirrored",
}


@dataclass(frozen=True, slots=True)
class CauseLine:
    """A named part of a gap, nano-dollars."""

    step: str
    cause: str
    nano: Decimal

    @property
    def label(self) -> str:
        return LABELS.get((self.step, self.cause), self.cause.replace("-", " ").capitalize())

    @property
    def chip(self) -> str:
        return CHIPS.get(self.cause, self.cause)

    @property
    def is_unexplained(self) -> bool:
        return self.cause == Cause.UNEXPLAINED

    @property
    def change(self) -> str:
        """The amount with its sign."""
        return money.format_change(self.nano)


@dataclass(frozen=True, slots=True)
class Numbers:
    """The three numbers of something in nano-dollars, and the causes between them; `billed` None: not read."""

    projected: Decimal
    metered_low: Decimal
    metered_high: Decimal
    billed: Decimal | None
    causes: tuple[CauseLine, ...] = ()

    @property
    def to_metered(self) -> list[CauseLine]:
        return [one for one in self.causes if one.step == METERED]

    @property
    def to_billed(self) -> list[CauseLine]:
        return [one for one in self.causes if one.step == BILLED]

    @property
    def gap_metered(self) -> str:
        """The sum of what lies between projected and metered, signed."""
        return money.format_change(self.metered_low - self.projected)

    @property
    def gap_billed(self) -> str:
        """The sum of what lies between metered and billed, signed; empty without a bill."""
        return "" if self.billed is None else money.format_change(self.billed - self.metered_low)

    @property
    def gap_size(self) -> Decimal:
        """How far metered and billed are apart: the sizes of the causes, so that opposite ones do not hide."""
        return sum((abs(one.nano) for one in self.to_billed), Decimal(0))

    @property
    def is_range(self) -> bool:
        return self.metered_low != self.metered_high

    @property
    def metered(self) -> str:
        """Metered for a cell: one amount or a range."""
        return money.format_range(self.metered_low, self.metered_high)

    @property
    def metered_dollars(self) -> str:
        """Metered for a card."""
        return money.format_range(self.metered_low, self.metered_high, currency=True)


@dataclass(frozen=True, slots=True)
class BillState:
    """How far the bill was read: the newest reading's state, or `never`."""

    state: str = "never"
    error: str = ""
    read_at: datetime | None = None
    complete_until: datetime | None = None
    malformed: int = 0

    @property
    def is_read(self) -> bool:
        return self.state == BillReading.State.READ


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the panel shows: the numbers of the days that the bill covers, or of all days when it covers none."""

    numbers: Numbers
    bill: BillState
    # Sizes of what is unexplained per day and meter, so that too much here does not excuse too little there.
    unexplained: Decimal
    first_day: date | None
    last_day: date | None
    # Days of the period that have no billed number.
    open_days: int
    # When the newest of the days was reckoned; None: none was.
    compared_at: datetime | None = None

    @property
    def is_empty(self) -> bool:
        """True when no day of the period was compared yet."""
        return self.first_day is None

    @property
    def is_explained(self) -> bool:
        """True when the whole gap has names."""
        return self.numbers.billed is not None and not self.unexplained

    @property
    def days(self) -> str:
        """The days in words: `1–15 November`."""
        if self.first_day is None or self.last_day is None:
            return ""
        first, last = self.first_day, self.last_day
        if first == last:
            return f"{last.day} {last:%B %Y}"
        if (first.year, first.month) == (last.year, last.month):
            return f"{first.day}{money.EN_DASH}{last.day} {last:%B}"
        return f"{first.day} {first:%B} {money.EN_DASH} {last.day} {last:%B}"


def days_of(period: Period) -> QuerySet[AgreementDay]:
    """Return the compared days that begin in the period."""
    return AgreementDay.objects.filter(start__gte=period.start, start__lt=period.end)


def build_agreement(period: Period, *, now: datetime) -> Agreement:
    """Return the comparison over a period. Four queries."""
    rows = days_of(period)
    marks = list(rows.filter(meter=None).values_list("day", "billed", "computed_at"))
    all_days = sorted({day for day, _, _ in marks})
    billed_days = {day for day, billed, _ in marks if billed is not None}
    if billed_days:
        rows = rows.exclude(billed=None)
    shown = sorted(billed_days) or all_days
    causes, sizes = sum_causes(rows)
    return Agreement(
        numbers=sum_numbers(rows, causes),
        bill=load_bill_state(now=now),
        unexplained=sizes,
        first_day=shown[0] if shown else None,
        last_day=shown[-1] if shown else None,
        open_days=len(all_days) - len(billed_days),
        compared_at=max((at for _, _, at in marks), default=None),
    )


def sum_numbers(rows: QuerySet[AgreementDay], causes: Iterable[CauseLine]) -> Numbers:
    """Return the sums of some days. One query."""
    sums = rows.order_by().aggregate(
        projected=Sum("projected"),
        metered_low=Sum("metered_low"),
        metered_high=Sum("metered_high"),
        billed=Sum("billed"),
    )
    return make_numbers(sums, causes)


def make_numbers(sums: Mapping[str, Decimal | None], causes: Iterable[CauseLine]) -> Numbers:
    """Return sums in ticks as numbers."""
    return Numbers(
        projected=nano_of(sums["projected"]),
        metered_low=nano_of(sums["metered_low"]),
        metered_high=nano_of(sums["metered_high"]),
        billed=None if sums["billed"] is None else nano_of(sums["billed"]),
        causes=order_causes(causes),
    )


def sum_causes(rows: QuerySet[AgreementDay]) -> tuple[list[CauseLine], Decimal]:
    """Return the causes of some days, and the sizes of what is unexplained in them. One query."""
    found = (
        AgreementCause.objects.filter(agreement__in=rows)
        .values("step", "cause")
        .annotate(total=Sum("ticks"), size=Sum(Func(F("ticks"), function="ABS")))
        .order_by()
    )
    lines, size = [], Decimal(0)
    for one in found:
        lines.append(CauseLine(one["step"], one["cause"], nano_of(one["total"])))
        if one["cause"] == Cause.UNEXPLAINED:
            size = nano_of(one["size"])
    return lines, size


def order_causes(causes: Iterable[CauseLine]) -> tuple[CauseLine, ...]:
    """Return the causes largest first, what is unexplained last; those that cancelled out are left out."""
    return tuple(
        sorted(
            (one for one in causes if one.nano),
            key=lambda one: (one.step, one.is_unexplained, -abs(one.nano), one.cause),
        )
    )


def nano_of(ticks: Decimal | None) -> Decimal:
    """Return ticks as nano-dollars, for display."""
    return to_nano(int(ticks or 0))


def load_bill_state(*, now: datetime) -> BillState:
    """Return how the newest month of the bill was read; of several organisations the one that is worst off.

    Two queries per organisation.
    """
    newest: dict[str, BillReading] = {}
    for row in BillReading.objects.select_related("connection").order_by("month", "read_at"):
        newest[row.connection.organization_id] = row
    if not newest:
        return BillState()
    order: Sequence[str] = (BillReading.State.FAILED, BillReading.State.NOT_OFFERED, BillReading.State.READ)
    account_id, worst = min(newest.items(), key=lambda item: order.index(item[1].state))
    covered = load_coverage(account_id)
    return BillState(
        state=worst.state,
        error=worst.error,
        read_at=worst.read_at,
        complete_until=min(covered[-1].end, now) if covered else None,
        malformed=worst.malformed,
    )
