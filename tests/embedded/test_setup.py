"""The set-up of a machine: nothing to do is quick and silent, and what is missing is one sentence."""

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

BASE = Path(__file__).resolve().parents[2]


@pytest.fixture
def setup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return tools/setup.py over an empty folder that holds this tree's requirement and lock files."""
    spec = importlib.util.spec_from_file_location("setup_under_test", BASE / "tools" / "setup.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for name in (
        "requirements.txt",
        "requirements-dev.txt",
        "requirements-node.txt",
        "package.json",
        "package-lock.json",
    ):
        (tmp_path / name).write_bytes((BASE / name).read_bytes())
    monkeypatch.setattr(module, "BASE", tmp_path)
    monkeypatch.setattr(module, "TOOLS", tmp_path / ".tools")
    # No registry answers: what is not there cannot be fetched.
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    return module


def test_a_second_set_up_does_nothing_and_says_nothing(tmp_path: Path) -> None:
    copy = tmp_path / "a copy"
    subprocess.run(["git", "clone", "--quiet", "--depth", "1", BASE.as_uri(), str(copy)], check=True)
    (copy / "node_modules").symlink_to(BASE / "node_modules")
    command = [sys.executable, str(copy / "tools" / "setup.py"), "run"]
    environment = {**os.environ, "VENV": sys.prefix}
    subprocess.run(command, env=environment, check=True, capture_output=True, cwd="/")

    began_at = time.monotonic()
    again = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, cwd="/")

    assert again.stdout == ""
    assert time.monotonic() - began_at < 2


def test_missing_node_that_cannot_be_fetched_is_named(
    setup: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(setup.SetupError, match="Node 20 or newer is needed for the front-end packages"):
        setup.find_npm(Path(sys.executable))


def test_an_old_node_is_not_used(setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, says in (("node", "v18.19.0"), ("npm", "9.2.0")):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\necho {says}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    with pytest.raises(setup.SetupError, match="Node 20 or newer"):
        setup.find_npm(Path(sys.executable))


def test_changed_pins_are_installed_and_failure_is_named(
    setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An environment that looks as if it had been installed from other pins, over a name that no index can give.
    monkeypatch.setattr(setup, "VENV", tmp_path)
    (tmp_path / ".stamp-run").write_text("older")
    digest = "0" * 64
    (tmp_path / "requirements.txt").write_text(f"not-a-package-of-ours==1 --hash=sha256:{digest}\n")

    with pytest.raises(setup.SetupError, match="The Python packages cannot be installed"):
        setup.install_requirements(Path(sys.executable), with_tools=False)

    assert (tmp_path / ".stamp-run").read_text() == "older"


def test_every_pin_has_a_hash_and_no_file_names_an_index() -> None:
    for path in BASE.glob("requirements*.txt"):
        lines = path.read_text().splitlines()
        pins = [line for line in lines if "==" in line and not line.lstrip().startswith("#")]
        assert pins
        assert all(line.endswith("\\") for line in pins), path.name
        assert not [
            line for line in lines if line.startswith(("-i", "--index", "--extra-index", "--find-links"))
        ]
