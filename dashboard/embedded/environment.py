"""The environment that `make up` gives its children, kept for commands typed by hand beside it."""

import os
from pathlib import Path

from dashboard.embedded.folder import DataFolder

BASE_DIR = Path(__file__).resolve().parent.parent.parent
DEFAULT_DATA_DIR = BASE_DIR / ".data"


def find_data_dir() -> Path:
    """Return DATA_DIR, or .data beside manage.py. A relative DATA_DIR counts from the caller's folder."""
    return Path(os.environ.get("DATA_DIR") or DEFAULT_DATA_DIR).absolute()


def store_environment(folder: DataFolder, variables: dict[str, str]) -> None:
    """Keep the variables that commands by hand need, readable by this user only."""
    path = folder.secrets / "environment"
    path.touch(mode=0o600)
    path.write_text("".join(f"{name}={value}\n" for name, value in variables.items()), encoding="utf-8")


def load_environment() -> None:
    """Fill variables that are not set from the data folder of an embedded installation, if there is one.

    So `python manage.py shell` works beside a running `make up`. A given DATABASE_URL means that somebody else
    provides the environment: nothing is touched then.
    """
    if os.environ.get("DATABASE_URL"):
        return
    try:
        lines = (find_data_dir() / "secrets" / "environment").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        name, _, value = line.partition("=")
        os.environ.setdefault(name, value)
