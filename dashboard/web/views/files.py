"""Files: training data, batch inputs and outputs, results; the list and the page of one."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from dashboard.core import status
from dashboard.mirror.models import Resource, ResourceKind, SyncRun
from dashboard.mirror.querysets import one_snapshot
from dashboard.web.htmx import render_page
from dashboard.web.resources import bodies
from dashboard.web.resources.detail import build_frame
from dashboard.web.resources.listing import TEAM_FACET, Column, FacetSpec, ListSpec, show_list
from dashboard.web.resources.targets import find_resource
from dashboard.web.resources.totals import StatusChoice
from dashboard.web.snapshot import take_snapshot

SPEC = ListSpec(
    route="files",
    title="Files",
    noun="file",
    pretitle="Training data, batch inputs and outputs",
    placeholder="Name, id, purpose or team",
    icon="file",
    kinds=(ResourceKind.FILE,),
    groups=(SyncRun.Resource.FILES,),
    columns=(
        Column("File", "resources/cells/_file.html", sort="name", place="name"),
        Column("State", "resources/cells/_state.html", width="ui-w-140", sort="status", place="state"),
        Column("Purpose", "resources/cells/_variety.html", width="ui-w-160", place="ev"),
        Column("Team", "resources/cells/_team.html", width="ui-w-160", css="ui-col-hw"),
        Column(
            "Size",
            "resources/cells/_size.html",
            width="ui-w-110",
            sort="size",
            is_number=True,
            place="price",
        ),
        Column("Created", "resources/cells/_created.html", width="ui-w-110", sort="created"),
    ),
    choices=(
        StatusChoice("ready", "Ready", (status.AVAILABLE.value,)),
        StatusChoice("checking", "Being checked", (status.QUEUED.value, status.FINISHING.value)),
        StatusChoice("failed", "Failed", (status.FAILED.value,)),
        StatusChoice("unknown", "Unknown", (status.UNKNOWN.value,), is_standing=False),
    ),
    facets=(TEAM_FACET, FacetSpec("variety", "Purpose")),
    empty_text="Nobody has uploaded a file with this key, or your teams own none.",
)


def list_files(request: HttpRequest) -> HttpResponse:
    """Show the list, or its live part."""
    return show_list(request, SPEC)


def show_file(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one file, or its live part."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        resource = find_resource(request, pk, kinds=(ResourceKind.FILE,))
        body: dict[str, Any] = Resource.objects.values_list("payload", flat=True).get(pk=pk)
        frame = build_frame(request, snapshot, resource, parent=("Files", reverse("files")))
        context = frame.context | {
            "has_chart": False,
            # Who uses it has a panel of its own.
            "links": (),
            "fragment": "resources/files/_file.html",
            "file_type": bodies.text_of(body, "FileType", "file_type"),
            "report": bodies.read_report(body),
        }
        return render_page(request, "resources/detail.html", str(context["fragment"]), context)
