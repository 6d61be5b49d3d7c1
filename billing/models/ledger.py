"""What ran, when, at what price: metered intervals, and the append-only journal of what was posted for them."""

from datetime import timedelta

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Now
from django.db.models.lookups import GreaterThan, LessThanOrEqual

from dashboard.accounts.models import Connection
from dashboard.mirror.models import Deployment, Endpoint, Project, Resource


class MeterKind(models.TextChoices):
    """What can cost money; values are stable, they stand in addresses and exports."""

    DEPLOYMENT = "deployment", "Endpoint"
    FINE_TUNE = "fine-tune", "Fine-tune"
    BATCH = "batch", "Batch"
    EVALUATION = "evaluation", "Evaluation"
    CLUSTER = "cluster", "GPU cluster"
    VOLUME = "volume", "Shared volume"
    CONTAINER = "container", "Container"
    RL_RESOURCE = "rl-resource", "RL resources"
    SERVERLESS = "serverless", "Serverless inference"
    OTHER = "other", "Other"


class Meter(models.Model):
    """One thing whose cost is metered, for ever: it outlives the mirror's row and the connection.

    Known by the organisation and its remote id, so that a connection that is removed and made again goes on with the
    same meters. What only the bill tells (serverless tokens by model) has a meter without a mirrored row.
    """

    billing_account_id = models.TextField(help_text="the provider's organisation, org_…")
    billing_account_name = models.TextField(blank=True)
    kind = models.CharField(max_length=12, choices=MeterKind.choices)
    remote_id = models.TextField()
    name = models.TextField()

    connection = models.ForeignKey(Connection, null=True, on_delete=models.SET_NULL, related_name="+")
    project = models.ForeignKey(Project, null=True, on_delete=models.SET_NULL, related_name="+")
    endpoint = models.ForeignKey(Endpoint, null=True, on_delete=models.SET_NULL, related_name="meters")
    deployment = models.OneToOneField(Deployment, null=True, on_delete=models.SET_NULL, related_name="meter")
    resource = models.OneToOneField(Resource, null=True, on_delete=models.SET_NULL, related_name="meter")
    # What these were called, for when the mirror's rows are gone.
    sub_account_id = models.TextField(blank=True, help_text="remote id of the project; empty: not told")
    sub_account_name = models.TextField(blank=True)
    endpoint_name = models.TextField(blank=True, help_text="of the endpoint that a deployment belongs to")

    model = models.TextField(blank=True)
    hardware = models.TextField(blank=True)
    region = models.TextField(blank=True)
    creator = models.TextField(
        blank=True, help_text="the provider's id or name of who made it; often not told"
    )
    sku = models.TextField(blank=True, help_text="what prices it now (billing/skus.py); empty: no unit price")
    gpu_count = models.PositiveIntegerField(null=True, help_text="GPUs of one unit; None: not told")

    metered_from = models.DateTimeField(null=True, help_text="from here on its intervals have no hole")
    settled_until = models.DateTimeField(
        null=True, help_text="intervals before this are posted; None: nothing posted yet"
    )
    problem = models.TextField(
        blank=True, db_default="", help_text="why the last pass could not meter it; empty: it could"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["billing_account_id", "kind", "remote_id"], name="meter_once"),
        ]

    def __str__(self) -> str:
        return self.name


class IntervalSource(models.TextChoices):
    """How an interval is known, best first."""

    EVENT = "event", "provider event"
    PHASE = "phase", "phase transition"
    POLL = "poll", "seen by polling"
    BILL = "bill", "taken from the bill"
    ESTIMATE = "estimate", "estimated"


class Condition(models.TextChoices):
    """Whether the interval bills."""

    BILLS = "bills", "Bills"
    FREE = "free", "Does not bill"
    UNKNOWN = "unknown", "Unknown"


class Use(models.TextChoices):
    """What was done with what ran."""

    BUSY = "busy", "Busy"
    IDLE = "idle", "Idle"
    UNKNOWN = "unknown", "Traffic not known"


