"""Budgets, what happens at their thresholds, and what did happen."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from billing.models.ledger import Meter
from dashboard.accounts.models import Team, User
from dashboard.mirror.models import Project


class Budget(models.Model):
    """What a part of the organisation may spend in a period."""

    class Scope(models.TextChoices):
        ORGANISATION = "organisation", "Whole organisation"
        TEAM = "team", "Team"
        PROJECT = "project", "Project"
        TAG = "tag", "Tag"

    class Cycle(models.TextChoices):
        MONTHLY = "monthly", "Every month"
        CUSTOM = "custom", "Once, from a day to a day"

    name = models.TextField(unique=True)
    scope = models.CharField(max_length=12, choices=Scope.choices)
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    project = models.ForeignKey(Project, null=True, blank=True, on_delete=models.CASCADE, related_name="+")
    tag = models.TextField(blank=True, help_text="key=value")
    cycle = models.CharField(max_length=8, choices=Cycle.choices, default=Cycle.MONTHLY)
    starts_on = models.DateField(null=True, blank=True, help_text="custom: first day, in the reporting zone")
    ends_on = models.DateField(null=True, blank=True, help_text="custom: last day, included")
    nano_usd = models.BigIntegerField(help_text="nano-dollars per period")
    exempt = models.ManyToManyField(Meter, blank=True, related_name="+")
    is_enabled = models.BooleanField(default=True)
    paused_reason = models.TextField(blank=True, help_text="why its acts wait; empty: they do not")
    prices_confirmed_at = models.DateTimeField(
        null=True, help_text="somebody said that prices older than this are right; None: nobody did"
    )
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=Q(nano_usd__gt=0), name="budget_positive"),
            models.CheckConstraint(
                condition=Q(cycle="monthly") | Q(starts_on__isnull=False, ends_on__gte=F("starts_on")),
                name="budget_custom_days",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class BudgetThreshold(models.Model):
    """At so many per cent of the budget, by what was spent or by what is forecast, this happens."""

    class Basis(models.TextChoices):
        ACTUAL = "actual", "spent"
        FORECAST = "forecast", "forecast"

    class Action(models.TextChoices):
        NOTIFY = "notify", "Notify"
        CONFIRM_STARTS = "confirm-starts", "Require confirmation for starts"
        DRAIN_IDLE = "drain-idle", "Stop idle endpoints"
        STOP_ALL = "stop-all", "Stop all endpoints"

    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="thresholds")
    percent = models.PositiveIntegerField()
    basis = models.CharField(max_length=8, choices=Basis.choices)
    action = models.CharField(max_length=16, choices=Action.choices)

    class Meta:
        ordering = ["percent", "basis", "action"]
        constraints = [
            models.UniqueConstraint(
                fields=["budget", "percent", "basis", "action"], name="budget_threshold_once"
            ),
        ]


class BudgetCrossing(models.Model):
    """A threshold was reached in a period: once per threshold and period."""

    class Outcome(models.TextChoices):
        DONE = "done", "Done"
        HELD = "held", "Held: the jump may be a wrong price"
        FAILED = "failed", "Failed"

    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="crossings")
    period_start = models.DateTimeField()
    percent = models.PositiveIntegerField()
    basis = models.CharField(max_length=8, choices=BudgetThreshold.Basis.choices)
    action = models.CharField(max_length=16, choices=BudgetThreshold.Action.choices)
    amount_nano_usd = models.DecimalField(max_digits=30, decimal_places=9, help_text="spent or forecast then")
    crossed_at = models.DateTimeField()
    outcome = models.CharField(max_length=8, choices=Outcome.choices)
    detail = models.TextField(help_text="one sentence: what was done to what, or why it waits")

    class Meta:
        ordering = ["-crossed_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["budget", "period_start", "percent", "basis", "action"], name="budget_crossing_once"
            ),
        ]
