"""GPU clusters: the list, and the page of one."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from dashboard.accounts.models import User
from dashboard.accounts.permissions import Right, user_may
from dashboard.core import status
from dashboard.lifecycle import charges
from dashboard.mirror.models import Resource, ResourceKind, SyncRun
from dashboard.mirror.querysets import one_snapshot
from dashboard.web.compute.cluster_facts import read_cluster
from dashboard.web.compute.prices import load_rate_of
from dashboard.web.compute.rows import build_cluster_rows
from dashboard.web.compute.volume_lines import list_volume_lines
from dashboard.web.htmx import render_page
from dashboard.web.resources.detail import Frame, build_frame
from dashboard.web.resources.listing import TEAM_FACET, Column, FacetSpec, ListSpec, show_list
from dashboard.web.resources.targets import find_resource
from dashboard.web.resources.totals import StatusChoice
from dashboard.web.snapshot import take_snapshot

Run = SyncRun.Resource
SPEC = ListSpec(
    route="clusters",
    title="Clusters",
    noun="cluster",
    pretitle="Rented GPU nodes",
    placeholder="Name, id, GPU, region or team",
    icon="cluster",
    kinds=(ResourceKind.CLUSTER,),
    groups=(Run.CLUSTERS,),
    columns=(
        Column("Cluster", "resources/compute/cells/_name.html", sort="name", place="name"),
        Column(
            "State", "resources/compute/cells/_state.html", width="ui-w-140", sort="status", place="state"
        ),
        Column("GPUs", "resources/compute/cells/_gpus.html", width="ui-w-160", sort="gpus", place="ev"),
        Column("Reservation", "resources/compute/cells/_reservation.html", width="ui-w-160", sort="expires"),
        Column(
            "Region",
            "resources/compute/cells/_region.html",
            width="ui-w-110",
            sort="region",
            css="ui-col-hw",
        ),
        Column(
            "Volumes",
            "resources/compute/cells/_volume_count.html",
            width="ui-w-76",
            is_number=True,
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
        StatusChoice("running", "Running", (status.RUNNING.value,)),
        StatusChoice("starting", "Starting", (status.STARTING.value, status.QUEUED.value)),
        StatusChoice("degraded", "Degraded", (status.DEGRADED.value,)),
        StatusChoice("paused", "Paused", (status.PAUSED.value,), is_standing=False),
        StatusChoice("failed", "Failed", (status.FAILED.value,), is_standing=False),
        StatusChoice("deleting", "Deleting", (status.DELETING.value,), is_standing=False),
        StatusChoice("unknown", "Unknown", (status.UNKNOWN.value,), is_standing=False),
    ),
    facets=(TEAM_FACET, FacetSpec("hardware", "GPU"), FacetSpec("region", "Region")),
    default_sort="-burn",
    empty_text="The organisation rents no GPU cluster, or your teams own none.",
    footnote="On-demand GPUs of live nodes bill by the hour; reserved ones are paid in advance.",
    build_rows=build_cluster_rows,
)


def list_clusters(request: HttpRequest) -> HttpResponse:
    """Show the list, or its live part."""
    return show_list(request, SPEC)


def show_cluster(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one cluster, or its live part."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        cluster = find_resource(request, pk, kinds=(ResourceKind.CLUSTER,))
        body = Resource.objects.values_list("payload", flat=True).get(pk=pk)
        frame = build_frame(
            request, snapshot, cluster, parent=("Clusters", reverse("clusters")), groups=(Run.VOLUMES,)
        )
        facts = read_cluster(body, remote_id=cluster.remote_id, now=snapshot.now)
        context = frame.context | {
            "fragment": "resources/compute/_cluster.html",
            "has_chart": False,
            "facts": facts,
            "edges": frame.context["timeline"],
            # The phases have a panel of their own, in their own words.
            "timeline": (),
            "rate": load_rate_of(cluster),
            "volumes": list_volume_lines(facts.volumes, frame.targets),
            # Volumes have a panel of their own too.
            "links": (),
        }
        context |= _list_acts(frame, snapshot.user)
        return render_page(request, "resources/detail.html", str(context["fragment"]), context)


def _list_acts(frame: Frame, user: User) -> dict[str, str]:
    cluster = frame.row.resource
    may_delete = user_may(user, Right.MANAGE_COMPUTE) and frame.may_act and charges.may_delete(cluster)
    return {
        "scale_url": reverse("cluster_scale", args=[cluster.pk])
        if frame.may_act and charges.may_resize(cluster)
        else "",
        "delete_url": reverse("cluster_delete", args=[cluster.pk]) if may_delete else "",
    }
