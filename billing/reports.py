"""Scheduled reports: who gets which file when; sole writer of ReportSchedule and ReportDelivery.

Due times are rows. A schedule is claimed with a lease by moving its due time; a worker that dies leaves it to the next.
A try is told as a row: what was sent, or why not; after three of them the next regular time is waited for.
"""

import json
import secrets
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from functools import partial
from typing import Any

from django.conf import settings
from django.core import signing
from django.core.mail import EmailMessage
from django.db import transaction
from django.urls import reverse

from billing.costs import NO_FILTERS, CostFilters, sum_costs
from billing.exports.formats import CONTENT_TYPES, FileType, Format, Order, write_file
from billing.exports.lines import Basis, Grain
from billing.exports.stream import Wanted
from billing.models import ReportDelivery, ReportSchedule
from billing.report_times import PAUSES, TRIES, last_complete, next_due
from billing.rules import load_rules, reporting_zone
from dashboard.accounts import audit, crypto
from dashboard.accounts.models import User
from dashboard.core import money
from dashboard.core.periods import Period
from dashboard.webhooks.addresses import AddressError, read_target
from dashboard.webhooks.posting import PostError, post

# Longer than a file takes; a worker that died is given up after it.
LEASE = timedelta(minutes=15)
# Bytes that a webhook gets as they are; larger files are fetched over the link.
LARGEST_POSTED = 5_000_000
# A link in a mail is for a person who signs in.
LINK_LIFETIME = timedelta(days=30)
_SALT = "billing.reports"


@dataclass(frozen=True, slots=True)
class ReportPlan:
    """What somebody wants sent."""

    name: str
    format: Format
    frequency: str
    recipients: tuple[str, ...] = ()
    webhook_url: str = ""
    basis: Basis = Basis.ESTIMATE
    grain: Grain = Grain.HOUR
    file_type: FileType = FileType.CSV
    filters: CostFilters = NO_FILTERS
    # Where the product is reached, for links: https://desk.example.com/
    site: str = ""


@transaction.atomic
def add_schedule(plan: ReportPlan, *, actor: audit.Actor, now: datetime) -> tuple[ReportSchedule, str]:
    """Store the schedule; return it with the secret of its webhook's signature, told this once. Raises AddressError."""
    zone = reporting_zone(load_rules())
    schedule = ReportSchedule.objects.create(
        name=plan.name,
        format=plan.format,
        frequency=plan.frequency,
        query={
            "basis": plan.basis,
            "grain": plan.grain,
            "file": plan.file_type,
            "filters": {
                name: sorted(getattr(plan.filters, name))
                for name in CostFilters.__dataclass_fields__
                if getattr(plan.filters, name)
            },
            "site": plan.site,
        },
        recipients=list(plan.recipients),
        due_at=next_due(plan.frequency, after=now, zone=zone),
        created_by=actor.user,
    )
    secret = ""
    if plan.webhook_url:
        secret = secrets.token_urlsafe(32)
        schedule.webhook_host = read_target(plan.webhook_url).host
        schedule.webhook_ciphertext = crypto.seal(
            json.dumps({"url": plan.webhook_url, "secret": secret}), place=_place(schedule)
        )
        schedule.save(update_fields=["webhook_host", "webhook_ciphertext"])
    _record("report.scheduled", schedule, actor)
    return schedule, secret


@transaction.atomic
def request_run(schedule: ReportSchedule, *, actor: audit.Actor, now: datetime) -> None:
    """Let it go out with the next pass, within a minute."""
    ReportSchedule.objects.filter(pk=schedule.pk).update(due_at=now, is_enabled=True)
    _record("report.run_requested", schedule, actor)


@transaction.atomic
def set_enabled(schedule: ReportSchedule, *, is_enabled: bool, actor: audit.Actor, now: datetime) -> None:
    """Let it go out at its times, or not. What was missed meanwhile is not sent."""
    due_at = next_due(schedule.frequency, after=now, zone=reporting_zone(load_rules()))
    ReportSchedule.objects.filter(pk=schedule.pk).update(is_enabled=is_enabled, due_at=due_at)
    _record("report.enabled" if is_enabled else "report.disabled", schedule, actor)


