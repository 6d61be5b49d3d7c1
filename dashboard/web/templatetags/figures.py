"""Money and time as template tags: built in, no `{% load %}` needed. They only print; core/ knows how.

`now` comes from the context processor (one reading per response), so that all ages of a page agree. What has a
data- attribute ticks in the browser (static/js/ticker.js).
"""

from datetime import datetime, timedelta

from django import template
from django.template.context import Context
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from billing.amounts import Cost, to_nano
from billing.burn import Burn
from dashboard.core import durations, money
from dashboard.web import labels
from dashboard.web.templatetags.costs import describe_missing

register = template.Library()

NBSP = "\N{NO-BREAK SPACE}"


@register.simple_tag
def amount(nano: money.Nano | None, places: int = 2) -> SafeString:
    """Print nano-dollars for a table cell (the head names the currency); zero is paler, None says so."""
    if nano is None:
        return format_html('<span class="ui-ink3 ui-sm">{}</span>', "no data")
    css = "" if nano else " ui-zero"
    return format_html('<span class="ui-num{}">{}</span>', css, money.format_amount(nano, places=places))


@register.simple_tag
def dollars(nano: money.Nano | None, places: int = 2) -> SafeString:
    """Print nano-dollars for a sentence or a card: ``$10.80``; None says so."""
    if nano is None:
        return format_html('<span class="ui-ink3">{}</span>', "no data")
    return format_html('<span class="ui-num">{}</span>', money.format_dollars(nano, places=places))


@register.simple_tag
def burn(low: int | None, high: int | None = None, unpriced: int = 0) -> SafeString:
    """Print $/h for a table cell: one number, a range (v1), ``≥`` with unpriced replicas, or "price unknown"."""
    return _burn(low, high, unpriced, in_sentence=False)


@register.simple_tag
def per_hour(low: int | None, high: int | None = None, unpriced: int = 0) -> SafeString:
    """Print a rate for a sentence or a button: ``$10.80/h``, ``$5.40–10.80/h``, "price unknown"."""
    return _burn(low, high, unpriced, in_sentence=True)


def _burn(low: int | None, high: int | None, unpriced: int, *, in_sentence: bool) -> SafeString:
    high = low if high is None else high
    if low is None or high is None or (unpriced and not high):
        return format_html('<span class="ui-amber ui-sm">{}</span>', money.PRICE_UNKNOWN)
    text = money.format_per_hour(low, high) if in_sentence else money.format_range(low, high)
    if unpriced:
        title = f"At least: the price of {unpriced} billing unit{'' if unpriced == 1 else 's'} is unknown"
        return format_html('<span class="ui-num" title="{}">≥{}{}</span>', title, NBSP, text)
    if low != high:
        title = "The provider does not tell how many replicas run: from the fewest to the most"
        return format_html('<span class="ui-num" title="{}">{}</span>', title, text)
    return format_html('<span class="ui-num{}">{}</span>', "" if high else " ui-zero", text)


@register.simple_tag
def per_minute(low: int, high: int | None = None) -> str:
    """Print the same rate per minute, without its unit: ``$0.18`` from $10.80/h."""
    top = low if high is None else high
    return money.format_range(money.per_minute(low), money.per_minute(top), currency=True)


@register.simple_tag
def per_month(low: int, high: int | None = None) -> str:
    """Print the same rate over a month of 730 h, in whole dollars: ``$7,884`` from $10.80/h."""
    top = low if high is None else high
    return money.format_range(money.per_month(low), money.per_month(top), places=0, currency=True)


@register.simple_tag(takes_context=True)
def accrued(context: Context, nano_per_hour: int, since: datetime | None = None) -> SafeString:
    """Print what a rate has cost since ``since`` (default: since this page was opened), ticking."""
    start = since or context["now"]
    spent = money.per_minute(nano_per_hour) * int((context["now"] - start).total_seconds()) / 60
    return format_html(
        '<span class="ui-num" data-accrue="{}" data-since="{}"{}>{}</span>',
        nano_per_hour,
        start.isoformat(),
        # The page was opened once: a refreshed fragment must not start the count again.
        "" if since else SafeString(' data-keep="data-since"'),
        money.format_dollars(spent),
    )


