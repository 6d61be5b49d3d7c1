"""Time to read 10,000 deployment bodies, as ratios to decoding the same JSON: `python -m bench.payloads`.

Three steps of the mirror: look for secrets, hash every item, and parse every item (only changed ones in practice).
"""

import gc
import time
from collections.abc import Callable
from typing import Any

import orjson

from dashboard.together_api.payloads import Deployment, fingerprint
from dashboard.together_api.redaction import may_hold_secrets

ITEM_COUNT = 10_000
ROUNDS = 5


def build_body() -> bytes:
    """Return a list body with full deployments, as large as real ones."""
    deployment = {
        "projectId": "proj_4Kq9prod",
        "endpointId": "ep_8mZq2",
        "name": "acme-prod/support-bot/qwen-h100",
        "etag": "W1a9d0",
        "model": "projects/proj_platform/models/ml_CbJNwQC2Zq/revisions/rv_91aLs",
        "modelId": "ml_CbJNwQC2Zq",
        "modelRevisionId": "rv_91aLs",
        "config": "projects/proj_platform/configs/cr_1",
        "configId": "cr_1",
        "hardware": "1xnvidia-h100-80gb",
        "desiredReplicas": 2,
        "inactiveTimeout": 60,
        "trafficMode": "TRAFFIC_MODE_LIVE",
        "autoscaling": {
            "minReplicas": 1,
            "maxReplicas": 3,
            "scaleDownWindow": "300s",
            "scalingMetrics": [
                {"name": "inflight_requests", "type": "METRIC_TARGET_TYPE_AVERAGE_VALUE", "target": 8}
            ],
        },
        "status": {
            "state": "DEPLOYMENT_STATE_READY",
            "message": "All replicas ready",
            "readyReplicas": 2,
            "scheduledReplicas": 2,
            "details": {"region": [{"region": "us-east-1", "readyReplicas": 2, "scheduledReplicas": 2}]},
        },
        "maxConcurrentRequestsPerReplica": "63",
        "createdAt": "2026-11-20T09:00:00Z",
        "updatedAt": "2026-11-20T09:00:00Z",
    }
    return orjson.dumps({"data": [{"id": f"dep_{index}", **deployment} for index in range(ITEM_COUNT)]})


def best_seconds(step: Callable[[], Any]) -> float:
    """Return the fastest of a few rounds in seconds, garbage collected between them."""
    seconds = []
    for _ in range(ROUNDS):
        gc.collect()
        started = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def main() -> None:
    body = build_body()
    items = orjson.loads(body)["data"]
    floor = best_seconds(lambda: orjson.loads(body))
    steps: dict[str, Callable[[], Any]] = {
        "look for secrets": lambda: may_hold_secrets(body),
        "hash": lambda: [fingerprint(item) for item in items],
        "parse": lambda: [Deployment.parse(item) for item in items],
    }
    print(f"{ITEM_COUNT} deployments, {len(body) / 1e6:.1f} MB; decoding takes {floor * 1e3:.0f} ms = 1.0")
    for name, step in steps.items():
        seconds = best_seconds(step)
        print(
            f"{name:>18}: {seconds * 1e3:5.0f} ms = {seconds / floor:.1f} ({seconds / ITEM_COUNT * 1e6:.1f} µs each)"
        )


if __name__ == "__main__":
    main()
