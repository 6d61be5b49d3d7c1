"""As whom PostgreSQL and Redis run. PostgreSQL refuses to run as root.

As root there are two ways out. A user namespace that shows our own user under another number needs no account and
leaves every file with its owner. Where the kernel or the container refuses namespaces, an account without
privileges is used (and made when there is none), which must be able to reach the folders.
"""

import os
import pwd
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dashboard.embedded.errors import StartError

CHILD_SCRIPT = Path(__file__).with_name("child.py")
SERVICE_USER = "endpoint-desk"


@dataclass(frozen=True)
class Identity:
    """Who a server process is: arguments for child.py, and the owner that its files need."""

    name: str
    child_arguments: tuple[str, ...]
    owner_uid: int
    owner_gid: int

    @property
    def is_other_user(self) -> bool:
        """Return whether files must change their owner for this identity."""
        return self.owner_uid != os.geteuid()


def choose_identity() -> Identity:
    """Return ourselves, or, as root, a user namespace where it works, else an account without privileges.

    Raises StartError when there is no way.
    """
    if os.geteuid() != 0 and _has_name(os.geteuid()):
        return own_identity()
    if user_namespace_works():
        return user_namespace()
    if os.geteuid() == 0:
        return service_user()
    # Containers run with any number (docker --user); initdb insists on a name.
    raise StartError(
        f"The user {os.geteuid()} has no name in /etc/passwd, which PostgreSQL needs;"
        " add one or set DATABASE_URL to a server elsewhere."
    )


def own_identity() -> Identity:
    """Return the user that we are."""
    return Identity("this user", (), os.geteuid(), os.getegid())


def user_namespace() -> Identity:
    """Return the identity that keeps our user but shows it under an unprivileged number."""
    arguments = ("--user-namespace", str(_find_named_id()))
    return Identity("a user namespace", arguments, os.geteuid(), os.getegid())


@cache
def user_namespace_works() -> bool:
    """Return whether the kernel lets us make a user namespace. Starts one short process, once."""
    command = spawn_command(["true"], identity=user_namespace(), death_signal=9)
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def service_user() -> Identity:
    """Return an account without privileges, made with useradd when missing. Raises StartError when there is none."""
    if (account := _find_account(SERVICE_USER)) is None:
        _create_account(SERVICE_USER)
        account = _find_account(SERVICE_USER) or _find_account("postgres") or _find_account("nobody")
    if account is None or account.pw_uid == 0:
        raise StartError(
            "PostgreSQL does not run as root, and no account without privileges could be made;"
            f" run as a normal user or create the user {SERVICE_USER}."
        )
    identity = Identity(
        f"the user {account.pw_name}",
        ("--uid", str(account.pw_uid), "--gid", str(account.pw_gid)),
        account.pw_uid,
        account.pw_gid,
    )
    if not _runs(["true"], identity=identity):
        raise StartError(
            f"PostgreSQL does not run as root, and this container lets us neither make a user namespace nor become"
            f" the user {account.pw_name}; run as a normal user or set DATABASE_URL to a server elsewhere."
        )
    return identity


def can_enter(folder: Path, *, identity: Identity) -> bool:
    """Return whether the identity can pass through the folder and all its parents."""
    return _runs(["sh", "-c", 'cd "$1"', "sh", str(folder)], identity=identity)


def can_run(program: Path, *, identity: Identity) -> bool:
    """Return whether the identity can reach and run the program."""
    return _runs([str(program), "--version"], identity=identity)


def spawn_command(argv: list[str], *, identity: Identity, death_signal: int) -> list[str]:
    """Return the command line that runs ``argv`` under the identity, dying with this process."""
    return [
        *(sys.executable, "-I", "-S", str(CHILD_SCRIPT)),
        *("--parent", str(os.getpid()), "--death-signal", str(int(death_signal))),
        *identity.child_arguments,
        "--",
        *argv,
    ]


def give_tree(folder: Path, *, identity: Identity) -> None:
    """Make the identity own the folder and all below it; does nothing when it already owns the folder.

    Only root can do that; for a folder of somebody else raises StartError.
    """
    if folder.stat().st_uid == identity.owner_uid:
        return
    if os.geteuid() != 0:
        owner = _account_name(folder.stat().st_uid)
        raise StartError(
            f"{folder} belongs to {owner}; start as {owner} again, or hand the folder over with chown -R."
        )
    for parent, _, files in os.walk(folder):
        for path in (parent, *(os.path.join(parent, name) for name in files)):
            os.chown(path, identity.owner_uid, identity.owner_gid, follow_symlinks=False)


def _runs(argv: list[str], *, identity: Identity) -> bool:
    command = spawn_command(argv, identity=identity, death_signal=9)
    result = subprocess.run(command, cwd="/", stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return result.returncode == 0


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _find_named_id() -> int:
    """Return an unprivileged id that has a name on this machine, for use inside a namespace only."""
    nobody = _find_account("nobody")
    if nobody is not None:
        return nobody.pw_uid
    return next((account.pw_uid for account in pwd.getpwall() if account.pw_uid != 0), os.geteuid() or 1)


def _find_account(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _account_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _create_account(name: str) -> None:
    # shadow's useradd, else BusyBox's adduser; a failure shows as a missing account.
    if useradd := shutil.which("useradd"):
        command = [
            useradd,
            "--system",
            "--no-create-home",
            "--shell",
            "/usr/sbin/nologin",
            "--user-group",
            name,
        ]
    elif adduser := shutil.which("adduser"):
        command = [adduser, "-S", "-D", "-H", "-s", "/sbin/nologin", name]
    else:
        return
    subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
