"""Prices, the ledger, who owns what it says, budgets and the provider's bill."""

from billing.models.bill import (
    AgreementCause,
    AgreementDay,
    BillAlert,
    BilledLine,
    BillReading,
    ReportDelivery,
    ReportSchedule,
    Statement,
)
from billing.models.budgets import Budget, BudgetCrossing, BudgetThreshold
from billing.models.ledger import (
    Condition,
    IntervalSource,
    LedgerEntry,
    Meter,
    MeteredInterval,
    MeterKind,
    Span,
    Use,
)
from billing.models.metering import MeteringCursor, SightGap
from billing.models.ownership import CostShare, CostSplit, Ownership, OwnershipRule
from billing.models.prices import BillingRules, Discount, PriceEntry

__all__ = [
    "AgreementCause",
    "AgreementDay",
    "BillAlert",
    "BillReading",
    "BilledLine",
    "BillingRules",
    "Budget",
    "BudgetCrossing",
    "BudgetThreshold",
    "Condition",
    "CostShare",
    "CostSplit",
    "Discount",
    "IntervalSource",
    "LedgerEntry",
    "Meter",
    "MeterKind",
    "MeteredInterval",
    "MeteringCursor",
    "Ownership",
    "OwnershipRule",
    "PriceEntry",
    "ReportDelivery",
    "ReportSchedule",
    "SightGap",
    "Span",
    "Statement",
    "Use",
]
