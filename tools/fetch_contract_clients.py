"""Fetch the official clients that the contract tests run against the simulator, into .tools/ (never committed).

`.tools/together-v1`: the 2.x client of the v1 endpoint calls, which cannot live beside 3.x in one environment.
`.tools/together-sdk`: the source distribution of the 3.x client, for its own generated tests.
Idempotent: what is there in the pinned version stays. Versions and hashes come from the requirements files.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = ROOT / ".tools"
V1_CLIENT = TOOLS / "together-v1"
SDK_SOURCE = TOOLS / "together-sdk"
V1_REQUIREMENTS = ROOT / "requirements-together-v1.txt"
DEV_REQUIREMENTS = ROOT / "requirements-dev.txt"


class FetchError(RuntimeError):
    """Something could not be fetched."""


def run_pip(*arguments: str) -> None:
    """Run pip of this interpreter. Raises FetchError with the end of its output."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise FetchError(f"pip {arguments[0]} failed:\n" + "\n".join(result.stderr.splitlines()[-15:]))


def is_current(folder: Path, stamp: str) -> bool:
    marker = folder / ".fetched"
    return marker.is_file() and marker.read_text(encoding="utf-8") == stamp


def fetch_v1_client() -> bool:
    """Install the 2.x client; return False where it was there already."""
    stamp = V1_REQUIREMENTS.read_text(encoding="utf-8")
    if is_current(V1_CLIENT, stamp):
        return False
    shutil.rmtree(V1_CLIENT, ignore_errors=True)
    run_pip("install", "-q", "--require-hashes", "--target", str(V1_CLIENT), "-r", str(V1_REQUIREMENTS))
    (V1_CLIENT / ".fetched").write_text(stamp, encoding="utf-8")
    return True


def read_pin(text: str) -> str:
    """Return the requirement of `together` with its hashes, extras dropped. Raises FetchError."""
    match = re.search(r"^together(?:\[[^\]]*\])?(==[^\s\\]+(?:\s*\\\n\s+--hash=\S+)+)", text, re.MULTILINE)
    if match is None:
        raise FetchError(f"{DEV_REQUIREMENTS.name} does not pin together with hashes")
    return f"together{match.group(1)}\n"


def fetch_sdk_source() -> bool:
    """Unpack the 3.x source distribution; return False where it was there already."""
    stamp = read_pin(DEV_REQUIREMENTS.read_text(encoding="utf-8"))
    if is_current(SDK_SOURCE, stamp):
        return False
    shutil.rmtree(SDK_SOURCE, ignore_errors=True)
    SDK_SOURCE.mkdir(parents=True)
    pin = SDK_SOURCE / "pin.txt"
    pin.write_text(stamp, encoding="utf-8")
    run_pip(
        "download", "-q", "--require-hashes", "--no-deps", "--no-binary", "together",
        "-d", str(SDK_SOURCE), "-r", str(pin),
    )  # fmt: skip
    archive = next(SDK_SOURCE.glob("*.tar.gz"))
    # Pinned by hash, so nothing in it is a stranger's; tarfile's own filter is missing before Python 3.11.4.
    shutil.unpack_archive(archive, SDK_SOURCE)
    unpacked = next(path for path in SDK_SOURCE.iterdir() if path.is_dir())
    unpacked.rename(SDK_SOURCE / "source")
    archive.unlink()
    # Its tests must not meet its own source: they run against the installed, pinned wheel.
    shutil.rmtree(SDK_SOURCE / "source" / "src")
    (SDK_SOURCE / ".fetched").write_text(stamp, encoding="utf-8")
    return True


def main() -> int:
    TOOLS.mkdir(exist_ok=True)
    try:
        for name, fetch in (("2.x client", fetch_v1_client), ("3.x generated tests", fetch_sdk_source)):
            print(f"{name}: {'fetched' if fetch() else 'already there'}")
    except FetchError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
