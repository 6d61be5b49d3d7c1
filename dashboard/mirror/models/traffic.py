"""Who used what, minute by minute, and how far that is known."""

from django.contrib.postgres.fields import DateTimeRangeField
from django.db import models

from dashboard.accounts.models import Connection
from dashboard.mirror.models.endpoints import Deployment, Endpoint


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
