"""The data folder: what lies where, who may hold it, and the secrets in it."""

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dashboard.embedded.errors import StartError, describe_os_error

SOCKET_PATH_BYTES = 107  # sun_path of Linux is 108 bytes with its final zero
LOCK_NAME = "supervisor.lock"
ADDRESS_NAME = "address"
LONGEST_SOCKET_NAME = ".s.PGSQL.5432"
LEAST_FREE_BYTES = (
    150_000_000  # a new PostgreSQL cluster takes 40 MB and its write-ahead log grows by 16 MB steps
)


@dataclass(frozen=True)
class DataFolder:
    """The folder that holds all state of one installation."""

    root: Path

    @property
    def logs(self) -> Path:
        return self.root / "log"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"


@dataclass(frozen=True)
class Running:
    """A supervisor at work: where its pages are, and its process id as text."""

    address: str
    process: str


def open_data_folder(root: Path) -> DataFolder:
    """Create the folder and its parts, private to this user, and prove that it takes a file.

    Raises StartError when it cannot be written or its disk is full.
    """
    root = Path(os.path.abspath(root))
    folder = DataFolder(root)
    try:
        for part in (root, folder.logs, folder.secrets):
            part.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = root / ".write-probe"
        with probe.open("wb") as stream:
            stream.write(bytes(1 << 16))
            stream.flush()
            os.fsync(stream.fileno())
        probe.unlink()
        free_bytes = shutil.disk_usage(root).free
    except OSError as error:
        with contextlib.suppress(OSError):
            (root / ".write-probe").unlink(missing_ok=True)
        raise describe_os_error(error, path=root) from error
    if free_bytes < LEAST_FREE_BYTES:
        raise StartError(
            f"The disk that holds {root} is full: {free_bytes // 1_000_000} MB are free and"
            f" {LEAST_FREE_BYTES // 1_000_000} MB are needed; free some space or set DATA_DIR to another disk."
        )
    return folder


@contextmanager
def hold_data_folder(folder: DataFolder) -> Iterator[None]:
    """Hold the folder against a second supervisor for the block. The lock dies with this process.

    Raises StartError when another process holds it.
    """
    path = folder.root / LOCK_NAME
    with path.open("a+", encoding="ascii") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            holder = stream.read().strip() or "unknown"
            raise StartError(f"Endpoint Desk already runs on {folder.root} (process {holder}).") from error
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        yield


def store_address(folder: DataFolder, address: str | None) -> None:
    """Keep where this supervisor's pages are, for the next `make up`; None forgets it."""
    path = folder.root / ADDRESS_NAME
    if address is None:
        path.unlink(missing_ok=True)
    else:
        path.write_text(f"{address}\n", encoding="utf-8")


def find_running(root: Path) -> Running | None:
    """Return the supervisor that holds the folder and is ready, None when there is none or it is still starting."""
    try:
        address = (root / ADDRESS_NAME).read_text(encoding="utf-8").strip()
        stream = (root / LOCK_NAME).open(encoding="ascii")
    except OSError:
        return None  # unreadable folders are told by who opens them for good
    with stream:
        try:
            # Looked at only where an address stands: this lock of a moment could be in the way of a start.
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return Running(address=address, process=stream.read().strip() or "unknown")
    return None  # a killed one left its address behind


def read_or_create_secret(path: Path, *, create: Callable[[], str]) -> str:
    """Return the secret in the file, made by ``create`` and stored with mode 0600 when there is none.

    A file appears whole or not at all, so that a kill in between cannot leave half a key.
    """
    try:
        if path.exists():
            return path.read_text(encoding="ascii").strip()
        secret = create()
        descriptor, name = tempfile.mkstemp(dir=path.parent)  # made with mode 0600
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(secret + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, path)
        return secret
    except OSError as error:
        raise describe_os_error(error, path=path.parent) from error


def create_password() -> str:
    """Return a password of 192 random bits that needs no quoting in URLs and configuration files."""
    return secrets.token_hex(24)


def make_private_folder(path: Path) -> Path:
    """Create the folder with mode 0700 or check that it is ours. Raises StartError when it belongs to somebody else."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise StartError(f"{path} is not a folder; remove it.")
        if os.geteuid() not in {0, found.st_uid}:
            raise StartError(f"{path} belongs to another user; remove it or set TMPDIR.")
        path.chmod(0o700)
    except OSError as error:
        raise describe_os_error(error, path=path) from error
    return path


def choose_socket_folder(root: Path) -> Path:
    """Return a private folder for unix sockets: ``root/run``, else one below the system's temporary folder.

    The second where the path would be too long for a socket or its file system knows no sockets. Its name hangs on
    the root alone, so that the next start finds what an earlier one left.
    """
    near = root / "run"
    if _fits_socket(near) and _takes_sockets(make_private_folder(near)):
        return near
    name = hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
    for parent in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 - made private and checked below
        far = parent / f"endpoint-desk-{os.geteuid()}-{name}"
        if _fits_socket(far):
            return make_private_folder(far)
    raise StartError(f"The path of {root} is too long for a unix socket; set DATA_DIR to a shorter path.")


def _fits_socket(folder: Path) -> bool:
    return len(os.fsencode(folder / LONGEST_SOCKET_NAME)) <= SOCKET_PATH_BYTES


def _takes_sockets(folder: Path) -> bool:
    probe = folder / f".p{os.getpid() % 10_000}"
    with socket.socket(socket.AF_UNIX) as listener, contextlib.suppress(OSError):
        listener.bind(str(probe))
        probe.unlink()
        return True
    return False
