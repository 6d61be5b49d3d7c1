"""What `make up` is told by its environment, checked before anything is started."""

import errno
import socket
from dataclasses import dataclass
from pathlib import Path

from dashboard import env
from dashboard.embedded.environment import find_data_dir
from dashboard.embedded.errors import StartError

DEFAULT_PORT = 8000
HIGHEST_PORT = 65_535


@dataclass(frozen=True)
class UpOptions:
    """The operator's choices; an empty text means "not given"."""

    data_dir: Path
    address: str
    port: int
    database_url: str
    redis_url: str
    has_api_key: bool
    has_base_url: bool


def read_options() -> UpOptions:
    """Return the options from the environment. Raises StartError for one that makes no sense."""
    try:
        port = env.read_integer("PORT", default=DEFAULT_PORT, minimum=1)
        if port > HIGHEST_PORT:
            raise StartError(f"PORT must be at most {HIGHEST_PORT}, not {port}.")
        return UpOptions(
            data_dir=find_data_dir(),
            # Loopback unless told otherwise: nobody else should reach a fresh installation by accident.
            address=env.read_text("LISTEN_ADDRESS", default="127.0.0.1"),
            port=port,
            database_url=env.read_text("DATABASE_URL", default=""),
            redis_url=env.read_text("REDIS_URL", default=""),
            has_api_key=bool(env.read_text("TOGETHER_API_KEY", default="")),
            has_base_url=bool(env.read_text("TOGETHER_BASE_URL", default="")),
        )
    except env.EnvError as error:
        raise StartError(f"{error}.") from error


def require_free_port(address: str, *, port: int) -> None:
    """Raise StartError when the web server could not listen there."""
    try:
        family, _, _, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            # As uvicorn does: a connection of an earlier run that is still closing is no obstacle.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(place)
            listener.listen(1)
    except socket.gaierror as error:
        raise StartError(f"LISTEN_ADDRESS={address} is not an address of this machine.") from error
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StartError(
                f"Port {port} is already in use; stop what uses it or choose another with PORT={port + 1} make up."
            ) from error
        if error.errno == errno.EACCES:
            raise StartError(
                f"Port {port} may be opened by root only; choose one above 1023 with PORT."
            ) from error
        raise StartError(f"{address}:{port} cannot be opened: {error.strerror}.") from error


def find_free_port() -> int:
    """Return a port of the loopback interface that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
