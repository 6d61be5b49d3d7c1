"""The components as template tags: built in, no `{% load %}` needed. Each has one template in components/.

Tags format and choose words; they query nothing and decide nothing. `now` comes from the context processor
(one reading per response), so that all ages of a page agree.
"""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from django import template
from django.core.paginator import Page
from django.forms import BoundField, Textarea
from django.template.context import Context
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString

from dashboard.core import durations
from dashboard.core import status as statuses
from dashboard.mirror.group_freshness import AgeLimits
from dashboard.web import charts
from dashboard.web.nav import MenuItem

register = template.Library()


@register.simple_tag
def icon(name: str, css: str = "") -> SafeString:
    """Draw an icon of static/img/icons.svg, hidden from screen readers: the words stand beside it."""
    return format_html(
        '<svg class="ui-i{}" aria-hidden="true"><use href="{}#{}"/></svg>',
        f" {css}" if css else "",
        static("img/icons.svg"),
        name,
    )


@register.simple_tag
def live(topics: str, url: str) -> SafeString:
    """Write the attributes of a fragment's root: refetch ``url`` when one of ``topics`` ("a,b") changes.

    The root needs a stable id, and ``url`` must answer with exactly this fragment. The header X-Background
    says that nobody clicked: such requests do not keep an idle session alive (accounts/middleware.py).
    """
    return format_html(
        'data-live="{}" hx-get="{}" hx-trigger="refresh" hx-target="this" hx-swap="outerMorph"'
        ' hx-headers="X-Background:1"'
        ' hx-status:4xx="swap:none" hx-status:5xx="swap:none"',
        topics,
        url,
    )


@register.simple_tag
def opens_dialog(url: str) -> SafeString:
    """Write the attributes of a link whose page opens as a dialog; without JavaScript it is just a link."""
    return format_html(
        'href="{0}" hx-get="{0}" hx-target="#dialog" hx-swap="innerHTML" aria-haspopup="dialog"', url
    )


@register.inclusion_tag("components/_status.html")
def status(
    value: statuses.Status | str, *, raw: str = "", is_stale: bool = False, is_pill: bool = False
) -> dict[str, Any]:
    """Show a status (a Status or its stored value) as shape and word; ``raw`` is the provider's own word.

    A status nobody documented prints that word too: "Unknown (HIBERNATING)".
    """
    found = statuses.read_value(value) if isinstance(value, str) else value
    told = statuses.shorten_state(raw)
    shown = statuses.mark_stale(found) if is_stale else found
    word = f"{shown.word} ({told})" if found is statuses.UNKNOWN and told else shown.word
    note = f"API state {told}: {shown.note}" if told else shown.note
    return {
        "status": shown,
        "word": word,
        "was_word": statuses.mark_stale(found).word,
        "note": note,
        "is_pill": is_pill,
    }


@register.inclusion_tag("components/_sync_stamp.html", takes_context=True)
def sync_stamp(context: Context, synced_at: datetime | None) -> dict[str, Any]:
    """Show the age of the mirror: fresh, late (over 2 min), stale (over 5 min); None = never synced.

    A page over what is read less often has other limits: `age_limits` of its context.
    """
    now, limits = context["now"], context.get("age_limits") or AgeLimits()
    age = None if synced_at is None else now - synced_at
    return {
        "synced_at": synced_at,
        "clock": synced_at and durations.format_clock(synced_at),
        "absolute": synced_at and durations.format_absolute(synced_at),
        "age": age is not None and durations.format_exact(age),
        "level": name_age(age, limits=limits),
        "late_seconds": int(limits.late.total_seconds()),
        "stale_seconds": int(limits.stale.total_seconds()),
    }


def name_age(
    age: timedelta | None,
    *,
    limits: AgeLimits = AgeLimits(),  # noqa: B008 - frozen
) -> Literal["fresh", "late", "stale", "never"]:
    """Return how far an age may be trusted; None (never synced) is ``never``."""
    if age is None:
        return "never"
    if age > limits.stale:
        return "stale"
    return "late" if age > limits.late else "fresh"


# --- States of a panel ------------------------------------------------------------------------------------------


@register.inclusion_tag("components/_empty.html")
def empty_state(
    title: str, text: str = "", *, icon: str = "endpoints", action: str = "", url: str = ""
) -> dict[str, str]:
    """Say what is true, the last related fact, and offer one action."""
    return {"title": title, "text": text, "icon": icon, "action": action, "url": url}


@register.inclusion_tag("components/_note.html")
def note(
    text: str,
    *,
    lead: str = "",
    tone: Literal["warn", "fail", "quiet", "done"] = "warn",
    action: str = "",
    url: str = "",
) -> dict[str, str]:
    """Show a banner: bold ``lead``, ``text``, one link. ``fail`` is for what failed, ``warn`` for what is late."""
    icons = {"warn": "warning", "fail": "error", "quiet": "info", "done": "check"}
    return {"text": text, "lead": lead, "tone": tone, "icon": icons[tone], "action": action, "url": url}


@register.inclusion_tag("components/_error_panel.html", takes_context=True)
def error_panel(
    context: Context,
    title: str,
    text: str,
    *,
    since: datetime | None = None,
    still_right: str = "",
    action: str = "",
    url: str = "",
) -> dict[str, Any]:
    """Say in a panel's place what failed, since when, what is still right, and offer one action."""
    return {
        "title": title,
        "text": text,
        "since": since,
        "still_right": still_right,
        "action": action,
        "url": url,
        "now": context["now"],
    }


@register.inclusion_tag("components/_skeleton.html")
def skeleton(rows: int = 4, label: str = "Loading") -> dict[str, Any]:
    """Show placeholder rows; only for a first load that takes over 300 ms (the style sheet waits)."""
    return {"rows": range(rows), "label": label}


