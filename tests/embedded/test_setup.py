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


class Machine:
    """A PATH of our own: every program that set-up may call, scripted, and a log of who was called."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        self.log = folder / "calls"
        self.log.touch()
        # Playwright as the environment's interpreter runs it: fetching, its libraries, and a start that needs both.
        self.fetched, self.libraries = folder / "fetched", folder / "libraries"
        self.python = self.add(
            "venv-python",
            f'''case "$*" in
                *install-deps*) : > "{self.libraries}" ;;
                *"playwright install chromium"*) : > "{self.fetched}" ;;
                *launch*) [ -e "{self.fetched}" ] && [ -e "{self.libraries}" ] ;;
            esac''',
        )
        monkeypatch.setenv("PATH", str(self.bin))

    def add(self, name: str, script: str) -> Path:
        program = self.bin / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >> "{self.log}"\n{script}\n')
        program.chmod(0o755)
        return program

    def add_apt(self, *, chromium: str | None, update: str = "exit 0") -> None:
        """Let apt-get install a Chromium whose start is the given script, or fail (None)."""
        made = self.bin / "chromium"
        body = (
            f"printf '#!/bin/sh\\n{chromium}\\n' > {made}; /bin/chmod +x {made}" if chromium else "exit 100"
        )
        self.add("apt-get", f'case "$*" in *update*) {update} ;; *install*) {body} ;; esac')

    def calls(self) -> list[str]:
        """Return who was called to install something, in order."""
        return [
            line
            for line in self.log.read_text().splitlines()
            if line.startswith(("apt-get", "venv-python -m"))
        ]


@pytest.fixture
def machine(setup: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return Machine(tmp_path, monkeypatch)


def test_a_chromium_that_starts_is_enough(setup: ModuleType, machine: Machine) -> None:
    machine.add("google-chrome", "exit 0")

    setup.install_chromium(machine.python)

    assert machine.calls() == []


def test_root_on_debian_gets_the_package(setup: ModuleType, machine: Machine) -> None:
    machine.add_apt(chromium="exit 0")

    setup.install_chromium(machine.python)

    assert [call.split()[-1] for call in machine.calls()] == ["update", "fonts-liberation"]
    assert setup.find_chromium() == str(machine.bin / "chromium")


def test_package_lists_that_cannot_be_read_anew_do_not_stop_the_package(
    setup: ModuleType, machine: Machine
) -> None:
    machine.add_apt(chromium="exit 0", update="exit 100")

    setup.install_chromium(machine.python)

    assert setup.find_chromium() is not None


@pytest.mark.parametrize("chromium", ["exit 1", None], ids=["a stub that does not start", "no such package"])
def test_without_a_package_that_starts_playwright_brings_its_own_with_libraries(
    setup: ModuleType, machine: Machine, chromium: str | None
) -> None:
    machine.add_apt(chromium=chromium)

    setup.install_chromium(machine.python)

    assert [call.split(" ", 1)[1] for call in machine.calls()][-2:] == [
        "-m playwright install chromium",
        "-m playwright install-deps chromium",
    ]
    assert machine.calls()[0].startswith("apt-get")


def test_who_is_not_root_gets_playwrights_own(
    setup: ModuleType, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    machine.add_apt(chromium="exit 0")
    machine.libraries.touch()

    setup.install_chromium(machine.python)
    setup.install_chromium(machine.python)

    assert machine.calls() == ["venv-python -m playwright install chromium"]


def test_a_browser_that_does_not_start_is_one_sentence(
    setup: ModuleType, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(
        setup.SetupError, match="Playwright's does not start here; install chromium and try again"
    ):
        setup.install_chromium(machine.python)


def test_a_browser_that_cannot_be_fetched_is_one_sentence(setup: ModuleType, machine: Machine) -> None:
    machine.add("venv-python", "exit 1")

    with pytest.raises(setup.SetupError, match="need Chromium and it cannot be installed"):
        setup.install_chromium(machine.python)


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
