"""What every mirrored row has, and the projects that hold them."""

from django.db import models

from dashboard.accounts.models import Connection, Team


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
