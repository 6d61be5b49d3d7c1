"""Analytics of an endpoint (contract 3.7); everything is optional, and a missing metric is not a zero."""

from dashboard.together_api.payloads.base import Items, Payload, Resource, Table, Timestamp


class TimeRange(Payload):
    """SDK `metrics_time_range.MetricsTimeRange`, `[start_time, end_time)`."""

    start_time: Timestamp = None
    end_time: Timestamp = None


class RequestMetrics(Payload):
    """SDK `request_metrics.RequestMetrics`; counts travel as digits in strings."""

    total_requests: int | None = None
    successful_requests: int | None = None
    failed_requests: int | None = None
    requests_per_second: float | None = None
    requests_by_status_code: Table[int] = {}


class TokenMetrics(Payload):
    """SDK `token_metrics.TokenMetrics`; totals travel as digits in strings."""

    total_input_tokens: int | None = None
    total_output_tokens: int | None = None
    avg_input_tokens: float | None = None
    avg_output_tokens: float | None = None


class LatencyMetrics(Payload):
    """SDK `latency_metrics.LatencyMetrics`, milliseconds."""

    ttft_p50_ms: float | None = None
    ttft_p90_ms: float | None = None
    ttft_p99_ms: float | None = None
    latency_p50_ms: float | None = None
    latency_p90_ms: float | None = None
    latency_p99_ms: float | None = None
    itl_p50_ms: float | None = None
    itl_p90_ms: float | None = None
    itl_p99_ms: float | None = None


class ThroughputMetrics(Payload):
    """SDK `throughput_metrics.ThroughputMetrics`."""

    tokens_per_second: float | None = None
    requests_per_second: float | None = None
    avg_batch_size: float | None = None
    avg_batch_depth: float | None = None


class ResourceUtilization(Payload):
    """SDK `resource_utilization.ResourceUtilization`."""

    gpu_utilization: float | None = None
    gpu_memory_utilization: float | None = None
    cpu_utilization: float | None = None
    memory_utilization: float | None = None
    network_bandwidth_mbps: float | None = None


class ErrorMetrics(Payload):
    """SDK `error_metrics.ErrorMetrics`; `error_rate` in percent, 0-100."""

    error_rate: float | None = None
    errors_by_type: Table[int] = {}


class MetricsOfDeployment(Payload):
    """SDK `deployment_metrics.DeploymentMetrics`."""

    deployment_id: str | None = None
    endpoint_id: str | None = None
    time_range: TimeRange | None = None
    request_metrics: RequestMetrics | None = None
    token_metrics: TokenMetrics | None = None
    latency_metrics: LatencyMetrics | None = None
    throughput_metrics: ThroughputMetrics | None = None
    resource_utilization: ResourceUtilization | None = None
    error_metrics: ErrorMetrics | None = None


class Metrics(MetricsOfDeployment):
    """SDK `endpoint_analytics_response.Metrics`: the endpoint's sums, and the same per deployment."""

    deployment_metrics: Items[MetricsOfDeployment] = ()


class TimeSeriesPoint(Payload):
    """SDK `time_series_data_point.TimeSeriesDataPoint`; series names are an open set."""

    timestamp: Timestamp = None
    values: Table[float | None] = {}


class DeploymentAnalytics(Payload):
    """SDK `endpoint_analytics_response.DeploymentAnalytics`."""

    deployment_id: str | None = None
    endpoint_id: str | None = None
    time_range: TimeRange | None = None
    metrics: MetricsOfDeployment | None = None
    time_series: Items[TimeSeriesPoint] = ()


class Analytics(Resource):
    """SDK `endpoint_analytics_response.EndpointAnalyticsResponse`; series only with include_time_series."""

    endpoint_id: str | None = None
    time_range: TimeRange | None = None
    metrics: Metrics | None = None
    time_series: Items[TimeSeriesPoint] = ()
    deployment_analytics: Items[DeploymentAnalytics] = ()
