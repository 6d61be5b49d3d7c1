"""Read the organisation's Prometheus text into counters per deployment (contract section 12).

Counters restart with their pods, so the difference of two snapshots is taken per series (`count_increases`), never
of sums. Units: requests and tokens; nothing here is a rate.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client.parser import text_string_to_metric_families

Measure = Literal["requests", "failed_requests", "input_tokens", "output_tokens"]

# Per measure the names in order of preference: the edge counts what callers sent, router and worker what reached
# them. Per deployment only the first name that occurs is counted, else each request would count up to three times.
_REQUEST_NAMES: Final = (
    "edge_inference_requests_total",
    "router_inference_requests_total",
    "worker_inference_request_total",
)
_TOKEN_NAMES: Final = ("router_token_count", "router_token_count_total", "worker_token_total")
_INFLIGHT_NAMES: Final = ("edge_inference_inflight_requests", "router_inference_inflight_requests")
_WANTED_NAMES: Final = (*_REQUEST_NAMES, *_TOKEN_NAMES, *_INFLIGHT_NAMES)

# The label's values are not documented; both usual vocabularies are read.
_TOKEN_MEASURES: Final[dict[str, Measure]] = {
    "input": "input_tokens",
    "prompt": "input_tokens",
    "output": "output_tokens",
    "completion": "output_tokens",
    "generation": "output_tokens",
    "generated": "output_tokens",
}
FIRST_FAILING_STATUS: Final = 400
_SAMPLE_LINE: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\s*[{\s]")


@dataclass(frozen=True, slots=True)
class CounterSeries:
    """One counter of one pod: `key` names it across snapshots (metric name and all labels, sorted)."""

    key: str
    deployment_id: str
    measure: Measure
    value: float


@dataclass(frozen=True, slots=True)
class DeploymentCounters:
    """Sums over the series of one deployment since its pods started; None = no such series in the text.

    `inflight_requests` is a gauge: requests in flight at scrape time.
    """

    deployment_id: str
    endpoint_id: str | None
    project_id: str | None
    requests_total: int | None = None
    failed_requests_total: int | None = None
    input_tokens_total: int | None = None
    output_tokens_total: int | None = None
    inflight_requests: int | None = None


@dataclass(frozen=True, slots=True)
class TrafficIncrease:
    """What one deployment did between two snapshots; counts."""

    requests: int = 0
    failed_requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class MetricsSnapshot:
    """One scrape: per-pod counter series and per-deployment sums. Both empty when nothing had recent traffic."""

    series: tuple[CounterSeries, ...]
    deployments: Mapping[str, DeploymentCounters]

    @property
    def values(self) -> dict[str, float]:
        """Counter values by series key: plain JSON, keep it as `previous` for the next `count_increases`."""
        return {series.key: series.value for series in self.series}


@dataclass(frozen=True, slots=True)
class _Sample:
    name: str
    labels: Mapping[str, str]
    value: float


def parse_metrics(text: str) -> MetricsSnapshot:
    """Return the snapshot in a text exposition; raises ValueError when it is something else (an HTML page, say)."""
    by_deployment: dict[str, list[_Sample]] = {}
    for sample in _read_samples(text):
        deployment_id = sample.labels.get("deployment_id")
        if deployment_id:
            by_deployment.setdefault(deployment_id, []).append(sample)
    series: list[CounterSeries] = []
    deployments: dict[str, DeploymentCounters] = {}
    for deployment_id, samples in by_deployment.items():
        counted = _choose_series(deployment_id, samples)
        series.extend(counted)
        deployments[deployment_id] = _sum_up(deployment_id, samples, counted)
    return MetricsSnapshot(series=tuple(series), deployments=deployments)


def count_increases(current: MetricsSnapshot, *, previous: Mapping[str, float]) -> dict[str, TrafficIncrease]:
    """Return what each deployment of `current` did since `previous` (the `values` of an earlier snapshot).

    A series that shrank has restarted: its whole value is new. A series unseen before counts in full too: its pod
    is new, or its past is unknown, and an idle proof may rather see too much traffic than too little. Keep the
    values of series that vanished (an idle deployment leaves the text), else their return counts again.
    """
    sums: dict[str, Counter[Measure]] = {}
    for series in current.series:
        before = previous.get(series.key, 0.0)
        increase = series.value - before if series.value >= before else series.value
        sums.setdefault(series.deployment_id, Counter())[series.measure] += round(increase)
    return {
        deployment_id: TrafficIncrease(
            requests=measures["requests"],
            failed_requests=measures["failed_requests"],
            input_tokens=measures["input_tokens"],
            output_tokens=measures["output_tokens"],
        )
        for deployment_id, measures in sums.items()
    }


def _read_samples(text: str) -> Iterable[_Sample]:
    # Histogram buckets are most of the text; the parser is pure Python and only gets the lines that are needed.
    lines = text.splitlines()
    first = next((line for line in lines if line.strip() and not line.startswith("#")), None)
    if first is not None and _SAMPLE_LINE.match(first) is None:
        raise ValueError("the first line is no sample")
    lines = [line for line in lines if line.startswith(_WANTED_NAMES)]
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        for sample in family.samples:
            if sample.name in _WANTED_NAMES and sample.value == sample.value:  # not NaN
                yield _Sample(name=sample.name, labels=sample.labels, value=float(sample.value))


def _choose_series(deployment_id: str, samples: list[_Sample]) -> list[CounterSeries]:
    present = {sample.name for sample in samples}
    request_name = next((name for name in _REQUEST_NAMES if name in present), None)
    token_name = next((name for name in _TOKEN_NAMES if name in present), None)
    chosen: list[CounterSeries] = []
    for sample in samples:
        measures: list[Measure] = []
        if sample.name == request_name:
            measures.append("requests")
            if _is_failure(sample.labels.get("status_code", "")):
                measures.append("failed_requests")
        elif sample.name == token_name:
            token_measure = _TOKEN_MEASURES.get(sample.labels.get("token_type", "").lower())
            if token_measure is not None:
                measures.append(token_measure)
        key = _series_key(sample)
        chosen.extend(
            CounterSeries(
                key=f"{measure}|{key}", deployment_id=deployment_id, measure=measure, value=sample.value
            )
            for measure in measures
        )
    return chosen


def _sum_up(deployment_id: str, samples: list[_Sample], counted: list[CounterSeries]) -> DeploymentCounters:
    def total(measure: Measure) -> int | None:
        values = [series.value for series in counted if series.measure == measure]
        return round(sum(values)) if values else None

    present = {sample.name for sample in samples}
    inflight_name = next((name for name in _INFLIGHT_NAMES if name in present), None)
    inflight = [sample.value for sample in samples if sample.name == inflight_name]
    requests = total("requests")
    return DeploymentCounters(
        deployment_id=deployment_id,
        endpoint_id=_first_label(samples, "endpoint_id"),
        project_id=_first_label(samples, "owner_project_id"),
        requests_total=requests,
        failed_requests_total=None if requests is None else total("failed_requests") or 0,
        input_tokens_total=total("input_tokens"),
        output_tokens_total=total("output_tokens"),
        inflight_requests=round(sum(inflight)) if inflight else None,
    )


def _first_label(samples: list[_Sample], label: str) -> str | None:
    return next((sample.labels[label] for sample in samples if sample.labels.get(label)), None)


def _series_key(sample: _Sample) -> str:
    labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
    return f"{sample.name}{{{labels}}}"


def _is_failure(status_code: str) -> bool:
    return status_code[:3].isdigit() and int(status_code[:3]) >= FIRST_FAILING_STATUS
