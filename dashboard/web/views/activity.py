"""Activity: who did what, when, from where."""

from datetime import UTC, datetime, timedelta

from django import forms
from django.core.paginator import Paginator
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from dashboard.accounts.models import AuditEvent, User
from dashboard.accounts.permissions import Right, user_may
from dashboard.accounts.visibility import project_filter
from dashboard.mirror.models import Deployment
from dashboard.web.feed import filter_acts
from dashboard.web.htmx import render_page

EVENTS_PER_PAGE = 50
PERIODS = {"1": "Last 24 hours", "7": "Last 7 days", "30": "Last 30 days", "": "All time"}
# Areas are the part of an action before its dot.
AREAS = {
    "endpoint": "Endpoints",
    "fine-tune": "Fine-tunes",
    "batch": "Batches",
    "model": "Models",
    "cluster": "Clusters",
    "volume": "Volumes",
    "container": "Containers",
    "rl-resource": "RL resources",
    "connection": "Connections",
    "person": "Users",
    "team": "Teams",
    "project": "Projects",
    "session": "Sign-ins",
}


class ActivityFilter(forms.Form):
    """What to show; every field may stay empty, and what makes no sense is left out."""

    q = forms.CharField(required=False, max_length=200, label="Search")
    person = forms.ModelChoiceField(queryset=User.objects.order_by("name", "email"), required=False)
    area = forms.ChoiceField(choices=[("", "All actions"), *AREAS.items()], required=False)
    days = forms.ChoiceField(choices=list(PERIODS.items()), required=False)
    target_type = forms.CharField(required=False, max_length=32)
    target_id = forms.CharField(required=False, max_length=64)


def show_activity(request: HttpRequest) -> HttpResponse:
    """List the audit trail, newest first, as far as the person may see it."""
    assert isinstance(request.user, User)  # noqa: S101 - the permission table lets nobody else in
    form = ActivityFilter(request.GET)
    sees_all = user_may(request.user, Right.VIEW_AUDIT)
    if not sees_all:
        # The list of everybody's names is not for everybody.
        form.fields["person"].queryset = User.objects.filter(pk=request.user.pk)  # type: ignore[attr-defined]
    form.is_valid()
    events = filter_events(visible_events(request.user), form.cleaned_data, now=timezone.now())
    context = {
        "form": form,
        "page": Paginator(events.order_by("-at", "-id"), EVENTS_PER_PAGE).get_page(request.GET.get("page")),
        "sees_all": sees_all,
        "is_filtered": any(form.cleaned_data.values()),
    }
    return render_page(request, "activity/page.html", "activity/_events.html", context)


def visible_events(user: User) -> QuerySet[AuditEvent]:
    """Return the whole trail to those who may view the audit; to others their own acts and those on what they see."""
    events = AuditEvent.objects.all()
    if user_may(user, Right.VIEW_AUDIT):
        return events
    deployments = Deployment.objects.filter(project_filter(user, path="endpoint__project__"))
    return events.filter(
        Q(actor=user)
        | Q(pk__in=filter_acts(AuditEvent.objects.all(), user).values("pk"))
        | Q(target_type="deployment", target_id__in=deployments.values_list(Cast("pk", TextField())))
    )


def filter_events(
    events: QuerySet[AuditEvent], wanted: dict[str, object], *, now: datetime
) -> QuerySet[AuditEvent]:
    """Narrow the trail by the filled fields of ActivityFilter."""
    if query := wanted.get("q"):
        events = events.filter(
            Q(target_label__icontains=query) | Q(actor_label__icontains=query) | Q(action__icontains=query)
        )
    person = wanted.get("person")
    if isinstance(person, User):
        events = events.filter(actor=person)
    if area := wanted.get("area"):
        events = events.filter(action__startswith=f"{area}.")
    if days := wanted.get("days"):
        events = events.filter(at__gte=now.astimezone(UTC) - timedelta(days=int(str(days))))
    if target_type := wanted.get("target_type"):
        events = events.filter(target_type=target_type)
    if target_id := wanted.get("target_id"):
        events = events.filter(target_id=target_id)
    return events
