"""Passes of the sync, and what they could not read."""

from django.db import models
from django.db.models import Q

from dashboard.accounts.models import Connection


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
        FINE_TUNES = "fine_tunes", "Fine-tunes"
        BATCHES = "batches", "Batches"
        EVALUATIONS = "evaluations", "Evaluations"
        FILES = "files", "Files"
        UPLOADS = "uploads", "Model uploads"
        MODELS = "models", "Own models"
        CATALOGUE = "catalogue", "Model catalogue"
        CLUSTERS = "clusters", "Clusters"
        REGIONS = "regions", "Regions of clusters and volumes"
        VOLUMES = "volumes", "Volumes"
        CONTAINERS = "containers", "Containers"
        RL = "rl", "RL post-training"
        DETAILS = "details", "Events and curves of jobs"
        UNIT_PRICES = "unit_prices", "Prices from the bill"

    class Outcome(models.TextChoices):
        RUNNING = "running", "Running"
        COMPLETE = "complete", "Complete"
        PARTIAL = "partial", "Partial"
        FAILED = "failed", "Failed"
        BUSY = "busy", "Another run held the lock"
        # Several APIs are not open to every organisation (contract 9, 10): an answer, not an error.
        UNAVAILABLE = "unavailable", "Not offered to this key"

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="sync_runs")
    resource = models.CharField(max_length=16, choices=Resource.choices)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=12, choices=Outcome.choices)
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
