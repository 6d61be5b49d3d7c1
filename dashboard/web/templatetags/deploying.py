"""Tags about models and their deployment: {% load deploying %}."""

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlencode

from django import template
from django.urls import reverse

from dashboard.core import money
from dashboard.mirror.deprecation_hints import Deprecation

register = template.Library()


@register.simple_tag
def deploy_url(*, model: str = "", kept: Sequence[tuple[str, str]] = (), **values: object) -> str:
    """Write the wizard's address for a model, with what it has to carry on."""
    query = [("model", model), *kept, *((name, str(value)) for name, value in values.items())]
    found = urlencode([(name, value) for name, value in query if value])
    return f"{reverse('deploy')}?{found}" if found else reverse("deploy")


@register.simple_tag
def whole_dollars(low: money.Nano, high: money.Nano) -> str:
    """Print nano-dollars as a forecast: ``$1,210``, ``$1,210–2,420``."""
    return money.format_range(low, high, places=0, currency=True)


@register.filter
def describe_deprecation(deprecation: Deprecation, now: datetime) -> str:
    """Print one sentence about a model's end."""
    return deprecation.describe(now.date())


@register.filter
def days_left(deprecation: Deprecation, now: datetime) -> int | None:
    """Return the days until the removal, negative afterwards, None without a date."""
    return deprecation.days_left(now.date())
