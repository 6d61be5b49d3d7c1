"""What rows of costs are called."""

from collections.abc import Collection, Iterable

from billing.costs.queries import GONE, GroupBy
from billing.models import Meter, MeterKind
from billing.skus import describe_sku
from dashboard.accounts.models import Team
from dashboard.mirror.models import Endpoint, Project

_NOTHING = {
    GroupBy.NONE: "All costs",
    GroupBy.TEAM: "Unowned",
    GroupBy.OWNER: "No owner",
    GroupBy.PROJECT: "No project",
    GroupBy.MODEL: "No model",
    GroupBy.HARDWARE: "No hardware",
    GroupBy.ENDPOINT: "Not an endpoint",
    GroupBy.KIND: "Kind not told",
    GroupBy.SKU: "No unit price",
    GroupBy.TAG: "Not tagged",
    GroupBy.COST_CENTRE: "No cost centre",
    GroupBy.METER: "Not told",
}


def load_labels(group_by: GroupBy, keys: Collection[str]) -> dict[str, str]:
    """Return by key what it is called, for all the keys. At most two queries."""
    names = _load_names(group_by, [int(key) for key in keys if key.isdecimal()])
    if group_by is GroupBy.PROJECT:
        names |= _load_gone_projects([key.removeprefix(GONE) for key in keys if key.startswith(GONE)])
    labels: dict[str, str] = {}
    for key in keys:
        if not key:
            labels[key] = _NOTHING[group_by]
        elif group_by is GroupBy.KIND:
            labels[key] = dict(MeterKind.choices).get(key, key)
        elif group_by is GroupBy.SKU:
            labels[key] = describe_sku(key)
        else:
            labels[key] = names.get(key) or key.removeprefix(GONE)
    return labels


def _load_names(group_by: GroupBy, ids: list[int]) -> dict[str, str]:
    if not ids:
        return {}
    found: Iterable[tuple[int, str]]
    if group_by is GroupBy.TEAM:
        found = Team.objects.filter(pk__in=ids).values_list("pk", "name")
    elif group_by is GroupBy.PROJECT:
        found = Project.objects.filter(pk__in=ids).values_list("pk", "name")
    elif group_by is GroupBy.ENDPOINT:
        found = Endpoint.objects.filter(pk__in=ids).values_list("pk", "display_name")
    elif group_by is GroupBy.METER:
        found = Meter.objects.filter(pk__in=ids).values_list("pk", "name")
    else:
        return {}
    return {str(pk): name for pk, name in found}


def _load_gone_projects(remote_ids: list[str]) -> dict[str, str]:
    if not remote_ids:
        return {}
    found = Meter.objects.filter(sub_account_id__in=remote_ids).order_by()
    return {
        f"{GONE}{remote_id}": name
        for remote_id, name in found.values_list("sub_account_id", "sub_account_name").distinct()
    }