@transaction.atomic
def delete_schedule(schedule: ReportSchedule, *, actor: audit.Actor) -> None:
    """Take it away with the history of its deliveries; the audit trail keeps that it was."""
    _record("report.deleted", schedule, actor)
    schedule.delete()


# As dashboard.webhooks.posting.post, with what is settled already.
Send = Callable[..., int]


def send_due(*, now: datetime, send: Send | None = None) -> int:
    """Send what is due; return how many schedules were handled. `send` posts to webhooks."""
    send = send or partial(post, allow_private=settings.WEBHOOKS_MAY_REACH_PRIVATE_ADDRESSES)
    handled = 0
    while schedule := _claim(now):
        handled += 1
        _deliver(schedule, now=now, send=send)
    return handled


@transaction.atomic
def _claim(now: datetime) -> ReportSchedule | None:
    due = ReportSchedule.objects.select_for_update(skip_locked=True, of=("self",))
    schedule = due.filter(is_enabled=True, due_at__lte=now).order_by("due_at", "pk").first()
    if schedule is not None:
        ReportSchedule.objects.filter(pk=schedule.pk).update(due_at=now + LEASE)
    return schedule


def _deliver(schedule: ReportSchedule, *, now: datetime, send: Send) -> None:
    zone = reporting_zone(load_rules())
    failed = _failed_before(schedule)
    if failed:
        period = Period(failed[0].period_start, failed[0].period_end)
    else:
        period = last_complete(schedule.frequency, now=now, zone=zone)
    told, problem, again = [], "", False
    try:
        if schedule.recipients and not failed:
            _mail(schedule, period, zone=zone, now=now)
            told.append(f"mailed to {len(schedule.recipients)}")
        if schedule.webhook_ciphertext:
            _post(schedule, period, zone=zone, now=now, send=send)
            told.append(f"posted to {schedule.webhook_host}")
    except (AddressError, PostError) as error:
        problem, again = error.sentence, error.retryable
    except crypto.CryptoError:
        problem = "The webhook's address cannot be opened with the present keys: enter it anew."
    number = len(failed) + 1
    retry_at = now + PAUSES[number - 1] if problem and again and number < TRIES else None
    due_at = retry_at or next_due(schedule.frequency, after=now, zone=zone)
    with transaction.atomic():
        ReportDelivery.objects.create(
            schedule=schedule,
            period_start=period.start,
            period_end=period.end,
            at=now,
            outcome=ReportDelivery.Outcome.FAILED if problem else ReportDelivery.Outcome.SENT,
            detail=" ".join([*(f"{words.capitalize()}." for words in told), *([problem] if problem else [])]),
            retry_at=retry_at,
        )
        # Unless somebody asked for another run meanwhile.
        ReportSchedule.objects.filter(pk=schedule.pk, due_at=now + LEASE).update(due_at=due_at)


def _failed_before(schedule: ReportSchedule) -> list[ReportDelivery]:
    """Return the newest deliveries that failed in a row and are to be tried again, newest first."""
    failed: list[ReportDelivery] = []
    for delivery in schedule.deliveries.all()[:TRIES]:
        if delivery.retry_at is None:
            break
        failed.append(delivery)
    return failed


def make_order(schedule: ReportSchedule, period: Period, *, zone: tzinfo, user: User | None) -> Order:
    """Return the file of a schedule for a period, as the user may see it (None: everything)."""
    query = schedule.query
    filters = CostFilters(**{name: frozenset(keys) for name, keys in query.get("filters", {}).items()})
    wanted = Wanted(
        period,
        basis=Basis(query.get("basis", Basis.ESTIMATE)),
        grain=Grain(query.get("grain", Grain.HOUR)),
        filters=filters,
        user=user,
        zone=zone,
    )
    return Order(wanted, Format(schedule.format), FileType(query.get("file", FileType.CSV)))


