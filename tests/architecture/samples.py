"""What the permission matrix needs to ask each route: objects, address parts, and a valid form.

A new route with address parts needs an entry in `ADDRESSES`, a new one that acts needs one in `FORMS`; the
matrix fails with the route's name until both are there.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from django.test import Client
from django.utils import timezone

from billing import budgets, reports
from billing.budget_rules import Action, Basis, Threshold
from billing.exports.formats import Format
from billing.models import Budget, CostSplit, Discount, Meter, OwnershipRule, PriceEntry, ReportSchedule
from dashboard.accounts.audit import Actor
from dashboard.accounts.models import Connection, Team, User
from dashboard.core.periods import Period
from dashboard.lifecycle import actions
from dashboard.lifecycle.models import PriceEstimate, StopAction
from dashboard.mirror.models import (
    CatalogueModel,
    Deployment,
    Endpoint,
    ModelDeprecation,
    Project,
    Resource,
    ResourceKind,
)
from tests import compute_factories, cost_factories, factories, model_factories
from tests.conftest import sign_in

NEW_PASSWORD = "another correct horse battery"


@dataclass
class World:
    """One organisation with a team that owns everything, and people inside and outside of it."""

    team: Team
    other_team: Team
    connection: Connection
    project: Project
    endpoint: Endpoint
    deployment: Deployment
    job: Resource
    file: Resource
    cluster: Resource
    volume: Resource
    container: Resource
    rl_resource: Resource
    rl_session: Resource
    estimate: PriceEstimate
    people: dict[str, User]
    # An open stop of another endpoint of the team.
    action: StopAction
    # A deploy that was sent and has made an endpoint.
    deploy: StopAction
    # A person on whom acts may be tried.
    subject: User
    # A model of the team, the catalogue's model that it derives from, and one that is deprecated.
    model: Resource
    offered: CatalogueModel
    deprecation: ModelDeprecation
    # What the deployment cost: an interval of an hour that ended at factories.NOW, owned by the team.
    meter: Meter
    # What nobody owns, and a rule of ownership.
    unowned: Meter
    rule: OwnershipRule
    price: PriceEntry
    discount: Discount
    # What is sent every month.
    report: ReportSchedule
    # The team's, switched on; nothing was spent in its scope that would reach it.
    budget: Budget
    clients: dict[str, Client] = field(default_factory=dict)

    def client(self, who: str) -> Client:
        """Return the browser of a person: anonymous, viewer, operator, other_operator, finance, admin."""
        if who not in self.clients:
            self.clients[who] = Client() if who == "anonymous" else sign_in(self.people[who])
        return self.clients[who]


def make_world() -> World:
    team, other_team = factories.make_team("Search"), factories.make_team("Legal")
    connection = factories.make_connection(name="Fernhill")
    project = factories.make_project(connection=connection, team=team)
    endpoint = factories.make_endpoint(project=project)
    deployment = factories.make_deployment(endpoint=endpoint)
    factories.make_sync_run(connection=connection)
    people = {
        "viewer": factories.make_viewer(teams=(team,)),
        "operator": factories.make_operator(teams=(team,)),
        "other_operator": factories.make_operator(teams=(other_team,)),
        "finance": factories.make_finance(),
        "admin": factories.make_admin(),
    }
    requested = actions.request_stop(
        factories.make_deployment(endpoint=factories.make_endpoint(project=project)),
        actor=Actor.for_person(people["operator"]),
        idempotency_key="sample",
    )
    offered = model_factories.make_catalogue_model(connection=connection, name="Qwen/Qwen3-32B")
    meter = cost_factories.make_meter(deployment=deployment)
    cost_factories.make_ownership(meter, team=team)
    cost_factories.make_interval(meter, start=factories.NOW - timedelta(hours=1), end=factories.NOW)
    cost_factories.make_agreement(meter)
    return World(
        meter=meter,
        offered=offered,
        model=model_factories.make_own_model(project=project, base=offered),
        deprecation=model_factories.make_deprecation("acme/old"),
        unowned=_make_unowned(),
        price=PriceEntry.objects.create(
            sku="volume", nano_usd=1, valid_from=factories.NOW - timedelta(days=1), note="quote"
        ),
        discount=Discount.objects.create(
            sku="volume", percent=5, valid_from=factories.NOW - timedelta(days=1), note="frame"
        ),
        rule=OwnershipRule.objects.create(name="all", position=1, team=team, team_name=team.name),
        action=requested.action,
        deploy=factories.make_deploy_act(
            endpoint=factories.make_endpoint(project=project), user=people["operator"]
        ),
        team=team,
        other_team=other_team,
        connection=connection,
        project=project,
        endpoint=endpoint,
        deployment=deployment,
        job=factories.make_resource(project=project),
        file=factories.make_resource(kind=ResourceKind.FILE, project=project),
        cluster=factories.make_resource(
            kind=ResourceKind.CLUSTER, project=project, payload={"num_gpus": 16, "num_reserved_gpus": 0}
        ),
        volume=factories.make_resource(
            kind=ResourceKind.VOLUME, project=project, state="available", payload={"size_tib": 2}
        ),
        container=factories.make_resource(kind=ResourceKind.CONTAINER, project=project),
        rl_resource=factories.make_resource(kind=ResourceKind.RL_RESOURCE, project=project),
        rl_session=factories.make_resource(kind=ResourceKind.RL_SESSION, project=project),
        estimate=PriceEstimate.objects.create(project=project, arguments={"model": "Qwen/Qwen3-8B"}),
        people=people,
        subject=factories.make_viewer(teams=(team,)),
        report=_make_report(),
        budget=_make_budget(team),
    )


def _make_unowned() -> Meter:
    meter = cost_factories.make_meter(name="lonely")
    cost_factories.make_interval(meter, start=timezone.now() - timedelta(hours=1), end=None)
    return meter


@dataclass(frozen=True)
class Address:
    """The parts of a route's address. `is_scoped`: people of another team get 404, whatever their role."""

    parts: Callable[[World], dict[str, Any]]
    is_scoped: bool = False


