"""Compile every requirements*.txt from pyproject.toml: exact versions with hashes, no index lines.

Pins stay as they are unless pyproject.toml asks for others; ``--upgrade`` takes the newest that fit.
"""

import subprocess
import sys
from pathlib import Path

BASE = Path(__file__).resolve().parent.parent
OPTIONS = (
    "--quiet",
    "--generate-hashes",
    "--no-emit-index-url",
    "--universal",
    "--no-header",
    "--python-version",
    "3.11",
)
# In this order: the tools must agree with what runs.
FILES = {
    "requirements.txt": ("pyproject.toml",),
    "requirements-dev.txt": ("pyproject.toml", "--group", "dev", "-c", "requirements.txt"),
    "requirements-together-v1.txt": ("--group", "pyproject.toml:together-v1"),
    "requirements-focus-validator.txt": ("--group", "pyproject.toml:focus-validator"),
    "requirements-focus-toolkit.txt": ("--group", "pyproject.toml:focus-data-toolkit"),
    "requirements-node.txt": ("--group", "pyproject.toml:node"),
}


def main() -> int:
    uv = str(Path(sys.executable).with_name("uv"))
    for name, sources in FILES.items():
        print(f"> {name}", flush=True)
        command = [uv, "pip", "compile", *sources, *OPTIONS, *sys.argv[1:], "-o", name]
        if subprocess.run(command, cwd=BASE, check=False).returncode != 0:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
