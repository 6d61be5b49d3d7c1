"""FOCUS Cost and Usage, versions 1.2 and 1.4, from the one internal model. Pure.

https://focus.finops.org/focus-specification/ (1.2 of 2025-05-29, 1.4 of 2026-06-04). Decisions of ours:

- A file is either our estimate or what the provider billed. An estimate never carries an InvoiceId, because the costs
  of an invoice id must add up to the payable amount; the usage API names no invoice either: the column stays null.
- Charge periods are hours or days of UTC. The billing period is the UTC month in which a charge is told.
- What changed in a month after finance closed it is a row of ChargeClass Correction, in the month when it was posted.
- Where only bounds are known (replicas of v1 endpoints) costs and quantities are the lower bound; x_CostUpperBound is
  the other one.
- FOCUS has no word for cost that nobody can tell, and 0 would be a lie: time at an unknown price, and time of which it
  is not known whether it billed, is not in the file. The plain files have it, and the export page counts it.
- A term of a cluster that is paid in advance is Usage of One-Time frequency when it is charged: it is not spread over
  its days, which a Purchase (of EffectiveCost 0) would promise.
"""

import enum
import json
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache

from billing.exports.lines import Line, price_dollars, to_dollars, to_hours, to_text

PROVIDER = "Together AI"
CURRENCY = "USD"
HOURS, CHARGES = "Hours", "Charges"
Value = str | Decimal | datetime | None


class FocusVersion(enum.StrEnum):
    """Versions of the specification that are written."""

    V1_2 = "1.2"
    V1_4 = "1.4"


# kind -> category, subcategory, service, type of resource. Both lists are closed in the specification.
_AI, _COMPUTE, _STORAGE = "AI and Machine Learning", "Compute", "Storage"
_SERVICES = {
    "deployment": (_AI, "Generative AI", "Dedicated Endpoints", "Deployment"),
    "fine-tune": (_AI, "Machine Learning", "Fine-tuning", "Fine-tune"),
    "batch": (_AI, "Generative AI", "Batch Inference", "Batch"),
    "evaluation": (_AI, "Machine Learning", "Evaluations", "Evaluation"),
    "cluster": (_COMPUTE, "Virtual Machines", "GPU Clusters", "GPU Cluster"),
    "volume": (_STORAGE, "File Storage", "Shared Volumes", "Shared Volume"),
    "container": (_COMPUTE, "Containers", "Containers", "Container"),
    "rl-resource": (_AI, "Machine Learning", "Reinforcement Learning", "RL Resource"),
    "serverless": (_AI, "Generative AI", "Serverless Inference", "Model"),
}
_OTHER_SERVICE = (_AI, "Other (AI and Machine Learning)", "Other", "Other")


def _service(line: Line) -> tuple[str, str, str, str]:
    return _SERVICES.get(line.kind, _OTHER_SERVICE)


def _is_billed(line: Line) -> bool:
    return bool(line.product) or line.quantity is not None


def _is_lump(line: Line) -> bool:
    return line.lump_count != 0


def _is_prepaid(line: Line) -> bool:
    return line.kind == "cluster" and _is_lump(line)


def _month_start(line: Line) -> datetime:
    told = (line.told_at or line.start).astimezone(UTC)
    return datetime(told.year, told.month, 1, tzinfo=UTC)


