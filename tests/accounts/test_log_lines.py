"""A log line about a request carries the id that the error page shows."""

import logging

import pytest
from django.test import Client

from dashboard.core.logs import LineFormatter


@pytest.mark.django_db
def test_a_refusal_in_the_log_carries_the_id_of_the_page(
    viewer_client: Client, caplog: pytest.LogCaptureFixture
):
    with caplog.at_level(logging.WARNING, logger="django.request"):
        response = viewer_client.get("/settings/users/")

    line = LineFormatter().format(caplog.records[-1])
    assert f"request={response['X-Request-ID']}" in line
    assert response["X-Request-ID"].encode() in response.content
