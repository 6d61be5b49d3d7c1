"""Say once that a day's bill differs by more than the rules allow and nobody knows why; sole writer of BillAlert."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from django.core.cache import cache
from django.core.mail import send_mail
from django.db import transaction

from billing import rules
from billing.agreements import Reckoned
from billing.amounts import to_nano
from billing.models import BillAlert
from dashboard.accounts import audit
from dashboard.accounts.models import User
from dashboard.accounts.permissions import RIGHTS, Right
from dashboard.core import live, money

#: A day is judged when it is over and the last events and lines had time to come.
JUDGED_AFTER: Final = timedelta(hours=2)
#: A gap that was found is told when it is still there: metering may be catching up, most of all at the beginning.
TOLD_AFTER: Final = timedelta(hours=1)
#: Pages show alerts so long.
SHOWN_FOR: Final = timedelta(days=7)
#: One mail a day at most, however many days it tells of.
MAIL_EVERY: Final = timedelta(days=1)
NOTICE_KEY: Final = "bill-alerts"
#: Seconds. Written with every comparison, each ten minutes.
NOTICE_SECONDS: Final = 3600
ACTOR: Final = audit.Actor.for_process("bill")


@transaction.atomic
def judge_days(account_id: str, told: Iterable[Reckoned], *, now: datetime) -> list[BillAlert]:
    """Raise, raise again or resolve the alert of each day; return those that are new. Tells those that stayed."""
    limit = rules.load_rules().unexplained_nano_usd
    days = {one.period.day: sum_unexplained(one) for one in told if one.period.end + JUDGED_AFTER <= now}
    present = {
        row.day: row
        for row in BillAlert.objects.select_for_update().filter(
            billing_account_id=account_id, day__in=list(days)
        )
    }
    new = []
    for day, nano in sorted(days.items()):
        alert = present.get(day)
        if nano > limit and (alert is None or alert.resolved_at is not None):
            new.append(_raise(account_id, day, nano, alert, now=now))
        elif alert is not None and alert.resolved_at is None:
            _update(alert, nano, is_resolved=nano <= limit, now=now)
    if new:
        live.announce(["bill"])
    _tell(account_id, now=now)
    _keep_notice(now=now)
    return new


def sum_unexplained(told: Reckoned) -> Decimal:
    """Return the sizes of a day's unexplained gaps, nano-dollars: too much here does not excuse too little there."""
    ticks = sum(abs(agreement.unexplained) for agreement in told.agreements.values())
    return to_nano(ticks).quantize(Decimal("1e-9"))


def _raise(account_id: str, day: date, nano: Decimal, alert: BillAlert | None, *, now: datetime) -> BillAlert:
    alert = alert or BillAlert(billing_account_id=account_id, day=day)
    alert.unexplained_nano_usd, alert.raised_at, alert.resolved_at = nano, now, None
    alert.save()
    return alert


def _update(alert: BillAlert, nano: Decimal, *, is_resolved: bool, now: datetime) -> None:
    alert.unexplained_nano_usd = nano
    if is_resolved:
        alert.resolved_at = now
        if alert.mailed_at is not None:
            audit.record("bill.gap_explained", actor=ACTOR, target=alert, detail=_describe(alert))
    alert.save(update_fields=["unexplained_nano_usd", "resolved_at"])


def _describe(alert: BillAlert) -> dict[str, str]:
    return {"day": alert.day.isoformat(), "unexplained": money.format_dollars(alert.unexplained_nano_usd)}


def _tell(account_id: str, *, now: datetime) -> None:
    """Record and mail the alerts that nobody was told of, unless a mail went out within the last day.

    What is marked as mailed was handed to the queue of mails in this transaction: it goes when that commits.
    """
    alerts = BillAlert.objects.filter(billing_account_id=account_id)
    if alerts.filter(mailed_at__gt=now - MAIL_EVERY).exists():
        return
    untold = list(
        alerts.filter(mailed_at=None, resolved_at=None, raised_at__lte=now - TOLD_AFTER).order_by("day")
    )
    if not untold:
        return
    for alert in untold:
        audit.record("bill.gap_unexplained", actor=ACTOR, target=alert, detail=_describe(alert))
    _send_mail(untold)
    alerts.filter(pk__in=[one.pk for one in untold]).update(mailed_at=now)


def _send_mail(alerts: list[BillAlert]) -> None:
    """Hand a mail to everybody who manages costs; one each, so that nobody reads who else got it."""
    roles = [role for role, rights in RIGHTS.items() if Right.MANAGE_COSTS in rights]
    people = User.objects.filter(is_active=True, role__in=roles).order_by("pk")
    days = [
        f"{one.day:%-d %B %Y}: {money.format_dollars(one.unexplained_nano_usd)} unexplained" for one in alerts
    ]
    total = sum((one.unexplained_nano_usd for one in alerts), Decimal(0))
    body = "\n".join(
        [
            "The provider's bill differs from what was metered, and no known cause explains all of it.",
            "",
            *days,
            "",
            "The days, resources and lines stand in Endpoint Desk under Costs, Against the bill.",
            "A day is told once.",
        ]
    )
    for address in people.values_list("email", flat=True):
        send_mail(f"Bill: {money.format_dollars(total)} unexplained", body, None, [address])


def _keep_notice(*, now: datetime) -> None:
    """Leave what pages tell in the cache, so that the note above every page costs no query."""
    shown = list(
        BillAlert.objects.filter(
            resolved_at=None, raised_at__lte=now - TOLD_AFTER, raised_at__gt=now - SHOWN_FOR
        ).order_by("-day")
    )
    if not shown:
        cache.delete(NOTICE_KEY)
        return
    total = sum((one.unexplained_nano_usd for one in shown), Decimal(0))
    told = {"count": len(shown), "day": shown[0].day.isoformat(), "nano": str(total)}
    cache.set(NOTICE_KEY, told, timeout=NOTICE_SECONDS)


@dataclass(frozen=True, slots=True)
class BillNotice:
    """What the note says: days with an unexplained gap, the newest of them, nano-dollars in sum."""

    count: int
    day: date
    nano: Decimal


def read_notice() -> BillNotice | None:
    """Return what pages should tell, None when nothing. No query; without Redis nothing is told."""
    told = cache.get(NOTICE_KEY)
    if not isinstance(told, dict):
        return None
    return BillNotice(told["count"], date.fromisoformat(told["day"]), Decimal(told["nano"]))
