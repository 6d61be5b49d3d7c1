"""Endpoints and deployments of both generations, with the edges of their lives and their events."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from dashboard.mirror.models.base import Mirrored, Project, Source
from dashboard.mirror.models.catalogue import Generation
from dashboard.mirror.readings import MOVING_STATES


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
