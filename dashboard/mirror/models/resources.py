"""Everything that is not an endpoint: jobs, files, models, clusters, volumes, containers, RL resources.

One table for all kinds (docs/adr/0007): they share identity, state, owner, price and history, and one list, one
search, one act and one bill go over all of them. What only one kind has stays in its payload.
"""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from dashboard.core import resource_states
from dashboard.mirror.models.base import Mirrored, Project, Source


class ResourceKind(models.TextChoices):
    """What a resource is; values are stable, they stand in addresses."""

    FINE_TUNE = "fine-tune", "Fine-tune"
    BATCH = "batch", "Batch"
    EVALUATION = "evaluation", "Evaluation"
    UPLOAD = "upload", "Model upload"
    UPLOAD_V1 = "upload-v1", "Model upload (v1)"
    FILE = "file", "File"
    MODEL = "model", "Model"
    CLUSTER = "cluster", "GPU cluster"
    VOLUME = "volume", "Shared volume"
    CONTAINER = "container", "Container"
    RL_RESOURCE = "rl-resource", "RL resources"
    RL_SESSION = "rl-session", "RL session"


class Resource(Mirrored):
    """One thing of the organisation, as last told.

    `units` is what bills now, in the unit of its kind (core/resource_states.py): GPUs of a cluster's live on-demand
    nodes, TiB of a volume, GPUs of a container's ready replicas, 1 for RL resources while ready; jobs have none,
    their price is `total_nano_usd`.
    """

    kind = models.CharField(max_length=12, choices=ResourceKind.choices)
    # What names no project belongs to the key's own one (contract 1.1: a key belongs to one project).
    project = models.ForeignKey(Project, on_delete=models.CASCADE)
    name = models.TextField()
    model = models.TextField(blank=True, help_text="base model of a job or model; empty: none or not told")
    hardware = models.TextField(blank=True, help_text="GPU type as the provider writes it")
    region = models.TextField(blank=True)
    owner = models.TextField(blank=True, help_text="the provider's id or name of who made it")
    variety = models.TextField(
        blank=True, help_text="kind within the kind: Lora sft, score, KUBERNETES on-demand, fine-tune file"
    )

    state = models.TextField(blank=True, help_text="the provider's word; empty: it has none")
    state_message = models.TextField(blank=True)
    state_since = models.DateTimeField(null=True, help_text="start of the present state, as far as known")
    status = models.CharField(max_length=16, help_text="value of core/status.py")
    remote_created_at = models.DateTimeField(null=True)
    remote_updated_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(
        null=True, help_text="deadline of a job, end of a reservation, expiry of RL resources"
    )

    progress = models.FloatField(null=True, help_text="0 to 1; None: not told")
    seconds_remaining = models.PositiveIntegerField(null=True, help_text="the provider's estimate")
    size_bytes = models.BigIntegerField(null=True)
    tokens = models.BigIntegerField(null=True, help_text="trained or processed")
    total_nano_usd = models.BigIntegerField(
        null=True, help_text="the provider's own total, nano-dollars; None: not told"
    )

    gpu_count = models.PositiveIntegerField(default=0, help_text="GPUs it holds, prepaid ones included")
    units = models.PositiveIntegerField(default=0)
    sku = models.TextField(blank=True, help_text="what UnitPrice prices; empty: nothing bills by the hour")
    nano_usd_per_unit_hour = models.BigIntegerField(null=True, help_text="None: price unknown, never zero")
    burn = models.BigIntegerField(default=0, help_text="nano-dollars per hour now: units x price")
    unpriced_units = models.PositiveIntegerField(default=0, help_text="billing units whose price is unknown")

    # Events, checkpoints and curves are read apart from the listing (mirror/sync_details.py).
    details_read_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "kind", "remote_id"], name="resource_once"),
        ]
        indexes = [
            # Reader: lists of a kind, newest first.
            models.Index(
                fields=["kind", "-remote_created_at", "id"],
                name="resource_newest",
                condition=Q(absent_since=None),
            ),
            # Reader: chips, sidebar counts and the burn of every page.
            models.Index(
                fields=["kind", "status"],
                include=["project", "burn", "unpriced_units", "gpu_count"],
                name="resource_by_status",
                condition=Q(absent_since=None),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def unit(self) -> str:
        """What `units` counts, e.g. GPU; empty for what does not bill by the hour."""
        return resource_states.UNITS.get(self.kind, "")


class ResourceChange(models.Model):
    """One edge in a resource's life: from `at` on it was in `state` with these billing units.

    `at` is exact for source `phase` and `event`; for `poll` the true edge lies in `(not_before, at]`. Rows are only
    added.
    """

    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="changes", db_index=False)
    at = models.DateTimeField()
    not_before = models.DateTimeField(
        null=True, help_text="previous observation; None: exact, or no bound known"
    )
    state = models.TextField()
    units = models.PositiveIntegerField(null=True, help_text="None: the phase does not tell")
    source = models.CharField(max_length=8, choices=Source.choices)
    phase_key = models.TextField(blank=True, help_text="what makes a phase the same phase; empty for polls")
    recorded_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            # Phases come with every body: each becomes one edge.
            models.UniqueConstraint(
                fields=["resource", "phase_key"], condition=~Q(phase_key=""), name="resource_change_once"
            ),
        ]
        indexes = [
            # Reader: timeline of the detail page; metering (billing).
            models.Index(fields=["resource", "at", "id"], name="resource_change_timeline"),
        ]


