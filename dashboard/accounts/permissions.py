"""The one permission table: what each role may do, and what each route needs.

`PermissionMiddleware` looks every request up here; a route that is not listed is refused. The matrix test
(tests/architecture/test_permissions.py) walks the real URLs and asks each of them as every role.
"""

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dashboard.accounts.roles import Role

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from dashboard.accounts.models import User


class Right(enum.StrEnum):
    """Something that a role may do."""

    VIEW = "view"
    SEE_ALL_PROJECTS = "see_all_projects"
    OPERATE = "operate"
    OPERATE_EVERYWHERE = "operate_everywhere"
    # Clusters and volumes: deleting what holds data, and making what bills until somebody deletes it.
    MANAGE_COMPUTE = "manage_compute"
    # Prices, owners of cost, budgets, statements, scheduled reports.
    MANAGE_COSTS = "manage_costs"
    # Taking over cost that nobody owns, for a team of one's own; tags of what it owns.
    CLAIM_COSTS = "claim_costs"
    VIEW_AUDIT = "view_audit"
    MANAGE_CONNECTIONS = "manage_connections"
    MANAGE_PEOPLE = "manage_people"
    MANAGE_DEPRECATIONS = "manage_deprecations"
    VIEW_HEALTH = "view_health"


RIGHTS: dict[Role, frozenset[Right]] = {
    Role.VIEWER: frozenset({Right.VIEW}),
    Role.OPERATOR: frozenset({Right.VIEW, Right.OPERATE, Right.CLAIM_COSTS}),
    Role.FINANCE: frozenset(
        {Right.VIEW, Right.SEE_ALL_PROJECTS, Right.MANAGE_COSTS, Right.CLAIM_COSTS, Right.VIEW_AUDIT}
    ),
    Role.ADMIN: frozenset(Right),
}


def user_may(user: "User | AnonymousUser", right: Right | str) -> bool:
    """Tell whether the user's role, as it is now, carries the right. No query. False for inactive people."""
    role = getattr(user, "role", None)
    if role is None or not user.is_active:
        return False
    return Right(right) in RIGHTS[Role(role)]


@dataclass(frozen=True)
class Route:
    """What one URL name needs.

    `right` None means public. `confirmed` routes want a password typed (or a sign-in) within the last minutes.
    `background` requests are made by pages themselves and do not keep an idle session alive. `audited` names
    the actions of which a successful unsafe request must leave at least one in the audit trail.
    """

    right: Right | None
    methods: frozenset[str]
    confirmed: bool = False
    background: bool = False
    audited: tuple[str, ...] = ()


GET = frozenset({"GET", "HEAD"})
POST = frozenset({"POST"})
FORM = GET | POST


def _public(methods: frozenset[str], *, background: bool = False) -> Route:
    return Route(right=None, methods=methods, background=background)


def _page(right: Right = Right.VIEW) -> Route:
    return Route(right=right, methods=GET)


def _act(right: Right, *audited: str, methods: frozenset[str] = POST, confirmed: bool = False) -> Route:
    return Route(right=right, methods=methods, confirmed=confirmed, audited=audited)


