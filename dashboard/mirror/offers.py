"""What may be deployed, and on which hardware at which price, as the mirror last read it.

A model runs with a config (contract 3.4): the provider lists configs by the model they refer to, and tested pairs of
model and config (profiles) with each model of its catalogue. Own models run with the configs of their base.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import OuterRef, Q, QuerySet, Subquery

from dashboard.accounts.models import Connection, User
from dashboard.accounts.visibility import project_filter
from dashboard.mirror.model_readings import find_model_id
from dashboard.mirror.models import (
    CatalogueModel,
    Generation,
    Hardware,
    HardwarePrice,
    ModelConfig,
    ModelName,
    Resource,
    ResourceKind,
)
from dashboard.mirror.readings import find_price_key
from dashboard.together_api import payloads
from dashboard.together_api.payloads.catalogue import DeploymentProfile, InstanceRegion

MOST_SEARCH_WORDS = 8
_AT_LEAST = "RELATION_GTE"
_HIDDEN = "HIDDEN"


@dataclass(frozen=True, slots=True)
class DeployableModel:
    """A model that a deployment may run. `key` is what addresses of ours carry; `path` is the resource name.

    `reference_ids` are the models whose configs it runs with. `project_id` (ours) is set for own models.
    """

    key: str
    name: str
    path: str
    reference_ids: tuple[str, ...]
    base: str = ""
    type: str = ""
    publisher: str = ""
    support: str = ""
    context_length: int | None = None
    project_id: int | None = None
    resource_id: int | None = None
    is_adapter: bool = False

    @property
    def is_own(self) -> bool:
        """True for a model of the organisation."""
        return self.resource_id is not None


@dataclass(frozen=True, slots=True)
class Room:
    """How many further replicas fit into a region now, as the provider last told; None = not told."""

    region: str
    replicas: int | None
    is_at_least: bool = False


@dataclass(frozen=True, slots=True)
class HardwareOffer:
    """One way to run a model. `path` is the model's resource name for it: a tested pair pins a revision.

    `nano_usd_per_hour` is one replica's price, None = unknown. Benchmarks are the provider's, None = not told.
    """

    config: str
    path: str
    hardware: str
    gpu_type: str
    gpu_count: int | None
    gpu_memory_gib: int | None
    nano_usd_per_hour: int | None
    rooms: tuple[Room, ...]
    has_adapters: bool = False
    quantization: str = ""
    tokens_per_second: float | None = None
    first_token_ms: int | None = None

    @property
    def key(self) -> str:
        """Return the config's id, which forms carry."""
        return self.config.rsplit("/", 1)[-1]


def search_catalogue(connections: Sequence[Connection], text: str) -> QuerySet[CatalogueModel]:
    """Return what dedicated endpoints can serve and whose name, maker or type holds each word, recommended first."""
    rows = CatalogueModel.objects.filter(
        connection__in=connections,
        origin=CatalogueModel.Origin.SUPPORTED,
        is_dedicated=True,
        absent_since=None,
    ).exclude(support=_HIDDEN)
    for word in text.split()[:MOST_SEARCH_WORDS]:
        rows = rows.filter(
            Q(name__icontains=word)
            | Q(display_name__icontains=word)
            | Q(publisher__icontains=word)
            | Q(type__icontains=word)
        )
    return rows.defer("payload", "fingerprint").order_by("name", "id")


def search_own_models(user: User, text: str) -> QuerySet[Resource]:
    """Return the organisation's own models that the user sees and whose name or base holds each word."""
    rows = Resource.objects.filter(
        project_filter(user, path="project__"), kind=ResourceKind.MODEL, absent_since=None
    )
    for word in text.split()[:MOST_SEARCH_WORDS]:
        rows = rows.filter(Q(name__icontains=word) | Q(model__icontains=word))
    return rows.select_related("project").defer("fingerprint", "project__payload").order_by("name", "id")


def load_bases(models: Sequence[Resource]) -> dict[int, str]:
    """Return by own model the name of what it derives from, as people call it. Reads payloads; one query.

    The listing names the base by resource name (projects/p/models/ml_1); without a known name that is returned.
    """
    ids = {one.pk: _read_base_id(one) for one in models}
    names = ModelName.objects.filter(remote_id__in=[one for one in ids.values() if one])
    known = {(row.connection_id, row.remote_id): row.name for row in names}
    return {one.pk: known.get((one.connection_id, ids[one.pk]), one.model) for one in models}


