"""Load what is known of prices: finance's entries and discounts, the catalogues, the bill, the provider's estimates."""

from collections.abc import Iterable, Iterator

from billing.models import Discount, PriceEntry
from billing.price_book import DiscountRecord, Origin, PriceBook, PriceRecord
from billing.skus import Direction, deployment_sku, token_sku, unify_sku
from dashboard.mirror.models import CatalogueModel, HardwarePrice, TokenPrice, UnitPrice

_ORIGINS = {UnitPrice.PriceSource.BILL: Origin.BILL, UnitPrice.PriceSource.ESTIMATE: Origin.ESTIMATE}


def load_price_book(
    skus: Iterable[str] | None = None, *, connection_ids: Iterable[int] | None = None
) -> PriceBook:
    """Return the prices of these SKUs, or of all; as these connections tell them, or all. Five queries at most.

    Where several connections tell different prices of one SKU, the one that was made first holds.
    """
    wanted = None if skus is None else {unify_sku(sku) for sku in skus}
    connections = None if connection_ids is None else list(connection_ids)
    records = [
        record
        for load in (_load_entries, _load_hardware, _load_units, _load_tokens)
        for record in load(wanted, connections)
        if wanted is None or unify_sku(record.sku) in wanted
    ]
    return PriceBook(records, _load_discounts())


def _load_entries(wanted: set[str] | None, connections: list[int] | None) -> Iterator[PriceRecord]:
    for row in PriceEntry.objects.order_by("-valid_from", "-pk"):
        yield PriceRecord(row.sku, row.nano_usd, row.valid_from, row.valid_until, Origin.FINANCE, row.note)


def _load_discounts() -> Iterator[DiscountRecord]:
    for row in Discount.objects.order_by("-valid_from", "-pk"):
        yield DiscountRecord(row.sku, row.percent, row.valid_from, row.valid_until)


def _load_hardware(wanted: set[str] | None, connections: list[int] | None) -> Iterator[PriceRecord]:
    """Yield prices of replicas under the hardware's name and, where it differs, its id: deployments use either."""
    if wanted is not None and not any(sku.startswith(("v1/", "v2/")) for sku in wanted):
        return
    rows = HardwarePrice.objects.order_by("hardware__connection_id", "valid_from")
    if connections is not None:
        rows = rows.filter(hardware__connection__in=connections)
    by_id: list[PriceRecord] = []
    for generation, name, remote_id, nano, start, end in rows.values_list(
        "hardware__generation",
        "hardware__name",
        "hardware__remote_id",
        "nano_usd_per_hour",
        "valid_from",
        "valid_until",
    ):
        yield PriceRecord(deployment_sku(generation, name), nano, start, end, Origin.CATALOGUE)
        if remote_id != name:
            by_id.append(
                PriceRecord(
                    deployment_sku(generation, remote_id), nano, start, end, Origin.CATALOGUE, is_alias=True
                )
            )
    yield from by_id


def _load_units(wanted: set[str] | None, connections: list[int] | None) -> Iterator[PriceRecord]:
    rows = UnitPrice.objects.order_by("connection_id", "valid_from")
    if connections is not None:
        rows = rows.filter(connection__in=connections)
    if wanted is not None:
        rows = rows.filter(sku__in=wanted)
    for row in rows:
        yield PriceRecord(
            row.sku,
            row.nano_usd_per_hour,
            row.valid_from,
            row.valid_until,
            _ORIGINS[UnitPrice.PriceSource(row.source)],
            row.evidence,
        )


def _load_tokens(wanted: set[str] | None, connections: list[int] | None) -> Iterator[PriceRecord]:
    """Yield prices per million tokens; of two catalogues that tell one, that of serverless models holds."""
    rows = TokenPrice.objects.all()
    if wanted is not None:
        models = {sku.split("/", 1)[1].rpartition("/")[0] for sku in wanted if sku.startswith("tokens/")}
        if not models:
            return
        rows = rows.filter(catalogue_model__name__in=models)
    if connections is not None:
        rows = rows.filter(catalogue_model__connection__in=connections)
    found = sorted(
        rows.values_list(
            "catalogue_model__origin",
            "catalogue_model__connection",
            "valid_from",
            "catalogue_model__name",
            "direction",
            "nano_usd",
            "valid_until",
        ),
        key=lambda row: (row[0] != CatalogueModel.Origin.SERVERLESS, *row[1:5]),
    )
    for _, _, start, model, direction, nano, end in found:
        yield PriceRecord(token_sku(model, Direction(direction)), nano, start, end, Origin.CATALOGUE)
