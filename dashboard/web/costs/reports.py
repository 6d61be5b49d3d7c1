"""Scheduled reports: the list, a new one, one with its deliveries, and the file that a link stands for."""

from collections.abc import Callable
from functools import partial

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db.models import OuterRef, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone

from billing import reports
from billing.exports.formats import FileType, Format
from billing.exports.lines import Basis, Grain
from billing.models import ReportDelivery, ReportSchedule
from billing.report_times import TRIES
from billing.rules import load_rules, reporting_zone
from dashboard.accounts import audit
from dashboard.accounts.models import User
from dashboard.mirror.querysets import one_snapshot
from dashboard.web.costs.asked import read_question
from dashboard.web.costs.exports import BASIS_WORDS, FORMAT_WORDS, GRAIN_WORDS, list_kept, send_order
from dashboard.web.costs.tabs import list_tabs
from dashboard.web.htmx import render_dialog
from dashboard.web.page import page_context
from dashboard.web.snapshot import take_snapshot
from dashboard.web.views.settings.leaving import leave
from dashboard.webhooks.addresses import AddressError, read_target

MOST_RECIPIENTS = 20
MOST_DELIVERIES = 50


class ScheduleForm(forms.Form):
    """A report to be sent by itself."""

    name = forms.CharField(max_length=100, label="Name")
    frequency = forms.ChoiceField(choices=ReportSchedule.Frequency.choices, label="How often")
    format = forms.ChoiceField(
        choices=[(one.value, one.label) for one in FORMAT_WORDS], label="What is in it"
    )
    file = forms.ChoiceField(
        choices=[(FileType.CSV.value, "CSV"), (FileType.PARQUET.value, "Parquet")], label="File"
    )
    basis = forms.ChoiceField(
        choices=[(one.value, words[0]) for one, words in BASIS_WORDS.items()], label="Whose figures, in FOCUS"
    )
    grain = forms.ChoiceField(
        choices=[(one.value, words[0]) for one, words in GRAIN_WORDS.items()],
        label="Charge periods, in FOCUS",
    )
    recipients = forms.CharField(
        required=False,
        max_length=4_000,
        label="Mail to",
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text="Addresses, a comma or a new line between them. The mail holds a link, which opens after signing in.",
    )
    webhook_url = forms.CharField(
        required=False,
        max_length=2_000,
        label="Webhook",
        help_text="An https address that takes the file as a signed POST. Not shown again.",
    )

    def clean_recipients(self) -> tuple[str, ...]:
        """Return the addresses, each once."""
        found = dict.fromkeys(self.cleaned_data["recipients"].replace(",", " ").replace(";", " ").split())
        for address in found:
            try:
                validate_email(address)
            except ValidationError as error:
                raise ValidationError(f"{address} is no mail address.") from error
        if len(found) > MOST_RECIPIENTS:
            raise ValidationError(f"{MOST_RECIPIENTS} addresses at most: use a list's address.")
        return tuple(found)

    def clean_webhook_url(self) -> str:
        """Return the address; where its name leads is checked each time it is used."""
        url = str(self.cleaned_data["webhook_url"])
        if url:
            try:
                read_target(url)
            except AddressError as error:
                raise ValidationError(error.sentence) from error
        return url

    def clean(self) -> dict[str, object]:
        """Demand somebody to send it to."""
        cleaned: dict[str, object] = super().clean() or self.cleaned_data
        if not self.errors and not cleaned.get("recipients") and not cleaned.get("webhook_url"):
            self.add_error("recipients", "Mail addresses, a webhook, or both are needed.")
        return cleaned


def list_reports(request: HttpRequest) -> HttpResponse:
    """List the schedules with what became of the last delivery of each."""
    with one_snapshot():
        snapshot = take_snapshot(request)
        latest = ReportDelivery.objects.filter(schedule=OuterRef("pk")).order_by("-at", "-pk")
        schedules = ReportSchedule.objects.order_by("name", "pk").annotate(
            last_at=Subquery(latest.values("at")[:1]), last_outcome=Subquery(latest.values("outcome")[:1])
        )
        context = page_context(request, snapshot) | {
            "cost_tabs": list_tabs(snapshot.user, current="costs_reports"),
            "schedules": schedules,
            "zone": reporting_zone(load_rules()),
            "formats": {one.value: one.label for one in Format},
        }
        return render(request, "costs/reports/page.html", context)


