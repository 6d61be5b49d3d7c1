"""Ask the permission table from a template: {% load rights %} {% if request.user|may:"operate" %}."""

from typing import Any

from django import template

from dashboard.accounts.permissions import user_may

register = template.Library()


@register.filter
def may(user: Any, right: str) -> bool:
    """Tell whether the user has the right; a right that does not exist raises ValueError."""
    return user_may(user, right)
