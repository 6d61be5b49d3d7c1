"""Keep, per day and meter, what was projected, metered and billed, and why they differ; sole writer of AgreementDay.

A day is reckoned again when its bill or its ledger changed; today and yesterday always. Each reckoned day has a row
without a meter, which holds the lines that match none and says when the day was reckoned.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Final

from django.db import transaction
from django.db.models import Max, Min

from billing import rules
from billing.agreement_days import AgreementPeriod, find_day, make_day
from billing.agreement_facts import Facts, load_facts, reckon
from billing.bill_source import load_coverage
from billing.bill_spans import Covered
from billing.models import AgreementCause, AgreementDay, BilledLine, LedgerEntry, MeteredInterval
from billing.reconciliation import DayAgreement
from dashboard.core import live

#: Days of one pass; older ones follow in the next. Newest first, because those are looked at.
MOST_DAYS: Final = 40
#: How far back the numbers are compared; the bill goes back twelve months.
DAYS_BACK: Final = 400
# A posting carries the time at which its transaction began.
OVERLAP: Final = timedelta(minutes=15)

Step = AgreementCause.Step


@dataclass(frozen=True, slots=True)
class Reckoned:
    """What a day's rows say: its meters' agreements, None for the lines without a meter."""

    period: AgreementPeriod
    agreements: Mapping[int | None, DayAgreement]


def reconcile(account_id: str, *, now: datetime, changed: Iterable[datetime] = ()) -> list[Reckoned]:
    """Reckon the days that are due, at most MOST_DAYS, and store them. `changed` are starts of windows of the bill."""
    found = rules.load_rules()
    zone, zone_name = rules.reporting_zone(found), found.reporting_zone
    covered = load_coverage(account_id)
    days = _find_due(account_id, covered=covered, zone=zone, zone_name=zone_name, changed=changed, now=now)
    told = []
    for day in days:
        period = make_day(day, covered=covered, zone=zone, zone_name=zone_name)
        facts = load_facts(account_id, period, now=now)
        one = Reckoned(period, reckon_all(facts, covered=covered, now=now))
        _store(account_id, one, now=now)
        told.append(one)
    if told:
        live.announce(["bill"])
    return told


def reckon_all(facts: Facts, *, covered: Sequence[Covered], now: datetime) -> dict[int | None, DayAgreement]:
    """Return the agreement of each meter that has anything on the day; the one without a meter is always there."""
    told = {meter_id: reckon(facts, meter_id, covered=covered, now=now) for meter_id in facts.meter_ids()}
    return {None: reckon(facts, None, covered=covered, now=now)} | {
        meter_id: agreement for meter_id, agreement in told.items() if not agreement.is_empty
    }


def _find_due(
    account_id: str,
    *,
    covered: Sequence[Covered],
    zone: tzinfo,
    zone_name: str,
    changed: Iterable[datetime],
    now: datetime,
) -> list[date]:
    """Return the days to reckon, newest first. Five queries."""
    today = now.astimezone(zone).date()
    marks = dict(
        AgreementDay.objects.filter(billing_account_id=account_id, meter=None).values_list("day", "zone")
    )
    watermark = AgreementDay.objects.filter(billing_account_id=account_id, meter=None).aggregate(
        at=Max("computed_at")
    )["at"]
    due = {today, today - timedelta(days=1)}
    due |= {find_day(at, covered=covered, zone=zone) for at in changed}
    if watermark is not None:
        due |= set(_find_changed(account_id, since=watermark - OVERLAP, covered=covered, zone=zone))
    for day in _list_days(_find_first(account_id), today=today, zone=zone):
        expected = make_day(day, covered=covered, zone=zone, zone_name=zone_name).zone
        if marks.get(day) != expected:
            due.add(day)
    ordered = sorted((day for day in due if day <= today), reverse=True)
    later = ordered[MOST_DAYS:]
    # The watermark moves on: what waits for the next pass is marked as not reckoned.
    AgreementDay.objects.filter(billing_account_id=account_id, meter=None, day__in=later).update(zone="")
    return ordered[:MOST_DAYS]


def _find_first(account_id: str) -> datetime | None:
    """Return when the first thing was metered or billed."""
    billed = BilledLine.objects.filter(billing_account_id=account_id).aggregate(at=Min("start"))["at"]
    metered = MeteredInterval.objects.filter(meter__billing_account_id=account_id).aggregate(at=Min("start"))[
        "at"
    ]
    return min((at for at in (billed, metered) if at is not None), default=None)


def _list_days(first: datetime | None, *, today: date, zone: tzinfo) -> list[date]:
    if first is None:
        return []
    start = max(first.astimezone(zone).date(), today - timedelta(days=DAYS_BACK))
    return [start + timedelta(days=number) for number in range((today - start).days + 1)]


def _find_changed(
    account_id: str, *, since: datetime, covered: Sequence[Covered], zone: tzinfo
) -> Iterable[date]:
    """Yield the days whose bill or postings changed."""
    lines = BilledLine.objects.filter(billing_account_id=account_id, observed_at__gt=since)
    for at in lines.values_list("start", flat=True).distinct():
        yield find_day(at, covered=covered, zone=zone)
    posted = LedgerEntry.objects.filter(meter__billing_account_id=account_id, posted_at__gt=since)
    for start, end in posted.values_list("start", "end").distinct():
        if end is None:
            continue
        first, last = find_day(start, covered=covered, zone=zone), find_day(end, covered=covered, zone=zone)
        for number in range((last - first).days + 1):
            yield first + timedelta(days=number)


_Row = tuple[int, int, int, int | None, tuple[tuple[str, str, int], ...]]


@transaction.atomic
def _store(account_id: str, told: Reckoned, *, now: datetime) -> None:
    """Make the day's rows those of `told`; a day that says the same is only marked as reckoned."""
    period = told.period
    rows = AgreementDay.objects.filter(billing_account_id=account_id, day=period.day)
    present = {
        row.meter_id: _read_row(row)
        for row in rows.filter(zone=period.zone, start=period.start, end=period.end).prefetch_related(
            "causes"
        )
    }
    wanted = {meter_id: _describe(one) for meter_id, one in told.agreements.items()}
    if present == wanted and rows.count() == len(present):
        rows.filter(meter=None).update(computed_at=now)
        return
    rows.delete()
    created = AgreementDay.objects.bulk_create(
        AgreementDay(
            billing_account_id=account_id,
            day=period.day,
            zone=period.zone,
            start=period.start,
            end=period.end,
            meter_id=meter_id,
            projected=one.projected,
            metered_low=one.metered_low,
            metered_high=one.metered_high,
            billed=one.billed,
            computed_at=now,
        )
        for meter_id, one in told.agreements.items()
    )
    AgreementCause.objects.bulk_create(
        AgreementCause(agreement=row, step=step, cause=cause, ticks=ticks)
        for row in created
        for step, cause, ticks in wanted[row.meter_id][4]
    )


def _describe(one: DayAgreement) -> _Row:
    parts = [(Step.METERED.value, cause.value, ticks) for cause, ticks in one.to_metered.items()]
    parts += [(Step.BILLED.value, cause.value, ticks) for cause, ticks in one.to_billed.items()]
    return (one.projected, one.metered_low, one.metered_high, one.billed, tuple(sorted(parts)))


def _read_row(row: AgreementDay) -> _Row:
    parts = sorted((part.step, part.cause, int(part.ticks)) for part in row.causes.all())
    billed = None if row.billed is None else int(row.billed)
    return (int(row.projected), int(row.metered_low), int(row.metered_high), billed, tuple(parts))
