"""The product as people meet it: web and enforcer as processes, the simulator behind them, real Chromium before them.

Nothing runs inside the test process but Playwright, so the tests see what a browser sees and no more.
"""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from simulator.testing import SimulatorProcess

REPOSITORY = Path(__file__).resolve().parents[2]
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
START_LIMIT_SECONDS = 60.0
PASSWORD = "correct horse battery staple"
EMAIL = "ines@example.com"
# Milliseconds that a page may take to show what happened; a stop takes about four seconds.
PATIENCE_MS = 30_000

_PREPARE = f"""
from dashboard.accounts.models import User
from dashboard.core import heartbeats
User.objects.create_user({EMAIL!r}, {PASSWORD!r}, role="admin", name="Ines Lindqvist")
from dashboard.mirror import tasks
tasks.sync_projects(); tasks.sync_hardware()
"""
_SYNC = """
from dashboard.core import heartbeats
from dashboard.mirror import tasks
tasks.sync_endpoints_task(); tasks.sync_events_task(); tasks.sync_traffic_task()
for name in ("worker-stops", "worker-sync", "beat"):
    heartbeats.beat(name)
"""


@dataclass
class Product:
    """The running product; `url` is where people open it."""

    url: str
    simulator: SimulatorProcess
    environment: dict[str, str]
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def run(self, program: str) -> None:
        """Run Python with the product's settings, as a worker would."""
        command = [sys.executable, "manage.py", "shell", "-v", "0", "-c", program]
        subprocess.run(command, cwd=REPOSITORY, env=self.environment, check=True, timeout=120)

    def sync(self) -> None:
        """Read everything from the provider once, as the workers do every 30 s."""
        self.run(_SYNC)

    def find_endpoint(self, name: str) -> dict[str, Any]:
        """Return what the provider says of an endpoint of the demo."""
        for project in self.simulator.call("GET", "/v1/projects")["data"]:
            for endpoint in self.simulator.call("GET", f"/v2/projects/{project['id']}/endpoints")["data"]:
                if endpoint["name"].endswith(f"/{name}"):
                    return endpoint
        raise LookupError(name)

    def force(self, name: str, state: str) -> None:
        """Put the first deployment of an endpoint into a state, behind the product's back."""
        deployment_id = self.find_endpoint(name)["deployments"][0]["id"]
        self.simulator.admin("POST", f"/deployments/{deployment_id}/state", state=state)

    def start(self, *command: str) -> None:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=REPOSITORY, env=self.environment, stdout=subprocess.DEVNULL
        )
        self.processes.append(process)

    def stop(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def database_url() -> Iterator[str]:
    """A database of this run's own in the tests' PostgreSQL."""
    server = os.environ["DATABASE_URL"]
    name = f"browser_{secrets.token_hex(4)}"
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"')
    yield urlunsplit(urlsplit(server)._replace(path=f"/{name}"))
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="session")
def product(database_url: str) -> Iterator[Product]:
    """The product with the demo organisation mirrored once."""
    port = find_free_port()
    with SimulatorProcess(scenario="demo", speed=600, seed=7) as simulator:
        environment = os.environ | {
            "DATABASE_URL": database_url,
            "DJANGO_SETTINGS_MODULE": "dashboard.settings",
            "SECRET_KEY": secrets.token_hex(),
            "TOGETHER_BASE_URL": simulator.url,
            "TOGETHER_INFERENCE_URL": f"{simulator.url}/v1",
            "SIMULATED": "1",
            "DEBUG": "1",
            "LOG_LEVEL": "ERROR",
        }
        running = Product(f"http://127.0.0.1:{port}", simulator, environment)
        for command in ("migrate", "bootstrap"):
            manage = [sys.executable, "manage.py", command, "-v", "0"]
            subprocess.run(manage, cwd=REPOSITORY, env=environment, check=True, timeout=120)
        running.run(_PREPARE)
        running.sync()
        running.start(
            "-m", "uvicorn", "dashboard.asgi:application", "--port", str(port),
            "--lifespan", "off", "--ws", "none", "--log-level", "error", "--timeout-graceful-shutdown", "5",
        )  # fmt: skip
        running.start("manage.py", "enforcer")
        try:
            wait_for(f"{running.url}/healthz")
            yield running
        finally:
            running.stop()


def wait_for(url: str) -> None:
    """Return when the address answers 200. Raises OSError after a minute."""
    deadline = time.monotonic() + START_LIMIT_SECONDS
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def starts(path: str) -> bool:
    """Return whether the program starts: Ubuntu has one of the name that only says where to get a snap."""
    return subprocess.run([path, "--version"], capture_output=True, check=False).returncode == 0


# Not for the session: Playwright keeps an event loop running in this thread, and every later test of the worker
# that starts one of its own would fail.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The machine's Chromium, else Playwright's own; a missing one fails with what to do."""
    system = next((path for name in CHROMIUM_NAMES if (path := shutil.which(name)) and starts(path)), None)
    with sync_playwright() as playwright:
        if system is None and not Path(playwright.chromium.executable_path).exists():
            pytest.fail("Chromium is missing: `make test` installs it, or `playwright install chromium`")
        browser = playwright.chromium.launch(executable_path=system)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def session_cookie(product: Product, chromium: Browser) -> dict[str, Any]:
    """The cookie of Ines, an Admin, who signed in with the form once."""
    context = chromium.new_context(base_url=product.url)
    page = context.new_page()
    sign_in(page)
    cookie = next(one for one in context.cookies() if one["name"] == "sessionid")
    context.close()
    return dict(cookie)


def sign_in(page: Page) -> None:
    """Fill the sign-in form and send it."""
    page.goto("/sign-in/")
    page.get_by_label("E-mail").or_(page.get_by_label("Email")).first.fill(EMAIL)
    page.get_by_label("Password").first.fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()


@pytest.fixture
def context(
    product: Product, chromium: Browser, session_cookie: dict[str, Any], request: pytest.FixtureRequest
) -> Iterator[BrowserContext]:
    """A signed-in window; `@pytest.mark.parametrize("context", [{...}], indirect=True)` passes options."""
    options = {"viewport": {"width": 1440, "height": 900}} | getattr(request, "param", {})
    opened = chromium.new_context(base_url=product.url, **options)
    opened.set_default_timeout(PATIENCE_MS)
    opened.add_cookies([session_cookie])  # type: ignore[list-item]
    yield opened
    opened.close()


def is_complaint(message: ConsoleMessage) -> bool:
    """Return whether a console line tells of something broken; Chromium also logs every refused form (422)."""
    return message.type == "error" and "status of 422" not in message.text


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page whose console must stay silent: an error there is a broken policy or script."""
    opened = context.new_page()
    complaints: list[str] = []
    opened.on("pageerror", lambda error: complaints.append(f"uncaught: {error}"))
    opened.on(
        "console",
        lambda message: complaints.append(message.text) if is_complaint(message) else None,
    )
    yield opened
    assert complaints == []
