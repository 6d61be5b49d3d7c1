"""The provider's own bill (contract section 10)."""

from decimal import Decimal
from typing import Any

from pydantic import field_validator

from dashboard.together_api.payloads.base import Items, Payload, Resource, Table, Text, Timestamp


class AppliedCredit(Payload):
    """SDK `billing_usage_line_item.AppliedCredit`: PREPAID | POSTPAID | CREDIT."""

    type: Text = ""


class UsageLine(Payload):
    """SDK `organization.billing_usage_line_item.BillingUsageLineItem`.

    Decimal strings in USD; `quantity` in the product's own unit. Product names are display names and may change:
    classify by `attributes` first.
    """

    product_name: Text = ""
    quantity: Decimal | None = None
    unit_price: Decimal | None = None
    cost: Decimal | None = None
    pricing_dimensions: Table[str] = {}
    attributes: Table[str] = {}
    applied_credit: AppliedCredit | None = None

    @field_validator("pricing_dimensions", "attributes", mode="before")
    @classmethod
    def _drop_nulls(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: item for key, item in value.items() if item is not None}
        return value


class UsageWindow(Resource):
    """SDK `organization.billing_usage_window.BillingUsageWindow`: lines of `[start_time, end_time)`."""

    identity_field = "start_time"

    date: Text = ""
    start_time: Timestamp
    end_time: Timestamp
    line_items: Items[UsageLine] = ()


class UsageReport(Payload):
    """SDK `organization.billing_usage_report.BillingUsageReport` without its windows (those come as a Listing)."""

    organization_id: Text = ""
    billing_period: Text = ""
    currency: Text = ""
    earliest_window_start: Timestamp = None
    latest_window_end: Timestamp = None