def _connection(world: World) -> dict[str, Any]:
    return {"pk": world.connection.pk}


def _subject(world: World) -> dict[str, Any]:
    return {"pk": world.subject.pk}


def _team(world: World) -> dict[str, Any]:
    return {"pk": world.team.pk}


def _endpoint(world: World) -> dict[str, Any]:
    return {"pk": world.endpoint.pk}


def _action(world: World) -> dict[str, Any]:
    return {"public_id": world.action.public_id}


def _model(world: World) -> dict[str, Any]:
    return {"pk": world.model.pk}


def _offered(world: World) -> dict[str, Any]:
    return {"pk": world.offered.pk}


def _deprecation(world: World) -> dict[str, Any]:
    return {"pk": world.deprecation.pk}


def _meter(world: World) -> dict[str, Any]:
    return {"pk": world.meter.pk}


def _sku(world: World) -> dict[str, Any]:
    return {"sku": world.price.sku}


def _rule(world: World) -> dict[str, Any]:
    return {"pk": world.rule.pk}


def _interval(world: World) -> dict[str, Any]:
    return {"pk": world.meter.pk, "moment": (factories.NOW - timedelta(minutes=30)).isoformat()}


def _bill_day(world: World) -> dict[str, Any]:
    return {"day": factories.NOW.date().isoformat()}


def _report(world: World) -> dict[str, Any]:
    return {"pk": world.report.pk}


def _make_report() -> ReportSchedule:
    plan = reports.ReportPlan(
        name="Month", format=Format.DAYS, frequency="monthly", recipients=("books@example.com",)
    )
    return reports.add_schedule(plan, actor=Actor.for_process("test"), now=factories.NOW)[0]


def _make_budget(team: Team) -> Budget:
    budget = Budget(name="Search", scope=Budget.Scope.TEAM, team=team, nano_usd=70_000 * 10**9)
    drain = Threshold(80, Basis.ACTUAL, Action.DRAIN_IDLE)
    return budgets.save_budget(budget, thresholds=[drain], exempt=(), actor=Actor.for_process("test"))


def _budget(world: World) -> dict[str, Any]:
    return {"pk": world.budget.pk}


def _report_link(world: World) -> dict[str, Any]:
    period = Period(factories.NOW - timedelta(days=1), factories.NOW)
    return {"token": reports.make_link(world.report, period).split("/")[-2]}