def _read_base_id(row: Resource) -> str:
    told = row.payload.get("baseModelId") or row.payload.get("base_model_id") or find_model_id(row.model)
    return str(told or "")


def find_model(connection: Connection, key: str, *, user: User) -> DeployableModel | None:
    """Return the model that an id or a name means, own ones first; None when there is none. Two queries."""
    if not key:
        return None
    own = search_own_models(user, "").filter(connection=connection).filter(Q(remote_id=key) | Q(name=key))
    if (row := own.first()) is not None:
        return read_own(row, base=load_bases([row])[row.pk])
    offered = CatalogueModel.objects.filter(
        connection=connection, origin=CatalogueModel.Origin.SUPPORTED, is_dedicated=True, absent_since=None
    ).filter(Q(name=key) | Q(remote_id=key))
    found = offered.order_by("id").first()
    return read_offered(found) if found is not None else None


def read_own(row: Resource, *, base: str) -> DeployableModel:
    """Return an own model as something to deploy; its newest revision is pinned by the provider."""
    base_id = _read_base_id(row)
    return DeployableModel(
        key=row.remote_id,
        name=row.name,
        path=f"projects/{row.project.remote_id}/models/{row.remote_id}",
        reference_ids=tuple(one for one in (row.remote_id, base_id) if one),
        base=base,
        type=row.variety,
        project_id=row.project_id,
        resource_id=row.pk,
        is_adapter=row.variety == "adapter",
    )


def read_offered(row: CatalogueModel) -> DeployableModel:
    """Return a model of the catalogue as something to deploy. Reads the payload."""
    body = payloads.SupportedModel.parse(dict(row.payload))
    profile = next(iter(body.deployment_profiles), None)
    path = body.base_model or (profile.model if profile else "") or row.remote_id
    ids = [row.remote_id, body.base_model_id, *(find_model_id(one.model) for one in body.deployment_profiles)]
    return DeployableModel(
        key=row.name,
        name=row.name,
        path=path,
        reference_ids=tuple(dict.fromkeys(one for one in ids if one)),
        type=row.type,
        publisher=row.publisher,
        support=row.support,
        context_length=row.context_length,
    )


def list_offers(connection: Connection, model: DeployableModel) -> list[HardwareOffer]:
    """Return the ways to run the model, cheapest first, those of unknown price last. Three queries."""
    sizes = _load_sizes(connection)
    profiles = _load_profiles(connection, model)
    found: dict[str, HardwareOffer] = {}
    for row in ModelConfig.objects.filter(
        connection=connection, reference_model_id__in=model.reference_ids, absent_since=None
    ).order_by("name"):
        profile = profiles.pop(row.name, None)
        size = sizes.find(row.hardware) or (sizes.match(profile) if profile else None)
        found[row.name] = _build_offer(
            row.name, model, profile, size, hardware=row.hardware, adapter_mode=row.adapter_mode
        )
    for config, profile in profiles.items():
        size = sizes.match(profile)
        name = size.name if size else f"{profile.gpu_count or '?'}x{profile.gpu_type}"
        mode = (profile.adapter_mode or "").removeprefix("ADAPTER_MODE_").lower()
        found[config] = _build_offer(config, model, profile, size, hardware=name, adapter_mode=mode)
    return sorted(found.values(), key=_rank)


def _rank(offer: HardwareOffer) -> tuple[bool, int, str, bool, str]:
    price = offer.nano_usd_per_hour
    return (price is None, price or 0, offer.hardware, offer.has_adapters, offer.config)


def _build_offer(
    config: str,
    model: DeployableModel,
    profile: DeploymentProfile | None,
    size: "Size | None",
    *,
    hardware: str,
    adapter_mode: str,
) -> HardwareOffer:
    speed = profile.performance_benchmarks if profile else None
    # A tested pair names the revision that was tested; an own model runs its own weights.
    path = profile.model if profile and profile.model and not model.is_own else model.path
    return HardwareOffer(
        config=config,
        path=path,
        hardware=hardware,
        gpu_type=size.gpu_type if size else (profile.gpu_type if profile else ""),
        gpu_count=size.gpu_count if size else (profile.gpu_count if profile else None),
        gpu_memory_gib=size.gpu_memory_gib if size else None,
        nano_usd_per_hour=size.nano_usd_per_hour if size else None,
        rooms=size.rooms if size else (),
        has_adapters=adapter_mode == "dynamic",
        quantization=profile.quantization if profile and not model.is_own else "",
        tokens_per_second=speed.decoding_speed_tps if speed else None,
        first_token_ms=speed.time_to_first_token_ms if speed else None,
    )


