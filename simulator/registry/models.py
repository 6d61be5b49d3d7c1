"""The registry: own models with their revisions, and the imports of both generations that make them."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from simulator.catalogue import CATALOGUE_SINCE_MS, PUBLIC_PROJECT_ID, Catalogue, Model
from simulator.identifiers import derive_id, derive_uuid
from simulator.registry import imports
from simulator.registry.imports import Source, Step

PRIVATE = "VISIBILITY_PRIVATE"
INTERNAL = "VISIBILITY_INTERNAL"
#: An archive says nothing about what is in it; then it holds a fine-tune of this.
USUAL_BASE = "meta-llama/Llama-3.1-8B-Instruct"
BYTES_PER_BILLION = 2_000_000_000
ADAPTER_BYTES = 168_000_000


@dataclass(frozen=True)
class Revision:
    """Immutable files of a model. `fault` is what validation finds; None = nothing."""

    revision_id: str
    created_ms: int
    validated_ms: int
    size_bytes: int
    fault: str | None = None

    def validation(self, now_ms: int) -> str:
        if now_ms < self.validated_ms:
            return "PENDING"
        return "FAILED" if self.fault else "SUCCESS"


@dataclass
class OwnModel:
    """A model that a project owns. `model` is its newest valid revision; without one it cannot be deployed."""

    model: Model
    created_ms: int
    is_adapter: bool = False
    description: str | None = None
    visibility: str = PRIVATE
    revisions: list[Revision] = field(default_factory=list)  # oldest first


@dataclass
class Upload:
    """An import of either generation, from its request on. `job_id` and `job_name` are the v1 side of it."""

    upload_id: str
    model_id: str
    project_id: str
    source: Source
    steps: tuple[Step, ...]
    revision: Revision | None  # None: it fails
    job_id: str | None = None
    job_name: str = ""
    own: OwnModel | None = None  # v1: registered when its revision is valid
    arguments: dict[str, str] = field(default_factory=dict)

    @property
    def created_ms(self) -> int:
        return self.steps[0].at_ms

    def past(self, now_ms: int) -> list[Step]:
        """Return the steps that happened, oldest first."""
        return [step for step in self.steps if step.at_ms <= now_ms]


@dataclass
class Registry:
    """State of everything own. `refresh` brings it up to an instant; what was planned then happened."""

    catalogue: Catalogue
    seed: int
    speed: float
    start_ms: int
    own: dict[str, OwnModel] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    jobs: dict[str, Upload] = field(default_factory=dict)
    _due: list[tuple[int, str]] = field(default_factory=list)

    def refresh(self, now_ms: int) -> None:
        """Let the revisions appear, and become valid, that were due by now."""
        while self._due and self._due[0][0] <= now_ms:
            at_ms, upload_id = heapq.heappop(self._due)
            self._settle(self.uploads[upload_id], at_ms)

    def _settle(self, upload: Upload, at_ms: int) -> None:
        own, revision = upload.own or self.own.get(upload.model_id), upload.revision
        if own is None or revision is None:  # the model was deleted meanwhile
            return
        if revision not in own.revisions:
            own.revisions.append(revision)
        if revision.validation(at_ms) != "SUCCESS":
            return
        base = self.catalogue.models[own.model.base_model_id or own.model.model_id]
        own.model = replace(own.model, revision_id=revision.revision_id, configs=base.configs)
        self.own[own.model.model_id] = own
        self.catalogue.add_model(own.model)

    def register(
        self,
        *,
        model_id: str,
        name: str,
        project_id: str,
        base: Model,
        at_ms: int,
        is_adapter: bool = False,
        description: str | None = None,
    ) -> OwnModel:
        """Add a model without files: it has a name and a base, but nothing that could be deployed."""
        own = OwnModel(
            _empty_model(model_id, name, project_id, base),
            at_ms,
            is_adapter=is_adapter,
            description=description,
        )
        self.own[model_id] = own
        self.catalogue.add_model(own.model)
        return own

    def add_trained(
        self, *, name: str, project_id: str, base: Model, at_ms: int, is_adapter: bool = False
    ) -> OwnModel:
        """Add the finished model of a fine-tune, which can be deployed at once."""
        model = self.catalogue.add_private_model(name=name, project_id=project_id, base=base)
        size = ADAPTER_BYTES if is_adapter else round(base.billions * BYTES_PER_BILLION)
        revision = Revision(model.revision_id, at_ms, at_ms, size)
        own = OwnModel(model, at_ms, is_adapter=is_adapter, revisions=[revision])
        self.own[model.model_id] = own
        return own

    def facts(self, model: Model) -> OwnModel:
        """Return what is known of a model, be it own, trained or public."""
        own = self.own.get(model.model_id)
        if own is not None:
            return own
        size = round(model.billions * BYTES_PER_BILLION)
        revision = Revision(model.revision_id, CATALOGUE_SINCE_MS, CATALOGUE_SINCE_MS, size)
        visibility = INTERNAL if model.project_id == PUBLIC_PROJECT_ID else PRIVATE
        return OwnModel(model, CATALOGUE_SINCE_MS, visibility=visibility, revisions=[revision])

    def keep(self, model: Model) -> OwnModel:
        """Return what is known of an own model in the form that can be changed."""
        return self.own.setdefault(model.model_id, self.facts(model))

    def revision_of(self, model: Model, revision_id: str, now_ms: int) -> Revision | None:
        """Return a revision that can be deployed; None = there is none of that id."""
        for revision in self.facts(model).revisions:
            if revision.revision_id == revision_id and revision.validation(now_ms) == "SUCCESS":
                return revision
        return None

    def rename(self, own: OwnModel, name: str) -> None:
        self.catalogue.remove_model(own.model)
        own.model = replace(own.model, name=name, display_name=name.rpartition("/")[2])
        self.catalogue.add_model(own.model)

    def remove(self, model: Model) -> None:
        self.catalogue.remove_model(model)
        self.own.pop(model.model_id, None)

    def start_import(self, *, upload_id: str, own: OwnModel, source: Source, at_ms: int) -> Upload:
        """Begin a v2 import into a registered model."""
        upload = self._plan(upload_id, own, source, at_ms)
        self._keep(upload)
        return upload

    def start_job(
        self,
        *,
        model_id: str,
        name: str,
        project_id: str,
        source: Source,
        at_ms: int,
        base: Model | None = None,
        is_adapter: bool = False,
        arguments: dict[str, str],
    ) -> Upload:
        """Begin a v1 upload job; its model appears when the job is complete."""
        model = _empty_model(model_id, name, project_id, base or self.guess_base(source))
        own = OwnModel(model, at_ms, is_adapter=is_adapter, description=arguments.get("description"))
        upload = self._plan(derive_id("job", self.seed, model_id), own, source, at_ms)
        upload.job_id = f"job-{derive_uuid(self.seed, model_id)}"
        upload.job_name = name
        upload.own = own
        upload.arguments = arguments
        self._keep(upload)
        self.jobs[upload.job_id] = upload
        return upload

    def guess_base(self, source: Source) -> Model:
        """Return the public model that a source's name mentions, else the usual one."""
        wanted = source.name.rpartition("/")[2].lower()
        names = {
            model.name.rpartition("/")[2].lower(): model
            for model in self.catalogue.models.values()
            if model.project_id == PUBLIC_PROJECT_ID
        }
        found = max((name for name in names if name in wanted), key=len, default=None)
        return names[found] if found else self.catalogue.by_name[USUAL_BASE]

    def uploads_of(self, project_id: str) -> Iterator[Upload]:
        """Yield the v2 imports of a project; v1 jobs are listed elsewhere."""
        for upload in self.uploads.values():
            if upload.project_id == project_id and upload.job_id is None:
                yield upload

    def _plan(self, upload_id: str, own: OwnModel, source: Source, at_ms: int) -> Upload:
        size = ADAPTER_BYTES if own.is_adapter else round(own.model.billions * BYTES_PER_BILLION)
        speed = self.speed if at_ms >= self.start_ms else 1.0
        steps = imports.plan_import(at_ms, source, size_bytes=size, speed=speed)
        revision = None
        if steps[-1].status == imports.SUCCEEDED:
            created_ms = steps[-1].at_ms
            revision = Revision(
                derive_id("rv", self.seed, upload_id),
                created_ms,
                created_ms + max(1, round(imports.VALIDATION_MS / speed)),
                size,
                imports.CORRUPT if source.is_corrupt else None,
            )
        return Upload(upload_id, own.model.model_id, own.model.project_id, source, steps, revision)

    def _keep(self, upload: Upload) -> None:
        self.uploads[upload.upload_id] = upload
        if upload.revision is not None:
            heapq.heappush(self._due, (upload.revision.created_ms, upload.upload_id))
            heapq.heappush(self._due, (upload.revision.validated_ms, upload.upload_id))


def _empty_model(model_id: str, name: str, project_id: str, base: Model) -> Model:
    return Model(
        model_id=model_id,
        name=name,
        organization=name.partition("/")[0],
        display_name=name.rpartition("/")[2],
        kind=base.kind,
        context_length=base.context_length,
        billions=base.billions,
        revision_id="",
        project_id=project_id,
        base_model_id=base.model_id,
    )
