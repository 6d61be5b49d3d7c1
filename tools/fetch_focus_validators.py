"""Fetch the validators that FOCUS exports are held to in tests, into .tools/ (never committed).

`.tools/focus-validator`: the FinOps Foundation's validator, for FOCUS 1.2, in an environment of its own pins.
`.tools/focus-toolkit`: focus-data-toolkit, which lints FOCUS 1.4; that version the other does not know.
Idempotent: what is there in the pinned version stays.

The validator says that it needs Python 3.12 because of one line: an f-string with a backslash in its expression
(PEP 701). That line is told in the older syntax here; its rules stay untouched, and the tests hold the fetched copy to
the verdicts known of version 2.2.1 (a good file, and files broken on purpose).
"""

import shutil
import sys

from fetch_contract_clients import ROOT, TOOLS, FetchError, is_current, run_pip

VALIDATOR = TOOLS / "focus-validator"
TOOLKIT = TOOLS / "focus-toolkit"
VALIDATOR_REQUIREMENTS = ROOT / "requirements-focus-validator.txt"
TOOLKIT_REQUIREMENTS = ROOT / "requirements-focus-toolkit.txt"
# There is only a source distribution, and pip on 3.11 leaves it out when it resolves: pinned here, read 2026-11-21.
VALIDATOR_PIN = (
    "focus-validator==2.2.1 --hash=sha256:0b9560ec8b7e36b5cf0c9685bb7ed2fa6f0e734cb8a14eb176a2bff5369cabcb\n"
)
NEWER_LINE = ("config_objects/focus_to_duckdb_converter.py", r"""f"'{k.replace('\"', '\"\"')}'" for k in""")
OLDER_LINE = """("'" + k.replace('"', '""') + "'") for k in"""


def fetch_validator() -> bool:
    """Install the validator of FOCUS 1.2; return False where it was there already."""
    stamp = VALIDATOR_PIN + OLDER_LINE + VALIDATOR_REQUIREMENTS.read_text(encoding="utf-8")
    if is_current(VALIDATOR, stamp):
        return False
    shutil.rmtree(VALIDATOR, ignore_errors=True)
    run_pip(
        "install", "-q", "--require-hashes", "--target", str(VALIDATOR), "-r", str(VALIDATOR_REQUIREMENTS)
    )
    source = VALIDATOR / "source"
    source.mkdir()
    pin = source / "pin.txt"
    pin.write_text(VALIDATOR_PIN, encoding="utf-8")
    run_pip(
        "download", "-q", "--require-hashes", "--no-deps", "--no-binary", "focus-validator",
        "--ignore-requires-python", "-d", str(source), "-r", str(pin),
    )  # fmt: skip
    # Pinned by hash, so nothing in it is a stranger's; tarfile's own filter is missing before Python 3.11.4.
    shutil.unpack_archive(next(source.glob("*.tar.gz")), source)
    unpacked = next(path for path in source.iterdir() if path.is_dir())
    (unpacked / "focus_validator").rename(VALIDATOR / "focus_validator")
    shutil.rmtree(source)
    path, newer = NEWER_LINE
    module = VALIDATOR / "focus_validator" / path
    text = module.read_text(encoding="utf-8")
    if text.count(newer) != 1:
        raise FetchError(f"{path} of focus-validator is not the one that is known")
    module.write_text(text.replace(newer, OLDER_LINE), encoding="utf-8")
    (VALIDATOR / ".fetched").write_text(stamp, encoding="utf-8")
    return True


def fetch_toolkit() -> bool:
    """Install the linter of FOCUS 1.4; return False where it was there already."""
    stamp = TOOLKIT_REQUIREMENTS.read_text(encoding="utf-8")
    if is_current(TOOLKIT, stamp):
        return False
    shutil.rmtree(TOOLKIT, ignore_errors=True)
    run_pip("install", "-q", "--require-hashes", "--target", str(TOOLKIT), "-r", str(TOOLKIT_REQUIREMENTS))
    (TOOLKIT / ".fetched").write_text(stamp, encoding="utf-8")
    return True


def main() -> int:
    TOOLS.mkdir(exist_ok=True)
    try:
        for name, fetch in (("FOCUS 1.2 validator", fetch_validator), ("FOCUS 1.4 linter", fetch_toolkit)):
            print(f"{name}: {'fetched' if fetch() else 'already there'}")
    except FetchError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