def add_report(request: HttpRequest) -> HttpResponse:
    """Add a schedule for what the explorer showed: its filters come with the address."""
    now = timezone.now()
    rules = load_rules()
    assert isinstance(request.user, User)  # noqa: S101 - the permission table lets nobody else in
    question = read_question(request.GET, user=request.user, now=now, zone_default=rules.reporting_zone)
    form = ScheduleForm(request.POST or None, initial={"format": request.GET.get("format") or Format.DAYS})
    if request.method == "POST" and form.is_valid():
        found = form.cleaned_data
        plan = reports.ReportPlan(
            name=found["name"],
            format=Format(found["format"]),
            frequency=found["frequency"],
            recipients=found["recipients"],
            webhook_url=found["webhook_url"],
            basis=Basis(found["basis"]),
            grain=Grain(found["grain"]),
            file_type=FileType(found["file"]),
            filters=question.query.filters,
            site=request.build_absolute_uri("/"),
        )
        schedule, secret = reports.add_schedule(plan, actor=audit.actor_of(request), now=now)
        messages.success(request, f"{schedule.name} is scheduled")
        if secret:
            # The one time that it is told: the page that follows has it, nothing stores it.
            return _show(request, schedule, secret=secret)
        return redirect("costs_report", pk=schedule.pk)
    context = {
        "form": form,
        "question": question,
        "kept": list_kept(request.GET),
        "zone_name": rules.reporting_zone,
        "cost_tabs": list_tabs(request.user, current="costs_reports"),
        "action": f"{reverse('costs_report_add')}?{request.GET.urlencode()}",
    }
    return render(request, "costs/reports/add.html", context, status=422 if form.errors else 200)


def show_report(request: HttpRequest, pk: int) -> HttpResponse:
    """Show a schedule and its deliveries."""
    return _show(request, get_object_or_404(ReportSchedule, pk=pk))


def _show(request: HttpRequest, schedule: ReportSchedule, *, secret: str = "") -> HttpResponse:
    assert isinstance(request.user, User)  # noqa: S101 - the permission table lets nobody else in
    deliveries = list(schedule.deliveries.all()[:MOST_DELIVERIES])
    context = {
        "schedule": schedule,
        "deliveries": deliveries,
        "secret": secret,
        "zone": reporting_zone(load_rules()),
        "format_label": Format(schedule.format).label,
        "tries": TRIES,
        "now": timezone.now(),
        "cost_tabs": list_tabs(request.user, current="costs_reports"),
    }
    return render(request, "costs/reports/one.html", context)


def run_report(request: HttpRequest, pk: int) -> HttpResponse:
    """Let it go out now."""
    return _act(request, pk, partial(reports.request_run, now=timezone.now()), "goes out within a minute")


def enable_report(request: HttpRequest, pk: int) -> HttpResponse:
    """Let it go out at its times."""
    act = partial(reports.set_enabled, is_enabled=True, now=timezone.now())
    return _act(request, pk, act, "goes out at its times again")


def disable_report(request: HttpRequest, pk: int) -> HttpResponse:
    """Let it rest."""
    act = partial(reports.set_enabled, is_enabled=False, now=timezone.now())
    return _act(request, pk, act, "rests")


def _act(request: HttpRequest, pk: int, act: Callable[..., None], words: str) -> HttpResponse:
    schedule = get_object_or_404(ReportSchedule, pk=pk)
    act(schedule, actor=audit.actor_of(request))
    messages.success(request, f"{schedule.name} {words}")
    return leave(request, "costs_report", pk=pk)


def delete_report(request: HttpRequest, pk: int) -> HttpResponse:
    """Confirm and delete."""
    schedule = get_object_or_404(ReportSchedule, pk=pk)
    if request.method == "POST":
        reports.delete_schedule(schedule, actor=audit.actor_of(request))
        messages.success(request, f"{schedule.name} is deleted")
        return leave(request, "costs_reports")
    context = {
        "schedule": schedule,
        "action": reverse("costs_report_delete", args=[pk]),
        "cancel_url": reverse("costs_report", args=[pk]),
        "cancel_label": "Keep it",
    }
    return render_dialog(request, "costs/reports/_delete.html", context, title="Delete a report")


def send_report_file(request: HttpRequest, token: str) -> HttpResponseBase:
    """Send the file of a link from a mail, of what the person who opens it may see."""
    opened = reports.open_link(token)
    if opened is None:
        raise Http404
    schedule, period = opened
    assert isinstance(request.user, User)  # noqa: S101 - the permission table lets nobody else in
    order = reports.make_order(schedule, period, zone=reporting_zone(load_rules()), user=request.user)
    return send_order(request, order, detail={"schedule": schedule.name})
