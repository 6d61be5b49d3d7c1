"""One URL, two renderings: the page, or the fragment that an htmx request asked for."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils.cache import patch_vary_headers

# Ids of base.html that answers of the server aim at.
DIALOG_TARGET = "dialog"
TOASTS_TARGET = "toasts"
# Event that dialog.js listens for.
CLOSE_DIALOG_EVENT = "desk:close-dialog"


@dataclass(frozen=True)
class Toast:
    """A short message in the corner. ``fail`` stays until it is closed, the others leave after 8 s."""

    title: str
    detail: str = ""
    tone: Literal["done", "fail", "quiet"] = "done"
    # (label, url) pairs.
    links: tuple[tuple[str, str], ...] = ()


def is_partial(request: HttpRequest) -> bool:
    """Return whether a fragment is wanted. A history restore and a swap of the whole body want the page."""
    headers = request.headers
    return (
        headers.get("HX-Request") == "true"
        and headers.get("HX-Request-Type") != "full"
        and headers.get("HX-History-Restore-Request") != "true"
    )


def is_dialog(request: HttpRequest) -> bool:
    """Return whether the answer goes into the dialog of base.html (htmx sends its target as ``tag#id``)."""
    return is_partial(request) and request.headers.get("HX-Target", "").endswith(f"#{DIALOG_TARGET}")


def render_page(
    request: HttpRequest, page: str, fragment: str, context: Mapping[str, Any], *, status: int = 200
) -> HttpResponse:
    """Return ``fragment`` to an htmx request and ``page`` (which includes it) to everybody else."""
    response = render(request, fragment if is_partial(request) else page, dict(context), status=status)
    patch_vary_headers(response, ["HX-Request", "HX-Target"])
    return response


def render_dialog(
    request: HttpRequest, fragment: str, context: Mapping[str, Any], *, title: str, status: int = 200
) -> HttpResponse:
    """Return a confirmation (a template extending components/_confirm.html) as dialog or as its own page.

    Send 422 with the form's errors when the input was refused, 409 when the world changed meanwhile: both
    replace what the dialog shows.
    """
    return render_page(
        request,
        "components/dialog_page.html",
        fragment,
        {
            **context,
            "dialog_fragment": fragment,
            "dialog_title": title,
            "is_own_page": not is_partial(request),
        },
        status=status,
    )


def finish_dialog(request: HttpRequest, *, redirect_to: str, toasts: Sequence[Toast] = ()) -> HttpResponse:
    """Return the answer to an act that was taken: close the dialog and show ``toasts``, or redirect.

    ``redirect_to`` is where a browser without JavaScript goes; it must be an address of ours.
    """
    if not is_partial(request):
        return redirect(redirect_to)
    response = HttpResponse(render_to_string("components/_toasts.html", {"toasts": toasts}, request))
    response["HX-Reswap"] = "none"
    response["HX-Trigger"] = json.dumps({CLOSE_DIALOG_EVENT: {}})
    patch_vary_headers(response, ["HX-Request", "HX-Target"])
    return response