ADDRESSES: dict[str, Address] = {
    "costs_statement": Address(
        lambda world: {"month": factories.NOW.date().replace(day=1), "team": str(world.team.pk)},
        is_scoped=True,
    ),
    "costs_statement_close": Address(lambda world: {"month": date(2026, 10, 1)}),
    "costs_report": Address(_report),
    "costs_report_run": Address(_report),
    "costs_report_enable": Address(_report),
    "costs_report_disable": Address(_report),
    "costs_report_delete": Address(_report),
    "costs_report_file": Address(_report_link),
    "budget": Address(_budget, is_scoped=True),
    "budget_change": Address(_budget),
    "budget_enable": Address(_budget),
    "budget_disable": Address(_budget),
    "budget_confirm_prices": Address(_budget),
    "costs_bill_day": Address(_bill_day),
    "costs_bill_meter": Address(_meter),
    "costs_bill_evidence": Address(lambda world: _bill_day(world) | _meter(world)),
    "costs_interval": Address(_interval, is_scoped=True),
    "endpoint": Address(_endpoint, is_scoped=True),
    "endpoint_events": Address(_endpoint, is_scoped=True),
    "endpoint_raw": Address(_endpoint, is_scoped=True),
    "endpoint_stop": Address(_endpoint, is_scoped=True),
    "endpoint_start": Address(_endpoint, is_scoped=True),
    "endpoint_scale": Address(_endpoint, is_scoped=True),
    "endpoint_delete": Address(_endpoint, is_scoped=True),
    "endpoint_configure": Address(_endpoint, is_scoped=True),
    "model": Address(_model, is_scoped=True),
    "model_delete": Address(_model),  # Admins only, who see every team
    "model_offered": Address(_offered),
    "settings_deprecation": Address(_deprecation),
    "settings_deprecation_remove": Address(_deprecation),
    "endpoint_split": Address(_endpoint, is_scoped=True),
    "job": Address(lambda world: {"kind": world.job.kind, "pk": world.job.pk}, is_scoped=True),
    "job_cancel": Address(lambda world: {"kind": world.job.kind, "pk": world.job.pk}, is_scoped=True),
    "job_estimate_answer": Address(lambda world: {"public_id": world.estimate.public_id}, is_scoped=True),
    "file": Address(lambda world: {"pk": world.file.pk}, is_scoped=True),
    "cluster": Address(lambda world: {"pk": world.cluster.pk}, is_scoped=True),
    "cluster_scale": Address(lambda world: {"pk": world.cluster.pk}, is_scoped=True),
    "cluster_delete": Address(lambda world: {"pk": world.cluster.pk}, is_scoped=True),
    "volume": Address(lambda world: {"pk": world.volume.pk}, is_scoped=True),
    "volume_resize": Address(lambda world: {"pk": world.volume.pk}, is_scoped=True),
    "volume_delete": Address(lambda world: {"pk": world.volume.pk}, is_scoped=True),
    "container": Address(lambda world: {"pk": world.container.pk}, is_scoped=True),
    "container_stop": Address(lambda world: {"pk": world.container.pk}, is_scoped=True),
    "rl_resource": Address(lambda world: {"pk": world.rl_resource.pk}, is_scoped=True),
    "rl_stop": Address(lambda world: {"pk": world.rl_resource.pk}, is_scoped=True),
    "rl_session": Address(lambda world: {"pk": world.rl_session.pk}, is_scoped=True),
    "resource_events": Address(lambda world: {"pk": world.job.pk}, is_scoped=True),
    "resource_raw": Address(lambda world: {"pk": world.job.pk}, is_scoped=True),
    "action": Address(_action, is_scoped=True),
    "action_send_again": Address(_action, is_scoped=True),
    "action_cancel": Address(_action, is_scoped=True),
    "action_undo": Address(lambda world: {"public_id": world.deploy.public_id}, is_scoped=True),
    "costs_prices_sku": Address(_sku),
    "costs_prices_enter": Address(_sku),
    "costs_prices_discount": Address(_sku),
    "costs_prices_end": Address(lambda world: {"pk": world.price.pk}),
    "costs_prices_discount_end": Address(lambda world: {"pk": world.discount.pk}),
    "costs_owners_rule": Address(_rule),
    "costs_owners_rule_move": Address(_rule),
    "costs_owners_rule_retire": Address(_rule),
    "costs_owner": Address(_meter, is_scoped=True),
    "costs_owner_assign": Address(_meter, is_scoped=True),
    "costs_owner_tag": Address(_meter, is_scoped=True),
    "costs_owner_split": Address(_meter, is_scoped=True),
    "costs_owner_split_end": Address(_meter, is_scoped=True),
    "sign_in_link": Address(lambda world: {"token": "no-such-token"}),
    "account_reset_password_from_key": Address(lambda world: {"uidb36": "1", "key": "no-such-key"}),
    "settings_connection": Address(_connection),
    "settings_connection_rename": Address(_connection),
    "settings_connection_replace_key": Address(_connection),
    "settings_connection_test": Address(_connection),
    "settings_connection_enable": Address(_connection),
    "settings_connection_disable": Address(_connection),
    "settings_connection_delete": Address(_connection),
    "settings_user": Address(_subject),
    "settings_user_link": Address(_subject),
    "settings_user_activate": Address(_subject),
    "settings_user_deactivate": Address(_subject),
    "settings_team": Address(_team),
    "settings_team_delete": Address(_team),
    "settings_project_team": Address(lambda world: {"pk": world.project.pk}),
}


