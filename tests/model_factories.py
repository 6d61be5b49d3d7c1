"""Objects about models for tests: what the provider offers, how it runs, own models; see factories.py."""

import itertools
from datetime import date, timedelta
from typing import Any

from dashboard.accounts.models import Connection
from dashboard.mirror.models import (
    CatalogueModel,
    Hardware,
    ModelConfig,
    ModelDeprecation,
    Project,
    Resource,
    ResourceKind,
)
from tests import factories
from tests.factories import NOW

PUBLIC = "proj_together"
_numbers = itertools.count(1)


def _mirrored(payload: dict[str, Any]) -> dict[str, Any]:
    return {
        "payload": payload,
        "fingerprint": b"f" * 16,
        "first_observed_at": NOW - timedelta(days=30),
        "observed_at": NOW,
    }


def make_catalogue_model(*, connection: Connection | None = None, **fields: Any) -> CatalogueModel:
    """Write a chat model that dedicated endpoints can serve."""
    number = next(_numbers)
    defaults: dict[str, Any] = {
        "origin": CatalogueModel.Origin.SUPPORTED,
        "remote_id": f"ml_{number}",
        "name": f"Qwen/Model-{number}B",
        "publisher": "Qwen",
        "type": "chat",
        "support": "SUPPORTED",
        "context_length": 32_768,
        "is_dedicated": True,
    }
    values = defaults | fields
    payload = {"id": values["remote_id"], "name": values["name"]} | values.pop("payload", {})
    return CatalogueModel.objects.create(
        connection=connection or factories.make_connection(), **_mirrored(payload), **values
    )


def make_config(*, model: CatalogueModel, hardware: Hardware, **fields: Any) -> ModelConfig:
    """Write a config that runs the catalogue's model on the hardware."""
    remote_id = fields.pop("remote_id", f"cr_{next(_numbers)}")
    values = {
        "remote_id": remote_id,
        "name": f"projects/{PUBLIC}/configs/{remote_id}",
        "reference_model_id": model.remote_id,
        "hardware": hardware.name,
        "adapter_mode": "disabled",
    } | fields
    return ModelConfig.objects.create(connection=model.connection, **_mirrored({}), **values)


def make_own_model(*, project: Project, base: CatalogueModel | None = None, **fields: Any) -> Resource:
    """Write a model that the project owns, trained from `base`."""
    number = next(_numbers)
    values = {
        "remote_id": f"ml_own{number}",
        "name": f"acme/own-{number}",
        "model": base.name if base else "",
        "status": "available",
        "variety": "default",
    } | fields
    payload = {
        "id": values["remote_id"],
        "name": values["name"],
        "baseModelId": base.remote_id if base else "",
        "projectId": project.remote_id,
    }
    return Resource.objects.create(
        connection=project.connection,
        project=project,
        kind=ResourceKind.MODEL,
        **_mirrored(payload),
        **values,
    )


def make_deprecation(model: str, **fields: Any) -> ModelDeprecation:
    """Put a model on the list of deprecated ones, removed ten days after NOW."""
    values = {"removal_on": date(2026, 11, 30), "source": "test"} | fields
    return ModelDeprecation.objects.update_or_create(model=model, defaults=values)[0]
