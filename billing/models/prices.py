"""Prices that finance maintains, and the rules by which cost is told."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from dashboard.accounts.models import User


class PriceEntry(models.Model):
    """What a SKU costs by finance's own knowledge, half-open in time; it goes before what an API tells.

    Never edited: a new price closes the one before at its start. Nothing that is posted is repriced by it, unless the
    price of that time was unknown.
    """

    class Unit(models.TextChoices):
        HOUR = "hour", "per unit and hour"
        MILLION_TOKENS = "million-tokens", "per million tokens"

    sku = models.TextField()
    unit = models.CharField(max_length=16, choices=Unit.choices, default=Unit.HOUR)
    nano_usd = models.BigIntegerField(help_text="nano-dollars per unit")
    valid_from = models.DateTimeField()
    valid_until = models.DateTimeField(null=True)
    note = models.TextField(help_text="where the price comes from: contract, invoice, quote")
    entered_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    entered_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["sku"], condition=Q(valid_until=None), name="price_entry_one_open"
            ),
            models.CheckConstraint(
                condition=Q(valid_until=None) | Q(valid_until__gt=F("valid_from")), name="price_entry_order"
            ),
            models.CheckConstraint(condition=Q(nano_usd__gte=0), name="price_entry_not_negative"),
        ]


class Discount(models.Model):
    """Per cent off the list price of a SKU, half-open in time; `sku` "*" = every SKU without one of its own."""

    sku = models.TextField()
    percent = models.DecimalField(max_digits=5, decimal_places=2)
    valid_from = models.DateTimeField()
    valid_until = models.DateTimeField(null=True)
    note = models.TextField()
    entered_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    entered_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["sku"], condition=Q(valid_until=None), name="discount_one_open"),
            models.CheckConstraint(
                condition=Q(valid_until=None) | Q(valid_until__gt=F("valid_from")), name="discount_order"
            ),
            models.CheckConstraint(condition=Q(percent__gte=0, percent__lte=100), name="discount_percent"),
        ]


class BillingRules(models.Model):
    """How this installation counts: one row."""

    class Rounding(models.TextChoices):
        EXACT = "exact", "As observed, to the microsecond"
        SECOND = "second", "Each replica run up to the next second"
        MINUTE = "minute", "Each replica run up to the next minute"

    reporting_zone = models.TextField(default="UTC", help_text="IANA zone in which days and months are cut")
    rounding = models.CharField(max_length=8, choices=Rounding.choices, default=Rounding.EXACT)
    idle_after_minutes = models.PositiveIntegerField(
        default=15, help_text="a running stretch without a request this long counts as idle"
    )
    unexplained_nano_usd = models.BigIntegerField(
        default=5_000_000_000, help_text="a day's unexplained gap above this alerts, nano-dollars"
    )

    class Meta:
        constraints = [models.CheckConstraint(condition=Q(pk=1), name="billing_rules_one_row")]
