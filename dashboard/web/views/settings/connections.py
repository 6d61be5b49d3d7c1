"""Settings > Connections: the keys that the mirror reads with."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone

from dashboard.accounts import connections
from dashboard.accounts.audit import actor_of
from dashboard.accounts.models import Connection
from dashboard.mirror import onboarding
from dashboard.mirror.models import Endpoint, MalformedPayload, Project, SyncRun
from dashboard.web.htmx import render_dialog, render_page
from dashboard.web.views.settings.forms import ConnectionForm, ConnectionNameForm, KeyForm
from dashboard.web.views.settings.leaving import leave

MALFORMED_PER_PAGE = 20


def list_connections(request: HttpRequest) -> HttpResponse:
    """Show every connection with its health in words and the last sync of each resource."""
    context = {"connections": attach_last_runs(list(_with_counts())), "section": "connections"}
    return render_page(request, "settings/connections.html", "settings/_connections.html", context)


def show_connection(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one connection: health, last syncs with their errors, items that could not be read."""
    connection = get_object_or_404(_with_counts(), pk=pk)
    malformed = MalformedPayload.objects.filter(connection=connection).order_by("-last_seen_at", "-pk")
    context = {
        "connection": connection,
        "runs": find_last_runs([connection]),
        "malformed": Paginator(malformed, MALFORMED_PER_PAGE).get_page(request.GET.get("page")),
        "section": "connections",
    }
    return render_page(request, "settings/connection.html", "settings/_connection.html", context)


def add_connection(request: HttpRequest) -> HttpResponse:
    """Ask for a name and a key; the key is tested before anything is stored."""
    form = ConnectionForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            connection = onboarding.connect_key(
                **form.cleaned_data, now=timezone.now(), actor=actor_of(request)
            )
        except connections.NameTakenError as error:
            form.add_error("name", str(error))
        except connections.ConnectionChangeError as error:
            form.add_error("api_key", str(error))
        else:
            messages.success(request, f"{connection.name} is connected. {connection.health_detail}")
            return redirect("settings_connection", pk=connection.pk)
    context = {"form": form, "section": "connections"}
    return render(request, "settings/connection_add.html", context, status=422 if form.errors else 200)


def rename_connection(request: HttpRequest, pk: int) -> HttpResponse:
    """Change the name of a connection."""
    connection = get_object_or_404(Connection, pk=pk)
    form = ConnectionNameForm(request.POST or None, initial={"name": connection.name})
    if request.method == "POST" and form.is_valid():
        try:
            connections.rename_connection(connection, **form.cleaned_data, actor=actor_of(request))
        except connections.NameTakenError as error:
            form.add_error("name", str(error))
        else:
            return leave(request, "settings_connection", pk=pk)
    return render_dialog(
        request,
        "settings/_connection_rename.html",
        {"form": form, "is_safe": True} | _describe_dialog(request, connection),
        title=f"Rename {connection.name}",
        status=422 if form.errors else 200,
    )


def replace_key(request: HttpRequest, pk: int) -> HttpResponse:
    """Store another key of the same organisation, after testing it."""
    connection = get_object_or_404(Connection, pk=pk)
    form = KeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            onboarding.exchange_key(
                connection, **form.cleaned_data, now=timezone.now(), actor=actor_of(request)
            )
        except connections.ConnectionChangeError as error:
            form.add_error("api_key", str(error))
        else:
            messages.success(request, f"{connection.name} has a new key. {connection.health_detail}")
            return leave(request, "settings_connection", pk=pk)
    return render_dialog(
        request,
        "settings/_connection_key.html",
        {"form": form, "is_safe": True} | _describe_dialog(request, connection),
        title=f"Replace the key of {connection.name}",
        status=422 if form.errors else 200,
    )


def test_connection(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask the provider now what the key can see, and show the answer."""
    connection = get_object_or_404(Connection, pk=pk)
    check = connections.test_connection(connection, now=timezone.now(), actor=actor_of(request))
    tell = messages.success if check.is_working else messages.error
    tell(request, f"{connection.name}: {check.sentence}")
    return redirect("settings_connection", pk=pk)


def enable_connection(request: HttpRequest, pk: int) -> HttpResponse:
    """Mirror again."""
    connection = get_object_or_404(Connection, pk=pk)
    connections.enable_connection(connection, actor=actor_of(request))
    messages.success(request, f"{connection.name} is mirrored again")
    return redirect("settings_connection", pk=pk)


def disable_connection(request: HttpRequest, pk: int) -> HttpResponse:
    """Stop mirroring and keep what is known."""
    connection = get_object_or_404(Connection, pk=pk)
    connections.disable_connection(connection, actor=actor_of(request))
    messages.success(request, f"{connection.name} is no longer mirrored; what is known stays and grows old")
    return redirect("settings_connection", pk=pk)


def delete_connection(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what would go, and delete it."""
    connection = get_object_or_404(_with_counts(), pk=pk)
    problem = ""
    if request.method == "POST":
        try:
            connections.delete_connection(connection, actor=actor_of(request))
        except connections.HistoryKeptError as error:
            problem = str(error)
        else:
            messages.success(request, f"{connection.name} and everything mirrored through it are deleted")
            return leave(request, "settings_connections")
    return render_dialog(
        request,
        "settings/_connection_delete.html",
        {"problem": problem} | _describe_dialog(request, connection),
        title=f"Delete {connection.name}?",
        status=409 if problem else 200,
    )


def _describe_dialog(request: HttpRequest, connection: Connection) -> dict[str, Any]:
    """Return what components/_confirm.html needs of a dialog about a connection."""
    return {
        "connection": connection,
        "action": request.path,
        "cancel_url": reverse("settings_connection", args=[connection.pk]),
        "cancel_label": "Cancel",
    }


def attach_last_runs(rows: list[Connection]) -> list[Connection]:
    """Give each connection its `last_runs`, for templates. One query."""
    runs = find_last_runs(rows)
    for row in rows:
        row.last_runs = [run for run in runs if run.connection_id == row.pk]  # type: ignore[attr-defined]
    return rows


def find_last_runs(rows: list[Connection]) -> list[SyncRun]:
    """Return the newest finished run of each resource of each connection, in one query.

    A union of index look-ups: DISTINCT ON would read every run that is kept.
    """
    last_runs = [
        SyncRun.objects.filter(connection=row, resource=resource)
        .exclude(outcome__in=[SyncRun.Outcome.BUSY, SyncRun.Outcome.RUNNING])
        .order_by("-started_at")[:1]
        for row in rows
        for resource in SyncRun.Resource
    ]
    if not last_runs:
        return []
    return list(last_runs[0].union(*last_runs[1:], all=True))


def _with_counts() -> QuerySet[Connection]:
    """Return connections with what is mirrored through them and what could not be read."""
    return Connection.objects.annotate(
        project_count=_count_rows(Project.objects.filter(absent_since=None)),
        endpoint_count=_count_rows(Endpoint.objects.filter(absent_since=None)),
        malformed_count=_count_rows(MalformedPayload.objects.all()),
    )


def _count_rows(rows: QuerySet[Any]) -> Coalesce:
    """Return the number of the connection's rows as a subquery: three joins would multiply each other."""
    mine = rows.filter(connection=OuterRef("pk")).order_by().values("connection")
    return Coalesce(Subquery(mine.annotate(number=Count("pk")).values("number")), 0)