def _month_end(line: Line) -> datetime:
    first = _month_start(line)
    return datetime(first.year + first.month // 12, first.month % 12 + 1, 1, tzinfo=UTC)


def _is_credit(line: Line) -> bool:
    return _is_billed(line) and line.ticks_low < 0


def _category(line: Line) -> str:
    if _is_credit(line):
        return "Credit"
    return "Usage"


def _description(line: Line) -> str:
    if line.product:
        return line.product
    if line.told_at is not None:
        return f"{line.name}: {line.reason or 'posted after the month was closed'}"
    if _is_lump(line):
        return f"{line.name}, charged at once"
    return f"{line.name} running" + (" without requests" if line.use == "idle" else "")


def _frequency(line: Line) -> str:
    return "One-Time" if _is_prepaid(line) else "Usage-Based"


def _effective(line: Line) -> Decimal:
    return to_dollars(line.ticks_low)


def _billed_cost(line: Line) -> Decimal:
    return _effective(line)


def _list_cost(line: Line) -> Decimal:
    return to_dollars(line.list_ticks)


def _quantity(line: Line) -> Decimal | None:
    if _is_credit(line):
        return None
    if _is_billed(line):
        return line.quantity if line.quantity is not None else Decimal(1)
    return Decimal(line.lump_count) if _is_lump(line) else to_hours(line.unit_us_low)


def _unit(line: Line) -> str | None:
    if _is_credit(line):
        return None
    if _is_billed(line):
        # The bill counts in units of the product and does not name them.
        return "Units" if line.quantity is not None else CHARGES
    return CHARGES if _is_lump(line) else HOURS


def _list_price(line: Line) -> Decimal | None:
    return _billed_price(line) if _is_billed(line) else price_dollars(line.list_nano)


def _price(line: Line) -> Decimal | None:
    return _billed_price(line) if _is_billed(line) else price_dollars(line.nano)


def _billed_price(line: Line) -> Decimal | None:
    if _is_credit(line):
        return None
    # A line without a quantity is one charge.
    return line.unit_price if line.quantity is not None else to_dollars(line.ticks_low)


def _sku(line: Line) -> str | None:
    """Return the SKU; what has none is known by its product or kind. A credit is of none."""
    return None if _is_credit(line) else line.sku or line.product or line.kind or "other"


def _sku_price_id(line: Line) -> str | None:
    sku, price = _sku(line), _price(line)
    if sku is None:
        return None
    return f"{sku}@{to_text(price)}"


def _sku_meter(line: Line) -> str | None:
    if _sku(line) is None:
        return None
    return "Charge" if _is_lump(line) or _is_billed(line) else "Running Time"


def _sku_details(line: Line) -> str | None:
    if _sku(line) is None:
        return None
    details: dict[str, object] = {}
    if line.gpu_count is not None:
        details["GpuCount"] = line.gpu_count
    if line.hardware:
        details["x_Hardware"] = line.hardware
    if line.model:
        details["x_Model"] = line.model
    return json.dumps(details, ensure_ascii=False, sort_keys=True) if details else None


def _tags(line: Line) -> str:
    return _write_tags(line.tags, line.team, line.owner, line.cost_centre, line.model)


@lru_cache(maxsize=4096)
def _write_tags(tags: str, team: str, owner: str, cost_centre: str, model: str) -> str:
    """Return the tags with what FOCUS has no columns for; a tag that somebody gave goes before ours."""
    ours = {"team": team, "owner": owner, "cost_centre": cost_centre, "model": model}
    told = {name: value for name, value in ours.items() if value}
    told |= {str(name): str(value) for name, value in json.loads(tags).items()}
    return json.dumps(told, ensure_ascii=False, sort_keys=True)


def _pricing_category(line: Line) -> str | None:
    if _is_credit(line):
        return None
    return "Committed" if _is_prepaid(line) else "Standard"


def _text(read: Callable[[Line], str]) -> Callable[[Line], str | None]:
    return lambda line: read(line) or None


_PROVIDER: Callable[[Line], str] = lambda line: PROVIDER  # noqa: E731 - a column's value
_NULL: Callable[[Line], None] = lambda line: None  # noqa: E731 - a column's value
_USD: Callable[[Line], str] = lambda line: CURRENCY  # noqa: E731 - a column's value

_COMMON: dict[str, Callable[[Line], Value]] = {
    "BilledCost": _billed_cost,
    "BillingAccountId": lambda line: line.account_id,
    "BillingAccountName": lambda line: line.account_name or line.account_id,
    "BillingAccountType": lambda line: "Organization",
    "BillingCurrency": _USD,
    "BillingPeriodEnd": _month_end,
    "BillingPeriodStart": _month_start,
    "ChargeCategory": _category,
    "ChargeClass": lambda line: "Correction" if line.told_at is not None else None,
    "ChargeDescription": _description,
    "ChargeFrequency": _frequency,
    "ChargePeriodEnd": lambda line: line.end,
    "ChargePeriodStart": lambda line: line.start,
    "ConsumedQuantity": lambda line: None if _category(line) != "Usage" else _quantity(line),
    "ConsumedUnit": lambda line: None if _category(line) != "Usage" else _unit(line),
    "ContractedCost": _effective,
    "ContractedUnitPrice": _price,
    "EffectiveCost": _effective,
    "InvoiceId": _NULL,
    "InvoiceIssuerName": _PROVIDER,
    "ListCost": _list_cost,
    "ListUnitPrice": _list_price,
    "PricingCategory": _pricing_category,
    "PricingQuantity": _quantity,
    "PricingUnit": _unit,
    "RegionId": _text(lambda line: line.region),
    "RegionName": _text(lambda line: line.region),
    "ResourceId": _text(lambda line: line.remote_id),
    "ResourceName": _text(lambda line: line.name),
    "ResourceType": lambda line: _service(line)[3] if line.remote_id else None,
    "ServiceCategory": lambda line: _service(line)[0],
    "ServiceName": lambda line: _service(line)[2],
    "ServiceSubcategory": lambda line: _service(line)[1],
    "SkuId": _sku,
    "SkuMeter": _sku_meter,
    "SkuPriceDetails": _sku_details,
    "SkuPriceId": _sku_price_id,
    "SubAccountId": _text(lambda line: line.project_id),
    "SubAccountName": _text(lambda line: line.project_name),
    "SubAccountType": lambda line: "Project" if line.project_id else None,
    "Tags": _tags,
}
_ONLY_1_2: dict[str, Callable[[Line], Value]] = {
    "CommitmentDiscountCategory": _NULL,
    "CommitmentDiscountId": _NULL,
    "CommitmentDiscountName": _NULL,
    "CommitmentDiscountStatus": _NULL,
    "CommitmentDiscountType": _NULL,
    "PricingCurrency": _USD,
    "PricingCurrencyContractedUnitPrice": _price,
    "PricingCurrencyEffectiveCost": _effective,
    "PricingCurrencyListUnitPrice": _list_price,
    "ProviderName": _PROVIDER,
    "PublisherName": _PROVIDER,
}
_ONLY_1_4: dict[str, Callable[[Line], Value]] = {
    "HostProviderName": _PROVIDER,
    "InvoiceDetailId": _NULL,
    "ServiceProviderName": _PROVIDER,
}
# Ours come last and carry the prefix that the specification asks for.
_OWN: dict[str, Callable[[Line], Value]] = {
    "x_CostSource": lambda line: "billed" if _is_billed(line) else "estimate",
    "x_CostUpperBound": lambda line: to_dollars(line.ticks_high),
    "x_Use": _text(lambda line: line.use),
    "x_AppliedCredit": _text(lambda line: line.credit),
}
_BY_VERSION = {FocusVersion.V1_2: _ONLY_1_2, FocusVersion.V1_4: _ONLY_1_4}
COLUMNS: dict[FocusVersion, dict[str, Callable[[Line], Value]]] = {
    version: {**dict(sorted((_COMMON | own).items())), **_OWN} for version, own in _BY_VERSION.items()
}
# Columns whose values are numbers, for formats with types.
NUMBERS = frozenset(
    name
    for name in {**_COMMON, **_ONLY_1_2, **_OWN}
    if name.endswith(("Cost", "Price", "Quantity", "Hours", "UpperBound"))
)
TIMES = frozenset({"BillingPeriodEnd", "BillingPeriodStart", "ChargePeriodEnd", "ChargePeriodStart"})


def is_told(line: Line) -> bool:
    """Tell whether the line's cost is known, so that FOCUS has a place for it."""
    return _is_billed(line) or line.nano is not None


_READERS = {version: tuple(columns.values()) for version, columns in COLUMNS.items()}


def map_line(line: Line, *, version: FocusVersion) -> list[Value]:
    """Return the line's values in the order of COLUMNS[version]."""
    return [read(line) for read in _READERS[version]]
