"""The provider's bill as far as its API tells it, and the months that finance closed."""

from datetime import datetime, timedelta

from django.db import models
from django.db.models.functions import Now

from billing.models.ledger import Meter
from dashboard.accounts.models import Connection, User


class BilledLine(models.Model):
    """A line of `/v1/billing/usage`, in its newest reading; a window's lines are replaced together when they change."""

    class Granularity(models.TextChoices):
        HOUR = "hour", "Hour"
        DAY = "day", "Day"

    billing_account_id = models.TextField()
    granularity = models.CharField(max_length=4, choices=Granularity.choices)
    start = models.DateTimeField()
    end = models.DateTimeField()
    position = models.PositiveIntegerField(help_text="place in the window")
    product_name = models.TextField(help_text="display name, may change: never used to tell what a line is")
    quantity = models.DecimalField(max_digits=40, decimal_places=12, null=True)
    unit_price = models.DecimalField(max_digits=40, decimal_places=12, null=True, help_text="USD")
    cost = models.DecimalField(max_digits=40, decimal_places=12, help_text="USD, exact")
    credit = models.TextField(blank=True, help_text="PREPAID, POSTPAID, CREDIT; empty: none")
    project_id = models.TextField(blank=True, help_text="remote id; only inference lines have it")
    attributes = models.JSONField(default=dict)
    dimensions = models.JSONField(default=dict)
    meter = models.ForeignKey(Meter, null=True, on_delete=models.PROTECT, related_name="billed_lines")
    match = models.TextField(blank=True, help_text="how its meter was found; empty: none found")
    observed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["billing_account_id", "granularity", "start", "position"], name="billed_line_once"
            ),
        ]
        indexes = [
            # Reader: the bill of one resource.
            models.Index(fields=["meter", "granularity", "start"], name="billed_line_by_meter"),
        ]


class BillReading(models.Model):
    """How far a connection's bill of a month was read."""

    class State(models.TextChoices):
        READ = "read", "Read"
        NOT_OFFERED = "not-offered", "Not open to this organisation"
        FAILED = "failed", "Failed"

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="bill_readings")
    month = models.DateField(help_text="its first day")
    granularity = models.CharField(max_length=4, choices=BilledLine.Granularity.choices)
    state = models.CharField(max_length=12, choices=State.choices)
    latest_window_end = models.DateTimeField(null=True)
    read_at = models.DateTimeField(help_text="last try")
    error = models.TextField(blank=True)
    succeeded_at = models.DateTimeField(
        null=True, help_text="begin of the last try that read it; None: none did"
    )
    whole_at = models.DateTimeField(null=True, help_text="when it was last read from its first window on")
    changed_at = models.DateTimeField(null=True, help_text="when its lines last changed")
    # Where the next reading may begin: the cursor before the newest pages; empty: at the start.
    cursor = models.TextField(blank=True, db_default="")
    malformed = models.PositiveIntegerField(
        db_default=0, help_text="windows and lines that could not be read"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "month", "granularity"], name="bill_reading_once"),
        ]


class AgreementDay(models.Model):
    """What a meter cost on a day, three times: as projected, as metered, as billed. Amounts in ticks (billing/amounts).

    Recomputed whenever one of the three changed; sole writer is billing/agreements.py. `meter` None: lines of the bill
    that match no meter.
    """

    billing_account_id = models.TextField()
    day = models.DateField(help_text="in the zone; UTC where the bill is only told by the day")
    zone = models.TextField()
    start = models.DateTimeField()
    end = models.DateTimeField()
    meter = models.ForeignKey(
        Meter, null=True, on_delete=models.PROTECT, related_name="agreements", db_index=False
    )
    projected = models.DecimalField(max_digits=40, decimal_places=0)
    metered_low = models.DecimalField(max_digits=40, decimal_places=0)
    metered_high = models.DecimalField(max_digits=40, decimal_places=0)
    billed = models.DecimalField(
        max_digits=40, decimal_places=0, null=True, help_text="None: no window of the day was read"
    )
    computed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["billing_account_id", "day", "meter"],
                condition=~models.Q(meter=None),
                name="agreement_day_once",
            ),
            models.UniqueConstraint(
                fields=["billing_account_id", "day"],
                condition=models.Q(meter=None),
                name="agreement_day_unmatched_once",
            ),
        ]
        indexes = [
            # Reader: "what is this meter's bill", and PROTECT.
            models.Index(fields=["meter", "day"], name="agreement_day_by_meter"),
        ]


