"""`manage.py up`: from a data folder to a running product, and back to nothing on Ctrl-C."""

import base64
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from types import FrameType

import psycopg
import redis

from dashboard.embedded.console import Console
from dashboard.embedded.environment import BASE_DIR, store_environment
from dashboard.embedded.errors import StartError, describe_os_error
from dashboard.embedded.folder import (
    DataFolder,
    find_running,
    hold_data_folder,
    open_data_folder,
    read_or_create_secret,
    store_address,
)
from dashboard.embedded.health import HealthWatch, answers
from dashboard.embedded.identity import Identity, own_identity, spawn_command
from dashboard.embedded.leftovers import end_leftovers
from dashboard.embedded.options import UpOptions, find_free_port, read_options, require_free_port
from dashboard.embedded.stores import choose_place, prepare_postgres, prepare_redis
from dashboard.embedded.supervisor import Store, Supervisor
from dashboard.processes import PROCESSES

SIMULATOR_KEY = "sim-key"  # the key that the simulator accepts by default
ANSWER_SECONDS = 60.0
CONNECT_SECONDS = 10
EXIT_FAILED = 1
EXIT_INTERRUPTED = 130


class Interrupted(BaseException):
    """Ctrl-C, SIGTERM or a closed terminal. No Exception: nothing on the way may take it for an error."""


