"""Typed readers of environment variables.

Every reader takes the variable's name and a default. A secret may also come from a file named by
``NAME_FILE`` (Docker and Kubernetes secrets); a named file that cannot be read stops the start.
"""

import os
from pathlib import Path


class EnvError(Exception):
    """A variable is missing or cannot be read; the message names it and says what is expected."""


def read_text(name: str, *, default: str | None = None) -> str:
    """Return the variable, or the content of the file that ``NAME_FILE`` names, stripped.

    Raises EnvError when neither is set and there is no default.
    """
    file_name = os.environ.get(f"{name}_FILE")
    if file_name:
        try:
            return Path(file_name).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise EnvError(
                f"{name}_FILE names {file_name}, which cannot be read: {error.strerror}"
            ) from error
    value = os.environ.get(name, "").strip()
    if value:
        return value
    if default is None:
        raise EnvError(f"{name} (or {name}_FILE) must be set")
    return default


def read_flag(name: str, *, default: bool) -> bool:
    """Return a boolean; 1/true/yes/on and 0/false/no/off are understood, nothing else."""
    text = read_text(name, default="1" if default else "0").lower()
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off"}:
        return False
    raise EnvError(f"{name} must be true or false, not {text!r}")


def read_integer(name: str, *, default: int, minimum: int = 0) -> int:
    """Return an integer of at least ``minimum``."""
    text = read_text(name, default=str(default))
    try:
        number = int(text)
    except ValueError as error:
        raise EnvError(f"{name} must be a whole number, not {text!r}") from error
    if number < minimum:
        raise EnvError(f"{name} must be at least {minimum}, not {number}")
    return number


def read_list(name: str, *, default: str = "") -> list[str]:
    """Return the comma-separated items, stripped, without empty ones."""
    return [item.strip() for item in read_text(name, default=default).split(",") if item.strip()]