class AgreementCause(models.Model):
    """A named part of the gap between two of a day's three numbers, in ticks; the parts sum to the gap."""

    class Step(models.TextChoices):
        METERED = "metered", "from projected to metered"
        BILLED = "billed", "from metered to billed"

    agreement = models.ForeignKey(
        AgreementDay, on_delete=models.CASCADE, related_name="causes", db_index=False
    )
    step = models.CharField(max_length=8, choices=Step.choices)
    cause = models.CharField(max_length=20, help_text="value of billing.reconciliation.Cause")
    ticks = models.DecimalField(max_digits=40, decimal_places=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["agreement", "step", "cause"], name="agreement_cause_once"),
        ]


class BillAlert(models.Model):
    """A day whose gap stays unexplained above the rule's limit; told once, kept when it is explained later."""

    billing_account_id = models.TextField()
    day = models.DateField()
    unexplained_nano_usd = models.DecimalField(max_digits=30, decimal_places=9, help_text="sum of sizes, now")
    raised_at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, help_text="None: still unexplained")
    mailed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-day"]
        constraints = [
            models.UniqueConstraint(fields=["billing_account_id", "day"], name="bill_alert_once"),
        ]

    def __str__(self) -> str:
        return f"bill of {self.day:%-d %B %Y}"


class Statement(models.Model):
    """A team's closed month, frozen: the body never changes and the hash says so; corrections go to the next one."""

    month = models.DateField(help_text="its first day, in the reporting zone")
    zone = models.TextField()
    team_key = models.TextField(help_text="primary key of the team; empty: what nobody owned")
    team_name = models.TextField()
    body = models.JSONField()
    sha256 = models.CharField(max_length=64, help_text="of the canonical JSON of body and the hash before it")
    previous_sha256 = models.CharField(max_length=64, blank=True)
    posted_until = models.DateTimeField(help_text="ledger entries posted before this are in it")
    closed_at = models.DateTimeField(db_default=Now())
    closed_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-month", "team_name"]
        constraints = [models.UniqueConstraint(fields=["month", "team_key"], name="statement_once")]

    def __str__(self) -> str:
        return f"{self.month:%B %Y}"


class ReportSchedule(models.Model):
    """An export that is made and sent by itself."""

    class Frequency(models.TextChoices):
        DAILY = "daily", "Every day"
        WEEKLY = "weekly", "Every Monday"
        MONTHLY = "monthly", "On the first of the month"

    name = models.TextField()
    format = models.CharField(max_length=16, help_text="value of billing/exports")
    frequency = models.CharField(max_length=8, choices=Frequency.choices)
    query = models.JSONField(default=dict, help_text="filters and grouping, as in the explorer's address")
    recipients = models.JSONField(default=list, help_text="mail addresses")
    webhook_ciphertext = models.TextField(blank=True, help_text="sealed address; empty: none")
    webhook_host = models.TextField(blank=True, help_text="its host, for people")
    is_enabled = models.BooleanField(default=True)
    due_at = models.DateTimeField()
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name


class ReportDelivery(models.Model):
    """One try to make and send a scheduled report."""

    class Outcome(models.TextChoices):
        SENT = "sent", "Sent"
        FAILED = "failed", "Failed"

    schedule = models.ForeignKey(ReportSchedule, on_delete=models.CASCADE, related_name="deliveries")
    period_start = models.DateTimeField()
    period_end = models.DateTimeField()
    at = models.DateTimeField()
    outcome = models.CharField(max_length=8, choices=Outcome.choices)
    detail = models.TextField(blank=True)
    retry_at = models.DateTimeField(null=True, help_text="when the same is tried again; None: it is not")

    class Meta:
        ordering = ["-at", "-pk"]

    @property
    def last_day(self) -> datetime:
        """An instant of the period's last day."""
        return self.period_end - timedelta(microseconds=1)
