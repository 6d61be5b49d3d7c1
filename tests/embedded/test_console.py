"""What the terminal shows of `make up`, and what manage.py takes over from it."""

import io
import os
import threading
from pathlib import Path

import pytest

from dashboard.embedded.console import BURST_LINES, WAITING_LINES, Console
from dashboard.embedded.environment import load_environment, store_environment
from dashboard.embedded.folder import open_data_folder

WARNING = "2026-11-21T02:13:12+0000 WARNING dashboard.mirror.sync slow answer"


def test_warnings_of_children_are_shown_with_their_name_and_the_rest_is_not() -> None:
    stream = io.StringIO()
    console = Console(stream)

    console.relay("worker", WARNING)
    console.relay("worker", "2026-11-21T02:13:12+0000 INFO dashboard.mirror.sync fine")
    console.relay("worker", "the word WARNING in the middle of a text")
    console.close()

    assert stream.getvalue() == f"worker {WARNING}\n"


def test_a_child_that_fails_in_a_loop_does_not_bury_the_screen() -> None:
    stream = io.StringIO()
    console = Console(stream)

    for _ in range(500):
        console.relay("worker", WARNING)
    console.relay("beat", WARNING)
    console.close()

    lines = stream.getvalue().splitlines()
    assert len(lines) == BURST_LINES + 2
    assert "more of these" in lines[-2]
    assert lines[-1].startswith("beat ")


def test_a_terminal_that_takes_nothing_blocks_no_child() -> None:
    release = threading.Event()

    class HeldTerminal(io.StringIO):
        def write(self, text: str) -> int:
            release.wait(timeout=30)
            return len(text)

    console = Console(HeldTerminal())
    try:
        for _ in range(WAITING_LINES + 100):
            console.report("step")
    finally:
        release.set()
        console.close()


def test_colours_are_for_terminals_only() -> None:
    stream = io.StringIO()
    console = Console(stream)

    console.warn("careful")
    console.close()

    assert stream.getvalue() == "! careful\n"


def test_commands_by_hand_find_what_up_has_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = open_data_folder(tmp_path)
    store_environment(folder, {"DATABASE_URL": "postgresql://stored", "SECRET_KEY_FILE": "stored"})
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SECRET_KEY_FILE", "given")
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.delenv("DATABASE_URL")

    load_environment()

    assert os.environ["DATABASE_URL"] == "postgresql://stored"
    assert os.environ["SECRET_KEY_FILE"] == "given"
    assert (folder.secrets / "environment").stat().st_mode & 0o077 == 0
    assert folder.secrets.stat().st_mode & 0o077 == 0


def test_a_given_database_means_that_nothing_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = open_data_folder(tmp_path)
    store_environment(folder, {"DATABASE_URL": "postgresql://stored", "REDIS_URL": "unix:///stored"})
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", "postgresql://given")
    monkeypatch.delenv("REDIS_URL")

    load_environment()

    assert os.environ["DATABASE_URL"] == "postgresql://given"
    assert "REDIS_URL" not in os.environ
