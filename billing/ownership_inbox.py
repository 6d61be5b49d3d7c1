"""What costs and has no owner: the unowned-spend inbox reads it here. Writes nothing."""

from datetime import datetime, timedelta

from django.db.models import Exists, OuterRef, Q, QuerySet

from billing.models import Condition, CostSplit, Meter, MeteredInterval, Ownership
from dashboard.accounts.models import User
from dashboard.accounts.visibility import project_filter

# What cost nothing for this long asks for no owner any more.
WINDOW = timedelta(days=30)


def unowned_meters(user: User, *, now: datetime) -> QuerySet[Meter]:
    """Return what the user sees, what nobody owns or shares, and what cost (or may have cost) within the window."""
    recent = Q(end=None) | Q(end__gt=now - WINDOW)
    costs = MeteredInterval.objects.filter(recent, meter=OuterRef("pk"), start__lt=now)
    owned = Ownership.objects.filter(meter=OuterRef("pk"), valid_until=None, team__isnull=False)
    shared = CostSplit.objects.filter(meter=OuterRef("pk"), valid_until=None)
    return Meter.objects.filter(
        project_filter(user, path="project__"),
        Exists(costs.exclude(condition=Condition.FREE)),
        ~Exists(owned),
        ~Exists(shared),
    )


def count_unowned(user: User, *, now: datetime) -> int:
    """Return how many things wait in the user's inbox. One query."""
    return unowned_meters(user, now=now).count()
