"""Let the planner know that hardly any interval is longer than a day; reader: billing/costs/slices.py."""

from django.db import migrations

FORWARD = 'CREATE STATISTICS metered_interval_length ON ("end" - start) FROM billing_meteredinterval'
BACKWARD = "DROP STATISTICS metered_interval_length"


class Migration(migrations.Migration):
    dependencies = [("billing", "0011_costs_index")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
