"""Read `/v1/billing/usage` into BilledLine, month by month and page by page (contract 10).

Hours are stored for every month that answers by the hour, because a day in the organisation's zone is a sum of hours
and the past is backfilled from them. Days are stored only for a month that the API tells by the day alone; never both
of one month, so that sums count nothing twice. A bill by the hour has a line per resource and hour: pages are small
and each is written before the next is asked for, and within a day only the newest pages are read again.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final, Literal

from django.utils import timezone

from billing import bill_plan, bill_store
from billing.bill_windows import read_windows
from billing.models import BillReading
from dashboard.accounts.models import Connection
from dashboard.core import live
from dashboard.core.locks import Lock, try_lock
from dashboard.mirror.session import Session, open_session
from dashboard.mirror.store_malformed import keep_malformed
from dashboard.together_api.calls.account import UsagePage
from dashboard.together_api.errors import ApiError, InvalidRequestError, is_not_enabled

logger = logging.getLogger(__name__)

Clock = Callable[[], datetime]
Granularity = Literal["hour", "day"]
State = BillReading.State

#: Windows of a page. Two days of hours of a thousand deployments are 48,000 lines: what one page may hold in memory.
PAGE_WINDOWS: Final[dict[Granularity, int]] = {"hour": 48, "day": 31}
#: A month has 744 hours: more pages than this are a loop.
MOST_PAGES: Final = 40
CURRENCY: Final = "USD"


class BillUnreadableError(Exception):
    """The answer is well formed and yet no bill that can be stored."""

    retryable = False


@dataclass(slots=True)
class Progress:
    """What reading one month brought so far."""

    granularity: Granularity
    changed: set[datetime] = field(default_factory=set)
    windows: int = 0
    malformed: int = 0
    cursors: list[str] = field(default_factory=list)
    is_done: bool = False


def import_bill(connection: Connection, *, clock: Clock = timezone.now) -> set[datetime]:
    """Read the months that are due and return the starts of the windows that changed.

    Refusals are recorded as a BillReading, not raised: the page tells them, the next pass tries again. Raises
    crypto.CryptoError when the key cannot be opened.
    """
    with try_lock(Lock.BILL_IMPORT, key=connection.pk) as is_held:
        if not is_held or not connection.organization_id:
            return set()
        changed: set[datetime] = set()
        wanted = bill_plan.plan_readings(bill_store.load_readings(connection.organization_id), now=clock())
        if wanted:
            with open_session(connection, clock=clock) as session:
                for one in wanted:
                    read, is_read = _read_month(session, connection, one)
                    changed |= read
                    if not is_read:
                        break
        changed |= bill_store.match_again(connection, now=clock())
        if wanted or changed:
            live.announce(["bill"])
        return changed


def _read_month(
    session: Session, connection: Connection, wanted: bill_plan.Wanted
) -> tuple[set[datetime], bool]:
    """Read one month, by the hour or else by the day; return what changed and whether it was read."""
    began = session.clock()
    progress = Progress("hour")
    try:
        progress = _read_hours(session, connection, wanted, progress, now=began)
    except (ApiError, BillUnreadableError) as error:
        _record_failure(connection, wanted.month, progress, error, now=began)
        return progress.changed, False
    _record_success(connection, wanted.month, progress, now=began)
    return progress.changed, True


def _read_hours(
    session: Session, connection: Connection, wanted: bill_plan.Wanted, progress: Progress, *, now: datetime
) -> Progress:
    """Read the month by the hour, or by the day where hours are refused or, of a closed month, empty."""
    try:
        _read_pages(session, connection, wanted, progress)
    except InvalidRequestError:
        if wanted.after:  # the cursor grew old
            progress.cursors.clear()
            whole = bill_plan.Wanted(wanted.month)
            return _read_hours(session, connection, whole, progress, now=now)
        return _read_days(session, connection, wanted.month, progress)
    if not progress.windows and not wanted.after and bill_plan.end_of(wanted.month) <= now:
        return _read_days(session, connection, wanted.month, progress)
    return progress


def _read_days(session: Session, connection: Connection, month: date, hours: Progress) -> Progress:
    """Read the month by the day; without anything there either, the hours' empty answer stands."""
    days = Progress("day", changed=hours.changed)
    _read_pages(session, connection, bill_plan.Wanted(month), days)
    return days if days.windows else hours