class Span(models.Model):
    """The columns that an interval and its posting share. Half-open `[start, end)`, UTC.

    `rate_low` and `rate_high` are nano-dollars per hour: units x contracted price, 0 where the price is unknown. The
    exact cost in ticks (billing/amounts.py) is `rate x (microseconds of [start, end) + rounding_us) + lump_nano_usd
    x 3.6e9`; rounding and lump fall on the last microsecond.
    """

    start = models.DateTimeField()
    end = models.DateTimeField(null=True, help_text="None: goes on")
    condition = models.CharField(max_length=8, choices=Condition.choices)
    state = models.TextField(blank=True, help_text="the provider's word for it")
    units_low = models.PositiveIntegerField(default=0, help_text="replicas, GPUs, TiB that billed, at least")
    units_high = models.PositiveIntegerField(default=0, help_text="... at most; differs for v1 endpoints")
    sku = models.TextField(blank=True)
    list_nano_usd_per_hour = models.BigIntegerField(
        null=True, help_text="list price of a unit and hour, nano-dollars; None: unknown, or a lump"
    )
    nano_usd_per_hour = models.BigIntegerField(
        null=True, help_text="contracted price: list less discount; None: unknown, never zero"
    )
    price_source = models.TextField(blank=True, help_text="one sentence: where the price comes from")
    rate_low = models.BigIntegerField(default=0)
    rate_high = models.BigIntegerField(default=0)
    lump_nano_usd = models.BigIntegerField(
        default=0, help_text="charged at once: jobs, tokens, prepaid terms"
    )
    rounding_us = models.BigIntegerField(default=0, help_text="microseconds billed beyond the observed ones")
    use = models.CharField(max_length=8, choices=Use.choices, default=Use.UNKNOWN)
    source = models.CharField(max_length=8, choices=IntervalSource.choices)
    evidence = models.TextField(
        blank=True, help_text="one sentence: which events, phases, polls or bill lines"
    )
    # Where the true edges lie; None: exact.
    start_earliest = models.DateTimeField(null=True)
    start_latest = models.DateTimeField(null=True)
    end_earliest = models.DateTimeField(null=True)
    end_latest = models.DateTimeField(null=True)
    # Exact bounds of the cost in ticks over what is not seen between polls; None: low and high of the rate hold.
    bound_low = models.DecimalField(max_digits=40, decimal_places=0, null=True)
    bound_high = models.DecimalField(max_digits=40, decimal_places=0, null=True)

    class Meta:
        abstract = True


class MeteredInterval(Span):
    """The best present knowledge of a meter, without overlap (the database refuses it) and without a hole.

    What is not settled is rewritten by each pass; what is settled changes only with a reversal and a correction in
    the journal. Intervals that bill end at midnight UTC at the latest, so that none is longer than a day.
    """

    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, related_name="intervals", db_index=False)
    is_settled = models.BooleanField(default=False)

    class Meta:
        constraints = [
            ExclusionConstraint(
                name="metered_interval_no_overlap",
                index_type="gist",
                # No btree_gist in the embedded PostgreSQL: a range of one id serves.
                expressions=[
                    (
                        Func(
                            F("meter_id"),
                            F("meter_id"),
                            Value("[]"),
                            function="int8range",
                            output_field=models.Field(),
                        ),
                        RangeOperators.OVERLAPS,
                    ),
                    (
                        Func(F("start"), F("end"), function="tstzrange", output_field=models.Field()),
                        RangeOperators.OVERLAPS,
                    ),
                ],
            ),
            models.CheckConstraint(
                condition=Q(end=None) | Q(end__gt=F("start")), name="metered_interval_order"
            ),
            models.CheckConstraint(condition=Q(rate_low__lte=F("rate_high")), name="metered_interval_rates"),
            # Reader: billing/costs, which looks for what bills in a period from a day before it.
            models.CheckConstraint(
                condition=~Q(condition="bills")
                | Q(end=None)
                | Q(LessThanOrEqual(F("end") - F("start"), timedelta(days=1))),
                name="metered_interval_within_a_day",
            ),
        ]
        indexes = [
            # Reader: intervals of one meter; metering itself.
            models.Index(fields=["meter", "start"], name="metered_interval_timeline"),
            # Reader: the cost of a period (billing/costs.py).
            models.Index(
                fields=["start", "end"],
                name="metered_interval_costs",
                condition=~Q(condition="free"),
            ),
            # Reader: billing/costs: what may have begun long before a period.
            models.Index(
                fields=["start"],
                name="metered_interval_long",
                condition=~Q(condition="free")
                & (Q(end=None) | Q(GreaterThan(F("end") - F("start"), timedelta(days=1)))),
            ),
            # Reader: metering, which looks at what is not posted yet.
            models.Index(
                fields=["meter", "start"], name="metered_interval_unsettled", condition=Q(is_settled=False)
            ),
            # Reader: metering, which asks whether a price has become known.
            models.Index(
                fields=["meter", "start"],
                name="metered_interval_unpriced",
                condition=Q(condition="bills", nano_usd_per_hour=None, lump_nano_usd=0),
            ),
        ]


class LedgerEntry(Span):
    """One posting, never changed and never deleted (a trigger refuses both).

    `key` makes posting idempotent. A reversal names the entry that it takes back and repeats its columns; its cost
    counts negative.
    """

    class Kind(models.TextChoices):
        CHARGE = "charge", "Charge"
        REVERSAL = "reversal", "Reversal"
        CORRECTION = "correction", "Correction"

    meter = models.ForeignKey(Meter, on_delete=models.PROTECT, related_name="entries", db_index=False)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    key = models.TextField(unique=True)
    reverses = models.OneToOneField("self", null=True, on_delete=models.PROTECT, related_name="reversed_by")
    reason = models.TextField(blank=True, help_text="why it was taken back or corrected; empty for a charge")
    posted_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(kind="reversal", reverses__isnull=False)
                | (~Q(kind="reversal") & Q(reverses=None)),
                name="ledger_entry_reversal",
            ),
        ]
        indexes = [
            # Reader: the journal of a meter; verify.
            models.Index(fields=["meter", "start", "id"], name="ledger_entry_timeline"),
            # Reader: statements and exports, which take what was posted in a period.
            models.Index(fields=["posted_at", "id"], name="ledger_entry_posted"),
        ]
