"""Make the files in secrets/ that docker-compose.yml mounts: ``python3 tools/make_secrets.py [FOLDER]``.

What is there stays, so it may run again. Standard library only: the host of the containers needs nothing else.

The folder is closed to everyone else (0700) and the files in it are readable (0444): the engine mounts a file with the
owner and mode that it has here, the containers run under numbers of their own, and nobody on this machine gets
past the folder.
"""

import base64
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

BASE = Path(__file__).resolve().parent.parent
FOLDER_MODE, FILE_MODE = 0o700, 0o444


def create_password() -> str:
    """Return 192 random bits that need no quoting in a URL."""
    return secrets.token_hex(24)


def create_field_key() -> str:
    return "k1:" + base64.b64encode(secrets.token_bytes(32)).decode()


def keep_secret(folder: Path, name: str, create: Callable[[], str]) -> str:
    """Return the file's content, made by ``create`` when there is no file yet."""
    path = folder / name
    if path.exists():
        return path.read_text(encoding="utf-8").strip()
    unfinished = path.with_name(f".{name}.new")
    unfinished.write_text(create() + "\n", encoding="utf-8")
    unfinished.chmod(FILE_MODE)
    unfinished.rename(path)
    print(f"made {path}")
    return path.read_text(encoding="utf-8").strip()


def make_secrets(folder: Path) -> None:
    """Make what is missing. Raises OSError."""
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    folder.chmod(FOLDER_MODE)
    keep_secret(folder, "postgres_password", create_password)
    database_password = keep_secret(folder, "database_password", create_password)
    keep_secret(folder, "database_url", lambda: f"postgres://desk:{database_password}@postgres:5432/desk")
    redis_password = keep_secret(folder, "redis_password", create_password)
    keep_secret(folder, "redis_url", lambda: f"redis://:{redis_password}@redis:6379/0")
    keep_secret(folder, "secret_key", lambda: secrets.token_urlsafe(48))
    keep_secret(folder, "field_encryption_keys", create_field_key)
    # These two come from outside; empty is a valid answer.
    keep_secret(folder, "together_api_key", lambda: os.environ.get("TOGETHER_API_KEY", ""))
    keep_secret(folder, "email_password", lambda: os.environ.get("EMAIL_HOST_PASSWORD", ""))
    for path in folder.iterdir():
        path.chmod(FILE_MODE)


def main() -> int:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else BASE / "secrets"
    try:
        make_secrets(folder)
    except OSError as error:
        print(f"The secrets cannot be made in {folder}: {error.strerror}.", file=sys.stderr)
        return 1
    print(
        f"{folder} is complete. Keep a copy of field_encryption_keys and secret_key apart from the backups."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
