"""What the provider said, row by row, and how it changed.

Sole writer of every table here: mirror/store.py (Project.team: mirror/ownership.py). Queried fields are typed
columns, the rest stays in `payload` (secrets already dropped by together_api). `observed_at` is the time just
before the read that first told the present content: unchanged data writes no row, so the age of what a page shows
comes from SyncRun. What vanished keeps its row; `absent_since` says when it was first found missing.
"""

from django.contrib.postgres.fields import DateTimeRangeField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from dashboard.accounts.models import Connection, Team
from dashboard.mirror.readings import MOVING_STATES


class Generation(models.TextChoices):
    """The two generations of the provider's dedicated endpoints."""

    V1 = "v1", "v1 (deprecated)"
    V2 = "v2", "v2"


class Source(models.TextChoices):
    """How sure the time of a change is, best first."""

    EVENT = "event", "provider event"
    PHASE = "phase", "phase transition"
    POLL = "poll", "seen by polling"
    ESTIMATE = "estimate", "estimated"


class Mirrored(models.Model):
    """Columns that every mirrored resource has."""

    # No index of its own: the unique (connection, remote_id) of each table begins with it.
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, db_index=False)
    remote_id = models.TextField()
    payload = models.JSONField()
    # blake2b-128 of what the listing said of it: equal means nothing to do, without parsing.
    fingerprint = models.BinaryField(max_length=16)
    first_observed_at = models.DateTimeField()
    observed_at = models.DateTimeField()
    missing_since = models.DateTimeField(
        null=True, help_text="first found missing, not yet confirmed; None: seen since"
    )
    absent_since = models.DateTimeField(null=True)

    class Meta:
        abstract = True


class Project(Mirrored):
    """A project of the organisation that the key may see. `team` owns everything in it."""

    name = models.TextField()
    slug = models.TextField(blank=True)
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.SET_NULL)
    # v1 bodies name no project: what the key lists there belongs to the key's own one.
    is_key_project = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "remote_id"], name="project_once")]
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class Hardware(Mirrored):
    """A purchasable size: v2 instance type or v1 hardware."""

    generation = models.CharField(max_length=2, choices=Generation.choices)
    name = models.TextField(help_text="the id that deployments refer to, e.g. 1xnvidia-h100-80gb")
    gpu_type = models.TextField(blank=True)
    gpu_count = models.PositiveIntegerField(null=True)
    gpu_memory_gib = models.PositiveIntegerField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "generation", "remote_id"], name="hardware_once")
        ]


class HardwarePrice(models.Model):
    """The price of one replica, half-open in time `[valid_from, valid_until)`; None = still valid.

    A change of price closes one row and opens the next; nothing is repriced. `valid_from` of the first row is
    when we first saw it: the provider does not tell since when it holds.
    """

    hardware = models.ForeignKey(Hardware, on_delete=models.CASCADE, related_name="prices")
    nano_usd_per_hour = models.BigIntegerField(help_text="nano-dollars per replica and hour")
    valid_from = models.DateTimeField()
    valid_until = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["hardware"], condition=Q(valid_until=None), name="hardware_price_one_open"
            ),
            models.CheckConstraint(
                condition=Q(valid_until=None) | Q(valid_until__gt=F("valid_from")),
                name="hardware_price_order",
            ),
        ]


