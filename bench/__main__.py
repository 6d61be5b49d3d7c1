"""Run benchmarks: `python -m bench [NAME...]`, all of them without a name; exits 1 when a target is missed.

Each runs in a process of its own, so that peak memory and caches of one say nothing about another.
"""

import subprocess
import sys

NAMES = ("payloads", "sync", "pages", "forecast", "ledger", "export", "costs")


def main(names: list[str]) -> int:
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        print(f"Unknown: {', '.join(unknown)}. There are: {', '.join(NAMES)}.", file=sys.stderr)
        return 2
    missed = []
    for name in names or NAMES:
        print(f"== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False).returncode:
            missed.append(name)
    print(f"Targets missed in: {', '.join(missed)}" if missed else "All targets met.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