def make_link(schedule: ReportSchedule, period: Period) -> str:
    """Return the address at which the file can be had after signing in, for LINK_LIFETIME."""
    token = signing.dumps([schedule.pk, period.start.isoformat(), period.end.isoformat()], salt=_SALT)
    return schedule.query.get("site", "").rstrip("/") + reverse("costs_report_file", args=[token])


def open_link(token: str) -> tuple[ReportSchedule, Period] | None:
    """Return what a link stands for; None when it is forged, too old, or its schedule gone."""
    try:
        pk, start, end = signing.loads(token, salt=_SALT, max_age=LINK_LIFETIME)
    except signing.BadSignature:
        return None
    schedule = ReportSchedule.objects.filter(pk=pk).first()
    if schedule is None:
        return None
    return schedule, Period(datetime.fromisoformat(start), datetime.fromisoformat(end))


def _mail(schedule: ReportSchedule, period: Period, *, zone: tzinfo, now: datetime) -> None:
    """Put a mail with the link into the queue. The file is not in it: mail stays readable to many for long."""
    order = make_order(schedule, period, zone=zone, user=None)
    cost = sum_costs(period, now=now, filters=order.wanted.filters)
    amount = money.format_range(cost.nano_low, cost.nano_high, currency=True)
    body = (
        f"{schedule.name}\n\n{order.file_name}\n{'' if cost.is_complete else 'at least '}{amount}\n\n"
        f"{make_link(schedule, period)}\n\n"
        f"The link opens after signing in, for {LINK_LIFETIME.days} days, and shows what you may see.\n"
    )
    EmailMessage(
        f"{schedule.name}: {order.file_name}", body, settings.DEFAULT_FROM_EMAIL, bcc=schedule.recipients
    ).send()


def _post(schedule: ReportSchedule, period: Period, *, zone: tzinfo, now: datetime, send: Send) -> None:
    """Send the file to the webhook, or its link when it is too large. Raises AddressError, PostError, CryptoError."""
    known = json.loads(crypto.open_sealed(schedule.webhook_ciphertext, place=_place(schedule)))
    order = make_order(schedule, period, zone=zone, user=None)
    body = _read_up_to(order, now=now)
    headers = {
        "X-Endpoint-Desk-Report": str(schedule.pk),
        "X-Endpoint-Desk-Period": f"{period.start.isoformat()}/{period.end.isoformat()}",
    }
    if body is None:
        content: dict[str, Any] = {"file_name": order.file_name, "link": make_link(schedule, period)}
        body = json.dumps(content).encode()
        headers["Content-Type"] = "application/json"
    else:
        headers["Content-Type"] = CONTENT_TYPES[order.file_type]
        headers["Content-Disposition"] = f'attachment; filename="{order.file_name}"'
    send(known["url"], body, headers=headers, secret=known["secret"], now=now)


def _read_up_to(order: Order, *, now: datetime) -> bytes | None:
    """Return the file; None when it is too large to be posted."""
    parts, size = [], 0
    # Closed, so that a file that is given up frees its cursor.
    with closing(write_file(order, now=now)) as written:
        for part in written:
            parts.append(part)
            size += len(part)
            if size > LARGEST_POSTED:
                return None
    return b"".join(parts)


def _place(schedule: ReportSchedule) -> crypto.Place:
    return crypto.Place("billing_reportschedule", schedule.pk, "webhook_ciphertext")


def _record(action: str, schedule: ReportSchedule, actor: audit.Actor) -> None:
    detail = {
        "name": schedule.name,
        "format": schedule.format,
        "frequency": schedule.frequency,
        "recipients": schedule.recipients,
        "webhook_host": schedule.webhook_host,
    }
    audit.record(action, actor=actor, target=schedule, detail=detail)
