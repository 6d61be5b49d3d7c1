"""Read the bodies of the provider's two model catalogues, and of configs, into the columns of the mirror. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from dashboard.together_api import payloads

NANO_PER_DOLLAR = 1_000_000_000
_STATUS_PREFIX = "SUPPORTED_MODEL_STATUS_"
_SERVERLESS, _DEDICATED, _FINE_TUNING = "PRODUCT_SERVERLESS", "PRODUCT_DEDICATED", "PRODUCT_FINE_TUNING"


@dataclass(frozen=True, slots=True)
class CatalogueReading:
    """The columns of mirror.CatalogueModel; prices in nano-dollars per million tokens, None = not told."""

    remote_id: str
    name: str
    display_name: str
    publisher: str
    type: str
    support: str
    context_length: int | None
    is_serverless: bool
    is_dedicated: bool
    is_fine_tunable: bool
    input_nano_usd: int | None
    output_nano_usd: int | None
    cached_input_nano_usd: int | None


@dataclass(frozen=True, slots=True)
class ConfigReading:
    """The columns of mirror.ModelConfig; empty = not told."""

    remote_id: str
    name: str
    reference_model_id: str
    hardware: str
    adapter_mode: str


def read_nano_usd(dollars: Decimal | float | None) -> int | None:
    """Return a list price as whole nano-dollars, None when not told.

    Through the text of the float: 1.0399999999999998 dollars per million (contract 1.8) is 1.04, and becomes it here.
    """
    if dollars is None:
        return None
    nano = Decimal(str(dollars)) * NANO_PER_DOLLAR
    return int(nano.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def read_serverless_model(body: payloads.Model) -> CatalogueReading:
    """Return the columns of an item of /v1/models.

    It prints zeros where it has no price (contract 5: hourly and finetune are 0 everywhere), so zero in and out is
    "not told", never free of charge; only a priced model is known to be serverless.
    """
    pricing = body.pricing
    prices = (read_nano_usd(pricing.input), read_nano_usd(pricing.output)) if pricing else (None, None)
    is_priced = any(prices)
    return CatalogueReading(
        remote_id=body.id,
        name=body.id,
        display_name=body.display_name,
        publisher=body.organization or "",
        type=body.type,
        support="",
        context_length=body.context_length or None,
        is_serverless=is_priced,
        is_dedicated=False,
        is_fine_tunable=False,
        input_nano_usd=prices[0] if is_priced else None,
        output_nano_usd=prices[1] if is_priced else None,
        cached_input_nano_usd=None,
    )


def read_supported_model(body: payloads.SupportedModel) -> CatalogueReading:
    """Return the columns of an item of /v2/supported-models."""
    pricing = body.pricing
    return CatalogueReading(
        remote_id=body.id,
        name=body.name or body.id,
        display_name=body.display_name,
        publisher=body.publisher,
        type=body.display_type,
        support=body.status.removeprefix(_STATUS_PREFIX),
        context_length=body.context_length or None,
        is_serverless=_SERVERLESS in body.products,
        is_dedicated=_DEDICATED in body.products,
        is_fine_tunable=_FINE_TUNING in body.products,
        input_nano_usd=read_nano_usd(pricing.input) if pricing else None,
        output_nano_usd=read_nano_usd(pricing.output) if pricing else None,
        cached_input_nano_usd=read_nano_usd(pricing.cached_input) if pricing else None,
    )


def read_config(body: payloads.ModelConfig) -> ConfigReading:
    """Return the columns of a config: which model it runs, on which hardware."""
    return ConfigReading(
        remote_id=body.id,
        name=f"projects/{body.project_id}/configs/{body.id}",
        reference_model_id=body.reference_model_id or find_model_id(body.reference_model),
        hardware=body.hardware or "",
        adapter_mode=find_selector(body.selectors, "adapter_mode"),
    )


def find_selector(selectors: Iterable[payloads.ConfigSelector], key: str) -> str:
    """Return the value of a selector, empty when there is none."""
    return next((one.value or "" for one in selectors if one.key == key), "")


def find_model_id(resource_name: str) -> str:
    """Return ``m`` of ``projects/{p}/models/{m}[/revisions/{r}]``, empty for another form."""
    parts = resource_name.split("/")
    return parts[3] if len(parts) >= 4 and parts[0] == "projects" and parts[2] == "models" else ""
