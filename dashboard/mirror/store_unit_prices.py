"""Write prices per unit and what follows from them; a part of the mirror's store."""

from collections.abc import Iterable
from datetime import datetime

from django.db import connection as database
from django.db import transaction

from dashboard.accounts.models import Connection
from dashboard.core import live
from dashboard.core.locks import Lock, hold_until_commit
from dashboard.mirror.models import UnitPrice
from dashboard.mirror.unit_prices import DerivedPrice


@transaction.atomic
def store_unit_prices(
    connection: Connection,
    prices: Iterable[DerivedPrice],
    *,
    source: UnitPrice.PriceSource,
    now: datetime,
) -> int:
    """Open a row for each price that differs from the one that holds; return how many. Nothing past is repriced."""
    wanted = {one.sku: one for one in prices}
    if not wanted:
        return 0
    hold_until_commit(Lock.RESOURCE_WRITES, key=connection.pk)
    valid = UnitPrice.objects.filter(connection=connection, valid_until=None)
    present = {row.sku: row for row in valid.filter(sku__in=list(wanted))}
    changed = {
        sku: one
        for sku, one in wanted.items()
        if sku not in present or present[sku].nano_usd_per_hour != one.nano_usd_per_hour
    }
    valid.filter(sku__in=list(changed), valid_from__lt=now).update(valid_until=now)
    # A row that began this very instant has no length to keep.
    valid.filter(sku__in=list(changed)).delete()
    UnitPrice.objects.bulk_create(
        UnitPrice(
            connection=connection,
            sku=sku,
            nano_usd_per_hour=one.nano_usd_per_hour,
            valid_from=now,
            source=source,
            evidence=one.evidence,
        )
        for sku, one in changed.items()
    )
    if changed:
        _reprice(connection)
        live.announce(["resources", "prices"])
    return len(changed)


def _reprice(connection: Connection) -> None:
    """Make price and burn of every resource those of the prices that hold now. One statement."""
    with database.cursor() as cursor:
        cursor.execute(
            """
            UPDATE mirror_resource AS resource
               SET nano_usd_per_unit_hour = price.nano_usd_per_hour,
                   burn = resource.units * price.nano_usd_per_hour,
                   unpriced_units = 0
              FROM mirror_unitprice AS price
             WHERE resource.connection_id = %s AND resource.absent_since IS NULL
               AND price.connection_id = resource.connection_id AND price.sku = resource.sku
               AND price.valid_until IS NULL
               AND resource.nano_usd_per_unit_hour IS DISTINCT FROM price.nano_usd_per_hour
            """,
            [connection.pk],
        )
