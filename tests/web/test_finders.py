"""Third-party files: only the listed ones are served, and hashing finds everything that they name."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.test import override_settings

from dashboard.web.finders import FILES, NodeModulesFinder

NODE_MODULES = Path(settings.BASE_DIR) / "node_modules"


def test_every_listed_file_is_installed() -> None:
    assert NodeModulesFinder().check() == []


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_listed_file_is_found_under_its_short_name(name: str) -> None:
    found = finders.find(name)

    assert isinstance(found, str)
    assert Path(found) == NODE_MODULES / FILES[name]


@pytest.mark.parametrize(
    "name",
    [
        "htmx.org/dist/htmx.min.js",
        "vendor/htmx.org/htmx.js",
        "vendor/../node_modules/axe-core/axe.min.js",
        "vendor/htmx.org/../../axe-core/axe.min.js",
        "axe-core/axe.min.js",
        "",
    ],
)
def test_nothing_else_under_node_modules_is_found(name: str) -> None:
    assert NodeModulesFinder().find(name) == []


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    with override_settings(BASE_DIR=tmp_path, STATIC_ROOT=tmp_path):
        [problem] = NodeModulesFinder().check()

    assert "htmx.org/dist/htmx.min.js" in problem.msg
    assert "npm ci" in str(problem.hint)


def test_collected_files_stand_in_for_packages_except_while_developing(tmp_path: Path) -> None:
    for name in FILES:
        (tmp_path / "collected" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "collected" / name).touch()

    with override_settings(BASE_DIR=tmp_path, STATIC_ROOT=tmp_path / "collected", DEBUG=False):
        in_an_image = NodeModulesFinder().check()
    with override_settings(BASE_DIR=tmp_path, STATIC_ROOT=tmp_path / "collected", DEBUG=True):
        developing = NodeModulesFinder().check()

    assert in_an_image == []
    assert [problem.id for problem in developing] == ["web.E001"]


def test_hashed_and_compressed_collection_keeps_the_budget(tmp_path: Path) -> None:
    storages = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
    }
    with override_settings(STORAGES=storages, STATIC_ROOT=tmp_path):
        call_command("collectstatic", interactive=False, verbosity=0)

    names = {path.name for path in tmp_path.rglob("*")}
    assert any(re.fullmatch(r"tabler\.min\.[0-9a-f]{12}\.css\.gz", name) for name in names)
    tokens = next(tmp_path.glob("css/tokens.????????????.css")).read_text()
    assert re.search(r"inter-latin\.[0-9a-f]{12}\.woff2", tokens)
    # JS and CSS of a page, compressed, in bytes (architecture.md, "Front end").
    sent = [path for path in tmp_path.rglob("*.gz") if re.search(r"\.[0-9a-f]{12}\.(js|css)\.gz$", path.name)]
    assert sum(path.stat().st_size for path in sent) <= 300 * 1024
