"""Settings > Deprecations: the dated list of models that go, which an Admin keeps."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse

from dashboard.accounts.audit import actor_of
from dashboard.mirror import deprecations
from dashboard.mirror.deprecations import Entry, ListedAlreadyError
from dashboard.mirror.models import ModelDeprecation
from dashboard.web.htmx import render_dialog
from dashboard.web.views.settings.deprecation_forms import DeprecationForm
from dashboard.web.views.settings.leaving import leave

TAKEN = "The list has this model already."


def list_deprecations(request: HttpRequest) -> HttpResponse:
    """Show the list, newest removal first; add a model."""
    form = DeprecationForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            row = deprecations.add_deprecation(form.read_entry(), actor=actor_of(request))
        except ListedAlreadyError:
            form.add_error("model", TAKEN)
        else:
            messages.success(request, f"{row.model} is on the list")
            return redirect("settings_deprecations")
    context = {
        "form": form,
        "rows": ModelDeprecation.objects.order_by("-removal_on", "model"),
        "section": "deprecations",
    }
    return render(request, "settings/deprecations.html", context, status=422 if form.errors else 200)


def change_deprecation(request: HttpRequest, pk: int) -> HttpResponse:
    """Change what the list says of a model."""
    row = get_object_or_404(ModelDeprecation, pk=pk)
    form = DeprecationForm(request.POST or None, initial=DeprecationForm.propose(row))
    if request.method == "POST" and form.is_valid():
        entry: Entry = form.read_entry()
        try:
            deprecations.change_deprecation(pk, entry, actor=actor_of(request))
        except ListedAlreadyError:
            form.add_error("model", TAKEN)
        else:
            messages.success(request, f"{entry.model} is changed")
            return redirect("settings_deprecations")
    context = {"row": row, "form": form, "section": "deprecations"}
    return render(request, "settings/deprecation.html", context, status=422 if form.errors else 200)


def remove_deprecation(request: HttpRequest, pk: int) -> HttpResponse:
    """Confirm and take a model off the list."""
    row = get_object_or_404(ModelDeprecation, pk=pk)
    if request.method == "POST":
        deprecations.remove_deprecation(pk, actor=actor_of(request))
        messages.success(request, f"{row.model} is off the list")
        return leave(request, "settings_deprecations")
    context = {
        "row": row,
        "action": reverse("settings_deprecation_remove", args=[pk]),
        "cancel_url": reverse("settings_deprecations"),
        "cancel_label": "Keep it",
    }
    return render_dialog(request, "settings/_deprecation_remove.html", context, title="Remove")
