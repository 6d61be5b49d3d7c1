"""Who has shown signs of work lately: heartbeat rows and answers over HTTP, read beside the supervisor's loop."""

import http.client
import threading
import time
from collections.abc import Sequence

import psycopg

from dashboard.processes import ProcessSpec

PROBE_EVERY_SECONDS = 5.0
HTTP_SECONDS = 10.0
CONNECT_SECONDS = 5
STATEMENT_MILLISECONDS = 5000


class HealthWatch:
    """Remember when each process last showed that it works; times are of ``time.monotonic``.

    Reads in a thread of its own, because a frozen database must not hold up restarts.
    """

    def __init__(self, specs: Sequence[ProcessSpec], *, database_url: str, ports: dict[str, int]) -> None:
        self._specs = specs
        self._database_url = database_url
        self._ports = ports
        self._last_sign_at: dict[str, float] = {}
        self._readable_since: float | None = None
        self._connection: psycopg.Connection[tuple[str, float]] | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)

    @property
    def readable_since(self) -> float | None:
        """Return since when heartbeats can be read without a break, None while they cannot."""
        return self._readable_since

    def last_sign_at(self, name: str) -> float | None:
        """Return when the process last showed that it works, None when it never did."""
        return self._last_sign_at.get(name)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def probe(self) -> None:
        """Read all signs once."""
        try:
            ages = self._read_ages()
        except psycopg.Error:
            self._readable_since = None
            self._drop_connection()
            ages = {}
        else:
            self._readable_since = self._readable_since or time.monotonic()
        for spec in self._specs:
            heartbeat, path = spec.health.heartbeat, spec.health.http_path
            if heartbeat in ages:
                self._last_sign_at[spec.name] = time.monotonic() - ages[heartbeat]
            elif path is not None and answers(port=self._ports[spec.name], path=path):
                self._last_sign_at[spec.name] = time.monotonic()

    def _run(self) -> None:
        while not self._stop.wait(PROBE_EVERY_SECONDS):
            self.probe()
        self._drop_connection()

    def _read_ages(self) -> dict[str, float]:
        if self._connection is None:
            self._connection = psycopg.connect(
                self._database_url,
                autocommit=True,
                connect_timeout=CONNECT_SECONDS,
                options=f"-c statement_timeout={STATEMENT_MILLISECONDS}",
                application_name="supervisor",
            )
        # PostgreSQL's clock on both sides: ours may jump.
        rows = self._connection.execute(
            "SELECT name, extract(epoch FROM now() - beat_at)::float8 FROM core_heartbeat"
        )
        return dict(rows.fetchall())

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def answers(*, port: int, path: str) -> bool:
    """Return whether a server on this machine answers at all, with whatever status."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=HTTP_SECONDS)
    try:
        connection.request("GET", path, headers={"Host": "localhost"})
        connection.getresponse().read()
        return True
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
