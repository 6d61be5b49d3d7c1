"""Settings > You: the own name, password and sessions."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from dashboard.accounts import people, sessions
from dashboard.accounts.audit import actor_of
from dashboard.accounts.models import User
from dashboard.web.views.settings.forms import OwnNameForm


def show_start(request: HttpRequest) -> HttpResponse:
    """Send to the part of Settings that everybody has."""
    return redirect("settings_you")


def show_you(request: HttpRequest) -> HttpResponse:
    """Show and change the own name; show the own sessions."""
    user = _read_user(request)
    form = OwnNameForm(request.POST or None, initial={"name": user.name})
    if request.method == "POST" and form.is_valid():
        people.rename_user(user, **form.cleaned_data, actor=actor_of(request))
        messages.success(request, "Your name is changed")
        return redirect("settings_you")
    context = {
        "form": form,
        "person": user,
        "sessions": sessions.list_sessions(user),
        "session_key": request.session.session_key,
        "section": "you",
    }
    return render(request, "settings/you.html", context, status=422 if form.errors else 200)


def end_other_sessions(request: HttpRequest) -> HttpResponse:
    """Sign out everywhere else."""
    ended = sessions.end_other_sessions(
        _read_user(request), keep_key=request.session.session_key, actor=actor_of(request)
    )
    messages.success(request, f"{ended} other session{'' if ended == 1 else 's'} ended")
    return redirect("settings_you")


def _read_user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101 - the permission table lets nobody else in
    return request.user
