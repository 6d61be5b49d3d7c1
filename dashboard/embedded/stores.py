"""Where PostgreSQL and Redis of one data folder live, and how they are made from it."""

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dashboard.embedded.errors import StartError, describe_os_error
from dashboard.embedded.folder import DataFolder, choose_socket_folder, create_password, read_or_create_secret
from dashboard.embedded.identity import Identity, can_enter, can_run, choose_identity, give_tree
from dashboard.embedded.postgres import PostgresServer, find_installation
from dashboard.embedded.redis import RedisServer, find_program

# Where the servers' files go when the account that runs them cannot reach the data folder.
SYSTEM_STATE = Path("/var/lib/endpoint-desk")
MOVED_TO = "database-is-in"  # a file in the data folder that names that place

Report = Callable[[str], None]
OnLine = Callable[[str, str], None]


@dataclass(frozen=True)
class Place:
    """The folders and the identity of the two servers."""

    folder: DataFolder
    base: Path
    socket_folder: Path
    identity: Identity
    installation: Path


def choose_place(
    folder: DataFolder, *, report: Report, identity: Identity | None = None, system_state: Path = SYSTEM_STATE
) -> Place:
    """Return where the servers of the data folder live.

    That is the data folder itself, unless its path is closed to the account that must run them (root only):
    then a folder below ``system_state``, and the report says so. Raises StartError when neither can be used.
    """
    identity = identity or choose_identity()
    installation = find_installation()
    try:
        base = _find_base(folder, identity=identity, report=report, system_state=system_state)
        sockets = choose_socket_folder(base)
        give_tree(sockets, identity=identity)
        if identity.is_other_user:
            installation = _reachable_installation(installation, identity=identity, system_state=system_state)
    except OSError as error:
        raise describe_os_error(error, path=folder.root) from error
    return Place(folder, base, sockets, identity, installation)


def _find_base(folder: DataFolder, *, identity: Identity, report: Report, system_state: Path) -> Path:
    """Return the folder that holds the servers' own folders: where they are already, else the data folder."""
    pointer = folder.root / MOVED_TO
    base = Path(pointer.read_text(encoding="utf-8").strip()) if pointer.exists() else folder.root
    if not identity.is_other_user:
        if not can_enter(base, identity=identity):
            # A user namespace takes root's power over folders of other users away.
            raise StartError(
                f"PostgreSQL (as {identity.name}) cannot enter {base}; set DATA_DIR to a folder of this user."
            )
        return base
    # The account passes through; what it must not see (logs, secrets) is closed by itself.
    base.chmod(0o711)
    if can_enter(base, identity=identity):
        return base
    if (base / "postgres").exists():
        raise StartError(
            f"PostgreSQL (as {identity.name}) cannot enter {base}, where the database is; open its parents."
        )
    base = system_state / hashlib.sha256(os.fsencode(folder.root)).hexdigest()[:12]
    base.mkdir(mode=0o711, parents=True, exist_ok=True)
    if not can_enter(base, identity=identity):
        raise StartError(
            f"PostgreSQL (as {identity.name}) can enter neither {folder.root} nor {base}; set DATA_DIR."
        )
    pointer.write_text(f"{base}\n", encoding="utf-8")
    report(f"{identity.name.capitalize()} cannot enter {folder.root}: the database is kept in {base}")
    return base


def prepare_postgres(
    place: Place,
    *,
    settings: dict[str, str] | None = None,
    on_line: OnLine | None = None,
    report: Report = lambda _: None,
) -> PostgresServer:
    """Return the PostgreSQL of the place, not yet started; its passwords are kept in the data folder's secrets."""
    keep = place.folder.secrets
    return PostgresServer(
        place.base / "postgres",
        socket_folder=place.socket_folder,
        identity=place.identity,
        log_path=place.folder.logs / "postgres.log",
        admin_password=read_or_create_secret(keep / "postgres-admin-password", create=create_password),
        application_password=read_or_create_secret(keep / "postgres-password", create=create_password),
        installation=place.installation,
        settings=settings,
        on_line=on_line,
        report=report,
    )


def prepare_redis(place: Place, *, on_line: OnLine | None = None) -> RedisServer:
    """Return the Redis of the place, not yet started; its passwords are kept in the data folder's secrets."""
    keep = place.folder.secrets
    return RedisServer(
        place.base / "redis",
        socket_folder=place.socket_folder,
        identity=place.identity,
        log_path=place.folder.logs / "redis.log",
        admin_password=read_or_create_secret(keep / "redis-admin-password", create=create_password),
        application_password=read_or_create_secret(keep / "redis-password", create=create_password),
        program=find_program(identity=place.identity),
        on_line=on_line,
    )


def _reachable_installation(installation: Path, *, identity: Identity, system_state: Path) -> Path:
    """Return programs that the identity can run: the wheel's, or a copy where the wheel lies in a closed folder."""
    if can_run(installation / "bin" / "postgres", identity=identity):
        return installation
    # The programs look for their libraries beside the package, so the copy keeps the wheel's layout.
    package = system_state / installation.parent.name
    copy = package / installation.name
    if not _is_copy(copy, installation):
        unfinished = copy.with_name(copy.name + ".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(
            installation, unfinished, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a")
        )
        libraries = installation.parent.with_name(installation.parent.name + ".libs")
        if libraries.exists():
            shutil.copytree(libraries, package.with_name(libraries.name), dirs_exist_ok=True)
        shutil.rmtree(copy, ignore_errors=True)
        unfinished.rename(copy)
    if not can_run(copy / "bin" / "postgres", identity=identity):
        raise StartError(
            f"PostgreSQL's programs cannot be run by {identity.name}; set DATABASE_URL to a server elsewhere."
        )
    return copy


def _is_copy(copy: Path, original: Path) -> bool:
    try:
        found, wanted = ((folder / "bin" / "postgres").stat() for folder in (copy, original))
    except FileNotFoundError:
        return False
    return (found.st_size, int(found.st_mtime)) == (wanted.st_size, int(wanted.st_mtime))
