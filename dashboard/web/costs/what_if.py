"""The endpoint page's what-if: what it costs to the end of the month if it runs on, stops now, or follows a week."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django import forms
from django.http import HttpRequest, QueryDict

from billing.amounts import Cost
from billing.burn import Burn, add_burns, price_replicas
from billing.costs import CostFilters, sum_costs
from billing.projection import Schedule, WeeklySlot, WhatIf, ask_what_if
from billing.rules import load_rules
from dashboard.accounts.models import User
from dashboard.core.periods import Period, month_of
from dashboard.mirror.models import Deployment, Endpoint
from dashboard.web.targets import burn_of_endpoint

_WORKDAYS = ("0", "1", "2", "3", "4")
_DAYS = [(str(n), name) for n, name in enumerate(("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"))]
_TIME = forms.TimeInput(format="%H:%M", attrs={"type": "time"})


class WeekForm(forms.Form):
    """Working hours: days, from, until (the next day where it is not later), and the zone whose clocks count."""

    day = forms.MultipleChoiceField(choices=_DAYS, widget=forms.CheckboxSelectMultiple, label="Days")
    start = forms.TimeField(label="From", widget=_TIME)
    end = forms.TimeField(label="Until", widget=_TIME)
    zone = forms.CharField(label="Time zone", max_length=64, help_text="IANA name, e.g. Europe/Berlin")

    def clean_zone(self) -> str:
        """Check that the zone is known."""
        name = str(self.cleaned_data["zone"])
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise forms.ValidationError(f"“{name}” is no time zone. Names look like Europe/Berlin.") from None
        return name

    def read(self) -> Schedule:
        """Return the schedule, once valid."""
        start, end = self.cleaned_data["start"], self.cleaned_data["end"]
        days = sorted(int(day) for day in self.cleaned_data["day"])
        slots = tuple(WeeklySlot(day, start, end) for day in days)
        return Schedule(slots, ZoneInfo(self.cleaned_data["zone"]))


@dataclass(frozen=True, slots=True)
class Course:
    """One line of the panel. `kept` is what it leaves unspent against running on; None for that itself."""

    name: str
    detail: str
    to_come: Cost
    in_all: Cost
    kept: Cost | None


@dataclass(frozen=True, slots=True)
class Panel:
    """What the panel shows. `burn` is the rate that it counts with; `is_if_started`: it does not run now.

    `spent` is this month's cost so far as the person may see it; the sums of the month hold without it too.
    """

    form: WeekForm
    courses: tuple[Course, ...]
    burn: Burn
    spent: Cost
    month_name: str
    zone_name: str
    is_if_started: bool
    is_asked: bool


def build_panel(
    request: HttpRequest,
    endpoint: Endpoint,
    deployments: Sequence[Deployment],
    *,
    user: User,
    now: datetime,
    may_start: bool,
) -> Panel | None:
    """Return the panel; None where nothing can run. Two queries, and those that tell whose cost a team may see."""
    burn = burn_of_endpoint(endpoint)
    is_if_started = burn.is_zero
    if is_if_started:
        if endpoint.absent_since is not None or not deployments or not may_start:
            return None
        burn = _burn_if_started(deployments)
    zone_name = load_rules().reporting_zone
    zone = ZoneInfo(zone_name)
    month = month_of(now, zone=zone)
    form = read_form(request.GET, zone_name=zone_name)
    schedule = form.read() if form.is_valid() else None
    what_if = ask_what_if(burn, now=now, until=month.end, schedule=schedule or Schedule((), zone))
    spent = sum_costs(
        Period(month.start, now),
        now=now,
        filters=CostFilters(endpoints=frozenset({str(endpoint.pk)})),
        user=user,
    )
    return Panel(
        form=form,
        courses=tuple(_list_courses(what_if, spent, schedule, is_if_started=is_if_started)),
        burn=burn,
        spent=spent,
        month_name=f"{now.astimezone(zone):%B}",
        zone_name=zone_name,
        is_if_started=is_if_started,
        is_asked="zone" in request.GET,
    )


def read_form(params: QueryDict, *, zone_name: str) -> WeekForm:
    """Return the asked week, or the usual one where none was asked for."""
    if "zone" in params:
        return WeekForm(params)
    usual = QueryDict(mutable=True)
    usual.setlist("day", list(_WORKDAYS))
    usual.update({"start": "08:00", "end": "18:00", "zone": zone_name})
    return WeekForm(usual)


def _burn_if_started(deployments: Sequence[Deployment]) -> Burn:
    """Return what they would burn with the fewest replicas that they may have."""
    counts = [(max(1, one.min_replicas or 1), one.nano_usd_per_hour) for one in deployments]
    return add_burns(price_replicas(low=low, high=low, nano_usd_per_hour=price) for low, price in counts)


def _list_courses(
    what_if: WhatIf, spent: Cost, schedule: Schedule | None, *, is_if_started: bool
) -> Iterator[Course]:
    hours = _say_hours(what_if.period.duration)
    if is_if_started:
        yield Course("Stays stopped", "nothing to come", what_if.stops_now, spent, what_if.kept_by_stop)
        name, detail = "Starts now, runs on", f"{hours} with the fewest replicas allowed"
    else:
        name, detail = "Runs on", f"{hours} at the burn now"
    yield Course(name, detail, what_if.runs_on, spent + what_if.runs_on, None)
    if not is_if_started:
        yield Course("Stops now", "nothing to come", what_if.stops_now, spent, what_if.kept_by_stop)
    if schedule:
        yield Course(
            "Only in working hours",
            f"{_say_hours(what_if.scheduled_time)} of it, {_say_week(schedule)}",
            what_if.scheduled,
            spent + what_if.scheduled,
            what_if.kept_by_schedule,
        )


def _say_hours(duration: timedelta) -> str:
    return f"{duration // timedelta(hours=1):,} h"


def _say_week(schedule: Schedule) -> str:
    """Return a week of equal slots in words: ``Mon, Tue 08:00–18:00 Europe/Berlin``."""
    days = [slot.weekday for slot in schedule.slots]
    first, last = days[0], days[-1]
    is_row = len(days) > 2 and days == list(range(first, last + 1))
    names = f"{_DAYS[first][1]}–{_DAYS[last][1]}" if is_row else ", ".join(_DAYS[day][1] for day in days)
    slot = schedule.slots[0]
    return f"{names} {slot.start:%H:%M}–{slot.end:%H:%M} {schedule.zone}"
