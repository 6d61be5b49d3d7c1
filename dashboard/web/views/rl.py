"""RL post-training: GPU resources and the sessions that run on them; one list, two pages."""

from datetime import timedelta

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from dashboard.core import status
from dashboard.lifecycle import charges
from dashboard.mirror.models import Resource, ResourceKind, SyncRun
from dashboard.mirror.querysets import one_snapshot
from dashboard.web.compute.prices import load_rate_of
from dashboard.web.compute.rl_facts import list_session_checkpoints, list_session_facts, read_queue_position
from dashboard.web.compute.rows import build_rl_rows
from dashboard.web.htmx import render_page
from dashboard.web.resources import bodies
from dashboard.web.resources.detail import build_frame
from dashboard.web.resources.listing import OWNER_FACET, TEAM_FACET, Column, ListSpec, show_list
from dashboard.web.resources.targets import find_resource
from dashboard.web.resources.totals import StatusChoice
from dashboard.web.snapshot import take_snapshot

PARENT_LABEL = "RL training"
SPEC = ListSpec(
    route="rl",
    title="RL training",
    noun="resource",
    pretitle="GPU sets and the sessions on them",
    placeholder="Name, id, model, owner or team",
    icon="rl",
    kinds=(ResourceKind.RL_RESOURCE, ResourceKind.RL_SESSION),
    groups=(SyncRun.Resource.RL,),
    columns=(
        Column("Name", "resources/compute/cells/_name.html", sort="name", place="name"),
        Column("State", "resources/cells/_state.html", width="ui-w-140", sort="status", place="state"),
        Column("Use", "resources/compute/cells/_rl_use.html", width="ui-w-200", place="ev"),
        Column("Model", "resources/cells/_model.html", width="ui-w-160", sort="model", css="ui-col-hw"),
        Column("Owner", "resources/cells/_owner.html", width="ui-w-140", sort="owner", css="ui-col-spark"),
        Column("Created", "resources/cells/_created.html", width="ui-w-90", sort="created"),
        Column(
            "Now, $/h",
            "resources/compute/cells/_rl_burn.html",
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
        StatusChoice("running", "Running", (status.RUNNING.value, status.WORKING.value)),
        StatusChoice("starting", "Starting", (status.STARTING.value, status.QUEUED.value)),
        StatusChoice("stopping", "Stopping", (status.STOPPING.value,), is_standing=False),
        StatusChoice("stopped", "Stopped", (status.STOPPED.value, status.COMPLETED.value)),
        StatusChoice("failed", "Failed", (status.FAILED.value, status.EXPIRED.value)),
        StatusChoice("unknown", "Unknown", (status.UNKNOWN.value,), is_standing=False),
    ),
    facets=(TEAM_FACET, OWNER_FACET),
    kind_chips={ResourceKind.RL_RESOURCE: "Resources", ResourceKind.RL_SESSION: "Sessions"},
    default_sort="-burn",
    empty_text="Nobody has rented RL resources with this key, or your teams own none.",
    footnote="Resources bill by the hour while ready, with or without a session.",
    build_rows=build_rl_rows,
)


def list_rl(request: HttpRequest) -> HttpResponse:
    """Show the list, or its live part."""
    return show_list(request, SPEC)


def show_rl_resource(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one set of RL resources, or its live part."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        resource = find_resource(request, pk, kinds=(ResourceKind.RL_RESOURCE,))
        body = Resource.objects.values_list("payload", flat=True).get(pk=pk)
        frame = build_frame(request, snapshot, resource, parent=(PARENT_LABEL, reverse("rl")))
        may_stop = frame.may_act and charges.may_stop_resource(resource)
        timeout = bodies.number_of(body, "inactive_timeout")
        sessions = [line for line in frame.users if line.resource and line.resource.kind == "rl-session"]
        context = frame.context | {
            "fragment": "resources/compute/_rl_resource.html",
            "has_chart": False,
            "rate": load_rate_of(resource),
            "generators": bodies.number_of(bodies.part_of(body, "compute_config"), "num_generator_replicas"),
            "inactive_timeout": None if timeout is None else timedelta(seconds=timeout),
            "queue_position": read_queue_position(body),
            "has_adapters": bodies.text_of(body, "lora_enabled"),
            "weights_ref": bodies.text_of(body, "base_weights_ref"),
            "sessions": sessions,
            "working": sum(1 for line in sessions if line.status is status.WORKING),
            "links": frame.targets,
            "stop_url": reverse("rl_stop", args=[pk]) if may_stop else "",
        }
        return render_page(request, "resources/detail.html", str(context["fragment"]), context)


def show_rl_session(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one training session, or its live part."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        session = find_resource(request, pk, kinds=(ResourceKind.RL_SESSION,))
        body = Resource.objects.values_list("payload", flat=True).get(pk=pk)
        frame = build_frame(request, snapshot, session, parent=(PARENT_LABEL, reverse("rl")))
        step = bodies.number_of(body, "step")
        hosts = [line for line in frame.targets if line.resource and line.resource.kind == "rl-resource"]
        context = frame.context | {
            "fragment": "resources/compute/_rl_session.html",
            "has_chart": False,
            "step": None if step is None else int(step),
            "host": hosts[0] if hosts else None,
            "checkpoints": list_session_checkpoints(body),
            "facts": list_session_facts(body),
        }
        return render_page(request, "resources/detail.html", str(context["fragment"]), context)
