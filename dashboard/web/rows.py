"""Endpoints as rows of a table: the figures, words and acts of one page. A fixed number of queries for any page."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse

from billing.burn import Burn
from dashboard.accounts.models import User
from dashboard.accounts.visibility import operable_team_ids
from dashboard.core import money, status
from dashboard.lifecycle import evidence
from dashboard.lifecycle.idleness import gather_facts
from dashboard.lifecycle.receipts import OpenAct, open_actions
from dashboard.mirror.deprecation_hints import Deprecation
from dashboard.mirror.deprecations import load_deprecations
from dashboard.mirror.models import Endpoint, Generation
from dashboard.mirror.querysets import Outlook, load_outlooks
from dashboard.mirror.traffic_history import TrafficDay, load_days, load_rates, next_half_hour
from dashboard.web.evidence_lines import EvidenceLines, describe_evidence
from dashboard.web.labels import describe_replicas, format_rate, shorten_hardware
from dashboard.web.nav import MenuItem

_NO_OUTLOOK = Outlook(burn_when_ready=None, failed_message="", least_replicas=None, most_replicas=None)
_MAY_STOP = (
    status.RUNNING,
    status.SCALING,
    status.STARTING,
    status.DEGRADED,
    status.UNKNOWN,
)
_MAY_SCALE = (status.RUNNING, status.SCALING, status.DEGRADED, status.STARTING)


@dataclass(frozen=True, slots=True)
class RowButton:
    """The one likely act of a row, shown at all times."""

    label: str
    url: str
    icon: str = ""
    is_stop: bool = False


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """Everything that a row shows."""

    endpoint: Endpoint
    url: str
    # What people read: the mirrored status, or Idle by evidence, or Stopping once a stop was sent.
    status: status.Status
    is_idle: bool
    hardware: str
    replicas: str
    team: str
    traffic: tuple[float | None, ...]
    traffic_label: str
    evidence: EvidenceLines
    burn: Burn
    # Nano-dollars per hour that it will cost once ready; None = nothing to say.
    burn_when_ready: int | None
    acts: tuple[OpenAct, ...]
    button: RowButton | None
    menu: tuple[MenuItem, ...]
    may_stop: bool
    # What is known of the end of its model; None = it stays.
    deprecation: Deprecation | None

    @property
    def key(self) -> str:
        """Return what tells the row apart in ids of the page."""
        return str(self.endpoint.pk)

    @property
    def menu_label(self) -> str:
        """Return what a screen reader calls the row's menu."""
        return f"More actions for {self.endpoint.display_name}"


def build_rows(endpoints: Sequence[Endpoint], *, user: User, now: datetime) -> list[EndpointRow]:
    """Return the rows of one page, in order. Seven queries (one less for people who may operate everywhere).

    The endpoints need `project.team` loaded.
    """
    ids = [endpoint.pk for endpoint in endpoints]
    outlooks = load_outlooks(ids)
    days = load_days(ids, end=next_half_hour(now))
    rates = load_rates(ids)
    acts = open_actions(ids, now=now)
    teams = operable_team_ids(user)
    deprecations = load_deprecations()
    return [
        _build_row(
            endpoint,
            outlook=outlooks.get(endpoint.pk, _NO_OUTLOOK),
            day=days.get(endpoint.pk),
            rate=rates.get(endpoint.pk),
            acts=tuple(acts.get(endpoint.pk, ())),
            may_act=teams is None or endpoint.project.team_id in teams,
            deprecation=deprecations.find(endpoint.model),
            now=now,
        )
        for endpoint in endpoints
    ]


