"""Meter what is no endpoint: clusters, volumes, containers, RL resources, fine-tunes; from edges to spans. Pure.

What runs is metered as replicas of endpoints are (billing/metering_deployments.py), except that no run is rounded: how
the provider rounds there is not documented. What is paid at once is a lump: the prepaid term of a cluster, a fine-tune.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal

from billing.metering import MICROSECOND, Condition, Source, SpanDraft, free, unknown
from billing.metering_deployments import Facts, PostedPrice, meter_deployment
from billing.metering_edges import GONE, Edge, Stretch
from billing.price_book import PriceBook
from billing.resource_edges import PHASE
from billing.skus import cluster_sku
from dashboard.core import resource_states, status
from dashboard.together_api import payloads

_FINE_TUNE = "fine-tune"
_HOUR = timedelta(hours=1)
DATED = "{state}: {units} by the phases that the provider dates."
NOT_YET = "Not there yet at the look before the first that shows it."
REFUNDED = "Failed: the provider refunds all of it."
LOST = "It was gone before its end was seen: whether it was charged is not told."


@dataclass(frozen=True, slots=True)
class Life:
    """What is known of a resource that runs. `unit` is what is counted (GPU, TiB, set); `blind` as in Facts."""

    edges: Sequence[Edge]
    unit: str
    created_at: datetime | None = None
    blind: Sequence[Stretch] = ()
    posted: Sequence[PostedPrice] = field(default=())


@dataclass(frozen=True, slots=True)
class Term:
    """A prepaid term of a cluster: paid at `at` for so many GPU-hours, None = not told how many."""

    at: datetime
    sku: str
    gpu_hours: Decimal | None
    evidence: str


@dataclass(frozen=True, slots=True)
class Job:
    """A fine-tune: `finished_at` None = it goes on, `gone_at` None = it is listed still, `seen_at` = last content."""

    state: str
    created_at: datetime
    seen_at: datetime
    finished_at: datetime | None = None
    total_nano_usd: int | None = None
    gone_at: datetime | None = None


def meter_resource(
    life: Life, *, prices: PriceBook, now: datetime, since: datetime | None = None
) -> list[SpanDraft]:
    """Return the spans from `since` (None: from its making) on; the last one goes on. Empty when nothing is known."""
    facts = Facts(
        edges=life.edges,
        created_at=life.created_at,
        blind=life.blind,
        ceiling=max((edge.high for edge in life.edges), default=0),
        posted=life.posted,
    )
    spans = meter_deployment(facts, prices=prices, now=now, since=since)
    return [_name(span, life.unit) for span in spans]


def _name(span: SpanDraft, unit: str) -> SpanDraft:
    if span.source != PHASE or span.condition == Condition.UNKNOWN:
        return span
    if not span.state:
        return replace(span, evidence=NOT_YET)
    low, high = span.units_low, span.units_high
    units = f"{high} {unit}" if low == high else f"{low} to {high} {unit}"
    return replace(span, evidence=DATED.format(state=span.state, units=units))


def read_term(body: payloads.Cluster) -> Term | None:
    """Return the prepaid term of a cluster that has been Ready; None when nothing is prepaid or it has not begun.

    The term begins at Ready and is not refunded (contract section 2). A term that was moved counts whole from its
    beginning, since nobody tells when the rest was paid.
    """
    gpus = body.num_reserved_gpus or 0
    ready_at = body.first_ready_at or min(
        (
            one.transition_time
            for one in body.phase_transitions
            if one.transition_time and resource_states.spell_cluster_phase(one.phase) == "Ready"
        ),
        default=None,
    )
    if not gpus or ready_at is None:
        return None
    hours = Decimal(body.duration_hours or 0)
    if body.reservation_start_time and body.reservation_end_time:
        length = body.reservation_end_time - body.reservation_start_time
        hours = max(hours, Decimal(length // MICROSECOND) / Decimal(_HOUR // MICROSECOND))
    told = f"{gpus} GPUs prepaid for {hours.normalize():f} h, from Ready on, not refunded."
    return Term(
        ready_at,
        cluster_sku(body.gpu_type, is_reserved=True),
        hours * gpus if hours else None,
        told if hours else f"{gpus} GPUs prepaid, for how long is not told.",
    )


def charge_term(term: Term, *, prices: PriceBook) -> SpanDraft:
    """Return the lump of a prepaid term; at an unknown price, or for an unknown time, it is unpriced."""
    step = prices.at(term.sku, term.at)
    nano = step.nano if term.gpu_hours is not None else None
    lump = 0
    if nano is not None and term.gpu_hours is not None:
        lump = int((nano * term.gpu_hours).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))
    return SpanDraft(
        term.at,
        term.at + MICROSECOND,
        Condition.BILLS.value,
        Source.PHASE.value,
        state="Ready",
        sku=term.sku,
        list_nano_usd_per_hour=step.list_nano,
        nano_usd_per_hour=nano,
        price_source=step.source,
        lump_nano_usd=lump,
        evidence=term.evidence,
    )


def insert_lump(spans: Sequence[SpanDraft], lump: SpanDraft) -> list[SpanDraft]:
    """Return the spans with the microsecond of the lump given to it; spans that begin after it stay as they are.

    Where the cost of a span has bounds, the lump takes its first microsecond: only so are the bounds sure to hold.
    """
    found: list[SpanDraft] = []
    for span in spans:
        if not (span.start <= lump.start and (span.end is None or lump.start < span.end)):
            found.append(span)
            continue
        at = span.start if span.bound_low is not None or span.bound_high is not None else lump.start
        if span.start < at:
            found.append(replace(span, end=at, rounding_us=0, end_earliest=None, end_latest=None))
        found.append(replace(lump, start=at, end=at + MICROSECOND))
        if span.end is None or at + MICROSECOND < span.end:
            low = None if span.bound_low is None else max(0, span.bound_low - span.rate_high)
            found.append(
                replace(
                    span,
                    start=at + MICROSECOND,
                    start_earliest=None,
                    start_latest=None,
                    bound_low=low,
                )
            )
    return found


def meter_fine_tune(job: Job) -> list[SpanDraft]:
    """Return the spans of a fine-tune: nothing while it runs, the provider's own total when it ends.

    Completed and cancelled jobs pay for their steps, at least the minimum that is in the total; failed ones are
    refunded in full (contract section 2).
    """
    meaning = resource_states.read_state(_FINE_TUNE, job.state)
    source = Source.PHASE.value
    if job.finished_at is None:
        if job.gone_at is None:
            return [
                free(job.created_at, None, state=job.state, source=source, evidence="Charged at its end.")
            ]
        seen_at = min(max(job.seen_at, job.created_at + MICROSECOND), job.gone_at)
        spans = [
            free(job.created_at, seen_at, state=job.state, source=source, evidence="Charged at its end.")
        ]
        spans += [unknown(seen_at, job.gone_at, evidence=LOST)] if seen_at < job.gone_at else []
        return [*spans, free(job.gone_at, None, state=GONE, source=Source.POLL.value)]
    at = max(job.finished_at, job.created_at + MICROSECOND)
    runs = free(job.created_at, at, state=job.state, source=source, evidence="Charged at its end.")
    if meaning is status.FAILED:
        return [runs, free(at, None, state=job.state, source=source, evidence=REFUNDED)]
    if job.total_nano_usd == 0:
        told = f"{job.state}: the provider's total is nothing."
        return [runs, free(at, None, state=job.state, source=source, evidence=told)]
    charge = SpanDraft(
        at,
        at + MICROSECOND,
        Condition.BILLS.value,
        source,
        state=job.state,
        lump_nano_usd=job.total_nano_usd or 0,
        price_source="The provider's own total." if job.total_nano_usd else "",
        evidence=f"{job.state}: the provider's total of the job.",
    )
    return [runs, charge, free(at + MICROSECOND, None, state=job.state, source=source)]


def cut_before(spans: Sequence[SpanDraft], since: datetime) -> list[SpanDraft]:
    """Return what of the spans lies from `since` on; what reaches over it begins there, its bounds are forgotten."""
    kept = [span for span in spans if span.end is None or span.end > since]
    if kept and kept[0].start < since:
        kept[0] = replace(
            kept[0], start=since, start_earliest=None, start_latest=None, bound_low=None, bound_high=None
        )
    return kept


def put_before(past: Sequence[SpanDraft], spans: Sequence[SpanDraft], *, first: datetime) -> list[SpanDraft]:
    """Return the spans with the past of the bill, which ends at `first`, in place of what nobody knew of it."""
    start = past[0].start
    before = [
        replace(span, end=min(span.end or start, start), bound_high=None)
        for span in spans
        if span.start < start and span.condition == Condition.UNKNOWN
    ]
    return [*before, *past, *cut_before(spans, first)]
