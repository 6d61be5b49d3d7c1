"""The product's own PostgreSQL and Redis with an empty, migrated database, for the length of a benchmark.

Servers run with the product's settings (fsync included) in a throw-away folder and die with the block. Django is set
up inside the block: import models in functions that run there.
"""

import base64
import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from dashboard.embedded.folder import open_data_folder
from dashboard.embedded.postgres import STOP_IMMEDIATELY
from dashboard.embedded.stores import choose_place, prepare_postgres, prepare_redis


@contextlib.contextmanager
def product_stage() -> Iterator[None]:
    """Run the block with Django set up over fresh servers."""
    root = Path(tempfile.mkdtemp(prefix="desk-"))
    try:
        place = choose_place(open_data_folder(root), report=lambda line: None)
        postgres, redis = prepare_postgres(place), prepare_redis(place)
        try:
            postgres.start()
            redis.start()
            _set_up(database_url=postgres.url, redis_url=redis.url)
            yield
        finally:
            redis.stop()
            postgres.stop(steps=STOP_IMMEDIATELY)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _set_up(*, database_url: str, redis_url: str) -> None:
    os.environ |= {
        "DJANGO_SETTINGS_MODULE": "dashboard.settings",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "SECRET_KEY": secrets.token_hex(),
        "FIELD_ENCRYPTION_KEYS": "bench:" + base64.b64encode(secrets.token_bytes(32)).decode(),
        "LOG_LEVEL": "WARNING",
    }
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0, skip_checks=True)


def reset_peak_memory() -> None:
    """Make the kernel forget this process's peak; Linux only, elsewhere the peak is that since the start."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory_mib() -> float:
    """Return the most memory this process has held since `reset_peak_memory`, MiB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("the kernel does not tell VmHWM")
