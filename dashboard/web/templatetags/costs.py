"""Costs as template tags: one number, a range, or "at least", in cells and in sentences. Built in."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from billing.amounts import Cost, to_nano
from dashboard.core import durations, money

register = template.Library()
NBSP = "\N{NO-BREAK SPACE}"
# Microseconds. Below this there is no stretch of time to tell: it was charged at once.
SECOND_US = 1_000_000


@register.simple_tag
def cost(value: Cost | None, places: int = 2) -> SafeString:
    """Print a cost for a table cell (the head names the currency); None says "no data"."""
    return _print(value, places=places, in_sentence=False)


@register.simple_tag
def cost_dollars(value: Cost | None, places: int = 2) -> SafeString:
    """Print a cost for a sentence or a card: ``$12.40``, ``$10.00–12.40``, ``≥ $12.40``."""
    return _print(value, places=places, in_sentence=True)


@register.simple_tag
def idle_cost(value: Cost | None, places: int = 2) -> SafeString:
    """Print the part of a cost that was paid while idle, for a table cell."""
    return _print(
        None if value is None else Cost(value.idle_low, value.idle_high), places=places, in_sentence=False
    )


@register.simple_tag
def idle_dollars(value: Cost) -> SafeString:
    """Print the part of a cost that was paid while idle, for a sentence or a card."""
    return _print(Cost(value.idle_low, value.idle_high), places=2, in_sentence=True)


@register.simple_tag
def whole_range(low: money.Nano, high: money.Nano) -> str:
    """Print a forecast's bounds in whole dollars: ``67,630–72,450``."""
    return money.format_range(low, high, places=0)


@register.filter
def dollar_range(nano: tuple[Decimal, Decimal] | None) -> SafeString | str:
    """Print a pair of nano-dollars as one number or a range; None says "not known"."""
    if nano is None:
        return format_html('<span class="ui-ink3 ui-sm">{}</span>', "not known")
    return money.format_range(*nano)


@register.filter
def count_words(value: int) -> str:
    """Print a count shortly: ``840``, ``12,400``, ``2.1M``."""
    return f"{value / 1_000_000:,.1f}M" if value >= 1_000_000 else f"{value:,}"


@register.filter
def signed_percent(value: float) -> str:
    """Print a change: ``+14.5%``, with a true minus."""
    text = f"{abs(value):,.1f}%"
    return text if text == "0.0%" else f"{'+' if value > 0 else money.MINUS}{text}"


@register.filter
def normalize(value: Decimal | None) -> str:
    """Print a decimal of the provider without the zeros that storing it added; None says "no data"."""
    return "no data" if value is None else f"{value.normalize():f}"


@register.filter
def lookup(values: Mapping[str, object], key: str) -> object:
    """Return the value of the key; None without one."""
    return values.get(key)


def _print(value: Cost | None, *, places: int, in_sentence: bool) -> SafeString:
    if value is None:
        return format_html('<span class="ui-ink3 ui-sm">{}</span>', "no data")
    missing = describe_missing(value)
    if missing and not value.high:
        word = money.PRICE_UNKNOWN if value.unpriced_us else "not known"
        return format_html('<span class="ui-amber ui-sm" title="{}">{}</span>', missing, word)
    text = money.format_range(to_nano(value.low), to_nano(value.high), places=places, currency=in_sentence)
    if missing:
        return format_html('<span class="ui-num" title="At least: {}">≥{}{}</span>', missing, NBSP, text)
    if value.low != value.high:
        title = "From the fewest to the most replicas that can have run: the provider does not tell"
        return format_html('<span class="ui-num" title="{}">{}</span>', title, text)
    return format_html('<span class="ui-num{}">{}</span>', "" if value.high else " ui-zero", text)


def describe_missing(value: Cost) -> str:
    """Return what a cost lacks, in words; empty when it is whole."""
    parts = []
    if value.unpriced_us >= SECOND_US:
        parts.append(f"{_span(value.unpriced_us)} billed at an unknown price")
    elif value.unpriced_us:
        parts.append("a one-time charge of an unknown price")
    if value.unknown_us:
        parts.append(f"of {_span(value.unknown_us)} nobody knows whether they billed")
    return ", ".join(parts)


def _span(microseconds: int) -> str:
    return durations.format_duration(timedelta(microseconds=microseconds))
