"""Acts on the provider's resources: asked for, claimed, sent, observed, with a receipt."""

import uuid

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from dashboard.accounts.models import Connection, User
from dashboard.mirror.models import Deployment, Endpoint, Project, Resource, ResourceKind


class StopAction(models.Model):
    """One act on one deployment, endpoint or other resource, from the wish to the proof.

    Named after the act the product exists for; `kind` covers everything that writes to the provider, so that a click,
    a policy, a budget and an API call share one path, one claim and one receipt (docs/adr/0003). What it is about:
    `deployment` (with its endpoint), `endpoint` as a whole, `resource`, or, for what does not exist yet, `project`
    alone. Written by lifecycle/wishes.py (the wish) and claims.py (what was done and seen). A row is done only when
    the provider's state was read back.

    requested -> sent -> observed, or cancelled (before it was sent), refused (the provider said a final no; for
    a stop never final: it is retried and escalated), superseded (the world was changed by someone else).
    A claim is a lease on the row, not a state: it expires and is taken over.
    """

    class Kind(models.TextChoices):
        STOP = "stop", "Stop"
        START = "start", "Start"
        SCALE = "scale", "Scale"
        DELETE = "delete", "Delete"
        CONFIGURE = "configure", "Change settings"
        SPLIT = "split", "Change traffic split"
        CANCEL = "cancel", "Cancel"
        RESIZE = "resize", "Resize"
        CREATE = "create", "Create"
        UPLOAD = "upload", "Upload"
        DEPLOY = "deploy", "Deploy"

    class State(models.TextChoices):
        REQUESTED = "requested", "Requested"
        SENT = "sent", "Sent, waiting for the state"
        OBSERVED = "observed", "Observed"
        CANCELLED = "cancelled", "Cancelled"
        REFUSED = "refused", "Refused"
        SUPERSEDED = "superseded", "Superseded"

    class Origin(models.TextChoices):
        PERSON = "person", "Person"
        POLICY = "policy", "Policy"
        TIMER = "timer", "Timer"
        BUDGET = "budget", "Budget"
        API = "api", "API"

    kind = models.CharField(max_length=12, choices=Kind.choices)
    state = models.CharField(max_length=12, choices=State.choices, default=State.REQUESTED)
    # A deploy gets its endpoint, a create its resource, once the mirror knows what it made.
    endpoint = models.ForeignKey(Endpoint, null=True, on_delete=models.PROTECT, related_name="actions")
    resource = models.ForeignKey(Resource, null=True, on_delete=models.PROTECT, related_name="actions")
    # Always set by lifecycle/wishes.py; nullable for rows that an older version writes beside a newer one.
    project = models.ForeignKey(Project, null=True, on_delete=models.PROTECT, related_name="actions")
    target_name = models.TextField(
        blank=True, help_text="what people call it; also of what does not exist yet"
    )
    deployment = models.ForeignKey(Deployment, null=True, on_delete=models.PROTECT, related_name="actions")
    # What happened once must not happen twice: a form carries its key, a policy builds it from its decision.
    idempotency_key = models.TextField(unique=True)
    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)

    origin = models.CharField(max_length=8, choices=Origin.choices)
    requested_by = models.ForeignKey(User, null=True, on_delete=models.PROTECT, related_name="+")
    requested_by_label = models.TextField()
    reason = models.TextField(blank=True)
    min_replicas = models.PositiveIntegerField(null=True, help_text="start and scale only")
    max_replicas = models.PositiveIntegerField(null=True, help_text="start and scale only")
    # What is wanted beyond replica bounds, in the provider's words (lifecycle/wants.py: which, per kind).
    arguments = models.JSONField(default=dict)
    # Tokens and presigned addresses, encrypted (accounts/crypto.py); emptied when the act ends.
    sealed_arguments = models.TextField(blank=True)
    # verdicts.Memo: what was sent (written before the call) and the remote ids of what was made, so that nothing is
    # made twice.
    made = models.JSONField(default=dict)
    # Nano-dollars per hour when it was asked for: what a stop saves, what a start costs per `min_replicas`.
    burn_low_at_request = models.BigIntegerField(null=True)
    burn_high_at_request = models.BigIntegerField(null=True)
    requested_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField(db_default=Now())

    # Claim. `generation` grows with every claim; a write that carries an old one hits no row (fencing).
    generation = models.PositiveIntegerField(default=0)
    lease_owner = models.TextField(blank=True)
    lease_until = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField(db_default=Now())

    # What was sent. `sent_at` is the first time, written before the call leaves; `answered_at` the last acceptance.
    sent_at = models.DateTimeField(null=True)
    last_sent_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)
    send_count = models.PositiveIntegerField(default=0)
    state_when_sent = models.TextField(blank=True)
    # v2 only: the scaling settings read before a stop, so that a later start brings windows and metrics back.
    autoscaling_before = models.JSONField(null=True)

    # What was seen. The last read; the first read that showed an effect; the first of unbroken 404 answers.
    seen_state = models.TextField(blank=True)
    seen_ready_replicas = models.PositiveIntegerField(null=True)
    seen_at = models.DateTimeField(null=True, help_text="when it was first seen so")
    effect_seen_at = models.DateTimeField(null=True)
    absent_seen_at = models.DateTimeField(null=True)

    failures = models.PositiveIntegerField(default=0, help_text="in a row; the back-off grows with it")
    last_error = models.TextField(blank=True, help_text="one sentence; empty when the last attempt went well")
    escalated_at = models.DateTimeField(
        null=True, help_text="not confirmed within the limit; people were told"
    )
    finished_at = models.DateTimeField(null=True)
    outcome = models.TextField(blank=True, help_text="one sentence on how it ended; empty while open")

    OPEN_STATES = (State.REQUESTED, State.SENT)

    class Meta:
        indexes = [
            # Reader: the claim query (lifecycle/claims.py), every two seconds from two processes.
            models.Index(
                fields=["due_at", "id"], name="action_open", condition=Q(state__in=["requested", "sent"])
            ),
            # Reader: rows and detail of an endpoint: what is under way, last receipt.
            models.Index(fields=["endpoint", "-requested_at"], name="action_by_endpoint"),
            # Reader: rows and detail of any other resource.
            models.Index(
                fields=["resource", "-requested_at"],
                name="action_by_resource",
                condition=Q(resource__isnull=False),
            ),
        ]
        constraints = [
            # Two people press Stop: one act, not two. The second is told about the first.
            models.UniqueConstraint(
                fields=["deployment", "kind"],
                condition=Q(state__in=["requested", "sent"]),
                name="action_one_open_per_kind",
            ),
            models.UniqueConstraint(
                fields=["endpoint", "kind"],
                condition=Q(state__in=["requested", "sent"], deployment=None),
                name="action_one_open_per_endpoint_kind",
            ),
            models.UniqueConstraint(
                fields=["resource", "kind"],
                condition=Q(state__in=["requested", "sent"]),
                name="action_one_open_per_resource_kind",
            ),
            models.CheckConstraint(
                condition=Q(endpoint__isnull=False) | Q(resource__isnull=False) | Q(project__isnull=False),
                name="action_has_target",
            ),
            models.CheckConstraint(
                condition=~Q(kind__in=["start", "scale"]) | Q(max_replicas__gte=F("min_replicas")),
                name="action_replica_bounds",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.number} {self.kind}"

    @property
    def number(self) -> str:
        """The receipt's number as people say it, e.g. R-00042."""
        return f"R-{self.pk:05}"

    @property
    def is_open(self) -> bool:
        """True until it was observed or has ended otherwise."""
        return self.state in self.OPEN_STATES

    @property
    def connection(self) -> Connection:
        """The connection whose key carries the act. No query when what it is about is loaded with it."""
        return self.about.connection

    @property
    def area(self) -> str:
        """What kind of thing it is about, as audit rows name it: ``endpoint``, ``cluster``, ``volume``."""
        made = {self.Kind.CREATE: ResourceKind.VOLUME, self.Kind.UPLOAD: ResourceKind.MODEL}
        kind = made.get(self.Kind(self.kind))
        if kind is not None:
            return kind.value
        return self.resource.kind if self.resource is not None else "endpoint"

    @property
    def about(self) -> Endpoint | Resource | Project:
        """The row it is about; the project while what it makes does not exist yet."""
        about = self.endpoint or self.resource or self.project
        assert about is not None  # noqa: S101 - action_has_target
        return about

    @property
    def title(self) -> str:
        """What people call the thing, the deployment included where that says more."""
        if self.endpoint is None:
            return self.resource.name if self.resource is not None else self.target_name
        name = self.endpoint.display_name
        if self.deployment is None or self.deployment.name in ("", name, self.endpoint.name):
            return name
        return f"{name}, {self.deployment.name}"


class ActionStep(models.Model):
    """One line of a receipt: what was sent or seen, when. Append-only."""

    class What(models.TextChoices):
        REQUESTED = "requested", "Requested"
        CLAIMED = "claimed", "Claimed"
        SENT = "sent", "Sent"
        ANSWERED = "answered", "Answered"
        SEEN = "seen", "State read"
        FAILED = "failed", "Attempt failed"
        ESCALATED = "escalated", "Escalated"
        DONE = "done", "Confirmed"
        CANCELLED = "cancelled", "Cancelled"
        REFUSED = "refused", "Refused"
        SUPERSEDED = "superseded", "Superseded"

    action = models.ForeignKey(StopAction, on_delete=models.CASCADE, related_name="steps")
    at = models.DateTimeField(db_default=Now())
    what = models.CharField(max_length=12, choices=What.choices)
    state = models.TextField(blank=True, help_text="the provider's word, when one was read")
    ready_replicas = models.PositiveIntegerField(null=True)
    note = models.TextField(blank=True)
    provider_request_id = models.TextField(blank=True)
    # Set when the line was first written to the enforcer's journal, PostgreSQL being away: replays add nothing.
    journal_id = models.UUIDField(null=True, unique=True)

    class Meta:
        indexes = [
            # Reader: the receipt.
            models.Index(fields=["action", "id"], name="action_step_in_order"),
        ]


class PriceEstimate(models.Model):
    """A question to the provider that changes nothing: what would this fine-tune cost (docs/adr/0009).

    No act and no receipt: the answer is read once by the page that asked. Sole writer: lifecycle/estimates.py.
    """

    class State(models.TextChoices):
        PENDING = "pending", "Asking"
        ANSWERED = "answered", "Answered"
        FAILED = "failed", "No answer"

    public_id = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    project = models.ForeignKey(Project, on_delete=models.CASCADE, related_name="+")
    requested_by = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    requested_at = models.DateTimeField(db_default=Now())
    arguments = models.JSONField(help_text="the body that is asked with, in the provider's words")

    state = models.CharField(max_length=12, choices=State.choices, default=State.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    next_try_at = models.DateTimeField(db_default=Now())
    answered_at = models.DateTimeField(null=True)
    nano_usd = models.BigIntegerField(null=True, help_text="None: not answered, or the provider cannot tell")
    limit_nano_usd = models.BigIntegerField(null=True, help_text="what the account may spend on it")
    is_allowed = models.BooleanField(null=True)
    train_tokens = models.BigIntegerField(null=True)
    eval_tokens = models.BigIntegerField(null=True)
    reason = models.TextField(
        blank=True, help_text="the provider's word why it cannot tell, or what went wrong"
    )

    class Meta:
        indexes = [
            # Reader: the sweep of what no worker has answered (lifecycle/estimates.py).
            models.Index(fields=["requested_at"], name="estimate_pending", condition=Q(state="pending")),
        ]

    def __str__(self) -> str:
        return f"estimate {self.pk}"
