"""The SQL twin of evidence.py: which rows of mirror.Endpoint are idle."""

from datetime import datetime

from django.db.models import Q

from dashboard.lifecycle import evidence
from dashboard.mirror.models import Endpoint


def idle_filter(now: datetime) -> Q:
    """Return the condition that selects the endpoints whose evidence says idle at ``now``.

    For lists and counts over thousands of rows; tests/lifecycle/test_idleness.py holds it to evidence.weigh.
    """
    return (
        Q(status=evidence.IDLE_CANDIDATE_STATUS)
        & ~Q(generation=evidence.NO_SIGNAL_GENERATION)
        & Q(traffic_read_until__gte=now - evidence.READ_WITHIN)
        & Q(status_since__lte=now - evidence.READY_FOR_AT_LEAST)
        & (Q(last_request_at=None) | Q(last_request_at__lte=now - evidence.NO_REQUEST_FOR_AT_LEAST))
    )


def gather_facts(endpoint: Endpoint) -> evidence.Facts:
    """Return the facts of a mirrored endpoint. No query."""
    return evidence.Facts(
        status=endpoint.status,
        ready_since=endpoint.status_since,
        last_request_at=endpoint.last_request_at,
        traffic_read_until=endpoint.traffic_read_until,
        generation=endpoint.generation,
    )
