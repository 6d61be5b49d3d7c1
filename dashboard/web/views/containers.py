"""Container deployments: the list, and the page of one."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from dashboard.core import status
from dashboard.lifecycle import charges
from dashboard.mirror.models import Resource, ResourceKind, SyncRun
from dashboard.mirror.querysets import one_snapshot
from dashboard.web.compute.containers import read_container
from dashboard.web.compute.prices import load_rate_of
from dashboard.web.compute.rows import build_container_rows
from dashboard.web.htmx import render_page
from dashboard.web.resources.detail import build_frame
from dashboard.web.resources.listing import TEAM_FACET, Column, FacetSpec, ListSpec, show_list
from dashboard.web.resources.targets import find_resource
from dashboard.web.resources.totals import StatusChoice
from dashboard.web.snapshot import take_snapshot

SPEC = ListSpec(
    route="containers",
    title="Containers",
    noun="container",
    pretitle="Own images on rented GPUs",
    placeholder="Name, id, GPU or team",
    icon="container",
    kinds=(ResourceKind.CONTAINER,),
    groups=(SyncRun.Resource.CONTAINERS,),
    columns=(
        Column("Container", "resources/compute/cells/_container.html", sort="name", place="name"),
        Column("State", "resources/cells/_state.html", width="ui-w-160", sort="status", place="state"),
        Column("Replicas", "resources/compute/cells/_replicas.html", width="ui-w-200", place="ev"),
        Column(
            "GPU",
            "resources/compute/cells/_container_gpu.html",
            width="ui-w-140",
            sort="hardware",
            css="ui-col-hw",
        ),
        Column("Created", "resources/cells/_created.html", width="ui-w-90", sort="created"),
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
        StatusChoice("running", "Running", (status.RUNNING.value,)),
        StatusChoice("scaling", "Scaling", (status.SCALING.value,)),
        StatusChoice("zero", "Scaled to zero", (status.SCALED_TO_ZERO.value,)),
        StatusChoice("failed", "Failed", (status.FAILED.value,)),
        StatusChoice("unknown", "Unknown", (status.UNKNOWN.value,), is_standing=False),
    ),
    facets=(TEAM_FACET, FacetSpec("hardware", "GPU")),
    default_sort="-burn",
    empty_text="The organisation runs no container of its own, or your teams own none.",
    footnote="Ready replicas bill; values of the environment are never stored here.",
    build_rows=build_container_rows,
)


def list_containers(request: HttpRequest) -> HttpResponse:
    """Show the list, or its live part."""
    return show_list(request, SPEC)


def show_container(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one container, or its live part."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        container = find_resource(request, pk, kinds=(ResourceKind.CONTAINER,))
        body = Resource.objects.values_list("payload", flat=True).get(pk=pk)
        frame = build_frame(request, snapshot, container, parent=("Containers", reverse("containers")))
        may_stop = frame.may_act and charges.may_stop_resource(container)
        context = frame.context | {
            "fragment": "resources/compute/_container.html",
            "has_chart": False,
            "facts": read_container(body, remote_id=container.remote_id),
            "rate": load_rate_of(container),
            # Its volumes are of another kind than shared ones and stand among the facts.
            "links": (),
            "stop_url": reverse("container_stop", args=[pk]) if may_stop else "",
        }
        return render_page(request, "resources/detail.html", str(context["fragment"]), context)
