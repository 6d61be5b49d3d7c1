"""Resources as rows of a table: the words, figures and acts that all kinds share. A fixed number of queries a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from billing.burn import Burn
from dashboard.accounts.models import User
from dashboard.core import resource_states, status
from dashboard.mirror.models import Resource, ResourceKind
from dashboard.web.nav import MenuItem
from dashboard.web.resources.acts import ActLine, choose_status, load_acts
from dashboard.web.resources.addresses import address_of_resource
from dashboard.web.resources.progress import Progress, Told, describe_progress


@dataclass(frozen=True, slots=True)
class ResourceRow:
    """Everything that a row of any kind shows; columns of one kind read `resource` itself.

    `name` is what people call it: an upload borrows its model's name. `progress` is None for what is no job.
    """

    resource: Resource
    url: str
    name: str
    kind_label: str
    status: status.Status
    raw_state: str
    team: str
    burn: Burn
    progress: Progress | None
    acts: tuple[ActLine, ...] = ()
    menu: tuple[MenuItem, ...] = ()

    @property
    def key(self) -> str:
        """Return what tells the row apart in ids of the page."""
        return str(self.resource.pk)

    @property
    def menu_label(self) -> str:
        """Return what a screen reader calls the row's menu."""
        return f"More actions for {self.name}"


def build_rows(resources: Sequence[Resource], *, user: User, now: datetime) -> list[ResourceRow]:
    """Return the rows of one page, in order. One query, and one more where uploads are among them.

    The resources need `project.team` loaded, as resource_querysets.visible_resources does.
    """
    names = load_upload_names(resources)
    acts = load_acts(resources, now=now)
    return [
        build_row(one, name=names.get(one.pk, one.name), acts=acts.get(one.pk, ()), now=now)
        for one in resources
    ]


def build_row(resource: Resource, *, name: str, acts: tuple[ActLine, ...] = (), now: datetime) -> ResourceRow:
    """Return one row. No query."""
    return ResourceRow(
        resource=resource,
        url=address_of_resource(resource),
        name=name,
        kind_label=resource.get_kind_display(),
        status=choose_status(status_of(resource), acts),
        raw_state=resource_states.shorten(resource.state),
        team=resource.project.team.name if resource.project.team else "",
        burn=burn_of(resource),
        progress=progress_of(resource, now=now) if resource.kind in resource_states.JOB_KINDS else None,
        acts=acts,
    )


def status_of(resource: Resource) -> status.Status:
    """Return what people read: the mirrored status, or Gone. No query."""
    return status.ABSENT if resource.absent_since else status.read_value(resource.status)


def burn_of(resource: Resource) -> Burn:
    """Return what the resource burns now. No query."""
    return Burn(resource.burn, resource.burn, resource.unpriced_units)


def progress_of(resource: Resource, *, now: datetime) -> Progress:
    """Return how far a job is. No query."""
    return describe_progress(told_of(resource), meaning=status_of(resource), now=now)


def told_of(resource: Resource) -> Told:
    """Return what is mirrored of a job's progress. No query."""
    return Told(
        share=resource.progress,
        seconds_remaining=resource.seconds_remaining,
        created_at=resource.remote_created_at,
        started_at=resource.started_at,
        finished_at=resource.finished_at,
        expires_at=resource.expires_at,
        observed_at=resource.observed_at,
    )


def load_upload_names(resources: Sequence[Resource]) -> dict[int, str]:
    """Return by upload the name of the model it brings: the API names that by id only (contract 3.8). One query.

    Uploads whose model is not mirrored are left out; without uploads there is no query.
    """
    uploads = {one.pk: (one.connection_id, one.name) for one in resources if one.kind == ResourceKind.UPLOAD}
    if not uploads:
        return {}
    rows = Resource.objects.filter(
        kind=ResourceKind.MODEL, remote_id__in={model_id for _, model_id in uploads.values()}
    ).values_list("connection_id", "remote_id", "name")
    names = {(connection_id, remote_id): name for connection_id, remote_id, name in rows}
    return {pk: names[key] for pk, key in uploads.items() if key in names}
