"""Why a start fails, in one sentence for the person at the terminal."""

import errno
from pathlib import Path


class StartError(Exception):
    """Something outside the program prevents the start; the message is one sentence that says what to do."""


def describe_os_error(error: OSError, *, path: Path) -> StartError:
    """Return the sentence for an operating-system error met while using ``path``."""
    if error.errno == errno.ENOSPC or error.errno == errno.EDQUOT:
        return StartError(
            f"The disk that holds {path} is full; free some space or set DATA_DIR to another disk."
        )
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return StartError(
            f"The folder {path} cannot be written by this user; change its owner or set DATA_DIR to another folder."
        )
    if error.errno in {errno.ENOTDIR, errno.EEXIST}:
        return StartError(f"{path} is not a folder; remove it or set DATA_DIR to another folder.")
    return StartError(f"{path} cannot be used: {error.strerror}.")
