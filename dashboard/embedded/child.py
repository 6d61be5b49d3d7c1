"""Become another program that dies with its parent. Run as a script, needs the standard library only.

    python -I -S child.py --parent PID --death-signal N [--user-namespace ID | --uid N --gid N] -- program argument...

A separate script and not a ``preexec_fn``, because the caller has threads: Python code between fork and exec of a
threaded program can deadlock. Linux only: elsewhere the program runs without the death signal.

PR_SET_PDEATHSIG follows the *thread* that spawned the child, so spawn from a thread that lives as long as the
program (the main one).
"""

import argparse
import ctypes
import os
import signal
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1  # linux/prctl.h
CLONE_NEWUSER = 0x10000000  # linux/sched.h


def call_libc(name: str, *arguments: int) -> None:
    """Call a C library function that returns -1 on error; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) == -1:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def enter_user_namespace(inside_id: int) -> None:
    """Appear as the unprivileged user ``inside_id`` while files stay ours. Raises OSError when the kernel refuses."""
    uid, gid = os.getuid(), os.getgid()
    call_libc("unshare", CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{inside_id} {uid} 1\n")
    Path("/proc/self/gid_map").write_text(f"{inside_id} {gid} 1\n")


def drop_to_user(*, uid: int, gid: int) -> None:
    """Become another user for good. Raises OSError when we may not."""
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--death-signal", type=int, default=signal.SIGTERM)
    parser.add_argument("--user-namespace", type=int)
    parser.add_argument("--uid", type=int)
    parser.add_argument("--gid", type=int)
    parser.add_argument("program", nargs="+")
    options = parser.parse_args()
    # A supervisor that ignores SIGINT or SIGPIPE must not hand that down: exec keeps ignored signals ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    try:
        if options.user_namespace is not None:
            enter_user_namespace(options.user_namespace)
        elif options.uid is not None:
            drop_to_user(uid=options.uid, gid=options.gid)
        if sys.platform == "linux":
            # Last: a change of credentials clears the death signal.
            call_libc("prctl", PR_SET_PDEATHSIG, options.death_signal, 0, 0, 0)
            if os.getppid() != options.parent:
                sys.exit(0)  # the parent died before the signal was set
        os.execvp(options.program[0], options.program)
    except OSError as error:
        print(f"{options.program[0]}: {error}", file=sys.stderr)
        sys.exit(126)


if __name__ == "__main__":
    main()
