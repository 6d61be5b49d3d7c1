"""What a key can see, asked of the provider and said in one sentence."""

from collections.abc import Callable
from dataclasses import dataclass

from dashboard.accounts.models import Connection
from dashboard.together_api.client import TogetherClient
from dashboard.together_api.errors import (
    ApiError,
    AuthenticationError,
    ErrorKind,
    PermissionDeniedError,
    is_not_enabled,
)
from dashboard.together_api.payloads.identity import Project, Whoami

# Seconds for one question; a person waits for five of them.
DEADLINE_SECONDS = 8.0


@dataclass(frozen=True)
class ConnectionCheck:
    """What the provider said. None means "could not be found out", never "no"."""

    health: Connection.Health
    sentence: str
    organization_id: str = ""
    organization_name: str = ""
    projects: tuple[Project, ...] = ()
    endpoint_count: int | None = None
    usage_enabled: bool | None = None
    metrics_enabled: bool | None = None

    @property
    def can_list_endpoints(self) -> bool:
        return self.endpoint_count is not None

    @property
    def is_working(self) -> bool:
        return self.health == Connection.Health.WORKING


def check_client(client: TogetherClient) -> ConnectionCheck:
    """Ask who the key is, what it sees and which betas are switched on. Five questions, none of them writes.

    Raises nothing: an error of the provider becomes the health and the sentence.
    """
    patient = client.with_options(deadline_seconds=DEADLINE_SECONDS)
    try:
        identity = patient.whoami()
        projects = _list_projects(patient, identity)
    except AuthenticationError:
        return ConnectionCheck(
            Connection.Health.REFUSED, "The provider refuses this key: it is wrong or revoked."
        )
    except ApiError as error:
        return ConnectionCheck(Connection.Health.FAILING, error.sentence)
    endpoint_count, problem = _count_endpoints(patient, projects)
    usage = _probe(lambda: patient.get_billing_usage())
    organization_id = identity.organization_id or next(
        (project.organization_id for project in projects if project.organization_id), ""
    )
    metrics = _probe(lambda: patient.get_metrics(organization_id)) if organization_id else None
    organization_name = (identity.organization.name if identity.organization else "") or next(
        (project.organization_name for project in projects if project.organization_name), ""
    )
    return ConnectionCheck(
        health=Connection.Health.WORKING if endpoint_count is not None else Connection.Health.FAILING,
        sentence=_compose_sentence(
            organization=organization_name or organization_id,
            project_count=len(projects),
            endpoint_count=endpoint_count,
            problem=problem,
            usage=usage,
            metrics=metrics,
        ),
        organization_id=organization_id,
        organization_name=organization_name,
        projects=projects,
        endpoint_count=endpoint_count,
        usage_enabled=usage,
        metrics_enabled=metrics,
    )


def _list_projects(client: TogetherClient, identity: Whoami) -> tuple[Project, ...]:
    """Return the visible projects; a key that may not list them still has its own."""
    try:
        return client.list_projects().items
    except PermissionDeniedError:
        own = identity.project
        return (Project(id=own.id, name=own.name, slug=own.slug),) if own and own.id else ()


def _count_endpoints(client: TogetherClient, projects: tuple[Project, ...]) -> tuple[int | None, str]:
    """Return the number of endpoints of both generations, or None and why they cannot be listed.

    Projects are asked one by one, as the mirror does: what it will see is what is counted.
    """
    count, problem = 0, ""
    answered = False
    for project in projects:
        try:
            count += len(client.list_endpoints(project.id).raw_items)
            answered = True
        except ApiError as error:
            problem = error.sentence
    try:
        count += len(client.list_v1_endpoints().raw_items)
        answered = True
    except ApiError as error:
        problem = problem or error.sentence
    return (count, problem) if answered else (None, problem)


def _probe(ask: Callable[[], object]) -> bool | None:
    """Tell whether a beta is switched on: True, False, or None when the answer says neither."""
    try:
        ask()
    except ApiError as error:
        if is_not_enabled(error) or error.kind == ErrorKind.DENIED:
            return False
        return None
    return True


def _compose_sentence(
    *,
    organization: str,
    project_count: int,
    endpoint_count: int | None,
    problem: str,
    usage: bool | None,
    metrics: bool | None,
) -> str:
    scope = f"organisation {organization}" if organization else "an organisation without a name"
    seen = f"Sees {scope}, {_count(project_count, 'project')}"
    if endpoint_count is None:
        return f"{seen}, but may not list endpoints. {problem}"
    words = {True: "enabled", False: "not enabled", None: "unknown (no clear answer)"}
    text = (
        f"{seen}, {_count(endpoint_count, 'endpoint')}; usage API {words[usage]}; metrics {words[metrics]}."
    )
    return f"{text} Part of it could not be listed: {problem}" if problem else text


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
