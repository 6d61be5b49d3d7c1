"""Pages under Costs. Every name stands in accounts/permissions.py, or it is refused."""

from django.urls import path

from dashboard.web.costs import (
    bill,
    bill_evidence,
    explorer,
    intervals,
    owner_meter,
    owner_rules,
    owners,
    unowned,
)

urlpatterns = [
    path("", explorer.show_costs, name="costs"),
    path("bill/", bill.show_bill, name="costs_bill"),
    path("bill/resources/<int:pk>/", bill.show_meter, name="costs_bill_meter"),
    path("bill/<str:day>/", bill.show_day, name="costs_bill_day"),
    path("bill/<str:day>/<int:pk>/", bill_evidence.show_evidence, name="costs_bill_evidence"),
    path("intervals/", intervals.show_intervals, name="costs_intervals"),
    path("meters/<int:pk>/at/<str:moment>/", intervals.show_interval, name="costs_interval"),
    path("owners/", owners.list_owners, name="costs_owners"),
    path("owners/rules/add/", owner_rules.add, name="costs_owners_rule_add"),
    path("owners/rules/<int:pk>/", owner_rules.change, name="costs_owners_rule"),
    path("owners/rules/<int:pk>/move/", owner_rules.move, name="costs_owners_rule_move"),
    path("owners/rules/<int:pk>/retire/", owner_rules.retire, name="costs_owners_rule_retire"),
    path("owners/<int:pk>/", owner_meter.show, name="costs_owner"),
    path("owners/<int:pk>/assign/", owner_meter.assign, name="costs_owner_assign"),
    path("owners/<int:pk>/tags/", owner_meter.tag, name="costs_owner_tag"),
    path("owners/<int:pk>/split/", owner_meter.split, name="costs_owner_split"),
    path("owners/<int:pk>/split/end/", owner_meter.unsplit, name="costs_owner_split_end"),
    path("unowned/", unowned.list_unowned, name="costs_unowned"),
    path("unowned/claim/", unowned.claim_unowned, name="costs_unowned_claim"),
]
