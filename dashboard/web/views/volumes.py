"""Shared volumes: the list, and the page of one."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from dashboard.accounts.permissions import Right, user_may
from dashboard.core import status
from dashboard.lifecycle import charges
from dashboard.mirror.models import Resource, ResourceKind, SyncRun
from dashboard.mirror.querysets import one_snapshot
from dashboard.web.compute.prices import load_rate_of
from dashboard.web.compute.rows import build_volume_rows, load_holders
from dashboard.web.htmx import render_page
from dashboard.web.resources import bodies
from dashboard.web.resources.detail import build_frame
from dashboard.web.resources.listing import TEAM_FACET, Column, ListSpec, show_list
from dashboard.web.resources.targets import find_resource
from dashboard.web.resources.totals import StatusChoice
from dashboard.web.snapshot import Snapshot, take_snapshot

Run = SyncRun.Resource
SPEC = ListSpec(
    route="volumes",
    title="Volumes",
    noun="volume",
    pretitle="Shared storage, billed while it exists",
    placeholder="Name, id or team",
    icon="volume",
    kinds=(ResourceKind.VOLUME,),
    groups=(Run.VOLUMES, Run.CLUSTERS),
    columns=(
        Column("Volume", "resources/compute/cells/_name.html", sort="name", place="name"),
        Column(
            "State", "resources/compute/cells/_state.html", width="ui-w-140", sort="status", place="state"
        ),
        Column("Attached to", "resources/compute/cells/_attached.html", width="ui-w-236", place="ev"),
        Column("Region", "resources/compute/cells/_region.html", width="ui-w-110", css="ui-col-hw"),
        Column(
            "Size",
            "resources/compute/cells/_tib.html",
            width="ui-w-90",
            sort="size",
            is_number=True,
            foot="resources/compute/cells/_tib_foot.html",
        ),
        Column(
            "Per month, $",
            "resources/compute/cells/_month.html",
            width="ui-w-110",
            is_number=True,
            title="At this rate, for a month of 730 h",
            foot="resources/compute/cells/_month_foot.html",
            css="ui-col-spark",
        ),
        Column(
            "Now, $/h",
            "resources/cells/_burn.html",
            width="ui-w-110",
            sort="burn",
            is_number=True,
            place="price",
            foot="resources/cells/_burn_foot.html",
            is_rate=True,
        ),
        Column("", "resources/cells/_menu.html", width="ui-w-76", place="act"),
    ),
    choices=(
        StatusChoice("attached", "Attached", (status.ATTACHED.value,)),
        StatusChoice("unattached", "Not attached", (status.UNATTACHED.value,)),
        StatusChoice("starting", "Starting", (status.STARTING.value,), is_standing=False),
        StatusChoice("failed", "Failed", (status.FAILED.value,), is_standing=False),
        StatusChoice("paused", "Access revoked", (status.PAUSED.value,), is_standing=False),
        StatusChoice("deleting", "Deleting", (status.DELETING.value,), is_standing=False),
        StatusChoice("unknown", "Unknown", (status.UNKNOWN.value,), is_standing=False),
    ),
    facets=(TEAM_FACET,),
    default_sort="-burn",
    empty_text="The organisation has no shared volume, or your teams own none.",
    footnote="A volume bills while it exists, attached or not.",
    page_template="resources/compute/volumes_page.html",
    build_rows=build_volume_rows,
)


def list_volumes(request: HttpRequest) -> HttpResponse:
    """Show the list, or its live part."""
    return show_list(request, SPEC, extra=_offer_create)


def _offer_create(snapshot: Snapshot) -> dict[str, object]:
    may = user_may(snapshot.user, Right.MANAGE_COMPUTE)
    return {"create_url": reverse("volume_create") if may else ""}


def show_volume(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one volume, or its live part."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        volume = find_resource(request, pk, kinds=(ResourceKind.VOLUME,))
        body = Resource.objects.values_list("payload", flat=True).get(pk=pk)
        frame = build_frame(
            request, snapshot, volume, parent=("Volumes", reverse("volumes")), groups=(Run.CLUSTERS,)
        )
        independent = body.get("is_lifecycle_independent")
        size = bodies.number_of(body, "size_tib")
        may = frame.may_act and user_may(snapshot.user, Right.MANAGE_COMPUTE)
        context = frame.context | {
            "fragment": "resources/compute/_volume.html",
            "has_chart": False,
            "holders": load_holders([volume], user=snapshot.user).get(volume.pk, ()),
            "size_tib": None if size is None else int(size),
            "is_independent": independent if isinstance(independent, bool) else None,
            "rate": load_rate_of(volume),
            "is_unattached": frame.row.status is status.UNATTACHED,
            "resize_url": reverse("volume_resize", args=[pk]) if may and charges.may_resize(volume) else "",
            "delete_url": reverse("volume_delete", args=[pk]) if may and charges.may_delete(volume) else "",
        }
        return render_page(request, "resources/detail.html", str(context["fragment"]), context)