@register.simple_tag
def spent_so_far(value: Cost, rate: Burn, at: datetime, now: datetime) -> SafeString:
    """Print a cost that was added up at ``at`` and goes on at ``rate``, ticking: ``$38,288.09``, a range for v1.

    What lacks a price or a fact says "at least"; nothing but that says so in words.
    """
    missing = describe_missing(value)
    if missing and not value.high:
        word = money.PRICE_UNKNOWN if value.unpriced_us else "not known"
        return format_html('<small class="ui-amber" title="{}">{}</small>', missing, word)
    bounds = [(to_nano(value.low), rate.low), (to_nano(value.high), rate.high)]
    if bounds[0] == bounds[1]:
        del bounds[1]
    parts = []
    for place, (nano, per_hour_now) in enumerate(bounds):
        gone = money.per_minute(per_hour_now) * int((now - at).total_seconds()) / 60
        text = money.format_dollars(nano + gone) if not place else money.format_amount(nano + gone)
        parts.append(
            format_html(
                '<span class="ui-num" data-accrue="{}" data-base="{}" data-since="{}"{}>{}</span>',
                per_hour_now,
                int(nano),
                at.isoformat(),
                SafeString(" data-bare") if place else "",
                text,
            )
        )
    joined = format_html_join(money.EN_DASH, "{}", ((part,) for part in parts))
    if missing:
        return format_html('<span title="At least: {}">≥{}{}</span>', missing, NBSP, joined)
    return joined


@register.simple_tag
def size(count: int | None) -> SafeString:
    """Print a size: ``1.5 GiB``; None says "not told"."""
    if count is None:
        return format_html('<span class="ui-ink3 ui-sm">{}</span>', "not told")
    return format_html('<span class="ui-num">{}</span>', labels.format_bytes(count))


# --- Time -------------------------------------------------------------------------------------------------------


@register.filter
def duration(value: timedelta | None) -> str:
    """Print a duration: ``47 min``, ``6 h 01 min``; None says "no data"."""
    return "no data" if value is None else durations.format_duration(value)


@register.simple_tag(takes_context=True)
def moment(context: Context, at: datetime | None, missing: str = "never") -> SafeString:
    """Print a UTC time (``13:02``, ``17 Nov 21:31``) with the full one in its title; None prints ``missing``."""
    if at is None:
        return format_html('<span class="ui-ink3">{}</span>', missing)
    return _time(at, durations.format_moment(at, now=context["now"]), "")


@register.simple_tag(takes_context=True)
def ago(context: Context, at: datetime | None, missing: str = "never") -> SafeString:
    """Print an age that ticks: ``18 s ago``; None prints ``missing``."""
    if at is None:
        return format_html('<span class="ui-ink3">{}</span>', missing)
    return _time(at, durations.format_ago(at, now=context["now"]), "data-ago")


@register.simple_tag(takes_context=True)
def elapsed(context: Context, since: datetime) -> SafeString:
    """Print how long something lasts already, ticking: ``12 s``, ``47 min``."""
    return _time(since, durations.format_duration(context["now"] - since), "data-elapsed")


@register.simple_tag(takes_context=True)
def countdown(context: Context, at: datetime) -> SafeString:
    """Print the time left until ``at``, ticking: ``15:29``, ``1:10:29``, ``due``."""
    return _time(at, durations.format_countdown(at - context["now"]), "data-countdown")


def _time(at: datetime, text: str, hook: str) -> SafeString:
    return format_html(
        '<time class="ui-num" datetime="{}" title="{}"{}>{}</time>',
        at.isoformat(),
        durations.format_absolute(at),
        f" {hook}" if hook else "",
        text,
    )
