"""What can be bought and at what price, and what models are called."""

from django.db import models
from django.db.models import F, Q

from dashboard.accounts.models import Connection
from dashboard.mirror.models.base import Mirrored


class Generation(models.TextChoices):
    """The two generations of the provider's dedicated endpoints."""

    V1 = "v1", "v1 (deprecated)"
    V2 = "v2", "v2"


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


class UnitPrice(models.Model):
    """What one unit of a resource that is not in a catalogue costs per hour, half-open in time; None = still valid.

    No API tells these prices (contract 14): `source` says where one comes from. A change closes one row and opens
    the next.
    """

    class PriceSource(models.TextChoices):
        BILL = "bill", "derived from a billed hour"
        ESTIMATE = "estimate", "the provider's estimate"

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, db_index=False)
    sku = models.TextField(help_text="kind and what sets the price, e.g. cluster/H100_SXM/ON_DEMAND")
    nano_usd_per_hour = models.BigIntegerField(help_text="nano-dollars per unit and hour")
    valid_from = models.DateTimeField()
    valid_until = models.DateTimeField(null=True)
    source = models.CharField(max_length=8, choices=PriceSource.choices)
    evidence = models.TextField(help_text="one sentence: which billed hour, which estimate")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "sku"], condition=Q(valid_until=None), name="unit_price_one_open"
            ),
            models.CheckConstraint(
                condition=Q(valid_until=None) | Q(valid_until__gt=F("valid_from")), name="unit_price_order"
            ),
        ]


class CatalogueModel(Mirrored):
    """A model that the provider offers, as one of its two catalogues tells it."""

    class Origin(models.TextChoices):
        SERVERLESS = "serverless", "/v1/models"
        SUPPORTED = "supported", "/v2/supported-models"

    origin = models.CharField(max_length=10, choices=Origin.choices)
    name = models.TextField(help_text="what inference and deployments call it, e.g. Qwen/Qwen3-32B")
    display_name = models.TextField(blank=True)
    publisher = models.TextField(blank=True)
    type = models.TextField(blank=True, help_text="chat, embedding, ...; open set")
    support = models.TextField(
        blank=True, help_text="RECOMMENDED, SUPPORTED, DEPRECATED, HIDDEN; empty: not told"
    )
    context_length = models.BigIntegerField(null=True)
    is_serverless = models.BooleanField(default=False)
    is_dedicated = models.BooleanField(default=False)
    is_fine_tunable = models.BooleanField(default=False)
    # Nano-dollars per million tokens; None: not told.
    input_nano_usd = models.BigIntegerField(null=True)
    output_nano_usd = models.BigIntegerField(null=True)
    cached_input_nano_usd = models.BigIntegerField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "origin", "remote_id"], name="catalogue_model_once")
        ]
        indexes = [
            # Reader: "what is known of the model that this endpoint serves".
            models.Index(fields=["name"], name="catalogue_model_by_name"),
        ]


class TokenPrice(models.Model):
    """What a million tokens of a model cost, half-open in time; None = still valid. As HardwarePrice otherwise."""

    class Direction(models.TextChoices):
        INPUT = "input", "Input"
        OUTPUT = "output", "Output"
        CACHED = "cached", "Cached input"

    catalogue_model = models.ForeignKey(
        CatalogueModel, on_delete=models.CASCADE, related_name="token_prices", db_index=False
    )
    direction = models.CharField(max_length=6, choices=Direction.choices)
    nano_usd = models.BigIntegerField(help_text="nano-dollars per million tokens")
    valid_from = models.DateTimeField()
    valid_until = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["catalogue_model", "direction"],
                condition=Q(valid_until=None),
                name="token_price_one_open",
            ),
            models.CheckConstraint(
                condition=Q(valid_until=None) | Q(valid_until__gt=F("valid_from")), name="token_price_order"
            ),
        ]
        indexes = [
            # Reader: prices of a model (billing/prices.py); deleting one.
            models.Index(fields=["catalogue_model", "valid_from"], name="token_price_by_model"),
        ]


class ModelConfig(Mirrored):
    """A way to run a model: the hardware of one replica, and whether LoRA adapters can be attached to it."""

    name = models.TextField(help_text="resource name, as deployments take it: projects/{p}/configs/{c}")
    reference_model_id = models.TextField(
        help_text="ml_…: the model, or the base of own models, that it runs"
    )
    hardware = models.TextField(blank=True, help_text="e.g. 1xnvidia-h100-80gb; empty: not told")
    adapter_mode = models.TextField(blank=True, help_text="disabled, dynamic; open set; empty: not told")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "remote_id"], name="model_config_once")]
        indexes = [
            # Reader: "what can this model run on" of the deploy wizard.
            models.Index(fields=["reference_model_id"], name="model_config_by_model"),
        ]


class ClusterRegion(Mirrored):
    """A region that takes GPU clusters and volumes; GPU types and driver versions are in the payload."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "remote_id"], name="cluster_region_once")
        ]


class ModelDeprecation(models.Model):
    """When a model is taken out of service, and what replaces it; a dated list that an Admin keeps.

    The first entries come from the provider's deprecations page of 2025-11-08 (mirror/data/SOURCES.md).
    """

    model = models.TextField(unique=True)
    removal_on = models.DateField(help_text="the provider's date, UTC")
    replacement = models.TextField(blank=True, help_text="a model's name; empty: none named")
    is_dedicated_possible = models.BooleanField(
        null=True, help_text="whether a dedicated endpoint may still serve it; None: not told"
    )
    source = models.TextField(help_text="where it was read and when")

    class Meta:
        ordering = ["removal_on", "model"]

    def __str__(self) -> str:
        return self.model
