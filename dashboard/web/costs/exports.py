"""Files of costs: the page that says what there is, and the file itself, sent while it is written."""

from dataclasses import dataclass
from functools import partial

from django import forms
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone

from billing.costs import NO_FILTERS, sum_costs
from billing.exports.formats import CONTENT_TYPES, FileType, Format, Order, write_file
from billing.exports.lines import Basis, Grain
from billing.exports.stream import Wanted
from billing.rules import load_rules
from dashboard.accounts import audit
from dashboard.accounts.models import User
from dashboard.accounts.permissions import Right, user_may
from dashboard.mirror.querysets import one_snapshot
from dashboard.web.costs.asked import Question, read_question
from dashboard.web.costs.streaming import stream_from_thread
from dashboard.web.costs.tabs import list_tabs
from dashboard.web.page import page_context
from dashboard.web.snapshot import take_snapshot
from dashboard.web.templatetags.costs import describe_missing

# Names of our own form in the address, beside the explorer's.
OWN_NAMES = ("format", "basis", "grain", "file")


@dataclass(frozen=True, slots=True)
class Choice:
    """One radio button: what it stands for, in words."""

    value: str
    label: str
    text: str
    is_chosen: bool


FORMAT_WORDS = {
    Format.DAYS: "One row per day and resource: for a spreadsheet.",
    Format.INTERVALS: "One row per stretch of time at one state and price, with its evidence: for checking.",
    Format.FOCUS_1_2: "The FinOps standard that most tools read.",
    Format.FOCUS_1_4: "The FinOps standard as of June 2026.",
}
BASIS_WORDS = {
    Basis.ESTIMATE: ("Estimate", "What our ledger says; never carries an invoice id."),
    Basis.BILLED: ("Billed", "The lines of the provider's usage API, as they are."),
}
GRAIN_WORDS = {
    Grain.HOUR: ("Hours", "Charge periods of an hour, UTC."),
    Grain.DAY: ("Days", "Charge periods of a day, UTC; the bill as its lines come."),
}
FILE_WORDS = {
    FileType.CSV: ("CSV", "Text that begins like a formula gets an apostrophe before it."),
    FileType.PARQUET: ("Parquet", "Typed columns, exact decimals, compressed."),
}


class ExportForm(forms.Form):
    """Which file; what makes no sense counts as not chosen."""

    format = forms.ChoiceField(required=False, choices=[(one.value, one.label) for one in Format])
    basis = forms.ChoiceField(required=False, choices=[(one.value, one.value) for one in Basis])
    grain = forms.ChoiceField(
        required=False, choices=[(one.value, one.value) for one in (Grain.HOUR, Grain.DAY)]
    )
    file = forms.ChoiceField(required=False, choices=[(one.value, one.value) for one in FileType])

    def read(self) -> tuple[Format, Basis, Grain, FileType]:
        self.is_valid()
        found = self.cleaned_data
        return (
            Format(found.get("format") or Format.DAYS),
            Basis(found.get("basis") or Basis.ESTIMATE),
            Grain(found.get("grain") or Grain.HOUR),
            FileType(found.get("file") or FileType.CSV),
        )


def show_export(request: HttpRequest) -> HttpResponse:
    """Show what files there are of what the explorer showed."""
    now = timezone.now()
    with one_snapshot():
        snapshot = take_snapshot(request)
        question = read_question(
            request.GET, user=snapshot.user, now=now, zone_default=load_rules().reporting_zone
        )
        query = question.query
        cost = sum_costs(query.period, now=now, filters=query.filters, user=snapshot.user)
        kind, basis, grain, file_type = ExportForm(request.GET).read()
        # As the page "Against the bill": what was billed is told to those who see everything.
        bases = list(Basis) if user_may(snapshot.user, Right.SEE_ALL_PROJECTS) else [Basis.ESTIMATE]
        context = page_context(request, snapshot) | {
            "cost_tabs": list_tabs(snapshot.user, current="costs"),
            "question": question,
            "cost": cost,
            "missing": describe_missing(cost),
            "is_filtered": query.filters != NO_FILTERS,
            "kept": list_kept(request.GET),
            "formats": [Choice(one, one.label, FORMAT_WORDS[one], one is kind) for one in FORMAT_WORDS],
            "bases": [Choice(one, *BASIS_WORDS[one], one is basis) for one in bases],
            "grains": [Choice(one, *GRAIN_WORDS[one], one is grain) for one in GRAIN_WORDS],
            "files": [Choice(one, *FILE_WORDS[one], one is file_type) for one in FILE_WORDS],
            "may_schedule": user_may(snapshot.user, Right.MANAGE_COSTS),
            "explorer_url": f"{reverse('costs')}?{question.url_query()}",
        }
        return render(request, "costs/export/page.html", context)


def list_kept(params: QueryDict) -> list[tuple[str, str]]:
    """Return the explorer's parameters, as the form hands them on."""
    return [(name, value) for name, values in params.lists() if name not in OWN_NAMES for value in values]


def send_export(request: HttpRequest) -> HttpResponseBase:
    """Send the file of what the person may see."""
    assert isinstance(request.user, User)  # noqa: S101 - the permission table lets nobody else in
    now = timezone.now()
    question = read_question(
        request.GET, user=request.user, now=now, zone_default=load_rules().reporting_zone
    )
    return send_order(request, make_order(question, request.GET), detail={"query": question.url_query()})


def send_order(request: HttpRequest, order: Order, *, detail: dict[str, object]) -> HttpResponseBase:
    """Send the file while it is written, once the audit trail has it.

    Raises PermissionDenied for what was billed: that is told to those who see everything, as on its own page.
    """
    if order.wanted.basis is Basis.BILLED and not user_may(request.user, Right.SEE_ALL_PROJECTS):
        raise PermissionDenied
    content_type = CONTENT_TYPES[order.file_type]
    if request.method == "HEAD":
        response: HttpResponseBase = HttpResponse(content_type=content_type)
    else:
        with transaction.atomic():
            audit.record(
                "cost.exported", actor=audit.actor_of(request), detail={"file": order.file_name, **detail}
            )
        response = StreamingHttpResponse(
            stream_from_thread(partial(write_file, order, now=timezone.now())), content_type=content_type
        )
    response["Content-Disposition"] = f'attachment; filename="{order.file_name}"'
    response["Cache-Control"] = "no-store"
    # A proxy that gathers the whole answer would time out.
    response["X-Accel-Buffering"] = "no"
    return response


def make_order(question: Question, params: QueryDict) -> Order:
    """Return the file that the address asks for."""
    kind, basis, grain, file_type = ExportForm(params).read()
    query = question.query
    wanted = Wanted(
        query.period,
        basis=basis if kind.is_focus else Basis.ESTIMATE,
        grain=grain,
        filters=query.filters,
        user=query.user,
        zone=query.zone,
    )
    return Order(wanted, kind, file_type)
