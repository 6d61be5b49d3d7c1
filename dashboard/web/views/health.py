"""The probe of load balancers and of the supervisor: answers, and nothing more."""

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse


@login_not_required
def show_healthz(request: HttpRequest) -> HttpResponse:
    """Answer 200 while PostgreSQL answers us, else 503; no details, for anybody may ask."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return HttpResponse("unavailable\n", content_type="text/plain", status=503)
    return HttpResponse("ok\n", content_type="text/plain")
