"""The one page of our own in signing in: the one-time link."""

from allauth.account.utils import perform_login
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone

from dashboard.accounts import links


@login_not_required
def sign_in_link(request: HttpRequest, token: str) -> HttpResponse:
    """Show a button (GET) that signs in once (POST). A used or expired link answers 410 and says what to do."""
    now = timezone.now()
    link = links.find_usable(token, now=now)
    if link is None:
        return render(request, "account/link_expired.html", status=410)
    if request.method != "POST":
        return render(request, "account/link.html", {"person": link.user})
    user = links.consume(token, now=now)
    if user is None:
        return render(request, "account/link_expired.html", status=410)
    response = perform_login(request, user)
    if not user.has_usable_password():
        return redirect("settings_you")
    return response
