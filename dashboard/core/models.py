"""Heartbeats of our own processes."""

from django.db import models


class Heartbeat(models.Model):
    """When a process last did its work; written by that work itself, never by a timer beside it.

    Sole writer: core/heartbeats.py. Readers: the supervisor (restarts what is silent), the health page and
    the banner of every page.
    """

    name = models.TextField(primary_key=True)
    beat_at = models.DateTimeField()
    detail = models.JSONField(default=dict)
