"""Settings > Users: who may sign in, and what as."""

from django.contrib import messages
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone

from dashboard.accounts import links, people
from dashboard.accounts.audit import actor_of
from dashboard.accounts.models import SignInLink, User
from dashboard.accounts.roles import Role
from dashboard.web.forms import SearchForm
from dashboard.web.htmx import render_page
from dashboard.web.views.settings.forms import InviteForm, UserForm


def list_users(request: HttpRequest) -> HttpResponse:
    """Show everybody, active people first, found by name or address."""
    query = SearchForm(request.GET).read()
    users = _with_open_link().prefetch_related("teams").order_by("-is_active", "name", "email")
    if query:
        users = users.filter(Q(name__icontains=query) | Q(email__icontains=query))
    context = {"people": users, "query": query, "section": "users"}
    return render_page(request, "settings/users.html", "settings/_users.html", context)


def invite_user(request: HttpRequest) -> HttpResponse:
    """Make an account and show its one-time link, once."""
    form = InviteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            user = people.invite_user(
                data["email"],
                name=data["name"],
                role=Role(data["role"]),
                teams=data["teams"],
                actor=actor_of(request),
            )
        except people.AddressTakenError as error:
            form.add_error("email", str(error))
        else:
            return _show_link(request, user)
    context = {"form": form, "section": "users"}
    return render(request, "settings/user_invite.html", context, status=422 if form.errors else 200)


def change_user(request: HttpRequest, pk: int) -> HttpResponse:
    """Change name, role and teams of a person."""
    user = get_object_or_404(_with_open_link(), pk=pk)
    initial = {"name": user.name, "role": user.role, "teams": user.teams.all()}
    form = UserForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            people.change_user(
                user, name=data["name"], role=Role(data["role"]), teams=data["teams"], actor=actor_of(request)
            )
        except people.LastAdminError as error:
            form.add_error("role", str(error))
        else:
            messages.success(request, f"{data['name'] or user.email} is changed")
            return redirect("settings_users")
    context = {"form": form, "person": user, "section": "users"}
    return render(request, "settings/user.html", context, status=422 if form.errors else 200)


def make_link(request: HttpRequest, pk: int) -> HttpResponse:
    """Make a new one-time link for a person and show it, once; older unused ones stop working."""
    return _show_link(request, get_object_or_404(User, pk=pk, is_active=True))


def deactivate_user(request: HttpRequest, pk: int) -> HttpResponse:
    """Refuse a person from now on."""
    user = get_object_or_404(User, pk=pk)
    try:
        people.deactivate_user(user, actor=actor_of(request))
    except people.PeopleError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, f"{user} can no longer sign in, and is signed out everywhere")
    return redirect("settings_user", pk=pk)


def activate_user(request: HttpRequest, pk: int) -> HttpResponse:
    """Let a person in again."""
    user = get_object_or_404(User, pk=pk)
    people.activate_user(user, actor=actor_of(request))
    messages.success(request, f"{user} can sign in again")
    return redirect("settings_user", pk=pk)


def _show_link(request: HttpRequest, user: User) -> HttpResponse:
    path = links.create_link(
        user, lifetime=links.INVITATION_LIFETIME, now=timezone.now(), actor=actor_of(request)
    )
    context = {
        "person": user,
        "link": request.build_absolute_uri(path),
        "hours": int(links.INVITATION_LIFETIME.total_seconds() // 3600),
        "section": "users",
    }
    return render(request, "settings/user_link.html", context)


def _with_open_link() -> QuerySet[User]:
    """Return people with whether a one-time link of theirs still works."""
    open_links = SignInLink.objects.filter(user=OuterRef("pk"), used_at=None, expires_at__gt=timezone.now())
    return User.objects.annotate(has_open_link=Exists(open_links))