def _read_pages(
    session: Session, connection: Connection, wanted: bill_plan.Wanted, progress: Progress
) -> None:
    """Read and store page after page. Raises ApiError, BillUnreadableError."""
    after = wanted.after
    covered = None if after else bill_plan.start_of(wanted.month)
    limit = PAGE_WINDOWS[progress.granularity]
    for _ in range(MOST_PAGES):
        if after in progress.cursors:
            raise BillUnreadableError("The bill's pages repeat themselves.")
        progress.cursors.append(after)
        page: UsagePage = session.run(
            session.client.get_usage_page(
                month=wanted.month.strftime("%Y-%m"),
                granularity=progress.granularity,
                after=after or None,
                limit=limit,
            )
        )
        if page.report.currency not in {"", CURRENCY}:
            raise BillUnreadableError(f"The bill is in {page.report.currency}, not in {CURRENCY}.")
        covered = _store_page(connection, wanted.month, page, progress, covered=covered, now=session.clock())
        if page.windows.next_cursor is None:
            progress.is_done = True
            return
        after = page.windows.next_cursor
    raise BillUnreadableError(f"The bill of one month has more than {MOST_PAGES} pages.")


def _store_page(
    connection: Connection,
    month: date,
    page: UsagePage,
    progress: Progress,
    *,
    covered: datetime | None,
    now: datetime,
) -> datetime | None:
    """Write a page; return up to when the month is covered.

    What lies behind the last window that is told stays as it was read before: a snapshot that moved backwards is no
    proof that nothing was billed.
    """
    found = read_windows(page.windows.entries, granularity=progress.granularity)
    progress.malformed += keep_malformed(connection, resource="billing-usage", items=found.malformed, now=now)
    first, last = bill_plan.start_of(month), bill_plan.end_of(month)
    windows = [one for one in found.windows if first <= one.start < last]
    progress.windows += len(windows)
    if not windows:
        return covered
    start = min(covered, windows[0].start) if covered is not None else windows[0].start
    end = windows[-1].end
    progress.changed |= bill_store.store_windows(
        connection,
        windows,
        granularity=progress.granularity,
        covers=(start, end),
        keep=found.unread,
        now=now,
    )
    return end


def _record_success(connection: Connection, month: date, progress: Progress, *, now: datetime) -> None:
    account_id, granularity = connection.organization_id, progress.granularity
    if progress.windows:
        other: Granularity = "day" if granularity == "hour" else "hour"
        bill_store.drop_month(account_id, month, granularity=other)
    noun = "part" if progress.malformed == 1 else "parts"
    fields: dict[str, object] = {
        "state": State.READ,
        "succeeded_at": now,
        "latest_window_end": bill_store.last_window_end(account_id, month, granularity=granularity),
        "malformed": progress.malformed,
        "error": f"{progress.malformed} {noun} of it could not be read; kept under Settings."
        if progress.malformed
        else "",
        # The newest two pages are read again next time; the one before them only once a day.
        "cursor": progress.cursors[-2] if len(progress.cursors) > 1 else progress.cursors[-1],
    }
    if not progress.cursors[0]:
        fields["whole_at"] = now
    if progress.changed:
        fields["changed_at"] = now
    bill_store.save_reading(connection, month, granularity=granularity, now=now, **fields)


def _record_failure(
    connection: Connection,
    month: date,
    progress: Progress,
    error: ApiError | BillUnreadableError,
    *,
    now: datetime,
) -> None:
    is_closed = isinstance(error, ApiError) and is_not_enabled(error)
    sentence = error.sentence if isinstance(error, ApiError) else str(error)
    if not is_closed:
        logger.warning(
            "the bill of %s could not be read for connection %s: %s", month, connection.pk, sentence
        )
    fields: dict[str, object] = {
        "state": State.NOT_OFFERED if is_closed else State.FAILED,
        "error": sentence,
        "cursor": "",
    }
    if progress.changed:
        fields["changed_at"] = now
    bill_store.save_reading(connection, month, granularity=progress.granularity, now=now, **fields)