ROUTES: dict[str, Route] = {
    # Sign-in
    "account_login": _public(FORM),
    "account_inactive": _public(GET),
    "account_reset_password": _public(FORM),
    "account_reset_password_done": _public(GET),
    "account_reset_password_from_key": _public(FORM),
    "account_reset_password_from_key_done": _public(GET),
    "sign_in_link": _public(FORM),
    "account_logout": _act(Right.VIEW, "session.ended", methods=FORM),
    "account_reauthenticate": _act(Right.VIEW, methods=FORM),
    "account_change_password": _act(Right.VIEW, "person.password_set", methods=FORM),
    "account_set_password": _act(Right.VIEW, "person.password_set", methods=FORM),
    # Settings: you
    "settings": _page(),
    "settings_you": _act(Right.VIEW, "person.renamed", methods=FORM),
    "settings_sessions_end": _act(Right.VIEW, "session.others_ended"),
    # Settings: connections
    "settings_connections": _page(Right.MANAGE_CONNECTIONS),
    "settings_connection_add": _act(
        Right.MANAGE_CONNECTIONS, "connection.created", methods=FORM, confirmed=True
    ),
    "settings_connection": _page(Right.MANAGE_CONNECTIONS),
    "settings_connection_rename": _act(Right.MANAGE_CONNECTIONS, "connection.renamed", methods=FORM),
    "settings_connection_replace_key": _act(
        Right.MANAGE_CONNECTIONS, "connection.key_replaced", methods=FORM, confirmed=True
    ),
    "settings_connection_test": _act(Right.MANAGE_CONNECTIONS, "connection.tested"),
    "settings_connection_enable": _act(Right.MANAGE_CONNECTIONS, "connection.enabled"),
    "settings_connection_disable": _act(Right.MANAGE_CONNECTIONS, "connection.disabled"),
    "settings_connection_delete": _act(
        Right.MANAGE_CONNECTIONS, "connection.deleted", methods=FORM, confirmed=True
    ),
    # Settings: people and teams
    "settings_users": _page(Right.MANAGE_PEOPLE),
    "settings_user_invite": _act(Right.MANAGE_PEOPLE, "person.invited", methods=FORM, confirmed=True),
    "settings_user": _act(Right.MANAGE_PEOPLE, "person.changed", methods=FORM, confirmed=True),
    "settings_user_link": _act(Right.MANAGE_PEOPLE, "person.link_made", confirmed=True),
    "settings_user_activate": _act(Right.MANAGE_PEOPLE, "person.activated", confirmed=True),
    "settings_user_deactivate": _act(Right.MANAGE_PEOPLE, "person.deactivated", confirmed=True),
    "settings_teams": _act(Right.MANAGE_PEOPLE, "team.created", methods=FORM),
    "settings_teams_from_projects": _act(Right.MANAGE_PEOPLE, "team.created"),
    "settings_team": _act(Right.MANAGE_PEOPLE, "team.changed", methods=FORM),
    "settings_team_delete": _act(Right.MANAGE_PEOPLE, "team.deleted", methods=FORM),
    "settings_project_team": _act(Right.MANAGE_PEOPLE, "project.team_assigned"),
    # Settings: deprecations
    "settings_deprecations": _act(Right.MANAGE_DEPRECATIONS, "deprecation.added", methods=FORM),
    "settings_deprecation": _act(Right.MANAGE_DEPRECATIONS, "deprecation.changed", methods=FORM),
    "settings_deprecation_remove": _act(Right.MANAGE_DEPRECATIONS, "deprecation.removed", methods=FORM),
    # Settings: health
    "settings_health": _page(Right.VIEW_HEALTH),
    # Costs: teams see their own (billing/costs/visibility.py)
    "costs": _page(),
    "costs_intervals": _page(),
    "costs_interval": _page(),
    "costs_units": _page(),
    # Files, statements (of the own teams) and scheduled reports
    "costs_export": _page(),
    "costs_export_file": _page(),
    "costs_statements": _page(),
    "costs_statement": _page(),
    "costs_statement_close": _act(Right.MANAGE_COSTS, "statement.closed", methods=FORM),
    "costs_reports": _page(Right.MANAGE_COSTS),
    "costs_report_add": _act(Right.MANAGE_COSTS, "report.scheduled", methods=FORM),
    "costs_report": _page(Right.MANAGE_COSTS),
    "costs_report_run": _act(Right.MANAGE_COSTS, "report.run_requested"),
    "costs_report_enable": _act(Right.MANAGE_COSTS, "report.enabled"),
    "costs_report_disable": _act(Right.MANAGE_COSTS, "report.disabled"),
    "costs_report_delete": _act(Right.MANAGE_COSTS, "report.deleted", methods=FORM),
    "costs_report_file": _page(),
    # Against the bill: the whole organisation's
    "costs_bill": _page(Right.SEE_ALL_PROJECTS),
    "costs_bill_day": _page(Right.SEE_ALL_PROJECTS),
    "costs_bill_meter": _page(Right.SEE_ALL_PROJECTS),
    "costs_bill_evidence": _page(Right.SEE_ALL_PROJECTS),
    # Prices are everybody's to read
    "costs_prices": _page(),
    "costs_prices_sku": _page(),
    "costs_prices_enter": _act(Right.MANAGE_COSTS, "price.entered"),
    "costs_prices_discount": _act(Right.MANAGE_COSTS, "discount.entered"),
    "costs_prices_end": _act(Right.MANAGE_COSTS, "price.ended"),
    "costs_prices_discount_end": _act(Right.MANAGE_COSTS, "discount.ended"),
    "costs_rules": _act(Right.MANAGE_COSTS, "billing.rules_changed", methods=FORM),
    # Owners of cost: what is seen and for which team is asked in web/costs/{owner_meter,unowned}.py
    "costs_owners": _page(Right.MANAGE_COSTS),
    "costs_owners_rule_add": _act(Right.MANAGE_COSTS, "ownership.rule_added", methods=FORM),
    "costs_owners_rule": _act(Right.MANAGE_COSTS, "ownership.rule_changed", methods=FORM),
    "costs_owners_rule_move": _act(Right.MANAGE_COSTS, "ownership.rule_changed"),
    "costs_owners_rule_retire": _act(Right.MANAGE_COSTS, "ownership.rule_retired", methods=FORM),
    "costs_owner": _page(),
    "costs_owner_assign": _act(Right.MANAGE_COSTS, "ownership.assigned"),
    "costs_owner_tag": _act(Right.CLAIM_COSTS, "ownership.assigned"),
    "costs_owner_split": _act(Right.MANAGE_COSTS, "cost.split_changed"),
    "costs_owner_split_end": _act(Right.MANAGE_COSTS, "cost.split_changed"),
    "costs_unowned": _page(),
    "costs_unowned_claim": _act(Right.CLAIM_COSTS, "ownership.assigned"),
    # Budgets: which of them a person sees is asked in billing/budget_sight.py
    "budgets": _page(),
    "budget": _page(),
    "budget_add": _act(Right.MANAGE_COSTS, "budget.added", methods=FORM),
    "budget_change": _act(Right.MANAGE_COSTS, "budget.changed", methods=FORM),
    "budget_enable": _act(Right.MANAGE_COSTS, "budget.enabled"),
    "budget_disable": _act(Right.MANAGE_COSTS, "budget.disabled"),
    "budget_confirm_prices": _act(Right.MANAGE_COSTS, "budget.prices_confirmed"),
    # Overview, endpoints and acts. Whether a person may act on this endpoint depends on its team: web/targets.py
    "healthz": _public(GET, background=True),
    "overview": _page(),
    "overview_money": Route(right=Right.VIEW, methods=GET, background=True),
    "notices": Route(right=Right.VIEW, methods=GET, background=True),
    "burn_meter": Route(right=Right.VIEW, methods=GET, background=True),
    "live": Route(right=Right.VIEW, methods=GET, background=True),
    "find": _page(),
    "endpoints": _page(),
    "endpoint": _page(),
    "endpoint_events": _page(),
    "endpoint_raw": _page(Right.OPERATE),
    "endpoints_stop": _act(Right.OPERATE, "endpoint.stop_requested", methods=FORM),
    "endpoint_stop": _act(Right.OPERATE, "endpoint.stop_requested", methods=FORM),
    "endpoint_start": _act(Right.OPERATE, "endpoint.start_requested", methods=FORM),
    "endpoint_scale": _act(Right.OPERATE, "endpoint.scale_requested", methods=FORM),
    "endpoint_delete": _act(Right.OPERATE, "endpoint.delete_requested", methods=FORM),
    # Jobs and files, and what all pages of resources share
    "jobs": _page(),
    "job": _page(),
    "job_cancel": _act(Right.OPERATE, "fine-tune.cancel_requested", "batch.cancel_requested", methods=FORM),
    # Asking for a price changes nothing at the provider and is no act.
    "job_estimate": _act(Right.OPERATE, methods=FORM),
    "job_estimate_answer": _page(Right.OPERATE),
    "files": _page(),
    "file": _page(),
    # Rented compute
    "clusters": _page(),
    "cluster": _page(),
    "cluster_scale": _act(Right.OPERATE, "cluster.resize_requested", methods=FORM),
    "cluster_delete": _act(Right.MANAGE_COMPUTE, "cluster.delete_requested", methods=FORM),
    "volumes": _page(),
    "volume": _page(),
    "volume_create": _act(Right.MANAGE_COMPUTE, "volume.create_requested", methods=FORM),
    "volume_resize": _act(Right.MANAGE_COMPUTE, "volume.resize_requested", methods=FORM),
    "volume_delete": _act(Right.MANAGE_COMPUTE, "volume.delete_requested", methods=FORM),
    "containers": _page(),
    "container": _page(),
    "container_stop": _act(Right.OPERATE, "container.stop_requested", methods=FORM),
    "rl": _page(),
    "rl_resource": _page(),
    "rl_stop": _act(Right.OPERATE, "rl-resource.stop_requested", methods=FORM),
    "rl_session": _page(),
    "resource_events": _page(),
    "resource_raw": _page(Right.OPERATE),
    "endpoint_configure": _act(Right.OPERATE, "endpoint.configure_requested", methods=FORM),
    "endpoint_split": _act(Right.OPERATE, "endpoint.split_requested", methods=FORM),
    "deploy": _act(Right.OPERATE, "endpoint.deploy_requested", methods=FORM),
    "models": _page(),
    "models_catalogue": _page(),
    "models_deprecations": _page(),
    "model": _page(),
    "model_offered": _page(),
    "model_upload": _act(Right.OPERATE, "model.upload_requested", methods=FORM),
    "model_delete": _act(Right.OPERATE_EVERYWHERE, "model.delete_requested", methods=FORM),
    "action": _page(),
    "action_send_again": _act(Right.OPERATE, "endpoint.stop_sent_again"),
    "action_cancel": _act(Right.OPERATE, "endpoint.stop_cancelled"),
    "action_undo": _act(Right.OPERATE, "endpoint.delete_requested", methods=FORM),
    # Activity: everyone sees the own acts and those on visible endpoints, VIEW_AUDIT sees all
    "activity": _page(),
    # All components on one page; the route exists in DEBUG only and shows sample values
    "reference": _public(FORM),
}


def find_route(view_name: str) -> Route | None:
    """Return what the URL name needs; None when the table does not know it, which means refused."""
    return ROUTES.get(view_name)
