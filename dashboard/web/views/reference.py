"""All components and their states on one page, for review and for the accessibility checks. DEBUG only."""

from dataclasses import dataclass
from datetime import timedelta

from django import forms
from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from dashboard.core import status
from dashboard.web.charts import Chart, Series, StateSpan, draw_lane
from dashboard.web.htmx import Toast, finish_dialog, is_partial, render_dialog
from dashboard.web.nav import BurnMeter, FindGroup, FindResult, MenuItem, NavItem, Shell

API_STATES = {
    "running": "DEPLOYMENT_STATE_READY",
    "starting": "PENDING",
    "scaling": "DEPLOYMENT_STATE_SCALING",
    "degraded": "DEPLOYMENT_STATE_DEGRADED",
    "failed": "ERROR",
    "stopping": "STOPPING",
    "stopped": "STOPPED",
    "unknown": "DEPLOYMENT_STATE_HIBERNATING",
}
TRAFFIC = [
    212,
    208,
    200,
    190,
    160,
    120,
    90,
    70,
    66,
    60,
    58,
    62,
    66,
    70,
    74,
    66,
    70,
    90,
    120,
    160,
    190,
    205,
    210,
    212,
]


@dataclass(frozen=True)
class SampleUser:
    """What the shell shows of a person."""

    initials: str = "IL"

    def __str__(self) -> str:
        return "Ines Lindqvist"


class ReferenceForm(forms.Form):
    """One field of each kind that the product uses."""

    name = forms.CharField(help_text="How people call this connection.")
    key = forms.CharField(widget=forms.PasswordInput, label="API key")
    role = forms.ChoiceField(choices=[("viewer", "Viewer"), ("operator", "Operator")])
    note = forms.CharField(widget=forms.Textarea, required=False)
    is_enabled = forms.BooleanField(label="Mirror this connection", required=False)


@login_not_required
def show_reference(request: HttpRequest) -> HttpResponse:
    """Return the reference page; 404 outside DEBUG. No queries, no product data."""
    if not settings.DEBUG:
        raise Http404
    if "fragment" in request.GET:
        return render(request, "reference/_live.html", {"menu": _describe(request)["menu"]})
    if "dialog" in request.GET:
        context = {"action": request.path, "cancel_url": request.path}
        return render_dialog(request, "reference/_stop_confirm.html", context, title="Stop 2 endpoints?")
    if request.method == "POST":
        toast = Toast(
            "docs-qa-gpt-oss-120b stopped",
            detail="Ran 6 h 01 min today, $64.98. Burn is now $127.57/h.",
            links=(("Receipt", request.path),),
        )
        return finish_dialog(request, redirect_to=request.path, toasts=[toast])
    if "q" in request.GET and is_partial(request):
        return render(request, "components/_find_results.html", _find(request.GET["q"], request.path))
    return render(request, "reference/page.html", _describe(request))


def _find(query: str, url: str) -> dict[str, object]:
    hits = (
        FindResult("docs-qa-gpt-oss-120b", url, "endpoints", "Idle, $10.80/h"),
        FindResult("support-triage-70b", url, "endpoints", "Running, $43.20/h"),
    )
    found = tuple(hit for hit in hits if query.lower() in hit.label)
    return {"groups": [FindGroup("Endpoints", found)] if found else [], "query": query}


def _describe(request: HttpRequest) -> dict[str, object]:
    """Return moments relative to now and the objects that a template cannot write down."""
    now = timezone.now()
    url = request.path
    invalid = ReferenceForm({"name": "", "role": "owner", "key": "", "is_enabled": "on"})
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    at = [midnight + timedelta(hours=hours) for hours in (0, 8, 8.2, 19.4, 20.5, 24)]
    spans = [
        StateSpan(at[0], at[1], "stop", "stopped"),
        StateSpan(at[1], at[2], "start", "starting 08:00 to 08:12"),
        StateSpan(at[2], at[3], "run", "running 08:12 to 19:24"),
        StateSpan(at[3], at[4], "idle", "idle 19:24 to 20:30"),
        StateSpan(at[4], at[5], "stop", "stopped"),
    ]
    return {
        "now": now,
        "user": SampleUser(),
        "shell": Shell(
            nav=(
                NavItem("Overview", url + "#overview", "overview"),
                NavItem("Endpoints", url + "#endpoints", "endpoints", count=7),
                NavItem("Activity", url + "#activity", "activity", section="Control"),
                NavItem("Settings", url, "settings", is_current=True),
            ),
            organisation="fernhill",
            burn=BurnMeter(138_370_000_000, 138_370_000_000, 32_400_000_000, 32_400_000_000),
            find_url=url,
            is_simulated=True,
        ),
        "statuses": [(each, API_STATES.get(each.value, "")) for each in status.ALL],
        "synced": now - timedelta(seconds=18),
        "late": now - timedelta(minutes=3, seconds=29),
        "hour_ago": now - timedelta(minutes=47),
        "days_ago": now - timedelta(days=4),
        "stops_at": now + timedelta(minutes=15, seconds=29),
        "traffic": TRAFFIC,
        "burn_day": [
            133,
            138,
            138,
            138,
            130,
            120,
            118,
            110,
            109,
            109,
            109,
            109,
            109,
            109,
            112,
            120,
            137,
            138,
            138,
            138,
        ],
        "chart_data": Chart(
            "bar",
            [f"{hour:02}" for hour in range(24)],
            [Series("served", TRAFFIC), Series("failed", [2] * 24, colour="idle")],
            is_stacked=True,
        ),
        "gappy": [3, 4, 5, None, None, 6, 4, 3, 0, 0, 2],
        "zeroes": [0] * 24,
        "empty_list": [],
        "menu": [
            MenuItem("Change replicas", url, "sliders"),
            MenuItem("Copy model string", url, "copy"),
            MenuItem(
                "Stop",
                f"{url}?dialog",
                "stop",
                detail="saves $43.20/h, 212 req/min would fail",
                is_destructive=True,
                opens_dialog=True,
            ),
        ],
        "form": ReferenceForm(),
        "invalid": invalid,
        "toasts": [
            Toast("docs-qa-gpt-oss-120b stopped", detail="Burn is now $127.57/h.", links=(("Receipt", url),)),
            Toast("Stop was refused", detail="403: the key may not stop endpoints.", tone="fail"),
        ],
        "lanes": [
            {
                "label": "Wed 18",
                "spans": draw_lane(spans, start=at[0], end=at[5]),
                "total": "12 h 18 min",
            }
        ],
        "ticks": ["00", "06", "12", "18", "24"],
        "payload": {"id": "dep_3XvT1", "status": {"state": "DEPLOYMENT_STATE_READY", "readyReplicas": 2}},
    }
