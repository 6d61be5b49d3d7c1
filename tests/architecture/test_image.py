"""The Dockerfile and what goes into its image, as far as that can be held without a container engine."""

import fnmatch
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMPILERS = ("gcc", "g++", "build-essential", "make", "git", "curl", "node", "npm")


def read_instructions() -> list[list[str]]:
    """Return the instructions with their words, continuation lines joined and comments dropped."""
    lines = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [line.split(None, 1) for line in joined.splitlines() if line.strip()]


def read_stages() -> list[list[list[str]]]:
    """Return the instructions of each stage; the first is its FROM."""
    stages: list[list[list[str]]] = []
    for instruction in read_instructions():
        if instruction[0] == "FROM":
            stages.append([])
        if stages:
            stages[-1].append(instruction)
    return stages


def read_arguments() -> dict[str, str]:
    pairs = [rest.split("=", 1) for word, rest in read_instructions() if word == "ARG"]
    return dict(pairs)


def is_ignored(path: str) -> bool:
    """Return whether .dockerignore keeps the path out: the last pattern that fits decides."""
    ignored = False
    for pattern in (ROOT / ".dockerignore").read_text().splitlines():
        if not pattern or pattern.startswith("#"):
            continue
        wanted = pattern.removeprefix("!").removeprefix("**/")
        parts = path.split("/")
        prefixes = ["/".join(parts[: n + 1]) for n in range(len(parts))]
        names = prefixes if "**/" not in pattern else parts
        if any(fnmatch.fnmatchcase(name, wanted) for name in names):
            ignored = not pattern.startswith("!")
    return ignored


def test_bases_are_pinned_and_name_no_registry() -> None:
    arguments = read_arguments()

    for stage in read_stages():
        base = stage[0][1].split()[0]
        image, _, tag = re.sub(r"\$\{(\w+)\}", lambda found: arguments[found.group(1)], base).partition(":")
        assert re.fullmatch(r"\d+(\.\d+)*(-\w+)+", tag), base
        assert "/" not in image
        assert "." not in image


def test_no_instruction_names_a_registry_or_fetches_by_hand() -> None:
    text = (ROOT / "Dockerfile").read_text()

    assert "://" not in text.replace("postgres:///unused", "").replace("unix:///unused", "")
    assert not re.search(r"^ADD\b|--index-url|--extra-index|--registry|curl|wget", text, re.MULTILINE)


def test_packages_are_installed_by_hash_and_by_lock_file() -> None:
    runs = [rest for word, rest in read_instructions() if word == "RUN"]

    installs = [run for run in runs if re.search(r"\bpip\b[^&]* install\b", run)]
    assert installs
    assert all("--require-hashes" in run for run in installs)
    assert [run for run in runs if "npm" in run] == [
        "npm ci --ignore-scripts --omit=dev --no-audit --no-fund"
    ]


def test_the_last_stage_is_nobody_in_particular_and_has_no_tools() -> None:
    last = read_stages()[-1]
    words = [word for instruction in last if instruction[0] == "RUN" for word in shlex.split(instruction[1])]

    assert [rest for word, rest in last if word == "USER"] == ["10001:10001"]
    assert last[-1][0] == "EXPOSE"
    assert "apt-get" not in words
    assert not set(COMPILERS) & set(words)
    assert "uninstall" in words
    assert not any("node_modules" in rest for _, rest in last)
    # No secret can stay in a layer: none is ever an argument or a variable of the image.
    assert not re.search(r"(SECRET|KEY|PASSWORD|TOKEN)", " ".join(rest for _, rest in last))


def test_the_last_stage_carries_the_whole_program() -> None:
    copied = {
        source
        for word, rest in read_stages()[-1]
        if word == "COPY" and "--from" not in rest
        for source in rest.split()[:-1]
    }

    assert copied == {"manage.py", "dashboard", "billing", "templates", "static"}
    for source in copied | {"requirements.txt", "package.json", "package-lock.json"}:
        assert (ROOT / source).exists()
        assert not is_ignored(source), source


@pytest.mark.parametrize(
    "path",
    [
        ".git/config",
        ".env",
        ".data/secrets/environment",
        "secrets/secret_key",
        "tests/settings.py",
        "simulator/app.py",
        ".venv/bin/python",
        "node_modules/chart.js/package.json",
        "dashboard/__pycache__/settings.cpython-311.pyc",
    ],
)
def test_what_is_not_part_of_the_image_never_reaches_the_builder(path: str) -> None:
    assert is_ignored(path)


@pytest.mark.parametrize(
    "path", ["manage.py", "dashboard/settings.py", "templates/base.html", "static/css/tokens.css"]
)
def test_the_program_reaches_the_builder(path: str) -> None:
    assert not is_ignored(path)
