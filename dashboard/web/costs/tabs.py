"""The pages beneath Costs, as tabs; which of them a person is shown."""

from dataclasses import dataclass

from django.urls import NoReverseMatch, reverse

from dashboard.accounts.models import User
from dashboard.accounts.permissions import Right, user_may


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab; `right` is what its page needs."""

    label: str
    route: str
    right: Right = Right.VIEW


TABS = (
    Tab("Explorer", "costs"),
    Tab("Unit cost", "costs_units"),
    Tab("Against the bill", "costs_bill", Right.SEE_ALL_PROJECTS),
    Tab("Statements", "costs_statements"),
    Tab("Owners", "costs_owners", Right.MANAGE_COSTS),
    Tab("Unowned", "costs_unowned"),
    Tab("Prices", "costs_prices"),
    Tab("Reports", "costs_reports", Right.MANAGE_COSTS),
)


def list_tabs(user: User, *, current: str) -> list[dict[str, object]]:
    """Return label, url and is_current of each page under Costs that the person may open."""
    tabs: list[dict[str, object]] = []
    for tab in TABS:
        if not user_may(user, tab.right):
            continue
        try:
            url = reverse(tab.route)
        except NoReverseMatch:
            continue
        tabs.append({"label": tab.label, "url": url, "is_current": tab.route == current})
    return tabs
