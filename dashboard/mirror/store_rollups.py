"""Write the summary columns of endpoints; a part of the mirror's store."""

from collections.abc import Iterable

from django.db import connection as database

from dashboard.mirror.models import Deployment
from dashboard.mirror.rollup import DeploymentFacts, sum_up


def refresh_rollups(endpoint_ids: Iterable[int]) -> None:
    """Recompute the summary columns of these endpoints from their present deployments. Two statements."""
    ids = sorted(endpoint_ids)
    facts: dict[int, list[DeploymentFacts]] = {endpoint_id: [] for endpoint_id in ids}
    rows = (
        Deployment.objects.filter(endpoint_id__in=ids, absent_since=None)
        .order_by("endpoint_id", "remote_created_at", "id")
        .values_list("endpoint_id", *DeploymentFacts._fields)
    )
    for endpoint_id, *values in rows:
        facts[endpoint_id].append(DeploymentFacts(*values))
    rollups = [sum_up(facts[endpoint_id]) for endpoint_id in ids]
    # One statement for any number of rows: Django's bulk_update writes a CASE per row and column.
    with database.cursor() as cursor:
        cursor.execute(
            """
            UPDATE mirror_endpoint AS endpoint
               SET status = new.status, status_since = new.status_since, model = new.model,
                   hardware = new.hardware, deployment_count = new.deployment_count,
                   ready_replicas = new.ready_replicas, desired_replicas = new.desired_replicas,
                   gpu_count = new.gpu_count, burn_low = new.burn_low, burn_high = new.burn_high,
                   unpriced_replicas = new.unpriced_replicas
              FROM unnest(%s::bigint[], %s::text[], %s::timestamptz[], %s::text[], %s::text[], %s::int[],
                          %s::int[], %s::int[], %s::int[], %s::bigint[], %s::bigint[], %s::int[])
                AS new (id, status, status_since, model, hardware, deployment_count, ready_replicas,
                        desired_replicas, gpu_count, burn_low, burn_high, unpriced_replicas)
             WHERE endpoint.id = new.id
            """,
            [
                ids,
                [rollup.status for rollup in rollups],
                [rollup.status_since for rollup in rollups],
                [rollup.model for rollup in rollups],
                [rollup.hardware for rollup in rollups],
                [rollup.deployment_count for rollup in rollups],
                [rollup.ready_replicas for rollup in rollups],
                [rollup.desired_replicas for rollup in rollups],
                [rollup.gpu_count for rollup in rollups],
                [rollup.burn_low for rollup in rollups],
                [rollup.burn_high for rollup in rollups],
                [rollup.unpriced_replicas for rollup in rollups],
            ],
        )
