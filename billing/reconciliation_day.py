"""Reckon a day of one meter: each window by itself, then the sums. Pure."""

from collections.abc import Sequence
from datetime import datetime

from billing.reconciliation import (
    BillWindow,
    Cause,
    DayAgreement,
    Reading,
    Stretch,
    Subject,
    WindowAgreement,
    clip_stretches,
    explain_metered,
    sum_causes,
)
from billing.reconciliation_gap import Room, explain_billed, make_room


def reconcile_day(
    windows: Sequence[BillWindow], stretches: Sequence[Stretch], *, subject: Subject, now: datetime
) -> DayAgreement:
    """Return the three numbers of a day whose windows these are, and the causes of both gaps.

    `windows` partition the day; `stretches` are the meter's spans around it, in order, without overlap.
    """
    room = make_room(stretches)
    told = [_reconcile_window(one, stretches, subject=subject, room=room, now=now) for one in windows]
    read = [one.billed for one in told if one.billed is not None]
    to_billed = sum_causes([one.to_billed for one in told]) if read else {}
    return DayAgreement(
        projected=sum(one.projected for one in told),
        metered_low=sum(one.metered_low for one in told),
        metered_high=sum(one.metered_high for one in told),
        billed=sum(read) if read else None,
        to_metered=sum_causes([one.to_metered for one in told]),
        to_billed=to_billed,
        windows=tuple(told),
    )


def _reconcile_window(
    window: BillWindow, stretches: Sequence[Stretch], *, subject: Subject, room: Room, now: datetime
) -> WindowAgreement:
    clips = clip_stretches(stretches, window, now=now)
    projected = sum(clip.projected for clip in clips)
    low, high = sum(clip.low for clip in clips), sum(clip.high for clip in clips)
    to_metered = explain_metered(clips)
    if window.reading is not Reading.READ:
        lag = {Cause.LAG: -low} if low else {}
        return WindowAgreement(window, projected, low, high, None, to_metered, lag)
    gap = explain_billed(window, clips, stretches=stretches, subject=subject, room=room)
    billed = sum(line.cost for line in window.lines)
    return WindowAgreement(window, projected, low, high, billed, to_metered, gap.causes, gap.notes)