@dataclass(frozen=True)
class Act:
    """A valid form for a route, and what must be so before it is sent."""

    form: Callable[[World], dict[str, Any]] = lambda world: {}
    prepare: Callable[[World], None] = lambda world: None
    # The simulated provider must answer.
    needs_provider: bool = False


def _forget_password(world: World) -> None:
    admin = world.people["admin"]
    admin.set_unusable_password()
    admin.save(update_fields=["password"])
    world.clients.pop("admin", None)


def _forget_organization(world: World) -> None:
    # The simulator's organisation has an id of its own.
    type(world.connection).objects.filter(pk=world.connection.pk).update(organization_id="")


def _use_a_connection_without_receipts(world: World) -> None:
    world.connection = factories.make_connection()


def _make_unowned_project(world: World) -> None:
    factories.make_project(connection=world.connection, name="Lonely")


def _key(world: World) -> dict[str, Any]:
    return {"key": str(uuid.uuid4())}


def _bounds(world: World) -> dict[str, Any]:
    return _key(world) | {"deployment": world.deployment.pk, "min_replicas": 2, "max_replicas": 3}


def _stop_deployment(world: World) -> None:
    type(world.deployment).objects.filter(pk=world.deployment.pk).update(
        state="DEPLOYMENT_STATE_STOPPED", ready_replicas=0, billable_low=0, billable_high=0
    )


def _offer_model(world: World) -> None:
    hardware = factories.make_hardware(connection=world.connection)
    model_factories.make_config(model=world.offered, hardware=hardware, remote_id="cr_sample")


def _deployment(world: World) -> dict[str, Any]:
    return _key(world) | {
        "model": "Qwen/Qwen3-32B",
        "project": world.project.pk,
        "endpoint": "new",
        "endpoint_name": "brand-new",
        "inactive_timeout": 60,
        "config": "cr_sample",
        "min_replicas": 1,
        "max_replicas": 1,
        "weight": 1,
    }


def _entry(model: str) -> dict[str, Any]:
    return {"model": model, "removal_on": "2027-01-01", "source": "their letter"}


def _know_region(world: World) -> None:
    compute_factories.make_region(connection=world.connection, name="us-central-8")


def _volume(world: World) -> dict[str, Any]:
    return _key(world) | {
        "name": "fresh-volume",
        "project": world.project.pk,
        "region": "us-central-8",
        "size_tib": 3,
    }


def _saved_budget(world: World) -> dict[str, Any]:
    return {
        "step": "save",
        "name": "Search, this month",
        "scope": "team",
        "team": world.team.pk,
        "cycle": "monthly",
        "amount": "70000",
        "percent_1": "80",
    } | {
        f"{name}_{number}": value
        for number in range(1, 7)
        for name, value in (("basis", "actual"), ("action", "notify"))
    }


def _switch_budget_off(world: World) -> None:
    Budget.objects.filter(pk=world.budget.pk).update(is_enabled=False)


def _add_rule_below(world: World) -> None:
    OwnershipRule.objects.create(name="rest", position=2, team=world.team, team_name=world.team.name)


def _split_meter(world: World) -> None:
    CostSplit.objects.create(meter=world.meter, method=CostSplit.Method.USAGE, valid_from=timezone.now())


def _saved_rule(world: World) -> dict[str, Any]:
    return {"step": "save", "name": "mine", "team": world.team.pk}


