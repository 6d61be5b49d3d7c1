"""Identity, projects, models, usage and metrics text (contract sections 5, 10, 12)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from dashboard.together_api.calls.reading import fetch_all, read_one
from dashboard.together_api.config import PAGE_SIZE
from dashboard.together_api.errors import NotFoundError
from dashboard.together_api.metrics import MetricsSnapshot, parse_metrics
from dashboard.together_api.pagination import Listing, read_page
from dashboard.together_api.payloads.base import Page
from dashboard.together_api.payloads.identity import Model, Project, Whoami
from dashboard.together_api.payloads.usage import UsageReport, UsageWindow
from dashboard.together_api.requests import ApiCall, Flow

USAGE_PAGE_SIZE = 1000
"""Largest page of the usage API, in windows (contract 1.4)."""


@dataclass(frozen=True)
class BillingUsage:
    """The bill of one period: its head, and its windows (a moving snapshot while the period is open)."""

    report: UsageReport
    windows: Listing[UsageWindow]


@dataclass(frozen=True)
class UsagePage:
    """One page of the bill of a month; `windows.next_cursor` is None on the last one."""

    report: UsageReport
    windows: Page[UsageWindow]


def whoami() -> Flow[Whoami]:
    """Return what the key is: organisation, project, type. Falls back to the v1 call where v3 is unknown."""
    try:
        return read_one(Whoami, (yield ApiCall(template="/v3/whoami")))
    except NotFoundError:
        reply = yield ApiCall(template="/v1/whoami")
        return Whoami.from_flat(reply.json_object())


def list_projects() -> Flow[Listing[Project]]:
    """Return the projects that the key may see."""
    return (yield from fetch_all(Project, ApiCall(template="/v1/projects", query={"limit": PAGE_SIZE})))


def list_models(*, dedicated: bool | None = None) -> Flow[Listing[Model]]:
    """Return the model catalogue, one body without paging."""
    return (yield from fetch_all(Model, ApiCall(template="/v1/models", query={"dedicated": dedicated})))


def get_billing_usage(
    *,
    month: str | None = None,
    granularity: Literal["day", "hour"] = "day",
    organization_id: str | None = None,
) -> Flow[BillingUsage]:
    """Return the provider's bill of `month` ("YYYY-MM", default the current one).

    Raises NotFoundError where the organisation is not in the beta: ask `is_not_enabled(error)`.
    """
    call = ApiCall(
        template="/v1/billing/usage",
        query={
            "month": month,
            "granularity": granularity,
            "limit": USAGE_PAGE_SIZE,
            "organization_id": organization_id,
        },
    )
    windows = yield from fetch_all(UsageWindow, call)
    return BillingUsage(report=_read_report(windows.envelope), windows=windows)


def get_usage_page(
    *, month: str, granularity: Literal["day", "hour"], after: str | None = None, limit: int
) -> Flow[UsagePage]:
    """Return one page of the bill of `month` ("YYYY-MM"): at most `limit` windows, those behind the cursor `after`.

    For readers of large bills: a month by the hour has a line per resource and hour. Raises NotFoundError as above.
    """
    call = ApiCall(
        template="/v1/billing/usage",
        query={"month": month, "granularity": granularity, "limit": limit, "after": after},
    )
    page = read_page(UsageWindow, (yield call))
    return UsagePage(report=_read_report(page.envelope), windows=page)


def _read_report(envelope: Mapping[str, Any]) -> UsageReport:
    try:
        return UsageReport.model_validate(dict(envelope))
    except ValidationError:
        return UsageReport()


def get_metrics(organization_id: str) -> Flow[MetricsSnapshot]:
    """Return the organisation's counters from the Prometheus endpoint; an empty body is an empty snapshot.

    Raises NotFoundError where the beta is not enabled: ask `is_not_enabled(error)`.
    """
    reply = yield ApiCall(
        template="/organizations/{organization_id}/metrics",
        ids={"organization_id": organization_id},
        host="metrics",
    )
    try:
        return parse_metrics(reply.text())
    except ValueError as error:
        raise reply.malformed(f"not a Prometheus text exposition: {error}") from error
