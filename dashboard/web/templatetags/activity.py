"""Words for the audit trail: {% load activity %}."""

import json
from typing import Any

from django import template

from dashboard.accounts.models import AuditEvent

register = template.Library()


@register.filter
def action_words(action: str) -> str:
    """Return an action as words: ``connection.key_replaced`` -> ``Connection: key replaced``."""
    area, _, act = action.partition(".")
    return f"{area.replace('_', ' ').capitalize()}: {act.replace('_', ' ')}" if act else area


@register.filter
def target_words(event: AuditEvent) -> str:
    """Return what kind of thing an audit row is about: a resource by its own kind, not as such."""
    area = event.action.partition(".")[0]
    return (area if event.target_type == "resource" else event.target_type).replace("-", " ")


@register.filter
def pretty_json(value: Any) -> str:
    """Return a JSON value over several lines, keys in order."""
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True, default=str)
