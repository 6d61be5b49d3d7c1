"""Turn counters and analytics into requests per minute. Pure.

A minute is named by its start, UTC. Counts are never invented: what a source does not tell for sure is left out,
and the stretch counts as unread.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from dashboard.together_api import payloads
from dashboard.together_api.metrics import TrafficIncrease

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
# A count over a longer stretch says too little about single minutes to be spread over them (our choice).
LONGEST_SPREAD = timedelta(minutes=3)

# Names of series in analytics are an open set (contract 16): compared in lower case without separators.
_REQUEST_SERIES = (
    "totalrequests",
    "requests",
    "requestcount",
    "requeststotal",
    "requestmetricstotalrequests",
)
_FAILED_SERIES = ("failedrequests", "requestmetricsfailedrequests")
_INPUT_SERIES = ("totalinputtokens", "inputtokens", "prompttokens", "tokenmetricstotalinputtokens")
_OUTPUT_SERIES = ("totaloutputtokens", "outputtokens", "completiontokens", "tokenmetricstotaloutputtokens")

NOTHING = TrafficIncrease()


@dataclass(frozen=True, slots=True)
class WindowReading:
    """What analytics say about `[start, end)`: counts of the minutes that had any, and whether that is all.

    `is_whole` True = every minute of the window that is not listed had no request. `last_request_before` is an upper
    bound of the last request; None = no request known.
    """

    minutes: Mapping[datetime, TrafficIncrease] = field(default_factory=dict)
    is_whole: bool = False
    last_request_before: datetime | None = None


def floor_minute(at: datetime) -> datetime:
    """Return the start of the minute that contains `at`."""
    return at.astimezone(UTC).replace(second=0, microsecond=0)


def ceil_minute(at: datetime) -> datetime:
    """Return the first start of a minute at or after `at`."""
    floor = floor_minute(at)
    return floor if floor == at else floor + MINUTE


def find_gaps(
    covered: Iterable[tuple[datetime, datetime]], *, start: datetime, end: datetime
) -> list[tuple[datetime, datetime]]:
    """Return the whole minutes of `[start, end)` that no covered stretch touches, as stretches in order of time."""
    gaps: list[tuple[datetime, datetime]] = []
    position = start
    for begins, ends in sorted(covered):
        if begins > position:
            gaps.append((position, min(begins, end)))
        position = max(position, ends)
    if position < end:
        gaps.append((position, end))
    whole = [(ceil_minute(begins), floor_minute(ends)) for begins, ends in gaps if begins < end]
    return [(begins, ends) for begins, ends in whole if begins < ends]


def spread(increase: TrafficIncrease, *, start: datetime, end: datetime) -> dict[datetime, TrafficIncrease]:
    """Return the increase over `[start, end)` as minutes, in proportion to the time spent in each; sums are kept.

    Raises ValueError when `end` is not after `start`.
    """
    if end <= start:
        raise ValueError("an increase needs a stretch of time")
    shares: list[tuple[datetime, timedelta]] = []
    minute = floor_minute(start)
    while minute < end:
        shares.append((minute, min(end, minute + MINUTE) - max(start, minute)))
        minute += MINUTE
    spread_counts = {
        name: _apportion(getattr(increase, name), [share for _, share in shares])
        for name in ("requests", "failed_requests", "input_tokens", "output_tokens")
    }
    minutes = {
        minute: TrafficIncrease(**{name: counts[position] for name, counts in spread_counts.items()})
        for position, (minute, _) in enumerate(shares)
    }
    return {minute: counts for minute, counts in minutes.items() if counts != NOTHING}


def _apportion(count: int, shares: list[timedelta]) -> list[int]:
    """Return whole numbers in proportion to the shares whose sum is `count` (cumulative rounding)."""
    total = sum(shares, timedelta())
    parts: list[int] = []
    given = 0
    elapsed = timedelta()
    for share in shares:
        elapsed += share
        upto = count * elapsed // total
        parts.append(upto - given)
        given = upto
    return parts


def read_window(body: payloads.Analytics, *, start: datetime, end: datetime) -> WindowReading:
    """Return what one deployment's analytics with a one-minute series say about `[start, end)`.

    The series is believed to be whole when its sum is the total that the same answer gives (a point more or less
    through late counting is allowed), or when it has a point for every minute. Without a readable series a total of
    zero still says that nothing happened; any other total is spread only over a short window.
    """
    points = list(_read_points(body.time_series, start=start, end=end))
    total = (
        body.metrics.request_metrics.total_requests if body.metrics and body.metrics.request_metrics else None
    )
    minutes = {minute: counts for minute, counts in points if counts != NOTHING}
    if points:
        counted = sum(counts.requests for _, counts in points)
        has_all_minutes = len(points) >= (end - start) // MINUTE
        # Asked for minutes, told hours? Then a request may have come long after the point that counts it.
        are_hours = not has_all_minutes and all(minute.minute == 0 for minute, _ in points)
        is_whole = has_all_minutes or (
            total is not None and abs(total - counted) <= 1 and not (are_hours and len(points) > 1)
        )
        width = HOUR if are_hours else MINUTE
        last = max((minute + width for minute, counts in minutes.items() if counts.requests), default=None)
        return WindowReading(
            minutes=minutes, is_whole=is_whole, last_request_before=None if last is None else min(last, end)
        )
    if total is None:
        return WindowReading()
    if total == 0:
        return WindowReading(is_whole=True)
    if end - start > LONGEST_SPREAD:
        return WindowReading(last_request_before=end)
    tokens = body.metrics.token_metrics if body.metrics else None
    increase = TrafficIncrease(
        requests=total,
        input_tokens=(tokens.total_input_tokens or 0) if tokens else 0,
        output_tokens=(tokens.total_output_tokens or 0) if tokens else 0,
    )
    return WindowReading(
        minutes=spread(increase, start=start, end=end), is_whole=True, last_request_before=end
    )


def _read_points(
    series: Iterable[object], *, start: datetime, end: datetime
) -> Iterable[tuple[datetime, TrafficIncrease]]:
    """Yield minute and counts of each point inside the window whose request count can be read."""
    for point in series:
        timestamp = getattr(point, "timestamp", None)
        values: Mapping[str, float | None] = getattr(point, "values", {})
        if timestamp is None or not start <= timestamp < end:
            continue
        by_name = {
            name.lower().replace("_", "").replace(".", "").replace("-", ""): value
            for name, value in values.items()
            if value is not None
        }
        requests = _pick(by_name, _REQUEST_SERIES)
        if requests is None:
            continue
        yield (
            floor_minute(timestamp),
            TrafficIncrease(
                requests=requests,
                failed_requests=_pick(by_name, _FAILED_SERIES) or 0,
                input_tokens=_pick(by_name, _INPUT_SERIES) or 0,
                output_tokens=_pick(by_name, _OUTPUT_SERIES) or 0,
            ),
        )


def _pick(by_name: Mapping[str, float], names: Iterable[str]) -> int | None:
    return next((round(by_name[name]) for name in names if name in by_name), None)
