"""Tags of the endpoint pages: {% load desk %}. What every page shares is in ui.py."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing.burn import Burn
from dashboard.core import money, status
from dashboard.mirror.models import Deployment
from dashboard.web import labels
from dashboard.web.targets import burn_of_deployment
from dashboard.web.templatetags import figures

register = template.Library()


@register.simple_tag
def burn_figure(burn: Burn) -> SafeString:
    """Print a rate as a headline with a small ``/h``; a range, "at least" or words where it is not certain."""
    if burn.unpriced_replicas and not burn.high:
        return format_html("<small>{}</small>", money.PRICE_UNKNOWN)
    at_least = "≥" if burn.unpriced_replicas else ""
    return format_html(
        "{}{}<small>/h</small>", at_least, money.format_range(burn.low, burn.high, currency=True)
    )


@register.filter
def short_model(name: str) -> str:
    """Print a model without its maker."""
    return labels.shorten_model(name)


@register.filter
def count_words(count: float) -> str:
    """Print a count: ``18,402``, ``31.6 M``."""
    return labels.format_count(count)


@register.filter
def rate_words(per_minute: float) -> str:
    """Print a rate: ``212 req/min``."""
    return labels.format_rate(per_minute)


@register.simple_tag
def deployment_burn(deployment: Deployment) -> SafeString:
    """Print what a deployment burns now, for a table cell."""
    burn = burn_of_deployment(deployment)
    return figures.burn(burn.low, burn.high, burn.unpriced_replicas)


@register.filter
def state_word(state: str) -> str:
    """Print a provider state as people say it."""
    return status.read_state(state).word


@register.filter
def count_exact(count: int) -> str:
    """Print a count in full: ``1,234,567``."""
    return f"{count:,}"


@register.filter
def parameter_words(count: float) -> str:
    """Print a number of parameters as models are named: ``9.7 B``, ``350 M``."""
    return labels.format_parameters(count)


@register.filter
def measured(value: float | None) -> str:
    """Print a reading of a curve: ``1.0342``, ``2.0e-05``; nothing where none was logged."""
    return "" if value is None else labels.format_measured(value)


@register.filter
def event_words(name: str) -> str:
    """Print the type of a provider event: ``download.started`` is ``Download started``."""
    words = name.replace("_", " ").replace(".", " ")
    return words[:1].upper() + words[1:]
