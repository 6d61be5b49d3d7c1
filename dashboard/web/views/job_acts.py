"""Cancel a job: the confirmation that says what will be charged (GET), the wish (POST)."""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from dashboard.accounts.audit import actor_of
from dashboard.lifecycle import charges, resource_acts
from dashboard.lifecycle.errors import ActionError
from dashboard.mirror.groups import GROUP_OF
from dashboard.mirror.models import Resource, ResourceKind
from dashboard.web.forms import ActForm
from dashboard.web.htmx import render_dialog
from dashboard.web.resources.rows import status_of
from dashboard.web.resources.targets import find_operable_resource
from dashboard.web.views.actions import CONFLICT, finish_act

_NOT_CANCELLABLE = {
    ResourceKind.EVALUATION: "The provider has no call that cancels an evaluation.",
    ResourceKind.UPLOAD: "The provider has no call that cancels an upload.",
    ResourceKind.UPLOAD_V1: "The provider has no call that cancels an upload.",
}


def cancel_job(request: HttpRequest, kind: str, pk: int) -> HttpResponse:
    """Confirm and ask for the cancel of a fine-tune or batch; what cannot be cancelled is explained."""
    job = find_operable_resource(request, pk, kinds=(kind,))
    # What is charged depends on the steps that the body counts.
    job.payload = Resource.objects.values_list("payload", flat=True).get(pk=pk)
    back = reverse("job", args=[kind, pk])
    error = ""
    if request.method == "POST":
        form = ActForm(request.POST)
        if not form.is_valid():
            error = "Open the form again."
        else:
            try:
                made = resource_acts.request_cancel(
                    job, actor=actor_of(request), idempotency_key=form.read_key()
                )
            except ActionError as refusal:
                error = refusal.sentence
            else:
                own = GROUP_OF[ResourceKind(kind)].run
                return finish_act(request, [made], verb="Cancel", name=job.name, groups=(own,))
    if not error and (job.absent_since is not None or not charges.may_cancel(job)):
        word = status_of(job).word.lower()
        reason = _NOT_CANCELLABLE.get(ResourceKind(kind), f"{job.name} is {word}.")
        nothing = {"title": "Nothing to cancel", "reason": reason, "cancel_url": back}
        return render_dialog(request, "actions/_nothing.html", nothing, title="Nothing to cancel")
    context = {
        "job": job,
        "charge": charges.describe_cancel_charge(job),
        "error": error,
        "key": request.POST.get("key") or ActForm.new_key(),
        "action": request.get_full_path(),
        "cancel_url": back,
        "cancel_label": "Let it run",
    }
    return render_dialog(
        request,
        "resources/jobs/_confirm_cancel.html",
        context,
        title="Cancel",
        status=CONFLICT if error else 200,
    )
