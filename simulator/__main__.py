"""Run the simulator: `python -m simulator --port 9000 --scenario demo --speed 60 --seed 7`."""

import argparse
import os
import socket
import sys
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import uvicorn

from simulator.app import build_api, build_app
from simulator.clock import VIRTUAL_START_MS, Clock, RealClock, VirtualClock, parse_time
from simulator.faults import FaultBook, parse_fault
from simulator.journal import Journal, open_journal
from simulator.scenarios import SCENARIOS
from simulator.world import World


def read_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the flags. Exits with a usage message for wrong ones."""
    parser = argparse.ArgumentParser(
        prog="simulator", description="A stateful stand-in for the Together API."
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen on (admin routes stay loopback only)"
    )
    parser.add_argument("--port", type=int, default=9000, help="0 = a free one, which is printed")
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), default="demo")
    parser.add_argument(
        "--speed", type=float, default=60.0, help="makes transitions this much faster; money is unchanged"
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--clock", choices=("real", "virtual"), default="real")
    parser.add_argument("--start", metavar="TIME", help="RFC 3339 time at which a virtual clock begins")
    parser.add_argument(
        "--journal", type=Path, metavar="PATH", help="go on after a restart, with the writes kept there"
    )
    parser.add_argument("--key", action="append", default=[], metavar="KEY[=PROJECT]",
                        help="a further API key, of a project by name or slug")  # fmt: skip
    parser.add_argument("--any-id", action="store_true", help="every id answers, writes change nothing")
    parser.add_argument("--org-without-usage", action="store_true", help="the usage API answers 404")
    parser.add_argument(
        "--org-without-metrics", action="store_true", help="the Prometheus endpoint answers 404"
    )
    parser.add_argument("--fault", action="append", default=[], metavar="kind=...,route=...,times=...")
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="end with the process that started it"
    )
    parser.add_argument(
        "--log-level", default="warning", choices=("critical", "error", "warning", "info", "debug")
    )
    options = parser.parse_args(arguments)
    if options.speed <= 0:
        parser.error("--speed must be greater than 0")
    if options.journal and options.clock != "real":
        parser.error("--journal goes with the real clock: nobody writes down how a virtual one was moved")
    return options


def open_world(options: argparse.Namespace) -> tuple[World, Journal | None]:
    """Return the world that the flags describe, and its journal if it has one. Raises ValueError and OSError."""
    if options.journal:
        return open_journal(
            options.journal,
            scenario=options.scenario,
            seed=options.seed,
            speed=options.speed,
            build_world=partial(build_world, options),
            build_api=build_api,
        )
    clock: Clock = RealClock()
    if options.clock == "virtual":
        clock = VirtualClock(parse_time(options.start) if options.start else VIRTUAL_START_MS)
    return build_world(options, clock), None


def build_world(options: argparse.Namespace, clock: Clock) -> World:
    """Return the world as it is at the clock's time. Raises ValueError for an unknown project."""
    world = World(
        clock,
        options.seed,
        options.speed,
        any_id=options.any_id,
        usage_enabled=not options.org_without_usage,
        metrics_enabled=not options.org_without_metrics,
    )
    SCENARIOS[options.scenario](world)
    for text in options.key:
        key, _, wanted = text.partition("=")
        projects = [
            project
            for project in world.projects.values()
            if wanted in {"", project.name, project.slug, project.project_id}
        ]
        if not projects:
            raise ValueError(f"--key {key}: there is no project {wanted!r}")
        world.add_key(key, projects[0])
    return world


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted; return the exit status."""
    options = read_arguments(arguments)
    try:
        world, journal = open_world(options)
        book = FaultBook(seed=options.seed)
        for text in options.fault:
            book.add(parse_fault(text))
    except (ValueError, OSError) as error:
        sys.stderr.write(f"simulator: {error}\n")
        return 2
    listener = socket.socket(socket.AF_INET6 if ":" in options.host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((options.host, options.port))
    except OSError as error:
        sys.stderr.write(f"simulator: cannot listen on {options.host}:{options.port}: {error.strerror}\n")
        return 1
    port = listener.getsockname()[1]
    sys.stdout.write(
        f"simulator ready on http://{options.host}:{port} ({options.scenario}, seed {options.seed})\n"
    )
    sys.stdout.flush()
    config = uvicorn.Config(
        build_app(world, book, journal),
        log_level=options.log_level,
        access_log=False,
        proxy_headers=False,  # the fault gate needs uvicorn's own `send` to drop a connection
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    if options.until_stdin_closes:
        threading.Thread(target=_end_with_parent, args=(server,), daemon=True).start()
    server.run(sockets=[listener])
    return 0


def _end_with_parent(server: uvicorn.Server) -> None:
    """Wait until nobody holds the other end of standard input, then ask the server to end."""
    while os.read(0, 1):  # not sys.stdin: its lock, held by this thread, would abort the interpreter's exit
        pass
    server.should_exit = True


if __name__ == "__main__":
    raise SystemExit(main())
