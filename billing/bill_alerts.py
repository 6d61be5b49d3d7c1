"""Say once that a day's bill differs by more than the rules allow and nobody knows why; sole writer of BillAlert."""

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

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
#: One mail a day at most, however many days it tells of.
MAIL_EVERY: Final = timedelta(days=1)
ACTOR: Final = audit.Actor.for_process("bill")


@transaction.atomic
def judge_days(account_id: str, told: Iterable[Reckoned], *, now: datetime) -> list[BillAlert]:
    """Raise, raise again or resolve the alert of each day; return those that are new. Sends the mail that is due."""
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
    _send_mail(account_id, now=now)
    return new


def sum_unexplained(told: Reckoned) -> Decimal:
    """Return the sizes of a day's unexplained gaps, nano-dollars: too much here does not excuse too little there."""
    ticks = sum(abs(agreement.unexplained) for agreement in told.agreements.values())
    return to_nano(ticks).quantize(Decimal("1e-9"))


def _raise(account_id: str, day: date, nano: Decimal, alert: BillAlert | None, *, now: datetime) -> BillAlert:
    alert = alert or BillAlert(billing_account_id=account_id, day=day)
    alert.unexplained_nano_usd, alert.raised_at, alert.resolved_at = nano, now, None
    alert.save()
    detail = {"day": day.isoformat(), "unexplained": money.format_dollars(nano)}
    audit.record("bill.unexplained_found", actor=ACTOR, target=alert, detail=detail)
    return alert


def _update(alert: BillAlert, nano: Decimal, *, is_resolved: bool, now: datetime) -> None:
    alert.unexplained_nano_usd = nano
    if is_resolved:
        alert.resolved_at = now
        detail = {"day": alert.day.isoformat(), "unexplained": money.format_dollars(nano)}
        audit.record("bill.explained", actor=ACTOR, target=alert, detail=detail)
    alert.save(update_fields=["unexplained_nano_usd", "resolved_at"])


def _send_mail(account_id: str, *, now: datetime) -> None:
    """Mail the alerts that nobody was told of, unless a mail went out within the last day.

    What is marked as mailed was handed to the queue of mails in this transaction: it goes when that commits.
    """
    alerts = BillAlert.objects.filter(billing_account_id=account_id)
    if alerts.filter(mailed_at__gt=now - MAIL_EVERY).exists():
        return
    untold = list(alerts.filter(mailed_at=None, resolved_at=None).order_by("day"))
    roles = [role for role, rights in RIGHTS.items() if Right.MANAGE_COSTS in rights]
    people = list(
        User.objects.filter(is_active=True, role__in=roles).order_by("pk").values_list("email", flat=True)
    )
    if not untold or not people:
        return
    lines = [
        f"{one.day:%-d %B %Y}: {money.format_dollars(one.unexplained_nano_usd)} unexplained" for one in untold
    ]
    total = sum((one.unexplained_nano_usd for one in untold), Decimal(0))
    body = "\n".join(
        [
            "The provider's bill differs from what was metered, and no known cause explains all of it.",
            "",
            *lines,
            "",
            "The days, meters and lines stand in Endpoint Desk under Costs, Against the bill.",
            "A day is told once; the limit is a setting of your organisation.",
        ]
    )
    for address in people:  # one mail each: nobody reads who else got it
        send_mail(f"Bill: {money.format_dollars(total)} unexplained", body, None, [address])
    alerts.filter(pk__in=[one.pk for one in untold]).update(mailed_at=now)