FORMS: dict[str, Act] = {
    "costs_statement_close": Act(),
    "costs_report_add": Act(
        lambda world: {
            "name": "Month",
            "frequency": "monthly",
            "format": "days",
            "file": "csv",
            "basis": "estimate",
            "grain": "hour",
            "recipients": "books@example.com",
        }
    ),
    "costs_report_run": Act(),
    "costs_report_enable": Act(),
    "costs_report_disable": Act(),
    "costs_report_delete": Act(),
    "budget_add": Act(_saved_budget),
    "budget_change": Act(_saved_budget),
    "budget_enable": Act(prepare=_switch_budget_off),
    "budget_disable": Act(),
    "budget_confirm_prices": Act(),
    "costs_prices_enter": Act(lambda world: {"amount": "3.5", "note": "quote"}),
    "costs_prices_discount": Act(lambda world: {"percent": "10", "note": "frame"}),
    "costs_prices_end": Act(),
    "costs_prices_discount_end": Act(),
    "costs_rules": Act(
        lambda world: {
            "reporting_zone": "Europe/Berlin",
            "rounding": "exact",
            "idle_after_minutes": 20,
            "unexplained": "5",
        }
    ),
    "costs_owners_rule_add": Act(_saved_rule),
    "costs_owners_rule": Act(_saved_rule),
    "costs_owners_rule_move": Act(lambda world: {"direction": "down"}, _add_rule_below),
    "costs_owners_rule_retire": Act(),
    "costs_owner_assign": Act(lambda world: {"team": world.team.pk, "since": "now"}),
    "costs_owner_tag": Act(lambda world: {"tags": "env=prod"}),
    "costs_owner_split": Act(
        lambda world: {"method": "usage", "teams": [world.team.pk, world.other_team.pk]}
    ),
    "costs_owner_split_end": Act(prepare=_split_meter),
    "costs_unowned_claim": Act(lambda world: {"team": world.team.pk, "only": world.unowned.pk}),
    "endpoints_stop": Act(lambda world: _key(world) | {"endpoint": [world.endpoint.pk]}),
    "endpoint_stop": Act(_key),
    "endpoint_start": Act(_bounds, _stop_deployment),
    "endpoint_scale": Act(_bounds),
    "endpoint_delete": Act(_key, _stop_deployment),
    "endpoint_configure": Act(_bounds),
    "endpoint_split": Act(lambda world: _key(world) | {f"weight_{world.deployment.pk}": 1}),
    "deploy": Act(_deployment, _offer_model),
    "model_upload": Act(
        lambda world: (
            _key(world)
            | {
                "project": world.project.pk,
                "model_name": "imported",
                "model_type": "model",
                "base_model": "Qwen/Qwen3-32B",
                "remote_url": "acme/imported",
            }
        )
    ),
    "model_delete": Act(_key),
    "settings_deprecations": Act(lambda world: _entry("acme/newer")),
    "settings_deprecation": Act(lambda world: _entry("acme/old")),
    "settings_deprecation_remove": Act(),
    "job_cancel": Act(_key),
    "cluster_scale": Act(lambda world: _key(world) | {"gpus": 24}),
    "cluster_delete": Act(_key),
    "volume_create": Act(_volume, _know_region),
    "volume_resize": Act(lambda world: _key(world) | {"size_tib": 3}),
    "volume_delete": Act(_key),
    "container_stop": Act(_key),
    "rl_stop": Act(_key),
    "action_send_again": Act(),
    "action_cancel": Act(),
    "action_undo": Act(_key),
    "account_logout": Act(),
    "account_change_password": Act(
        lambda world: {
            "oldpassword": factories.PASSWORD,
            "password1": NEW_PASSWORD,
            "password2": NEW_PASSWORD,
        }
    ),
    "account_set_password": Act(
        lambda world: {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}, _forget_password
    ),
    "settings_you": Act(lambda world: {"name": "Ada"}),
    "settings_sessions_end": Act(),
    "settings_connection_add": Act(
        lambda world: {"name": "Second", "api_key": "second-key"}, needs_provider=True
    ),
    "settings_connection_rename": Act(lambda world: {"name": "Renamed"}),
    "settings_connection_replace_key": Act(
        lambda world: {"api_key": "second-key"}, _forget_organization, needs_provider=True
    ),
    "settings_connection_test": Act(needs_provider=True),
    "settings_connection_enable": Act(),
    "settings_connection_disable": Act(),
    "settings_connection_delete": Act(prepare=_use_a_connection_without_receipts),
    "settings_user_invite": Act(lambda world: {"email": "new@example.com", "role": "viewer"}),
    "settings_user": Act(lambda world: {"name": "Sub", "role": "operator", "teams": [world.team.pk]}),
    "settings_user_link": Act(),
    "settings_user_activate": Act(),
    "settings_user_deactivate": Act(),
    "settings_teams": Act(lambda world: {"name": "Brand new"}),
    "settings_teams_from_projects": Act(prepare=_make_unowned_project),
    "settings_team": Act(lambda world: {"name": "Search and more"}),
    "settings_team_delete": Act(),
    "settings_project_team": Act(lambda world: {"team": world.other_team.pk}),
}
