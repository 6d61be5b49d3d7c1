"""Tags about models and their deployment: {% load deploying %}."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import urlencode

from django import template
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from dashboard.core import money
from dashboard.lifecycle.receipts import Receipt
from dashboard.mirror.deprecation_hints import Deprecation
from dashboard.mirror.models import Resource
from dashboard.web.deploy.progress import DeployProgress, read_progress
from dashboard.web.resources.addresses import address_of_resource

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


@register.simple_tag
def token_price(nano: int | None) -> SafeString:
    """Print a list price per million tokens, two decimals or as many as it has; None says so."""
    if nano is None:
        return format_html('<span class="ui-ink3 ui-sm">{}</span>', "not told")
    places = 2 if nano % 10_000_000 == 0 else 4
    return format_html('<span class="ui-num">{}</span>', money.format_amount(nano, places=places))


@register.simple_tag
def resource_link(resource: Resource) -> SafeString:
    """Print the name of a resource, as a link where its kind has a page."""
    url = address_of_resource(resource)
    if not url:
        return format_html("<b>{}</b>", resource.name)
    return format_html('<a class="ui-link" href="{}">{}</a>', url, resource.name)


@register.filter
def get_item(table: Mapping[str, str], key: str) -> str:
    """Return a value of a table, empty when it has none."""
    return table.get(key, "")


@register.simple_tag
def deploy_progress(receipt: Receipt) -> DeployProgress:
    """Return how far the deploy of a receipt is."""
    return read_progress(receipt)


@register.simple_tag
def again_url(receipt: Receipt) -> str:
    """Write the wizard's address with what a deploy that came to nothing had asked for."""
    wanted = dict(receipt.wanted)
    return deploy_url(
        model=wanted.get("Model", ""),
        project=receipt.project_id or "",
        endpoint_name=wanted.get("Endpoint", ""),
        low=receipt.min_replicas or "",
        high=receipt.max_replicas or "",
    )