@register.inclusion_tag("components/_raw_payload.html")
def raw_payload(payload: Any, title: str = "Raw payload", note: str = "") -> dict[str, str]:
    """Show what the provider said, word for word, folded away."""
    text = json.dumps(payload, indent=2, ensure_ascii=False, sort_keys=True, default=str)
    return {"text": text, "title": title, "note": note}


# --- Tables and lists -------------------------------------------------------------------------------------------


@register.inclusion_tag("components/_sort_header.html", takes_context=True)
def sort_header(
    context: Context,
    label: str,
    key: str,
    *,
    sort: str,
    target: str = "",
    is_number: bool = False,
    title: str = "",
    css: str = "",
) -> dict[str, Any]:
    """Write a `<th>` that sorts by ``key``. ``sort`` is the present order ("name", "-burn").

    Numbers start with the largest. ``target`` is the selector of the fragment to morph; empty = ordinary link.
    """
    current = sort.removeprefix("-") == key
    is_descending = current and sort.startswith("-")
    wanted = key if (is_descending or (not current and not is_number)) else f"-{key}"
    return {
        "label": label,
        "url": replace_query(context, sort=wanted, page=None),
        "direction": ("descending" if is_descending else "ascending") if current else "",
        "arrow": ("↓" if is_descending else "↑") if current else "",
        "is_number": is_number,
        "target": target,
        "title": title,
        "css": css,
    }


@register.inclusion_tag("components/_chip.html")
def chip(
    label: str,
    url: str,
    *,
    count: int | None = None,
    is_current: bool = False,
    icon: str = "",
    target: str = "",
) -> dict[str, Any]:
    """Show a filter with its count; ``icon`` "plus" makes it a dashed one that adds a filter."""
    return {
        "label": label,
        "url": url,
        "count": count,
        "is_current": is_current,
        "icon": icon,
        "target": target,
    }


@register.inclusion_tag("components/_pagination.html", takes_context=True)
def pagination(context: Context, page: Page, *, noun: str = "rows", target: str = "") -> dict[str, Any]:
    """Show "1–50 of 10,000 endpoints" with links to the previous and the next page of ``?page=``."""
    return {
        "page": page,
        "noun": noun,
        "target": target,
        "previous_url": page.has_previous() and replace_query(context, page=str(page.previous_page_number())),
        "next_url": page.has_next() and replace_query(context, page=str(page.next_page_number())),
    }


@register.inclusion_tag("components/_row_menu.html")
def row_menu(menu_id: str, label: str, items: Sequence[MenuItem]) -> dict[str, Any]:
    """Show the "..." menu of a row. ``menu_id`` is unique on the page and stable over swaps."""
    return {
        "menu_id": menu_id,
        "label": label,
        "items": [item for item in items if not item.is_destructive],
        "destructive": [item for item in items if item.is_destructive],
    }


@register.inclusion_tag("components/_sparkline.html")
def sparkline(
    values: Sequence[float | None],
    label: str,
    *,
    width: int = 72,
    height: int = 22,
    is_stepped: bool = False,
    is_accent: bool = False,
    missing: str = "no traffic",
) -> dict[str, Any]:
    """Draw values from zero up, a gap where one is None; ``missing`` in words when there is nothing to draw."""
    has_something = any(values)
    drawn = charts.draw_sparkline(values, width=width, height=height, is_stepped=is_stepped)
    return {
        "spark": drawn if has_something else None,
        "label": label,
        "is_accent": is_accent,
        "missing": missing if drawn else "no data",
    }


@register.inclusion_tag("components/_chart.html")
def chart(chart_id: str, data: charts.Chart, label: str, *, is_small: bool = False) -> dict[str, Any]:
    """Draw a Chart.js canvas; the page loads its scripts with components/_chart_scripts.html.

    ``label`` says the numbers that matter: the same figures must stand in a table or a sentence nearby.
    """
    return {"chart_id": chart_id, "data": data.as_json(), "label": label, "is_small": is_small}


# --- Forms ------------------------------------------------------------------------------------------------------


@register.inclusion_tag("components/_field.html")
def field(bound: BoundField, *, help_text: str = "", is_focused: bool = False) -> dict[str, Any]:
    """Show a form field with label, help and error, tied together for screen readers."""
    widget = bound.field.widget
    input_type = getattr(widget, "input_type", "")
    is_group = input_type == "radio" or widget.use_fieldset
    css = {"checkbox": "form-check-input", "select": "form-select"}.get(input_type, "form-control")
    if is_group:
        css = ""  # a class given to a group lands on its wrapper too
    help_shown = help_text or bound.help_text
    described = [f"{bound.id_for_label}_help"] if help_shown else []
    attrs: dict[str, Any] = {"class": css} if css else {}
    if bound.errors:
        described.insert(0, f"{bound.id_for_label}_error")
        attrs["aria-invalid"] = "true"
    if described:
        attrs["aria-describedby"] = " ".join(described)
    if isinstance(widget, Textarea):
        attrs["rows"] = 3
    if is_focused:
        attrs["autofocus"] = True
    return {
        "bound": bound,
        "control": bound.as_widget(attrs=attrs),
        "help_text": help_shown,
        "is_checkbox": input_type == "checkbox" and not is_group,
        "is_group": is_group,
        "is_hidden": bound.is_hidden,
    }


def replace_query(context: Context, **changes: str | None) -> str:
    """Return this page's address with ``changes`` in its query; None removes a parameter."""
    request = context["request"]
    query = request.GET.copy()
    for name, value in changes.items():
        if value is None:
            query.pop(name, None)
        else:
            query[name] = value
    return f"{request.path}?{query.urlencode()}" if query else request.path
