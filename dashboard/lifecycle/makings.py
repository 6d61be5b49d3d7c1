"""Ask for a new shared volume, or for a model to be imported. Rows only; rules as in actions.py."""

from urllib.parse import urlsplit

from dashboard.accounts.audit import Actor
from dashboard.lifecycle.errors import InvalidValueError, NotFittingError, UnderWayError
from dashboard.lifecycle.models import StopAction
from dashboard.lifecycle.values import check_name
from dashboard.lifecycle.wants import UploadWant, VolumeWant
from dashboard.lifecycle.wishes import (
    Asker,
    Requested,
    Wish,
    find_known,
    serialize_requests,
    write_wish,
)
from dashboard.mirror.models import Project, Resource, ResourceKind

Kind = StopAction.Kind
Origin = StopAction.Origin
HUGGING_FACE = "huggingface.co"
MODEL_TYPES = ("model", "adapter")


def request_create_volume(
    project: Project,
    *,
    name: str,
    size_tib: int,
    region: str,
    is_lifecycle_independent: bool = False,
    nano_usd_per_tib_hour: int | None = None,
    actor: Actor,
    idempotency_key: str,
    origin: Origin = Origin.PERSON,
    reason: str = "",
) -> Requested:
    """Ask for a shared volume; it bills from then on, attached or not. Price None = unknown.

    A name that exists is refused: names are not unique at the provider, and only a new one tells a lost answer apart
    from another volume. Raises InvalidValueError, NotFittingError and UnderWayError with the argument as field.
    """
    name = check_name(name, field="name")
    if size_tib < 1:
        raise InvalidValueError("Whole TiB, at least one", field="size_tib")
    if not region.strip():
        raise InvalidValueError("Choose a region", field="region")
    want = VolumeWant(name, size_tib, region.strip(), is_lifecycle_independent)
    rate = None if nano_usd_per_tib_hour is None else nano_usd_per_tib_hour * size_tib
    wish = Wish(
        Kind.CREATE,
        Asker(actor, idempotency_key, origin, reason),
        project=project,
        target_name=name,
        arguments=want.write(),
        burn=(rate, rate),
    )
    return _write_new(wish, project, kinds=(ResourceKind.VOLUME,), name=name, field="name")


def request_upload(
    project: Project,
    *,
    model_name: str,
    model_type: str,
    base_model_id: str,
    remote_url: str,
    token: str = "",
    description: str = "",
    actor: Actor,
    idempotency_key: str,
    origin: Origin = Origin.PERSON,
    reason: str = "",
) -> Requested:
    """Ask that a model be registered and filled from Hugging Face or a presigned address.

    `remote_url` is https, or ``organisation/repository`` of Hugging Face; `token` opens a private source. Both are
    sealed to the row, shown nowhere and wiped when the act ends. Raises InvalidValueError, NotFittingError and
    UnderWayError with the argument as field.
    """
    model_name = check_name(model_name, field="model_name")
    if model_type not in MODEL_TYPES:
        raise InvalidValueError("A model or an adapter", field="model_type")
    if not base_model_id:
        raise InvalidValueError("Choose the model it derives from", field="base_model_id")
    url, source = read_source(remote_url)
    secrets = {"remote_url": url} | ({"token": token.strip()} if token.strip() else {})
    want = UploadWant(model_name, model_type, base_model_id, source, description.strip())
    wish = Wish(
        Kind.UPLOAD,
        Asker(actor, idempotency_key, origin, reason),
        project=project,
        target_name=model_name,
        arguments=want.write(),
        secrets=secrets,
        burn=(0, 0),  # an import costs nothing by itself (contract section 2 lists no charge for it)
    )
    return _write_new(wish, project, kinds=(ResourceKind.MODEL,), name=model_name, field="model_name")


def read_source(remote_url: str) -> tuple[str, str]:
    """Return the address to import from, and what may be shown of it. Raises InvalidValueError.

    Shown is the repository on Hugging Face; of any other address only the host, for the rest may be the key to it.
    """
    text = remote_url.strip()
    if "://" not in text and text.count("/") == 1 and " " not in text:
        text = f"https://{HUGGING_FACE}/{text}"
    parts = urlsplit(text)
    if parts.scheme != "https" or not parts.hostname or parts.username or " " in text:
        raise InvalidValueError(
            "An https address, or organisation/repository of Hugging Face", field="remote_url"
        )
    if parts.hostname == HUGGING_FACE and not parts.query:
        return text, parts.path.strip("/")
    return text, parts.hostname


def _write_new(
    wish: Wish, project: Project, *, kinds: tuple[ResourceKind, ...], name: str, field: str
) -> Requested:
    with serialize_requests("project", project.pk):
        known = find_known(wish)
        if known:
            return known
        connection = project.connection_id
        there = Resource.objects.filter(
            connection_id=connection, kind__in=kinds, name__in=[name, f"{project.slug}/{name}"]
        )
        if there.filter(absent_since=None).exists():
            raise NotFittingError(f"{name} exists already; choose another name", field=field)
        being_made = StopAction.objects.filter(
            project__connection_id=connection,
            kind=wish.kind,
            target_name=name,
            state__in=StopAction.OPEN_STATES,
        )
        if being_made.exists():
            raise UnderWayError(f"{name} is being made already", field=field)
        return write_wish(wish)