def _load_profiles(connection: Connection, model: DeployableModel) -> dict[str, DeploymentProfile]:
    """Return the tested pairs of the model (or of its base) by config. One query."""
    rows = CatalogueModel.objects.filter(
        connection=connection,
        origin=CatalogueModel.Origin.SUPPORTED,
        remote_id__in=model.reference_ids,
        absent_since=None,
    ).values_list("payload", flat=True)
    return {
        profile.config: profile
        for payload in rows
        for profile in payloads.SupportedModel.parse(dict(payload)).deployment_profiles
        if profile.config
    }


@dataclass(frozen=True, slots=True)
class Size:
    """A purchasable size with its present price (nano-dollars per hour, None = unknown) and room."""

    name: str
    gpu_type: str
    gpu_count: int | None
    gpu_memory_gib: int | None
    nano_usd_per_hour: int | None
    rooms: tuple[Room, ...]


@dataclass(frozen=True, slots=True)
class Sizes:
    """The v2 instance types by name and id."""

    by_name: dict[str, Size]

    def find(self, hardware: str) -> Size | None:
        """Return the size that a hardware name means."""
        key = find_price_key(hardware, offered=frozenset(self.by_name))
        return None if key is None else self.by_name[key]

    def match(self, profile: DeploymentProfile) -> Size | None:
        """Return the only size with the GPUs of a profile, which names no hardware; None when that is not clear.

        `gpuType` is seen as "H100" and as "NVIDIA-H100-80GB-HBM3" (contract 3.3).
        """
        wanted = _shorten_gpu(profile.gpu_type)
        fitting = {
            size.name: size
            for size in self.by_name.values()
            if size.gpu_count == profile.gpu_count and _shorten_gpu(size.gpu_type) == wanted
        }
        return next(iter(fitting.values())) if len(fitting) == 1 else None


def _shorten_gpu(gpu_type: str) -> str:
    return gpu_type.lower().removeprefix("nvidia").strip("-_ ").split("-")[0]


def _load_sizes(connection: Connection) -> Sizes:
    """Return the v2 sizes of the price list. One query."""
    price = HardwarePrice.objects.filter(hardware=OuterRef("pk"), valid_until=None)
    rows = Hardware.objects.filter(
        connection=connection, generation=Generation.V2, absent_since=None
    ).annotate(price=Subquery(price.values("nano_usd_per_hour")[:1]))
    by_name: dict[str, Size] = {}
    for row in rows:
        size = Size(
            name=row.name,
            gpu_type=row.gpu_type,
            gpu_count=row.gpu_count,
            gpu_memory_gib=row.gpu_memory_gib,
            nano_usd_per_hour=row.price,
            rooms=read_rooms(row.payload),
        )
        by_name.setdefault(row.remote_id, size)
        by_name[row.name] = size
    return Sizes(by_name)


def load_cheapest(connections: Sequence[Connection]) -> dict[tuple[int, str], int]:
    """Return the least known price of a replica (nano-dollars per hour) by connection and model id.

    Two queries per connection.
    """
    cheapest: dict[tuple[int, str], int] = {}
    for connection in connections:
        sizes = _load_sizes(connection)
        rows = ModelConfig.objects.filter(connection=connection, absent_since=None)
        for model_id, hardware in rows.values_list("reference_model_id", "hardware"):
            size = sizes.find(hardware)
            if size is None or size.nano_usd_per_hour is None:
                continue
            key = (connection.pk, model_id)
            cheapest[key] = min(size.nano_usd_per_hour, cheapest.get(key, size.nano_usd_per_hour))
    return cheapest


def read_rooms(payload: dict[str, Any]) -> tuple[Room, ...]:
    """Return the regions of an instance type with the room that is left, in the provider's order."""
    regions: Iterable[InstanceRegion] = payloads.InstanceType.parse({"id": "", **payload}).regions
    return tuple(
        Room(
            region=one.name,
            replicas=one.headroom.value if one.headroom else None,
            is_at_least=bool(one.headroom and one.headroom.relation == _AT_LEAST),
        )
        for one in regions
        if one.name
    )