class ModelName(models.Model):
    """What people call a model id (`ml_…`), from the catalogue and the projects' own models."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE)
    remote_id = models.TextField()
    name = models.TextField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "remote_id"], name="model_name_once")]


class Endpoint(Mirrored):
    """A name that answers inference: v2 endpoint with its deployments, or v1 endpoint with exactly one.

    The columns from `status` on are a roll-up of its present deployments, written in the same transaction, so
    that lists sort, filter and count 10,000 deployments by index (bench/pages).
    """

    generation = models.CharField(max_length=2, choices=Generation.choices)
    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    name = models.TextField(help_text="fully qualified; the `model` value of inference calls")
    display_name = models.TextField(help_text="the last part of the name, or v1's display_name")
    model = models.TextField(blank=True)
    hardware = models.TextField(blank=True)
    endpoint_type = models.TextField(blank=True)
    visibility = models.TextField(blank=True)
    etag = models.TextField(blank=True)
    remote_created_at = models.DateTimeField(null=True)
    remote_updated_at = models.DateTimeField(null=True)

    status = models.CharField(max_length=16, help_text="value of core/status.py")
    status_since = models.DateTimeField(null=True)
    deployment_count = models.PositiveIntegerField(default=0)
    ready_replicas = models.PositiveIntegerField(null=True, help_text="None: the provider does not say (v1)")
    desired_replicas = models.PositiveIntegerField(null=True)
    gpu_count = models.PositiveIntegerField(default=0, help_text="GPUs of billable replicas, upper bound")
    # Nano-dollars per hour now; low = high except for v1, whose running replicas the provider does not tell.
    burn_low = models.BigIntegerField(default=0)
    burn_high = models.BigIntegerField(default=0)
    unpriced_replicas = models.PositiveIntegerField(
        default=0, help_text="billable replicas (upper bound) whose price is unknown"
    )
    # Traffic of its deployments as far as it was read: see TrafficMinute.
    last_request_at = models.DateTimeField(null=True)
    traffic_read_until = models.DateTimeField(
        null=True,
        help_text="every minute since its deployments run is known up to here; None: not even the first",
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "remote_id"], name="endpoint_once"),
        ]
        indexes = [
            # Reader: endpoint list and overview, dearest first, and their totals.
            models.Index(
                fields=["-burn_high", "display_name", "id"],
                name="endpoint_by_burn",
                condition=Q(absent_since=None),
            ),
            # Reader: chips and sidebar counts.
            models.Index(
                fields=["status"],
                include=["project", "burn_low", "burn_high"],
                name="endpoint_by_status",
                condition=Q(absent_since=None),
            ),
        ]

    def __str__(self) -> str:
        return self.display_name


class Deployment(Mirrored):
    """What runs and costs money: a v2 deployment, or the v1 endpoint itself under the same remote id."""

    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="deployments")
    generation = models.CharField(max_length=2, choices=Generation.choices)
    name = models.TextField()
    model_id = models.TextField(blank=True, help_text="v2: ml_…; v1: the model's name")
    model = models.TextField(blank=True, help_text="what people call it; the id until its name is known")
    hardware = models.TextField(blank=True)
    state = models.TextField(help_text="the provider's word, e.g. DEPLOYMENT_STATE_READY or STARTED")
    state_message = models.TextField(blank=True)
    min_replicas = models.PositiveIntegerField(null=True)
    max_replicas = models.PositiveIntegerField(null=True)
    desired_replicas = models.PositiveIntegerField(null=True)
    ready_replicas = models.PositiveIntegerField(null=True)
    # What bills now, as bounds (contract section 2): v2 low = high = ready replicas; v1 STARTED min..max.
    billable_low = models.PositiveIntegerField(default=0)
    billable_high = models.PositiveIntegerField(default=0)
    # None = price unknown; never zero for "unknown".
    nano_usd_per_hour = models.BigIntegerField(null=True, help_text="nano-dollars per replica and hour, now")
    gpu_count = models.PositiveIntegerField(null=True, help_text="GPUs of one replica")
    traffic_share = models.FloatField(null=True, help_text="estimated effective share, 0 to 1")
    traffic_mode = models.TextField(blank=True)
    inactive_timeout_minutes = models.PositiveIntegerField(null=True, help_text="0 = off; None = not told")
    etag = models.TextField(blank=True)
    remote_created_at = models.DateTimeField(null=True)
    remote_updated_at = models.DateTimeField(null=True)
    state_since = models.DateTimeField(null=True, help_text="start of the present state, as far as known")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "remote_id"], name="deployment_once")]
        indexes = [
            # Reader: mirror.sync_in_transition, every five seconds.
            models.Index(
                fields=["connection", "state_since"],
                name="deployment_moving",
                condition=Q(absent_since=None, state__in=MOVING_STATES),
            ),
            # Reader: mirror.sync_endpoints, which looks again at what was missing last time.
            models.Index(
                fields=["connection"],
                name="deployment_missing",
                condition=Q(absent_since=None, missing_since__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class StateChange(models.Model):
    """One edge in a deployment's life: from `at` on it was in `state` with these replicas.

    `at` is exact for source `event`; for `poll` the true edge lies in `(not_before, at]`. Rows are only added;
    late events add rows with an earlier `at`.
    """

    # No index of its own: that of the timeline begins with it. So do those of the tables below.
    deployment = models.ForeignKey(
        Deployment, on_delete=models.CASCADE, related_name="changes", db_index=False
    )
    at = models.DateTimeField()
    not_before = models.DateTimeField(
        null=True, help_text="previous observation; None: exact, or no bound known"
    )
    state = models.TextField()
    ready_replicas = models.PositiveIntegerField(null=True)
    min_replicas = models.PositiveIntegerField(null=True)
    max_replicas = models.PositiveIntegerField(null=True)
    hardware = models.TextField(blank=True)
    source = models.CharField(max_length=8, choices=Source.choices)
    event_id = models.TextField(blank=True, help_text="remote id of the event; empty for polls")
    recorded_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            # The feed is read with overlap: the same event must not become two edges.
            models.UniqueConstraint(
                fields=["deployment", "event_id"], condition=~Q(event_id=""), name="state_change_event_once"
            ),
        ]
        indexes = [
            # Reader: timeline of the detail page; metering (billing).
            models.Index(fields=["deployment", "at", "id"], name="state_change_timeline"),
        ]


class EndpointEvent(models.Model):
    """An entry of the provider's event feed, kept whole: its retention there is not known."""

    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="events", db_index=False)
    deployment = models.ForeignKey(Deployment, null=True, on_delete=models.CASCADE, related_name="events")
    remote_id = models.TextField()
    at = models.DateTimeField()
    type = models.TextField()
    level = models.TextField(blank=True)
    message = models.TextField(blank=True)
    payload = models.JSONField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["endpoint", "remote_id"], name="event_once")]
        indexes = [
            # Reader: events panel of the detail page, newest first; the sync's high-water mark.
            models.Index(fields=["endpoint", "-at", "-id"], name="event_newest"),
        ]


