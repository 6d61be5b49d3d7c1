"""Write what the provider offers and how it runs; a part of the mirror's store."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet

from dashboard.accounts.models import Connection
from dashboard.core import live
from dashboard.mirror.diff import Diff
from dashboard.mirror.model_readings import CatalogueReading, ConfigReading
from dashboard.mirror.models import CatalogueModel, ModelConfig
from dashboard.mirror.observations import Written
from dashboard.mirror.store_token_prices import write_token_prices

_CATALOGUE_COLUMNS = tuple(CatalogueReading.__dataclass_fields__)
_CONFIG_COLUMNS = tuple(ConfigReading.__dataclass_fields__)
_LOCAL_COLUMNS = ("payload", "fingerprint", "observed_at", "missing_since", "absent_since")


@dataclass(frozen=True, slots=True)
class SeenEntry:
    """A catalogue entry or config to be written, with the body as received and that body's fingerprint."""

    reading: CatalogueReading | ConfigReading
    raw: Mapping[str, Any]
    fingerprint: bytes


@transaction.atomic
def store_catalogue_models(
    connection: Connection, *, origin: str, seen: Sequence[SeenEntry], diff: Diff, now: datetime
) -> Written:
    """Write created and updated models of one catalogue and mark what a complete listing lacks."""
    rows = [
        CatalogueModel(connection=connection, origin=origin, **_read_columns(one, now=now))
        for one in _pick_changed(seen, diff)
    ]
    CatalogueModel.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["connection", "origin", "remote_id"],
        update_fields=[*(name for name in _CATALOGUE_COLUMNS if name != "remote_id"), *_LOCAL_COLUMNS],
    )
    write_token_prices(rows, now=now)
    known = CatalogueModel.objects.filter(connection=connection, origin=origin, absent_since=None)
    return _finish(known, diff, now=now)


@transaction.atomic
def store_configs(connection: Connection, *, seen: Sequence[SeenEntry], diff: Diff, now: datetime) -> Written:
    """Write created and updated configs and mark what a complete listing lacks."""
    rows = [
        ModelConfig(connection=connection, **_read_columns(one, now=now)) for one in _pick_changed(seen, diff)
    ]
    ModelConfig.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["connection", "remote_id"],
        update_fields=[*(name for name in _CONFIG_COLUMNS if name != "remote_id"), *_LOCAL_COLUMNS],
    )
    return _finish(ModelConfig.objects.filter(connection=connection, absent_since=None), diff, now=now)


def _pick_changed(seen: Sequence[SeenEntry], diff: Diff) -> list[SeenEntry]:
    """Return what has to be written, each once: pages of a list may overlap while the provider writes."""
    changed = {item.remote_id for item in (*diff.created, *diff.updated)}
    latest = {one.reading.remote_id: one for one in seen}
    return [one for remote_id, one in latest.items() if remote_id in changed]


def _read_columns(one: SeenEntry, *, now: datetime) -> dict[str, Any]:
    return asdict(one.reading) | {
        "payload": dict(one.raw),
        "fingerprint": one.fingerprint,
        "first_observed_at": now,
        "observed_at": now,
        "missing_since": None,
        "absent_since": None,
    }


def _finish(
    known: "QuerySet[CatalogueModel] | QuerySet[ModelConfig]", diff: Diff, *, now: datetime
) -> Written:
    known.filter(remote_id__in=diff.newly_missing).update(missing_since=now)
    absent = known.filter(remote_id__in=diff.absent_candidates).update(
        absent_since=F("missing_since"), observed_at=now
    )
    if diff.created or diff.updated or absent:
        live.announce(["models"])
    return Written(created=len(diff.created), updated=len(diff.updated), absent=absent)
