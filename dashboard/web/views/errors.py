"""What people see instead of the page: 400, 403, 404, 500, 503, and an expired form.

Rendered without a request: no context processor runs, so that an error page needs neither the database nor
the cache. htmx gets a fragment, everybody else a document.
"""

import sys
from dataclasses import dataclass

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from dashboard.accounts.audit import read_context

RETRY_AFTER_SECONDS = 10


@dataclass(frozen=True)
class Problem:
    """What failed, and what is still right or can be done."""

    status: int
    title: str
    text: str


BAD_REQUEST = Problem(
    400, "This request makes no sense", "Nothing was changed. Go back, reload the page and try again."
)
DENIED = Problem(
    403,
    "Your role does not allow this",
    "Nothing was changed. An Admin can change roles in Settings, under Users.",
)
EXPIRED = Problem(403, "This form has expired", "Nothing was changed. Reload the page and send it again.")
NOT_FOUND = Problem(
    404,
    "Nothing is at this address",
    "It may have been deleted, it may belong to a team that you are not in, or the address is wrong.",
)
FAILED = Problem(
    500,
    "This page failed",
    "The error is in the log. Timers and stops run in other processes and go on without this page.",
)
AWAY = Problem(
    503,
    "The database does not answer",
    "Stops that are under way go on as soon as it does; nothing is lost. Reload the page to try again.",
)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 400."""
    return _render(request, BAD_REQUEST)


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 403; our own refusals say in one sentence what was missing."""
    reason = str(exception or "")
    return _render(request, Problem(403, DENIED.title, f"{reason} {DENIED.text}".strip()))


def page_not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 404, the same for what does not exist and what the person may not see."""
    return _render(request, NOT_FOUND)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500, or 503 while PostgreSQL is away: that ends by itself."""
    if isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        response = _render(request, AWAY)
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response
    return _render(request, FAILED)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 to a form whose token is missing or expired; nothing was done."""
    return _render(request, EXPIRED)


def _render(request: HttpRequest, problem: Problem) -> HttpResponse:
    template = "errors/_fragment.html" if "HX-Request" in request.headers else "errors/page.html"
    context = {"problem": problem, "request_id": read_context(request).request_id}
    response = HttpResponse(render_to_string(template, context), status=problem.status)
    response.headers["Vary"] = "HX-Request"
    return response
