"""One job: how far it is, what it reads and makes, what it costs, what happened. One function per kind."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from dashboard.accounts.models import User
from dashboard.core import resource_states, status
from dashboard.lifecycle import charges
from dashboard.mirror.models import Resource, ResourceDocument, ResourceKind
from dashboard.mirror.querysets import one_snapshot
from dashboard.web.htmx import render_page
from dashboard.web.resources import bodies
from dashboard.web.resources.addresses import resolve
from dashboard.web.resources.curves import build_curves
from dashboard.web.resources.detail import Frame, ask_for_details, build_frame, load_documents
from dashboard.web.resources.links import list_serving, names_of_model
from dashboard.web.resources.progress import Progress, describe_progress
from dashboard.web.resources.rows import told_of
from dashboard.web.resources.stages import Entry, read_stages
from dashboard.web.resources.targets import find_resource
from dashboard.web.snapshot import take_snapshot

Name = ResourceDocument.Name


@dataclass(frozen=True, slots=True)
class Job:
    """What a page of one kind is built from: the row, its body (listing over full body), its documents."""

    resource: Resource
    body: Mapping[str, Any]
    documents: Mapping[str, object]
    now: datetime
    user: User


def show_job(request: HttpRequest, kind: str, pk: int) -> HttpResponse:
    """Show one job, or its live part."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        resource = find_resource(request, pk, kinds=(kind,))
        ask_for_details(request, resource)
        documents = load_documents(resource, Name.BODY, Name.CHECKPOINTS, Name.METRICS)
        body = Resource.objects.values_list("payload", flat=True).get(pk=pk)
        full = documents.get(Name.BODY)
        if isinstance(full, dict):
            # The full body says more, the listing is newer.
            body = full | body
        job = Job(resource, body, documents, snapshot.now, snapshot.user)
        frame = build_frame(request, snapshot, resource, parent=("Jobs", reverse("jobs")))
        names = names_of_model(resource, frame.targets)
        is_done = resource.status == status.COMPLETED.value
        context = frame.context | {
            "fragment": f"resources/jobs/_{kind.replace('-', '_')}.html",
            "body": body,
            "progress": measure(job),
            # What has a panel of its own is not named twice.
            "links": [line for line in (*frame.targets, *frame.users) if not line.is_model]
            if kind == ResourceKind.FINE_TUNE
            else (),
            "made": [line for line in frame.targets if line.is_model],
            "served_by": list_serving(snapshot.user, names, connection_id=resource.connection_id),
            "deploy_url": find_deploy_url(names) if is_done and frame.may_act else "",
            "cancel_url": find_cancel_url(frame) if frame.may_act else "",
        }
        context |= _DETAILS[ResourceKind(kind)](job)
        return render_page(request, "resources/detail.html", str(context["fragment"]), context)


def measure(job: Job) -> Progress:
    """Return how far the job is, by its steps where the full body counts them."""
    told = told_of(job.resource)
    done, total = bodies.number_of(job.body, "steps_completed"), bodies.number_of(job.body, "total_steps")
    if told.share is None and done is not None and total:
        told = replace(told, share=min(max(done / total, 0.0), 1.0))
    return describe_progress(told, meaning=status.read_value(job.resource.status), now=job.now)


def find_deploy_url(names: tuple[str, ...]) -> str:
    """Return where a finished model is deployed; empty while there is no such page, or nothing was made."""
    url = resolve("deploy")
    return f"{url}?{urlencode({'model': names[-1]})}" if url and names else ""


def find_cancel_url(frame: Frame) -> str:
    """Return where the cancel of this job is confirmed; empty for what ends already or was asked to."""
    resource = frame.row.resource
    if not charges.may_cancel(resource) or any(line.act.kind == "cancel" for line in frame.row.acts):
        return ""
    return reverse("job_cancel", args=[resource.kind, resource.pk])


def describe_fine_tune(job: Job) -> dict[str, object]:
    """Return stages, curves, checkpoints, settings, restarts and refunds. One query."""
    resource, body = job.resource, job.body
    events = list(resource.events.order_by("position", "pk").values_list("type", "at", "message"))
    curves = build_curves(job.documents.get(Name.METRICS))
    return {
        "stages": read_stages(
            [Entry(word, at) for word, at, _ in events],
            status=resource_states.shorten(resource.state),
            created_at=resource.remote_created_at,
            finished_at=resource.finished_at,
            now=job.now,
        ),
        "curves": curves,
        "has_chart": curves is not None,
        "checkpoints": bodies.list_checkpoints(job.documents.get(Name.CHECKPOINTS)),
        "facts": bodies.list_training_facts(body),
        "epochs": _pair(body, "epochs_completed", "n_epochs"),
        "steps": _pair(body, "steps_completed", "total_steps"),
        "params": bodies.number_of(body, "param_count"),
        "lines": bodies.number_of(body, "trainingfile_numlines"),
        "failure": ""
        if resource.state_message
        else next((message for word, _, message in reversed(events) if word == "job_error"), ""),
        "restarts": [(at, message) for word, at, message in events if word == "job_restarted"],
        "refunds": [(at, message) for word, at, message in events if word == "refund"],
        "wandb_url": bodies.link_of(body, "wandb_url"),
        "least_price": charges.FINE_TUNE_MINIMUM,
        "is_at_least_price": resource.total_nano_usd == charges.FINE_TUNE_MINIMUM,
    }


def describe_batch(job: Job) -> dict[str, object]:
    """Return nothing more: progress, deadline and files are in the frame."""
    return {"has_chart": False}


def describe_evaluation(job: Job) -> dict[str, object]:
    """Return the figures in the shape of the evaluation's type, and who judged what."""
    return {
        "has_chart": False,
        "results": bodies.list_results(job.body),
        "facts": bodies.list_judged(job.body),
    }


def describe_upload(job: Job) -> dict[str, object]:
    """Return the steps that the feed tells, and how often it was tried again. One query."""
    return {
        "has_chart": False,
        "steps_told": list(job.resource.events.defer("payload").order_by("position", "pk")),
        "tries": _pair(job.body, "restartCount", "maxRestarts"),
        "source": bodies.text_of(bodies.part_of(job.body, "args"), "modelSource"),
        "description": bodies.text_of(bodies.part_of(job.body, "args"), "description"),
    }


_DETAILS: Mapping[ResourceKind, Callable[[Job], dict[str, object]]] = {
    ResourceKind.FINE_TUNE: describe_fine_tune,
    ResourceKind.BATCH: describe_batch,
    ResourceKind.EVALUATION: describe_evaluation,
    ResourceKind.UPLOAD: describe_upload,
    ResourceKind.UPLOAD_V1: describe_upload,
}


def _pair(body: Mapping[str, Any], done: str, total: str) -> tuple[float | None, float | None]:
    return bodies.number_of(body, done), bodies.number_of(body, total)