class ResourceLink(models.Model):
    """A resource names another one by its remote id, mirrored or not: input file, output model, volume, node."""

    class Relation(models.TextChoices):
        INPUT = "input", "Input file"
        VALIDATION = "validation", "Validation file"
        OUTPUT = "output", "Output file"
        ERRORS = "errors", "Error file"
        MODEL = "model", "Model"
        BASE = "base", "Base model"
        VOLUME = "volume", "Volume"
        CLUSTER = "cluster", "Cluster"
        RL_RESOURCE = "rl-resource", "RL resources"

    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="links", db_index=False)
    relation = models.CharField(max_length=12, choices=Relation.choices)
    target = models.TextField(help_text="remote id, or a model's name")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["resource", "relation", "target"], name="resource_link_once"),
        ]
        indexes = [
            # Reader: "who uses this file, model, volume".
            models.Index(fields=["target"], name="resource_link_target"),
        ]


class ResourceEvent(models.Model):
    """An entry of a resource's own feed: fine-tune and upload events, status updates of v1 jobs and evaluations."""

    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="events", db_index=False)
    # Fine-tune events have no id: the fingerprint of the entry is its identity.
    key = models.TextField()
    at = models.DateTimeField(null=True, help_text="None: the provider's time could not be read")
    position = models.PositiveIntegerField(help_text="place in the feed, oldest first")
    type = models.TextField(blank=True)
    level = models.TextField(blank=True)
    message = models.TextField(blank=True)
    payload = models.JSONField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["resource", "key"], name="resource_event_once")]
        indexes = [
            # Reader: events and stages of the detail page.
            models.Index(fields=["resource", "position"], name="resource_event_order"),
        ]


class ResourceDocument(models.Model):
    """Something read apart from the listing and kept whole: the newest answer replaces the one before."""

    class Name(models.TextChoices):
        BODY = "body", "Full body"
        CHECKPOINTS = "checkpoints", "Checkpoints"
        METRICS = "metrics", "Training metrics"
        FILES = "files", "Files of a model"
        REVISIONS = "revisions", "Revisions of a model"

    resource = models.ForeignKey(Resource, on_delete=models.CASCADE, related_name="documents", db_index=False)
    name = models.CharField(max_length=12, choices=Name.choices)
    payload = models.JSONField()
    read_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["resource", "name"], name="resource_document_once")]
