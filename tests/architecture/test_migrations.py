"""No migration takes away what the release before it still uses (docs/operations.md, "Upgrade")."""

import pytest
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.migrations import operations as ops
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ModelState, ProjectState

from tests.architecture.expand_contract import find_breaks

OURS = {"core", "accounts", "mirror", "billing", "lifecycle"}
# The number of each app's last migration in the last release: up to there nothing older runs beside it. 0.1.0 is not
# out yet, so whoever releases raises these to what the release holds.
BASELINE = {"accounts": 2, "core": 1, "lifecycle": 2, "mirror": 4}
# Migrations that break the rule all the same: "app.name" -> why the old code does not stumble, in one sentence.
# The right reason is: the release before this one had stopped using it.
EXCUSED: dict[str, str] = {}

LOADER = MigrationLoader(None)


def list_new_migrations() -> list[tuple[str, str]]:
    """Return the migrations of ours that come after the baseline."""
    return sorted(
        (app, name)
        for app, name in LOADER.disk_migrations
        if app in OURS and int(name[:4]) > BASELINE.get(app, 0)
    )


@pytest.mark.parametrize(("app", "name"), list_new_migrations())
def test_the_release_before_can_work_on_the_schema_of_this_one(app: str, name: str) -> None:
    migration = LOADER.disk_migrations[app, name]
    before = LOADER.project_state((app, name), at_end=False)

    breaks = find_breaks(app, migration.operations, state=before)

    if f"{app}.{name}" in EXCUSED:
        assert breaks, f"{app}.{name} needs no excuse any more"
    else:
        assert breaks == [], (
            f"{app}.{name}: the processes of the release before still run while this is applied. Give a new column"
            " null=True or db_default, drop and rename one release after the code let go, or list it in EXCUSED."
        )


def test_every_excuse_belongs_to_a_migration_and_says_why() -> None:
    for key, reason in EXCUSED.items():
        assert tuple(key.split(".")) in LOADER.disk_migrations
        assert len(reason.split()) > 5


def make_state() -> ProjectState:
    state = ProjectState()
    fields = [
        ("id", models.BigAutoField(primary_key=True)),
        ("name", models.CharField(max_length=50)),
        ("note", models.TextField(null=True)),
        ("count", models.IntegerField()),
    ]
    state.add_model(ModelState("mirror", "Thing", fields))
    return state


BREAKING: list[tuple[Operation, str]] = [
    (ops.RemoveField("Thing", "note"), "drops the column Thing.note"),
    (ops.DeleteModel("Thing"), "drops the table of Thing"),
    (ops.RenameField("Thing", "note", "remark"), "renames the column Thing.note"),
    (ops.RenameModel("Thing", "Item"), "renames the table of Thing"),
    (ops.AlterModelTable("Thing", "items"), "renames the table of Thing"),
    # Django adds the column with its default and drops the default at once.
    (ops.AddField("Thing", "size", models.IntegerField(default=0)), "adds Thing.size"),
    (ops.AlterField("Thing", "note", models.TextField(default="")), "refuses null in Thing.note"),
    (ops.AlterField("Thing", "count", models.TextField()), "changes the type of Thing.count"),
    (ops.AlterField("Thing", "name", models.CharField(max_length=20)), "shortens Thing.name"),
    (ops.RunSQL("ALTER TABLE mirror_thing DROP COLUMN note"), "runs 'DROP COLUMN'"),
    (ops.RunSQL("alter table mirror_thing\nrename to item"), "runs 'rename'"),
    (
        ops.SeparateDatabaseAndState(database_operations=[ops.RemoveField("Thing", "note")]),
        "drops the column Thing.note",
    ),
]
HARMLESS: list[Operation] = [
    ops.AddField("Thing", "size", models.IntegerField(null=True)),
    ops.AddField("Thing", "size", models.IntegerField(db_default=0)),
    ops.AddField("Thing", "tags", ArrayField(models.TextField(), db_default=[])),
    ops.AlterField("Thing", "name", models.CharField(max_length=90)),
    ops.AlterField("Thing", "count", models.IntegerField(null=True)),
    ops.AddIndex("Thing", models.Index(fields=["name"], name="thing_name")),
    ops.CreateModel(
        "Other", [("id", models.BigAutoField(primary_key=True)), ("size", models.IntegerField())]
    ),
    ops.RunSQL("CREATE INDEX CONCURRENTLY thing_note ON mirror_thing (note)"),
    ops.SeparateDatabaseAndState(state_operations=[ops.RemoveField("Thing", "note")]),
]


@pytest.mark.parametrize(("operation", "phrase"), BREAKING, ids=lambda value: str(value)[:40])
def test_what_takes_something_away_is_found(operation: Operation, phrase: str) -> None:
    (found,) = find_breaks("mirror", [operation], state=make_state())

    assert found.startswith(phrase)


@pytest.mark.parametrize("operation", HARMLESS, ids=lambda value: str(value)[:40])
def test_what_only_adds_passes(operation: Operation) -> None:
    assert find_breaks("mirror", [operation], state=make_state()) == []


def test_a_table_made_in_the_same_migration_may_take_shape() -> None:
    operations = [
        ops.CreateModel("Other", [("id", models.BigAutoField(primary_key=True)), ("a", models.TextField())]),
        ops.AddField("Other", "size", models.IntegerField()),
        ops.RenameField("Other", "a", "b"),
    ]

    assert find_breaks("mirror", operations, state=make_state()) == []
