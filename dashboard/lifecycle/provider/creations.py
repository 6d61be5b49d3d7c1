"""The couriers of what is made: a shared volume; a model and the import into it."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from dashboard.lifecycle.provider.courier import Answer, Courier, Look, read_whole, shorten_name
from dashboard.lifecycle.verdicts import Act, Order, SeenUpload, SeenVolumes, Send
from dashboard.lifecycle.wants import UploadWant, VolumeWant
from dashboard.together_api import payloads
from dashboard.together_api.client import TogetherClient
from dashboard.together_api.errors import ApiError

_EARLIEST = datetime.min.replace(tzinfo=UTC)


def hide(text: str, secrets: Iterable[str]) -> str:
    """Return a text of the provider's without the secrets that it may quote."""
    for secret in secrets:
        text = text.replace(secret, "…")
    return text


class VolumeCourier(Courier):
    """Way to the list of volumes, and to one more."""

    def __init__(self, client: TogetherClient, *, project_id: str, want: VolumeWant) -> None:
        super().__init__(client)
        self._project_id = project_id
        self._want = want

    def _read(self, order: Order) -> Look:
        # All that the key sees: a body does not always tell its project.
        found = [one for one in read_whole(self._client.list_volumes()) if one.volume_name == self._want.name]
        own_id = order.memo.ids.get("volume")
        found.sort(key=lambda one: one.id != own_id)
        return Look(
            sight=SeenVolumes(tuple(one.id for one in found), found[0].status if found else ""),
            resource=found[0] if found else None,
        )

    def send(self, step: Send, *, order: Order, look: Look) -> Answer:
        """Make the volume. Raises ApiError."""
        want = self._want
        made = self._client.create_volume(
            name=want.name,
            size_tib=want.size_tib,
            region=want.region,
            is_lifecycle_independent=want.is_lifecycle_independent,
            project_id=self._project_id,
        )
        return Answer(ids={"volume": made.id})


class UploadCourier(Courier):
    """Way to the models of a project and the imports into them. `secrets` = ``remote_url`` and, if any, ``token``."""

    def __init__(
        self, client: TogetherClient, *, project_id: str, want: UploadWant, secrets: Mapping[str, str]
    ) -> None:
        super().__init__(client)
        self._project_id = project_id
        self._want = want
        self._secrets = secrets

    def _read(self, order: Order) -> Look:
        model_id = order.memo.ids.get("model", "")
        if not model_id:
            models = read_whole(self._client.list_project_models(self._project_id))
            named = (one.id for one in models if shorten_name(one.name) == self._want.model_name)
            model_id = next(named, "")
        if not model_id:
            return Look(sight=SeenUpload())
        upload = self._find_upload(model_id, order)
        if upload is None:
            return Look(sight=SeenUpload(model_id=model_id))
        sight = SeenUpload(
            model_id=model_id,
            upload_id=upload.id,
            state=upload.status,
            message=hide(upload.status_message or "", self._secrets.values()),
        )
        return Look(sight=sight, resource=upload)

    def _find_upload(self, model_id: str, order: Order) -> payloads.ModelUpload | None:
        upload_id = order.memo.ids.get("upload")
        if upload_id:
            return self._client.get_upload(self._project_id, upload_id)
        if not order.memo.count(Act.CREATE_MODEL):
            # Somebody else's model: what was imported into it is no matter of ours.
            return None
        uploads = read_whole(self._client.list_uploads(self._project_id))
        own = [one for one in uploads if one.model_id == model_id]
        return max(own, key=lambda one: one.created_at or _EARLIEST, default=None)

    def send(self, step: Send, *, order: Order, look: Look) -> Answer:
        """Register the model, or start the import. Raises ApiError, without what is secret of the address."""
        try:
            return self._send(step, look=look)
        except ApiError as error:
            error.message = hide(error.message, self._secrets.values())
            raise

    def _send(self, step: Send, *, look: Look) -> Answer:
        want = self._want
        if step.act is Act.CREATE_MODEL:
            model = self._client.create_model(
                self._project_id,
                name=want.model_name,
                base_model_id=want.base_model_id,
                model_type="adapter" if want.model_type == "adapter" else "model",
                description=want.description or None,
            )
            return Answer(ids={"model": model.id})
        sight = look.sight
        model_id = sight.model_id if isinstance(sight, SeenUpload) else ""
        upload = self._client.create_upload(
            self._project_id,
            model_id=model_id,
            remote_url=self._secrets["remote_url"],
            token=self._secrets.get("token") or None,
        )
        return Answer(ids={"model": model_id, "upload": upload.id})
