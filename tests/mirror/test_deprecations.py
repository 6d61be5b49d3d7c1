"""The list of deprecated models: seeded once, kept by an Admin, every change audited."""

import importlib
from datetime import date

import pytest
from django.apps import apps

from dashboard.accounts.audit import Actor
from dashboard.accounts.models import AuditEvent
from dashboard.mirror import deprecations
from dashboard.mirror.deprecations import Entry, ListedAlreadyError
from dashboard.mirror.models import ModelDeprecation
from tests import model_factories

seeding = importlib.import_module("dashboard.mirror.migrations.0007_seed_deprecations")
pytestmark = pytest.mark.django_db
ENTRY = Entry("acme/old", date(2026, 12, 1), "acme/new", None, "acme's letter")
ADMIN = Actor.for_process("test")


@pytest.fixture(autouse=True)
def empty_list(db: None) -> None:
    ModelDeprecation.objects.all().delete()


def test_the_seed_reads_yes_no_and_replacement():
    seeding.seed(apps, None)

    rows = ModelDeprecation.objects.in_bulk(field_name="model")
    assert len(rows) == 136  # 138 lines, two models are listed twice
    assert rows["Qwen/Qwen2-72B-Instruct"].is_dedicated_possible is True
    assert rows["perplexity-ai/r1-1776"].is_dedicated_possible is False
    replaced = rows["qwen-qwen2-5-14b-instruct-lora"]
    assert (replaced.replacement, replaced.is_dedicated_possible) == (
        "meta-llama/Meta-Llama-3.1-8B-Instruct-lora",
        None,
    )
    assert replaced.removal_on == date(2025, 6, 19)


def test_undoing_the_seed_keeps_what_an_admin_wrote_and_doing_it_again_too():
    seeding.seed(apps, None)
    deprecations.add_deprecation(ENTRY, actor=ADMIN)
    changed = ModelDeprecation.objects.get(model="perplexity-ai/r1-1776")
    own = Entry(changed.model, date(2027, 1, 1), "", False, "our own reading")
    deprecations.change_deprecation(changed.pk, own, actor=ADMIN)

    seeding.unseed(apps, None)
    assert set(ModelDeprecation.objects.values_list("model", flat=True)) == {"acme/old", changed.model}
    seeding.seed(apps, None)

    assert ModelDeprecation.objects.get(model=changed.model).removal_on == date(2027, 1, 1)


def test_adding_changing_and_removing_are_audited():
    row = deprecations.add_deprecation(ENTRY, actor=ADMIN)
    later = Entry("acme/old", date(2027, 2, 1), "", True, "acme's second letter")
    deprecations.change_deprecation(row.pk, later, actor=ADMIN)
    deprecations.change_deprecation(row.pk, later, actor=ADMIN)
    deprecations.remove_deprecation(row.pk, actor=ADMIN)

    events = AuditEvent.objects.order_by("action").values_list("action", "target_label")
    assert list(events) == [
        ("deprecation.added", "acme/old"),
        ("deprecation.changed", "acme/old"),
        ("deprecation.removed", "acme/old"),
    ]
    assert not ModelDeprecation.objects.exists()


def test_a_model_is_listed_once():
    deprecations.add_deprecation(ENTRY, actor=ADMIN)
    other = deprecations.add_deprecation(Entry("b", date(2026, 1, 1), "", None, "s"), actor=ADMIN)

    with pytest.raises(ListedAlreadyError):
        deprecations.add_deprecation(ENTRY, actor=ADMIN)
    with pytest.raises(ListedAlreadyError):
        deprecations.change_deprecation(other.pk, ENTRY, actor=ADMIN)

    assert AuditEvent.objects.count() == 2


def test_the_catalogues_own_mark_counts_too():
    model_factories.make_catalogue_model(name="acme/marked", support="DEPRECATED")
    model_factories.make_catalogue_model(name="acme/fine", support="SUPPORTED")
    deprecations.add_deprecation(ENTRY, actor=ADMIN)

    found = deprecations.load_deprecations()

    assert found.find("acme/marked") is not None
    assert found.find("acme/fine") is None
    assert found.find("acme-old").replacement == "acme/new"