class EventCursor(models.Model):
    """How far an endpoint's event feed was read without a gap, by our clock and by the provider's.

    The next walk goes back to a little before `newest_event_at`: events carry the provider's clock, and one that is
    behind ours by more than the overlap must not hide them.
    """

    endpoint = models.OneToOneField(Endpoint, on_delete=models.CASCADE, related_name="event_cursor")
    read_until = models.DateTimeField(help_text="our clock, just before the walk")
    newest_event_at = models.DateTimeField(null=True, help_text="the provider's clock; None: no event yet")


class TrafficMinute(models.Model):
    """Requests and tokens that a deployment served in the minute `[minute, minute + 60 s)`.

    A minute inside TrafficCoverage without a row had no request; a minute outside is unknown.
    """

    deployment = models.ForeignKey(
        Deployment, on_delete=models.CASCADE, related_name="traffic", db_index=False
    )
    minute = models.DateTimeField()
    requests = models.BigIntegerField()
    failed_requests = models.BigIntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)

    class Meta:
        # Reader: rates and evidence; the unique index serves both.
        constraints = [models.UniqueConstraint(fields=["deployment", "minute"], name="traffic_minute_once")]


class TrafficHalfHour(models.Model):
    """Sums of an endpoint's TrafficMinutes per half hour, written with them; `start` is :00 or :30 UTC.

    Lists draw 50 sparklines at a time: from minutes of ten busy deployments each that would be 700,000 rows.
    """

    # The unique index begins with the endpoint; another one would only cost.
    endpoint = models.ForeignKey(Endpoint, on_delete=models.CASCADE, related_name="+", db_index=False)
    start = models.DateTimeField()
    requests = models.BigIntegerField()
    failed_requests = models.BigIntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)

    class Meta:
        # Reader: traffic_history.load_days.
        constraints = [models.UniqueConstraint(fields=["endpoint", "start"], name="traffic_half_hour_once")]