class Interrupts:
    """Turn the first signal into Interrupted and count the rest."""

    def __init__(self) -> None:
        self.count = 0
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # ignored under nohup, which wants it to go on
            signal.signal(signal.SIGHUP, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.count == 1:
            raise Interrupted


def run_up(arguments: list[str]) -> int:
    """Run until Ctrl-C and return the exit code; every foreseeable failure is one printed sentence."""
    console = Console()
    interrupts = Interrupts()
    startup = Startup(console)
    code = 0
    try:
        if arguments:
            raise StartError(
                f"up takes no arguments, but got {' '.join(arguments)}; see .env.example for its variables."
            )
        options = read_options()
        if running := find_running(options.data_dir):
            console.report(
                f"Endpoint Desk already runs at {running.address} (process {running.process});"
                " Ctrl-C in its terminal stops it"
            )
            console.close()
            return 0
        require_free_port(options.address, port=options.port)
        with ExitStack() as held:
            try:
                startup.start(options, held=held)
                startup.run()
            except Interrupted:
                code = 0 if startup.is_ready else EXIT_INTERRUPTED
            finally:
                startup.stop(interrupts)
    except StartError as error:
        console.close()
        print(f"Endpoint Desk cannot start. {error}", file=sys.stderr)
        return EXIT_FAILED
    except Interrupted:
        code = EXIT_INTERRUPTED
    console.close()
    return code


class Startup:
    """The steps of one start, and what they have started so far."""

    def __init__(self, console: Console) -> None:
        self.is_ready = False
        self._console = console
        self._supervisor: Supervisor | None = None
        self._began_at = time.monotonic()

    def start(self, options: UpOptions, *, held: ExitStack) -> None:
        """Start everything; raises StartError with the reason when that cannot be done."""
        folder = open_data_folder(options.data_dir)
        try:
            held.enter_context(hold_data_folder(folder))
            store_address(folder, None)
            held.callback(store_address, folder, None)
            if killed := end_leftovers(folder.root):
                self._console.report(f"Ended {killed} processes that an earlier start left behind")
            self._start_all(options, folder)
        except OSError as error:
            raise describe_os_error(error, path=folder.root) from error

    def run(self) -> None:
        """Supervise until interrupted."""
        if self._supervisor is not None:
            self._supervisor.run(should_stop=lambda: False)

    def stop(self, interrupts: Interrupts) -> None:
        """End all that was started. A second signal ends the waiting."""
        interrupts.count = max(interrupts.count, 1)  # from here on signals only hurry
        if self._supervisor is None:
            return
        began_at = time.monotonic()
        self._console.report("Stopping (Ctrl-C again to hurry)" if self.is_ready else "Stopping")
        before = interrupts.count
        if self._supervisor.stop(in_a_hurry=lambda: interrupts.count > before):
            self._console.report(f"Stopped in {time.monotonic() - began_at:.1f} s")
        else:
            self._console.warn("Not every process ended; they die with this one")

    def _start_all(self, options: UpOptions, folder: DataFolder) -> None:
        stores, urls = self._prepare_stores(options, folder)
        simulated = not options.has_api_key
        simulator_port = find_free_port() if simulated else 0
        variables = _choose_variables(folder, urls=urls, simulator_port=simulator_port)
        if simulated and options.has_base_url:
            self._console.warn("TOGETHER_BASE_URL is not used, because there is no TOGETHER_API_KEY")
        environment = {**os.environ, **variables, "PYTHONUNBUFFERED": "1"}
        ourselves = own_identity()
        specs = [spec for spec in PROCESSES if simulated or not spec.demonstration_only]
        watch = HealthWatch(
            specs, database_url=urls["DATABASE_URL"], ports={"web": options.port, "simulator": simulator_port}
        )
        self._supervisor = Supervisor(
            specs,
            words={
                "python": sys.executable,
                "address": options.address,
                "port": str(options.port),
                "simulator_port": str(simulator_port),
                "data_dir": str(folder.root),
            },
            environment=environment,
            program_folder=BASE_DIR,
            folder=folder,
            identity=ourselves,
            stores=stores,
            watch=watch,
            console=self._console,
        )
        if simulated:
            # It needs nothing, so it comes up while PostgreSQL does.
            self._supervisor.start({"simulator"})
        self._start_stores(stores, urls)
        store_environment(folder, variables)
        if simulated:
            self._wait_for(
                "The simulator", port=simulator_port, path="/healthz", log="simulator.log", folder=folder
            )
        link = self._run_prepare(environment, folder=folder, identity=ourselves)
        # These two first: five interpreters that start at once on two cores would all be late.
        self._supervisor.start({"enforcer", "web"})
        self._wait_for("The web server", port=options.port, path="/healthz", log="web.log", folder=folder)
        self._supervisor.start()
        watch.start()
        self.is_ready = True
        address = _choose_address(options)
        store_address(folder, address)
        self._announce(options, address=address, link=link, simulated=simulated)

    def _prepare_stores(
        self, options: UpOptions, folder: DataFolder
    ) -> tuple[dict[str, Store], dict[str, str]]:
        """Return the servers that we run ourselves and the addresses of both."""
        stores: dict[str, Store] = {}
        urls = {"DATABASE_URL": options.database_url, "REDIS_URL": options.redis_url}
        if all(urls.values()):
            return stores, urls
        place = choose_place(folder, report=self._console.report)
        if not options.database_url:
            postgres = prepare_postgres(place, on_line=self._console.relay, report=self._console.report)
            stores["PostgreSQL"], urls["DATABASE_URL"] = postgres, postgres.url
        if not options.redis_url:
            server = prepare_redis(place, on_line=self._console.relay)
            stores["Redis"], urls["REDIS_URL"] = server, server.url
        return stores, urls

    def _start_stores(self, stores: dict[str, Store], urls: Mapping[str, str]) -> None:
        for store in stores.values():
            began_at = time.monotonic()
            store.start()
            self._console.report(f"{store.describe()} ready in {time.monotonic() - began_at:.1f} s")
        if "PostgreSQL" not in stores:
            require_database(urls["DATABASE_URL"])
            self._console.report("The given PostgreSQL answers")
        if "Redis" not in stores:
            require_redis(urls["REDIS_URL"])
            self._console.report("The given Redis answers")

    def _run_prepare(self, environment: Mapping[str, str], *, folder: DataFolder, identity: Identity) -> str:
        """Migrate and set up the first rows; return the path of the sign-in link, empty when nobody needs one."""
        command = spawn_command(
            [sys.executable, "-m", "dashboard.embedded.prepare"],
            identity=identity,
            death_signal=signal.SIGKILL,
        )
        log_path = folder.logs / "prepare.log"
        link = refused = ""
        with (
            log_path.open("w", encoding="utf-8") as log,
            subprocess.Popen(
                command,
                env=dict(environment),
                cwd=BASE_DIR,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            ) as process,
        ):
            try:
                for line in process.stdout or ():
                    kind, _, text = line.strip().partition(" ")
                    if kind == "link":
                        link = text
                    elif kind == "refused":
                        refused = text
                    elif kind == "warning":
                        self._console.warn(text)
                    elif kind == "step":
                        self._console.report(text)
            except BaseException:
                process.kill()
                raise
        if refused:
            raise StartError(refused)
        if process.returncode != 0:
            last = (log_path.read_text(encoding="utf-8").strip().splitlines() or ["no reason was printed"])[
                -1
            ]
            raise StartError(f"The database could not be prepared: {last} (more in {log_path}).")
        return link

    def _wait_for(self, what: str, *, port: int, path: str, log: str, folder: DataFolder) -> None:
        deadline = time.monotonic() + ANSWER_SECONDS
        while not answers(port=port, path=path):
            if self._supervisor is not None:
                self._supervisor.check()
            if time.monotonic() > deadline:
                raise StartError(
                    f"{what} did not answer within {ANSWER_SECONDS:.0f} s; see {folder.logs / log}."
                )
            time.sleep(0.1)

    def _announce(self, options: UpOptions, *, address: str, link: str, simulated: bool) -> None:
        self._console.report(f"Endpoint Desk is ready after {time.monotonic() - self._began_at:.1f} s")
        lines = ["", f"  address   {address}"]
        if link:
            lines.append(f"  sign in   {address}{link}   (works once)")
        if simulated:
            lines.append("  data of   the simulator (set TOGETHER_API_KEY to see your organisation)")
        lines += [f"  files     {options.data_dir}", "", "  Ctrl-C stops everything.", ""]
        self._console.show("\n".join(lines))


def require_database(url: str) -> None:
    """Raise StartError when the given PostgreSQL cannot be used."""
    try:
        psycopg.connect(url, connect_timeout=CONNECT_SECONDS).close()
    except psycopg.Error as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[-1]
        raise StartError(f"The PostgreSQL of DATABASE_URL cannot be used: {reason}.") from error


def require_redis(url: str) -> None:
    """Raise StartError when the given Redis cannot be used."""
    try:
        address = url.replace("redis+socket://", "unix://")
        with redis.Redis.from_url(
            address, socket_timeout=CONNECT_SECONDS, socket_connect_timeout=5
        ) as client:
            client.ping()
    except (redis.RedisError, ValueError, OSError) as error:
        raise StartError(f"The Redis of REDIS_URL cannot be used: {error}.") from error


def _choose_address(options: UpOptions) -> str:
    """Return what a person on this machine types to see the pages."""
    host = options.address if options.address not in {"127.0.0.1", "0.0.0.0", "::"} else "localhost"  # noqa: S104
    return f"http://{host}:{options.port}"


def _choose_variables(folder: DataFolder, *, urls: Mapping[str, str], simulator_port: int) -> dict[str, str]:
    """Return the variables that the processes need beyond those given; secrets go by file name."""
    variables = {"DJANGO_SETTINGS_MODULE": "dashboard.settings", "DATA_DIR": str(folder.root), **urls}
    makers = {
        "SECRET_KEY": lambda: secrets.token_urlsafe(48),
        "FIELD_ENCRYPTION_KEYS": lambda: "k1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
    }
    for name, make in makers.items():
        if not os.environ.get(name) and not os.environ.get(f"{name}_FILE"):
            path = folder.secrets / name.lower().replace("_", "-")
            read_or_create_secret(path, create=make)
            variables[f"{name}_FILE"] = str(path)
    if simulator_port:
        url = f"http://127.0.0.1:{simulator_port}"
        variables |= {
            "TOGETHER_API_KEY": SIMULATOR_KEY,
            "TOGETHER_BASE_URL": url,
            "TOGETHER_INFERENCE_URL": url,
            "TOGETHER_METRICS_URL": url,
            "SIMULATED": "1",
        }
    return variables
