"""Seed the list of deprecated models with the provider's page of 2025-11-08; the rows are an Admin's from then on."""

import csv
from datetime import date
from pathlib import Path

from django.db import migrations

LIST = Path(__file__).resolve().parents[1] / "data" / "model-deprecations-2025.csv"
SOURCE = "the provider's deprecations page, read 2025-11-08"
BATCH_ROWS = 500


def seed(apps, schema_editor):
    """Add what the list does not have yet; a name listed twice keeps its last removal."""
    with LIST.open(encoding="utf-8", newline="") as lines:
        newest = {
            line["model"]: line for line in sorted(csv.DictReader(lines), key=lambda one: one["removal_on"])
        }
    rows = [read_row(apps, line) for line in newest.values()]
    apps.get_model("mirror", "ModelDeprecation").objects.bulk_create(
        rows, batch_size=BATCH_ROWS, ignore_conflicts=True
    )


def read_row(apps, line):
    """The last column says Yes, No (also "coming soon"), or what takes the model's place."""
    answer = line["dedicated_endpoint_or_replacement"].strip()
    is_possible = True if answer == "Yes" else False if answer.startswith("No") else None
    return apps.get_model("mirror", "ModelDeprecation")(
        model=line["model"],
        removal_on=date.fromisoformat(line["removal_on"]),
        replacement=answer if is_possible is None else "",
        is_dedicated_possible=is_possible,
        source=SOURCE,
    )


def unseed(apps, schema_editor):
    """Remove what still is as it was seeded: an Admin's own entries name another source."""
    apps.get_model("mirror", "ModelDeprecation").objects.filter(source=SOURCE).delete()


class Migration(migrations.Migration):
    dependencies = [("mirror", "0006_model_configs")]

    operations = [migrations.RunPython(seed, unseed)]
