"""Write what tokens of the provider's models cost, with history; a part of the mirror's store."""

from collections.abc import Sequence
from datetime import datetime

from dashboard.mirror.models import CatalogueModel, TokenPrice

Direction = TokenPrice.Direction


def write_token_prices(rows: Sequence[CatalogueModel], *, now: datetime) -> int:
    """Close the open price of each model that tells another one and open the new; return how many changed.

    `rows` are stored and hold what was just read. A price that is told no more is closed. At most four statements.
    """
    wanted = {
        (row.pk, direction.value): nano
        for row in rows
        for direction, nano in (
            (Direction.INPUT, row.input_nano_usd),
            (Direction.OUTPUT, row.output_nano_usd),
            (Direction.CACHED, row.cached_input_nano_usd),
        )
    }
    present = {
        (price.catalogue_model_id, price.direction): price
        for price in TokenPrice.objects.select_for_update().filter(
            catalogue_model__in=[row.pk for row in rows], valid_until=None
        )
    }
    changed = {
        key: nano
        for key, nano in wanted.items()
        if nano != (present[key].nano_usd if key in present else None)
    }
    if not changed:
        return 0
    replaced = TokenPrice.objects.filter(pk__in=[present[key].pk for key in changed if key in present])
    replaced.filter(valid_from__lt=now).update(valid_until=now)
    # A row that began this very instant has no length to keep.
    replaced.filter(valid_until=None).delete()
    TokenPrice.objects.bulk_create(
        TokenPrice(catalogue_model_id=pk, direction=direction, nano_usd=nano, valid_from=now)
        for (pk, direction), nano in changed.items()
        if nano is not None
    )
    return len(changed)