def _build_row(
    endpoint: Endpoint,
    *,
    outlook: Outlook,
    day: TrafficDay | None,
    rate: float | None,
    acts: tuple[OpenAct, ...],
    may_act: bool,
    deprecation: Deprecation | None,
    now: datetime,
) -> EndpointRow:
    mirrored = status.read_value(endpoint.status)
    weighed = evidence.weigh(gather_facts(endpoint), now=now)
    is_idle = weighed.verdict is evidence.Verdict.IDLE
    burn = Burn(endpoint.burn_low, endpoint.burn_high, endpoint.unpriced_replicas)
    lines = describe_evidence(
        weighed,
        state=mirrored,
        status_since=endpoint.status_since,
        last_request_at=endpoint.last_request_at,
        requests_per_minute=rate,
        ready=(endpoint.ready_replicas, endpoint.desired_replicas),
        failure=outlook.failed_message,
        now=now,
    )
    may_stop = may_act and mirrored in _MAY_STOP and not _has_stop(acts)
    return EndpointRow(
        endpoint=endpoint,
        url=reverse("endpoint", args=[endpoint.pk]),
        status=choose_status(mirrored, is_idle=is_idle, acts=acts),
        is_idle=is_idle,
        hardware=shorten_hardware(endpoint.hardware),
        replicas=describe_replicas(
            endpoint.ready_replicas,
            endpoint.desired_replicas,
            # The bounds of what rests are no replicas that run.
            low=outlook.least_replicas if mirrored.may_bill else None,
            high=outlook.most_replicas if mirrored.may_bill else None,
        ),
        team=endpoint.project.team.name if endpoint.project.team else "",
        traffic=day.finished_requests if day else (),
        traffic_label=_describe_traffic(day),
        evidence=lines,
        burn=burn,
        burn_when_ready=outlook.burn_when_ready if mirrored is status.STARTING else None,
        acts=acts,
        button=_choose_button(
            endpoint, mirrored, is_idle=is_idle, may_stop=may_stop, may_act=may_act, acts=acts
        ),
        menu=_list_menu(endpoint, mirrored, burn=burn, rate=rate, may_stop=may_stop) if may_act else (),
        may_stop=may_stop,
        deprecation=deprecation,
    )


def may_start(endpoint: Endpoint) -> bool:
    """Return whether the provider takes a start: of v1 endpoints it refuses every one (contract 4)."""
    return endpoint.generation != Generation.V1


def choose_status(mirrored: status.Status, *, is_idle: bool, acts: Sequence[OpenAct]) -> status.Status:
    """Return what a row is called: Stopping once a stop left us, never Stopped before it was read back."""
    if mirrored.may_bill and any(act.kind == "stop" and act.state == "sent" for act in acts):
        return status.STOPPING
    return status.IDLE if is_idle else mirrored


def _has_stop(acts: Sequence[OpenAct]) -> bool:
    return any(act.kind == "stop" for act in acts)


def _describe_traffic(day: TrafficDay | None) -> str:
    if day is None or not day.is_known:
        return "Requests of the last 24 h: not known"
    known = [value for value in day.finished_requests if value is not None] or [0.0]
    return f"Requests per half hour, last 24 h: at most {max(known):,.0f}, {known[-1]:,.0f} in the last"


def _choose_button(
    endpoint: Endpoint,
    mirrored: status.Status,
    *,
    is_idle: bool,
    may_stop: bool,
    may_act: bool,
    acts: Sequence[OpenAct],
) -> RowButton | None:
    if is_idle and may_stop:
        return RowButton("Stop now", reverse("endpoint_stop", args=[endpoint.pk]), is_stop=True)
    if mirrored is status.STARTING and may_stop:
        return RowButton("Cancel start", reverse("endpoint_stop", args=[endpoint.pk]))
    if mirrored is status.STOPPED and may_act and not acts and may_start(endpoint):
        return RowButton("Start", reverse("endpoint_start", args=[endpoint.pk]), icon="play")
    return None


def _list_menu(
    endpoint: Endpoint, mirrored: status.Status, *, burn: Burn, rate: float | None, may_stop: bool
) -> tuple[MenuItem, ...]:
    items = [MenuItem("Open", reverse("endpoint", args=[endpoint.pk]), "endpoints")]
    if mirrored in _MAY_SCALE:
        scale = reverse("endpoint_scale", args=[endpoint.pk])
        items.append(MenuItem("Change replicas", scale, "sliders", opens_dialog=True))
        configure = reverse("endpoint_configure", args=[endpoint.pk])
        items.append(MenuItem("Settings", configure, "settings", opens_dialog=True))
    if mirrored is status.STOPPED and may_start(endpoint):
        start = reverse("endpoint_start", args=[endpoint.pk])
        items.append(MenuItem("Start", start, "play", opens_dialog=True))
    if may_stop:
        stop = reverse("endpoint_stop", args=[endpoint.pk])
        detail = describe_saving(burn, rate=rate)
        items.append(MenuItem("Stop", stop, "stop", detail=detail, is_destructive=True, opens_dialog=True))
    delete = reverse("endpoint_delete", args=[endpoint.pk])
    detail = "stops it first" if mirrored.may_bill else ""
    items.append(MenuItem("Delete", delete, "trash", detail=detail, is_destructive=True, opens_dialog=True))
    return tuple(items)


def describe_saving(burn: Burn, *, rate: float | None) -> str:
    """Return the effect of a stop: ``saves $43.20/h, 212 req/min would fail``."""
    if burn.is_zero:
        return "bills nothing now"
    saving = f"saves {money.format_per_hour(burn.low, burn.high)}" if burn.high else f"{money.PRICE_UNKNOWN}"
    return f"{saving}, {format_rate(rate)} would fail" if rate else saving
