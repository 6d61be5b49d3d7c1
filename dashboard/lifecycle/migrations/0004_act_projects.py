"""Fill the project of acts written before every act had one: visibility goes by it."""

from typing import Any

from django.db import migrations
from django.db.models import OuterRef, Subquery

# Rows a statement; every act is one row, and receipts are kept for years.
BATCH = 5_000


def fill_projects(apps: Any, schema_editor: Any) -> None:
    """Give each act without a project that of its endpoint."""
    acts = apps.get_model("lifecycle", "StopAction")
    endpoints = apps.get_model("mirror", "Endpoint")
    without = acts.objects.filter(project=None, endpoint__isnull=False).order_by("pk")
    while ids := list(without.values_list("pk", flat=True)[:BATCH]):
        project = endpoints.objects.filter(pk=OuterRef("endpoint_id")).values("project_id")
        acts.objects.filter(pk__in=ids).update(project_id=Subquery(project))


class Migration(migrations.Migration):
    dependencies = [("lifecycle", "0003_estimates")]

    # Backwards there is nothing to undo: an older version does not read the column.
    operations = [migrations.RunPython(fill_projects, migrations.RunPython.noop, elidable=True)]
