"""Read the bodies of a pass over endpoints: which of them the mirror does not hold yet. No query, no call."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, field, replace

from pydantic import ValidationError

from dashboard.mirror.diff import Known, compare
from dashboard.mirror.endpoint_plan import Changed, Plan, identify
from dashboard.mirror.fetch import Answer, EndpointRef
from dashboard.mirror.models import Generation
from dashboard.mirror.observations import SeenDeployment, SeenEndpoint
from dashboard.mirror.readings import (
    read_v1_deployment,
    read_v1_endpoint,
    read_v2_deployment,
    read_v2_endpoint,
)
from dashboard.mirror.runs import Tally
from dashboard.together_api import payloads
from dashboard.together_api.pagination import Listing
from dashboard.together_api.payloads.base import describe

# Deployments the mirror holds, by endpoint and own remote id.
KnownDeployments = Mapping[str, Mapping[str, Known]]


@dataclass(slots=True)
class Findings:
    """What the bodies of a pass say that the mirror does not. `missing` says whether it is the second look."""

    endpoints: list[SeenEndpoint] = field(default_factory=list)
    deployments: list[SeenDeployment] = field(default_factory=list)
    missing: dict[tuple[EndpointRef, str], bool] = field(default_factory=dict)


def read_v2_answer(
    ref: EndpointRef,
    answer: Answer[Listing[payloads.Deployment]],
    *,
    plan: Plan,
    known: KnownDeployments,
    known_endpoints: Container[str],
    tally: Tally,
    findings: Findings,
) -> None:
    """Add what the deployment listing of a v2 endpoint, and its own body if that changed, say.

    An endpoint whose deployments could not be read is not written either: its listing then still differs from the
    mirror at the next pass, and nothing is forgotten.
    """
    if answer.value is None:
        tally.report_error(answer.error)
        return
    if answer.value.incomplete_reason:
        tally.report(answer.value.incomplete_reason)
    is_known = ref.endpoint_id in known_endpoints
    changed = plan.changed.get(ref)
    endpoint = None if changed is None else _read_endpoint(ref, changed, plan.malformed)
    if endpoint is not None and answer.value.complete:
        findings.endpoints.append(endpoint)
    elif endpoint is not None and not is_known:
        # Its deployments need a row to hang on; without a fingerprint it counts as changed next time, too.
        findings.endpoints.append(replace(endpoint, fingerprint=b""))
    elif endpoint is None and not is_known:
        return
    _compare_deployments(ref, answer, answer.value, known, plan, findings)


def read_v1_bodies(
    answers: Mapping[EndpointRef, Answer[payloads.V1Endpoint]],
    *,
    plan: Plan,
    known: KnownDeployments,
    tally: Tally,
    findings: Findings,
) -> None:
    """Add what the bodies of v1 endpoints say; each is its own only deployment."""
    for ref, answer in answers.items():
        if answer.value is None:
            tally.report_error(answer.error)
            continue
        body = answer.value
        fingerprint = body.fingerprint
        changed = plan.changed.get(ref)
        if changed is not None:
            findings.endpoints.append(
                SeenEndpoint(
                    reading=read_v1_endpoint(body, project_remote_id=ref.project_id),
                    generation=Generation.V1.value,
                    raw=body.raw,
                    fingerprint=changed.item.fingerprint,
                    fetched_at=changed.fetched_at,
                )
            )
        row = known.get(ref.endpoint_id, {}).get(body.id)
        if row is None or not row.is_present or row.missing_since or row.fingerprint != fingerprint:
            findings.deployments.append(
                SeenDeployment(
                    reading=read_v1_deployment(body),
                    endpoint_remote_id=ref.endpoint_id,
                    generation=Generation.V1.value,
                    raw=body.raw,
                    fingerprint=fingerprint,
                    fetched_at=answer.fetched_at,
                    answered_at=answer.answered_at,
                )
            )


def _read_endpoint(
    ref: EndpointRef, changed: Changed, malformed: list[payloads.MalformedItem]
) -> SeenEndpoint | None:
    """Return the changed v2 endpoint, None when it cannot be read."""
    item = changed.item
    try:
        # The summaries of its deployments are not read here: an odd one must not cost the endpoint.
        body = payloads.Endpoint.parse(
            {key: value for key, value in changed.raw.items() if key != "deployments"}
        )
    except ValidationError as error:
        malformed.append(payloads.MalformedItem(raw=changed.raw, error=describe(error), id=item.remote_id))
        return None
    return SeenEndpoint(
        # The project that listed it, whatever the body says of it.
        reading=replace(read_v2_endpoint(body), project_remote_id=ref.project_id),
        generation=Generation.V2.value,
        raw=changed.raw,
        fingerprint=item.fingerprint,
        fetched_at=changed.fetched_at,
    )


def _compare_deployments(
    ref: EndpointRef,
    answer: Answer[Listing[payloads.Deployment]],
    listing: Listing[payloads.Deployment],
    known: KnownDeployments,
    plan: Plan,
    findings: Findings,
) -> None:
    """Add the deployments of one endpoint that have to be written, and those that it no longer lists."""
    diff = compare(
        known.get(ref.endpoint_id, {}),
        identify(listing, plan.malformed),
        is_complete=listing.complete,
        now=answer.fetched_at,
        # An endpoint may well lose all its deployments at once; each is asked for by id anyway.
        empty_believed_after=None,
    )
    for item in (*diff.created, *diff.updated):
        raw = listing.find(item.remote_id)
        try:
            body = payloads.Deployment.parse(raw)
        except ValidationError as error:
            plan.malformed.append(payloads.MalformedItem(raw=raw, error=describe(error), id=item.remote_id))
            continue
        findings.deployments.append(
            SeenDeployment(
                reading=read_v2_deployment(body),
                endpoint_remote_id=ref.endpoint_id,
                generation=Generation.V2.value,
                raw=body.raw,
                fingerprint=item.fingerprint,
                fetched_at=answer.fetched_at,
                answered_at=answer.answered_at,
            )
        )
    findings.missing |= {(ref, remote_id): False for remote_id in diff.newly_missing}
    findings.missing |= {(ref, remote_id): True for remote_id in diff.absent_candidates}
