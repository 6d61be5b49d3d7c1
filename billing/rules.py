"""How this installation counts; sole writer of BillingRules."""

from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

from django.db import transaction

from billing.models import BillingRules
from dashboard.accounts import audit


def load_rules() -> BillingRules:
    """Return the rules; the documented defaults until somebody changed them. One query."""
    return BillingRules.objects.filter(pk=1).first() or BillingRules(pk=1)


def reporting_zone(rules: BillingRules) -> tzinfo:
    """Return the zone in which days and months are cut."""
    return UTC if rules.reporting_zone == "UTC" else ZoneInfo(rules.reporting_zone)


@transaction.atomic
def save_rules(rules: BillingRules, *, actor: audit.Actor, before: BillingRules) -> None:
    """Store the rules. What is posted already stays as it was counted."""
    rules.pk = 1
    rules.save()
    names = [field.name for field in BillingRules._meta.concrete_fields if field.name != "id"]
    changed = {
        name: {"before": getattr(before, name), "after": getattr(rules, name)}
        for name in names
        if getattr(before, name) != getattr(rules, name)
    }
    audit.record("billing.rules_changed", actor=actor, target=rules, detail=changed)
