"""The product's routes, the reference page, and a stream that a test feeds: the server side of live.js."""

import json
import queue
import time
from collections.abc import Iterator

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from dashboard.urls import handler400, handler403, handler404, handler500  # noqa: F401 - Django reads them here
from dashboard.urls import urlpatterns as product
from dashboard.web.views.reference import show_reference

STREAM_SECONDS = 30


class Feed:
    """What the next streams do: refuse, or greet and pass on what is put into ``events``."""

    def __init__(self) -> None:
        self.events: queue.Queue[tuple[str, dict[str, object]]] = queue.Queue()
        self.is_refusing = False
        self.opened = 0


feed = Feed()


@login_not_required
def stream(request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
    feed.opened += 1
    if feed.is_refusing:
        return HttpResponse("no stream", status=503)
    return StreamingHttpResponse(_write_events(feed), content_type="text/event-stream")


def _write_events(source: Feed) -> Iterator[str]:
    yield "event: hello\ndata: {}\n\n"
    until = time.monotonic() + STREAM_SECONDS
    while time.monotonic() < until:
        try:
            name, data = source.events.get(timeout=0.1)
        except queue.Empty:
            yield ": still here\n\n"
            continue
        if name == "end":
            return
        yield f"event: {name}\ndata: {json.dumps(data)}\n\n"


urlpatterns = [
    *[each for each in product if getattr(each, "name", "") != "reference"],
    path("reference/", show_reference, name="reference"),
    path("test-stream/", stream, name="test_stream"),
]
