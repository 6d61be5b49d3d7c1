"""What metering itself remembers: how far it looked at the mirror, and when nobody looked at the provider."""

from django.db import models
from django.db.models import F, Q

from dashboard.accounts.models import Connection


class MeteringCursor(models.Model):
    """Which of a connection's edges and events the last pass took in; only what came since is metered again."""

    connection = models.OneToOneField(Connection, on_delete=models.CASCADE, related_name="metering_cursor")
    passed_at = models.DateTimeField(null=True, help_text="when the last pass began; None: none yet")
    last_change_id = models.BigIntegerField(default=0, help_text="newest mirror.StateChange that was metered")
    last_event_id = models.BigIntegerField(
        default=0, help_text="newest mirror.EndpointEvent that was metered"
    )
    last_resource_change_id = models.BigIntegerField(
        default=0, db_default=0, help_text="newest mirror.ResourceChange that was metered"
    )
    looked_until = models.DateTimeField(
        null=True, help_text="start of the last complete pass of the sync that gaps were looked for in"
    )


class SightGap(models.Model):
    """A stretch `[start, end)` in which no complete pass over endpoints began; `end` None = still so.

    Kept because the passes themselves are forgotten after a week (mirror/prune.py).
    """

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="sight_gaps")
    start = models.DateTimeField()
    end = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "start"], name="sight_gap_once"),
            models.CheckConstraint(condition=Q(end=None) | Q(end__gt=F("start")), name="sight_gap_order"),
        ]
