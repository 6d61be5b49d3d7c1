"""Pages under Budgets. Every name stands in accounts/permissions.py, or it is refused."""

from django.urls import path

from dashboard.web.budgets import changes, pages

urlpatterns = [
    path("", pages.list_budgets, name="budgets"),
    path("add/", changes.add, name="budget_add"),
    path("<int:pk>/", pages.show_budget, name="budget"),
    path("<int:pk>/change/", changes.change, name="budget_change"),
    path("<int:pk>/on/", changes.enable, name="budget_enable"),
    path("<int:pk>/off/", changes.disable, name="budget_disable"),
    path("<int:pk>/prices/", changes.confirm_prices, name="budget_confirm_prices"),
]
