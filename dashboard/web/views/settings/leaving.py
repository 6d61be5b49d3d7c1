"""Going to another page after an act, with and without htmx."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from dashboard.web.htmx import is_partial


def leave(request: HttpRequest, route: str, **kwargs: Any) -> HttpResponse:
    """Send the window to a route of ours: a redirect would put that page into the dialog it was sent from."""
    if is_partial(request):
        return HttpResponse(status=204, headers={"HX-Redirect": reverse(route, kwargs=kwargs)})
    return redirect(route, **kwargs)
