"""Sharing a thing's cost among teams: sole writer of CostSplit and CostShare. A split holds from now on."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from billing.models import CostShare, CostSplit, Meter
from billing.ownership import TOPIC
from dashboard.accounts import audit
from dashboard.accounts.models import Team
from dashboard.core import live
from dashboard.core.locks import Lock, hold_until_commit

WHOLE = Decimal(100)


class SplitRefusedError(Exception):
    """The shares make no split; the message is for people."""

    retryable = False


@transaction.atomic
def set_split(
    meter: Meter,
    *,
    method: CostSplit.Method,
    shares: Mapping[Team, Decimal | None],
    actor: audit.Actor,
    now: datetime,
) -> CostSplit:
    """Share the cost from now on; the split before ends. Percent by team, None where usage decides.

    Raises SplitRefusedError with fewer than two teams, and for fixed shares that do not sum to 100.00.
    """
    if len(shares) < 2:
        raise SplitRefusedError("A split needs two teams or more")
    if method == CostSplit.Method.FIXED:
        total = sum((part or Decimal() for part in shares.values()), Decimal())
        if total != WHOLE:
            raise SplitRefusedError(f"The shares sum to {total:.2f} %, not to 100.00 %")
        if any(not part or part < 0 for part in shares.values()):
            raise SplitRefusedError("Each share is above 0 %")
    hold_until_commit(Lock.OWNERSHIP)
    before = _end(meter, now=now)
    split = CostSplit.objects.create(meter=meter, method=method, valid_from=now, decided_by=actor.user)
    is_fixed = method == CostSplit.Method.FIXED
    CostShare.objects.bulk_create(
        [
            CostShare(split=split, team=team, percent=percent if is_fixed else None)
            for team, percent in shares.items()
        ]
    )
    audit.record(
        "cost.split_changed",
        actor=actor,
        target=meter,
        detail={
            "before": before,
            "after": {
                "method": method.value,
                "shares": {team.name: str(part) if is_fixed else None for team, part in shares.items()},
            },
        },
    )
    live.announce([TOPIC])
    return split


@transaction.atomic
def end_split(meter: Meter, *, actor: audit.Actor, now: datetime) -> bool:
    """Let the owner bear the whole cost again from now on. False when there is no split."""
    hold_until_commit(Lock.OWNERSHIP)
    before = _end(meter, now=now)
    if before is None:
        return False
    audit.record("cost.split_changed", actor=actor, target=meter, detail={"before": before, "after": None})
    live.announce([TOPIC])
    return True


def _end(meter: Meter, *, now: datetime) -> dict[str, object] | None:
    present = CostSplit.objects.filter(meter=meter, valid_until=None).first()
    if present is None:
        return None
    shares = CostShare.objects.filter(split=present).values_list("team__name", "percent")
    described: dict[str, object] = {
        "method": present.method,
        "shares": {name: None if part is None else str(part) for name, part in shares},
    }
    if present.valid_from >= now:
        present.delete()
    else:
        CostSplit.objects.filter(pk=present.pk).update(valid_until=now)
    return described
