"""What holds for every request: where it comes from, how old the sign-in is, and whether the role allows it."""

import ipaddress
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.contrib.auth import SESSION_KEY, logout
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotAllowed,
    HttpResponseRedirect,
)
from django.shortcuts import resolve_url
from django.urls import reverse
from django.utils import timezone
from django.utils.deprecation import MiddlewareMixin
from django.utils.http import url_has_allowed_host_and_scheme

from dashboard.accounts import sessions
from dashboard.accounts.audit import RequestContext, read_context
from dashboard.accounts.models import User
from dashboard.accounts.permissions import Route, find_route, user_may

logger = logging.getLogger(__name__)

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# A page that refreshes itself says so with this header: such requests do not keep an idle session alive.
BACKGROUND_HEADER = "X-Background"
PERMISSIONS_POLICY = (
    "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(),"
    " microphone=(), midi=(), payment=(), usb=()"
)


def find_client_ip(request: HttpRequest) -> str | None:
    """Return the client's address; behind TRUSTED_PROXY_COUNT proxies, what the outermost of them saw.

    Entries further left in X-Forwarded-For come from the client and are not believed. None when the address
    is missing or no address (a unix socket).
    """
    address = request.META.get("REMOTE_ADDR", "")
    if settings.TRUSTED_PROXY_COUNT:
        hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if hop.strip()]
        if len(hops) >= settings.TRUSTED_PROXY_COUNT:
            address = hops[-settings.TRUSTED_PROXY_COUNT]
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return None


class RequestContextMiddleware(MiddlewareMixin):
    """Give the request its id and client address; set the headers that every answer carries."""

    def process_request(self, request: HttpRequest) -> None:
        request.context = RequestContext(ip=find_client_ip(request))  # type: ignore[attr-defined]  # ours

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        response.headers["X-Request-ID"] = read_context(request).request_id
        response.headers["Permissions-Policy"] = PERMISSIONS_POLICY
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        # Static files say themselves how long they hold; everything else is somebody's business.
        response.headers.setdefault("Cache-Control", "no-store")
        return response


class CrossSiteMiddleware(MiddlewareMixin):
    """Refuse unsafe requests that a browser says another site started, before any token is looked at."""

    def process_request(self, request: HttpRequest) -> None:
        if request.method not in SAFE_METHODS and request.headers.get("Sec-Fetch-Site") == "cross-site":
            raise PermissionDenied("Another site started this request.")


class SessionAgeMiddleware(MiddlewareMixin):
    """End sessions that are 12 hours old or were unused for 60 minutes."""

    def process_request(self, request: HttpRequest) -> None:
        if SESSION_KEY not in request.session:
            return
        if sessions.is_expired(request.session, now=timezone.now()):
            logout(request)

            async def find_nobody() -> AnonymousUser:
                return AnonymousUser()

            request.auser = find_nobody  # logout() forgets the async twin


class PermissionMiddleware(MiddlewareMixin):
    """Ask the permission table about every request; a route that it does not know is refused."""

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        assert request.resolver_match is not None  # noqa: S101 - Django resolves before it calls this
        name = request.resolver_match.view_name
        route = find_route(name)
        if route is None:
            logger.error("the route %r is missing from accounts/permissions.py and was refused", name)
            raise PermissionDenied("This page has no entry in the permission table.")
        if route.right is not None and not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path(), resolve_url(settings.LOGIN_URL))
        if request.method not in route.methods:
            return HttpResponseNotAllowed(sorted(route.methods))
        if route.right is None:
            return None
        if not user_may(request.user, route.right):
            raise PermissionDenied(f"It needs the right to {route.right.replace('_', ' ')}.")
        now = timezone.now()
        if route.confirmed and not sessions.is_confirmed(request.session, now=now):
            return _ask_for_password(request, route)
        if not route.background and BACKGROUND_HEADER not in request.headers:
            sessions.touch(request.session, now=now)
        if any("\x00" in value for value in kwargs.values() if isinstance(value, str)):
            raise Http404("No text column can hold this.")
        return None

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        """Turn a redirect to the sign-in page into one that htmx follows with the whole window."""
        target = response.headers.get("Location", "")
        if "HX-Request" not in request.headers or not target:
            return response
        path = urlsplit(target).path
        if path == resolve_url(settings.LOGIN_URL):
            return _redirect_window(f"{path}?{urlencode({'next': _read_current_page(request)})}")
        if path == reverse("account_reauthenticate"):
            return _redirect_window(target)
        return response


def _ask_for_password(request: HttpRequest, route: Route) -> HttpResponseRedirect:
    """Send the person to the password form and back to the page (a form's content is not kept: it may be a key)."""
    back = request.get_full_path() if "GET" in route.methods else _read_current_page(request)
    has_password = isinstance(request.user, User) and request.user.has_usable_password()
    form = "account_reauthenticate" if has_password else "account_set_password"
    return HttpResponseRedirect(f"{reverse(form)}?{urlencode({'next': back})}")


def _read_current_page(request: HttpRequest) -> str:
    """Return path and query of the page that the person looks at, if it is one of ours, else the front page."""
    page = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
    if not url_has_allowed_host_and_scheme(page, allowed_hosts={request.get_host()}):
        return resolve_url(settings.LOGIN_REDIRECT_URL)
    parts = urlsplit(page)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def _redirect_window(url: str) -> HttpResponse:
    return HttpResponse(status=204, headers={"HX-Redirect": url})
