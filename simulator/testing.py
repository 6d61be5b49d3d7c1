"""A simulator as a subprocess for tests of other packages: standard library only."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

#: How long a start may take, in seconds; scenario `large` needs a few on a busy machine.
START_LIMIT_SECONDS = 60.0
_REPOSITORY = Path(__file__).resolve().parent.parent


class SimulatorError(RuntimeError):
    """The simulator did not start, or an admin route refused."""


class SimulatorProcess:
    """Run `python -m simulator` on a free port for the length of a `with` block.

    `SimulatorProcess(scenario="demo", clock="virtual", key=["a", "b=Docs"], any_id=True)`: each keyword is a flag of
    the command line, a list repeats it, True is a bare switch. `url` is the root to give to a client as base URL.
    """

    def __init__(self, **flags: Any) -> None:
        self.flags = {"speed": 600, "seed": 7, **flags, "port": flags.get("port", 0)}
        self.url = ""
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise SimulatorError("the simulator is not running")
        return self._process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start and wait until it answers. Raises SimulatorError."""
        command = [sys.executable, "-m", "simulator", "--until-stdin-closes"]
        for name, value in self.flags.items():
            flag = f"--{name.replace('_', '-')}"
            for item in value if isinstance(value, list | tuple) else [value]:
                if item is True:
                    command.append(flag)
                elif item is not False and item is not None:
                    command += [flag, str(item)]
        self._process = subprocess.Popen(  # noqa: S603  (our own module, our own interpreter)
            command,
            cwd=_REPOSITORY,
            stdin=subprocess.PIPE,  # closes with us, even after kill -9, and ends the simulator
            stdout=subprocess.PIPE,
            stderr=None,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        line = self._process.stdout.readline() if self._process.stdout else ""
        match = re.search(r"http://\S+", line)
        if match is None:
            self.stop()
            raise SimulatorError(f"the simulator did not start: {line!r}")
        self.url = match.group(0)
        self._wait_until_healthy()

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + START_LIMIT_SECONDS
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/healthz", timeout=5):  # noqa: S310
                    return
            except OSError as error:
                if time.monotonic() > deadline:
                    self.stop()
                    raise SimulatorError("the simulator does not answer") from error
                time.sleep(0.02)

    def stop(self) -> None:
        """End the process; harmless when it is gone."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()

    def admin(self, method: str, path: str, json_body: Any = None, **fields: Any) -> Any:
        """Call an admin route (`/clock`, `/faults`, …) and return its JSON. Raises SimulatorError for a refusal."""
        body = {**(json_body or {}), **fields}
        return self._send(method, f"/_admin{path}", body or None, key=None)

    def call(self, method: str, path: str, json_body: Any = None, *, key: str = "sim-key") -> Any:
        """Call the simulated API itself and return its JSON. Raises SimulatorError for a refusal."""
        return self._send(method, path, json_body, key=key)

    def advance(self, seconds: float) -> str:
        """Move a virtual clock forward and return the new time as RFC 3339."""
        return str(self.admin("POST", "/advance", seconds=seconds)["now"])

    def add_fault(self, kind: str, **fields: Any) -> str:
        """Add a fault and return its id."""
        return str(self.admin("POST", "/faults", {"kind": kind, **fields})["fault_id"])

    def clear_faults(self) -> None:
        self.admin("DELETE", "/faults")

    def requests(self, method: str | None = None, path: str = "") -> list[dict[str, Any]]:
        """Return the API requests received so far, oldest first."""
        query = f"?path={path}" + (f"&method={method}" if method else "")
        answer: list[dict[str, Any]] = self.admin("GET", f"/requests{query}")
        return answer

    def _send(self, method: str, path: str, body: Any, *, key: str | None) -> Any:
        headers = {"content-type": "application/json"}
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                raw = answer.read()
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            raise SimulatorError(f"{method} {path}: HTTP {error.code} {text}") from error
        return json.loads(raw) if raw else None
