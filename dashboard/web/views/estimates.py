"""What a fine-tune would cost: the form, and the provider's answer, which arrives by itself."""

import uuid

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from dashboard.accounts.audit import actor_of
from dashboard.lifecycle.errors import ActionError
from dashboard.lifecycle.estimates import request_estimate
from dashboard.lifecycle.models import PriceEstimate
from dashboard.mirror.models import SyncRun
from dashboard.web.htmx import is_partial, render_page
from dashboard.web.page import group_context
from dashboard.web.resources.estimate import (
    EstimateForm,
    describe_answer,
    find_estimate,
    list_trainable_models,
    list_training_files,
)
from dashboard.web.snapshot import Snapshot, take_snapshot

REFUSED = 422
PAGE, FORM, ANSWER = (f"resources/estimate/{name}.html" for name in ("page", "_estimate", "_answer"))


def ask_price(request: HttpRequest) -> HttpResponse:
    """Show the form, or ask (POST) and show the place where the answer will stand."""
    snapshot = take_snapshot(request)
    if request.method != "POST":
        initial = {"training_file": request.GET.get("file", ""), "model": request.GET.get("model", "")}
        form = _build_form(snapshot, initial=initial)
        return render_page(request, PAGE, FORM, _context(request, snapshot, form))
    form = _build_form(snapshot, request.POST)
    estimate = _ask(request, form) if form.is_valid() else None
    if estimate is not None and not is_partial(request):
        return redirect("job_estimate_answer", public_id=estimate.public_id)
    context = _context(request, snapshot, form, estimate)
    return render_page(request, PAGE, FORM, context, status=200 if estimate else REFUSED)


def show_answer(request: HttpRequest, public_id: uuid.UUID) -> HttpResponse:
    """Show one question with its answer; htmx asks for the answer alone."""
    snapshot = take_snapshot(request)
    estimate = find_estimate(snapshot.user, public_id)
    if estimate is None:
        raise Http404("no such question, or not one of your teams'")
    context = _context(request, snapshot, _build_form(snapshot), estimate)
    return render_page(request, PAGE, ANSWER, context)


def _ask(request: HttpRequest, form: EstimateForm) -> PriceEstimate | None:
    """Write the question; None when it was refused, and then the form says why."""
    file = form.read_file("training_file")
    assert file is not None  # noqa: S101 - a required field of a valid form
    try:
        return request_estimate(file.project, actor=actor_of(request), **form.read_arguments())
    except ActionError as error:
        form.add_error(error.field if error.field in form.fields else None, error.sentence)
        return None


def _build_form(
    snapshot: Snapshot, data: object = None, *, initial: dict[str, str] | None = None
) -> EstimateForm:
    return EstimateForm(
        data,
        initial=initial,
        files=list_training_files(snapshot.user),
        models=list_trainable_models(snapshot.user),
    )


def _context(
    request: HttpRequest, snapshot: Snapshot, form: EstimateForm, estimate: PriceEstimate | None = None
) -> dict[str, object]:
    return group_context(request, snapshot, (SyncRun.Resource.FILES,)) | {
        "form": form,
        "answer": describe_answer(estimate) if estimate else None,
    }
