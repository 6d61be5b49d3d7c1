"""Whose cost it is: rules, what they decided, and how shared cost is split."""

from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.fields import RangeOperators
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.functions import Now

from billing.models.ledger import Meter
from dashboard.accounts.models import Team, User
from dashboard.mirror.models import Project


class OwnershipRule(models.Model):
    """Gives what matches to a team and cost centre; the first rule that matches wins, all conditions must hold.

    A rule without a team only adds its tags. Rules are retired, never deleted: history names them. What a rule says
    of a project and a team is kept beside the keys: when the row goes, the rule must not widen to any project, nor
    hand on what it gave to a team that was deleted.
    """

    name = models.TextField()
    position = models.PositiveIntegerField()
    project = models.ForeignKey(Project, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    project_remote_id = models.TextField(
        blank=True,
        default="",
        db_default="",
        help_text="what is held against Meter.sub_account_id; empty: any",
    )
    project_name = models.TextField(blank=True, default="", db_default="")
    name_pattern = models.TextField(
        blank=True, help_text="shell pattern over the name, e.g. prod-*; empty: any"
    )
    creator = models.TextField(blank=True, help_text="who made it, as the provider tells; empty: anybody")
    kind = models.CharField(max_length=12, blank=True, help_text="value of MeterKind; empty: any")
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    team_name = models.TextField(
        blank=True, default="", db_default="", help_text="empty: the rule only adds tags"
    )
    cost_centre = models.TextField(blank=True)
    tags = models.JSONField(default=dict, help_text="flat, text to text")
    created_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(db_default=Now())
    retired_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["position", "pk"]


class Ownership(models.Model):
    """Who owns a meter's cost over `[valid_from, valid_until)`; None = for ever on that side.

    A meter without a row, or with a row without a team, is unowned.
    """

    class Source(models.TextChoices):
        MANUAL = "manual", "assigned by hand"
        RULE = "rule", "assigned by a rule"
        PROJECT = "project", "its project's team"
        NOBODY = "nobody", "nobody"

    meter = models.ForeignKey(Meter, on_delete=models.CASCADE, related_name="ownerships", db_index=False)
    valid_from = models.DateTimeField(null=True)
    valid_until = models.DateTimeField(null=True)
    team = models.ForeignKey(Team, null=True, on_delete=models.SET_NULL, related_name="+")
    team_name = models.TextField(blank=True, help_text="at the time, for when the team is gone")
    owner = models.TextField(blank=True, help_text="person who answers for it")
    cost_centre = models.TextField(blank=True)
    tags = models.JSONField(default=dict)
    hand_tags = models.JSONField(
        null=True, help_text="those of the tags that a person set; rules never take them away; None: none"
    )
    source = models.CharField(max_length=8, choices=Source.choices)
    rule = models.ForeignKey(OwnershipRule, null=True, on_delete=models.PROTECT, related_name="+")
    decided_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            ExclusionConstraint(
                name="ownership_no_overlap",
                index_type="gist",
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
                        Func(
                            F("valid_from"),
                            F("valid_until"),
                            function="tstzrange",
                            output_field=models.Field(),
                        ),
                        RangeOperators.OVERLAPS,
                    ),
                ],
            ),
        ]
        indexes = [
            # Reader: costs by team (billing/costs.py).
            models.Index(fields=["meter", "valid_from"], name="ownership_by_meter"),
            # Reader: "what does this team own".
            models.Index(fields=["team"], condition=Q(valid_until=None), name="ownership_by_team"),
        ]


class CostSplit(models.Model):
    """Shares of a meter's cost among teams over `[valid_from, valid_until)`; its owner still answers for it.

    By usage: in proportion to what each of the teams spent otherwise in the period that is looked at.
    """

    class Method(models.TextChoices):
        FIXED = "fixed", "fixed shares"
        USAGE = "usage", "by what each team spent otherwise"

    meter = models.ForeignKey(Meter, on_delete=models.CASCADE, related_name="splits")
    method = models.CharField(max_length=8, choices=Method.choices)
    valid_from = models.DateTimeField()
    valid_until = models.DateTimeField(null=True)
    decided_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["meter"], condition=Q(valid_until=None), name="cost_split_one_open"
            ),
        ]


class CostShare(models.Model):
    """One team's part of a split; fixed shares of a split sum to 100."""

    split = models.ForeignKey(CostSplit, on_delete=models.CASCADE, related_name="shares")
    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="+")
    percent = models.DecimalField(max_digits=5, decimal_places=2, null=True, help_text="None: by usage")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["split", "team"], name="cost_share_once")]
