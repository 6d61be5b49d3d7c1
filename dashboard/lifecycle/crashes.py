"""Die at a named point when a fault test asks for it (environment variable CRASH_AT); otherwise nothing.

The points are claim, call, verify and write (fault plan, row 19); ``call:3`` dies when it is passed the third time.
SIGKILL, so that nothing is tidied up.
"""

import itertools
import os
import signal

_POINT, _, _COUNT = os.environ.get("CRASH_AT", "").partition(":")
_passes = itertools.count(1)


def pass_point(name: str) -> None:
    """Return, unless this process was started to die here."""
    if name == _POINT and next(_passes) == int(_COUNT or 1):
        os.kill(os.getpid(), signal.SIGKILL)