class TrafficCoverage(models.Model):
    """A stretch of time whose traffic was read without a gap; stretches of a deployment never overlap.

    Origin `unknown` says that the provider was asked and did not tell: the minutes in it are not zero but unknown.
    """

    class Origin(models.TextChoices):
        METRICS = "metrics", "provider metrics"
        ANALYTICS = "analytics", "provider analytics"
        UNKNOWN = "unknown", "asked for, not told"

    deployment = models.ForeignKey(
        Deployment,
        on_delete=models.CASCADE,
        related_name="coverage",
        # The index below serves; `period` is in no index, so that extending a stretch stays a cheap update.
        db_index=False,
    )
    period = DateTimeRangeField()
    origin = models.CharField(max_length=12, choices=Origin.choices)

    class Meta:
        indexes = [
            # Reader: "is this minute known" for one deployment; the traffic sync, which extends stretches.
            models.Index(fields=["deployment"], name="coverage_by_deployment"),
        ]


class TrafficCursor(models.Model):
    """When the organisation's Prometheus text was last read: the start of the next increase."""

    connection = models.OneToOneField(Connection, on_delete=models.CASCADE, related_name="traffic_cursor")
    read_at = models.DateTimeField()


class CounterReading(models.Model):
    """Last value of each Prometheus counter of a deployment, to turn counters into minutes.

    One row per (deployment, series of a pod); a value that fell means that the pod started again at zero.
    """

    deployment = models.ForeignKey(Deployment, on_delete=models.CASCADE, related_name="+", db_index=False)
    series = models.TextField(help_text="metric name with the labels that tell pods apart")
    value = models.FloatField()
    read_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["deployment", "series"], name="counter_reading_once")]


class SyncRun(models.Model):
    """One pass of a sync over one connection: what it saw, what it wrote, why it failed.

    The newest complete run of a resource is the age of every page that shows it.
    """

    class Resource(models.TextChoices):
        PROJECTS = "projects", "Projects"
        HARDWARE = "hardware", "Hardware and prices"
        ENDPOINTS = "endpoints", "Endpoints and deployments"
        IN_TRANSITION = "in_transition", "Deployments in transition"
        EVENTS = "events", "Events"
        TRAFFIC = "traffic", "Traffic"

    class Outcome(models.TextChoices):
        RUNNING = "running", "Running"
        COMPLETE = "complete", "Complete"
        PARTIAL = "partial", "Partial"
        FAILED = "failed", "Failed"
        BUSY = "busy", "Another run held the lock"

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="sync_runs")
    resource = models.CharField(max_length=16, choices=Resource.choices)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    seen = models.PositiveIntegerField(default=0)
    created = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)
    absent = models.PositiveIntegerField(default=0)
    malformed = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True, help_text="one sentence for people; empty when nothing failed")

    class Meta:
        indexes = [
            # Reader: age and last error per resource, on every page.
            models.Index(fields=["connection", "resource", "-started_at"], name="sync_run_newest"),
            # Reader: the last complete run per resource.
            models.Index(
                fields=["connection", "resource", "-finished_at"],
                name="sync_run_newest_complete",
                condition=Q(outcome="complete"),
            ),
            # Reader: mirror.prune.
            models.Index(fields=["started_at"], name="sync_run_prune"),
        ]


class MalformedPayload(models.Model):
    """An item that could not be read: kept whole, shown in Settings, skipped by the sync."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE)
    resource = models.TextField()
    remote_id = models.TextField(blank=True)
    fingerprint = models.BinaryField(max_length=16)
    payload = models.JSONField()
    error = models.TextField()
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "resource", "fingerprint"], name="malformed_payload_once"
            )
        ]
