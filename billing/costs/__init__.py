"""What was spent, read from the metered intervals: by whom, on what, in which piece of a period.

Every sum is exact (billing/amounts.py), so that any partition of time, meters and owners adds up to the whole.
"""

from billing.costs.intervals import IntervalPage, IntervalRow, list_intervals
from billing.costs.queries import NO_FILTERS, CostFilters, CostQuery, CostRow, CostTable, GroupBy
from billing.costs.sums import load_costs, sum_costs
from billing.costs.visibility import visible_meters

__all__ = [
    "NO_FILTERS",
    "CostFilters",
    "CostQuery",
    "CostRow",
    "CostTable",
    "GroupBy",
    "IntervalPage",
    "IntervalRow",
    "list_intervals",
    "load_costs",
    "sum_costs",
    "visible_meters",
]
