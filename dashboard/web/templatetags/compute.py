"""Words of rented compute for templates: `{% load compute %}`."""

from django import template

from dashboard.core import money
from dashboard.web.compute.names import name_gpu, spell_phase

register = template.Library()


@register.filter
def gpu_name(gpu_type: str) -> str:
    """Print a GPU type: ``H100 SXM``."""
    return name_gpu(gpu_type)


@register.filter
def phase_words(word: str) -> str:
    """Print a phase or state in words: ``Installing drivers``."""
    return spell_phase(word)


@register.filter
def month_amount(nano_per_hour: int) -> str:
    """Print a rate over a month of 730 h for a table cell, in whole dollars."""
    return money.format_amount(money.per_month(nano_per_hour), places=0)


@register.filter
def tib(size_bytes: int | None) -> str:
    """Print a size in whole TiB: ``10``; empty when it is not told."""
    return "" if size_bytes is None else f"{size_bytes // 2**40:,}"
