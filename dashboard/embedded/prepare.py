"""Bring the database up to date before the processes start; run as ``python -m dashboard.embedded.prepare``.

One process for all of it, because loading Django takes longer than the work. Each line on standard output is
``kind text``: ``step`` tells progress, ``link`` is the path of the sign-in link, ``warning`` needs a look,
``refused`` is why it cannot go on.
"""

import os
import sys
import time
from io import StringIO

import django
from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader

from dashboard import env
from dashboard.together_api.client import TogetherClient
from dashboard.together_api.config import ApiConfig
from dashboard.together_api.errors import ApiError, AuthenticationError

KEY_CHECK_SECONDS = 15.0
REFUSED = 3  # exit code: the reason was printed


def say(kind: str, text: str) -> None:
    print(kind, text.replace("\n", " ").strip(), flush=True)


def find_newer_migrations(loader: MigrationLoader) -> list[str]:
    """Return what the database has been through that this version knows nothing of, as ``app.name``."""
    applied = loader.applied_migrations or {}
    unknown = set(applied) - set(loader.disk_migrations or {})
    return sorted(f"{app}.{name}" for app, name in unknown if app in loader.migrated_apps)


def explain_newer_database(newer: list[str]) -> str:
    """Return the sentence for the person at the terminal."""
    others = f" and {len(newer) - 1} more" if len(newer) > 1 else ""
    return (
        f"The database belongs to a newer version of Endpoint Desk: it has {newer[-1]}{others}, which version"
        f" {settings.VERSION} does not know; start the newer version, restore a backup of this one, or set"
        " ALLOW_NEWER_DATABASE=1 to go back by one release."
    )


def migrate(executor: MigrationExecutor) -> None:
    """Apply what is not applied yet; only looks when there is nothing to do."""
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not plan:
        return
    began_at = time.monotonic()
    say("step", f"Migrating the database ({len(plan)} migrations)")
    call_command("migrate", interactive=False, verbosity=0)
    say("step", f"Migrated in {time.monotonic() - began_at:.1f} s")


def check_key() -> str | None:
    """Return why the API key cannot be used, None when it can or when nobody can tell now."""
    if settings.SIMULATED:
        return None
    try:
        config = ApiConfig(
            settings.TOGETHER_API_KEY,
            settings.TOGETHER_BASE_URL,
            deadline_seconds=KEY_CHECK_SECONDS,
            max_retries=0,
        )
        with TogetherClient(config) as client:
            client.whoami()
    except ValueError as error:
        return f"TOGETHER_API_KEY or TOGETHER_BASE_URL is wrong: {str(error).rstrip('.')}."
    except AuthenticationError as error:
        return (
            f"Together AI refuses TOGETHER_API_KEY ({error.status}); make a new key and start again with it."
        )
    except ApiError as error:
        # An outage over there is no reason to stay down here: timers must go on, and the mirror heals by itself.
        say("warning", f"The API key could not be checked: {error.sentence}")
    return None


def run_command(name: str) -> list[str]:
    """Return the lines that a management command prints."""
    output = StringIO()
    call_command(name, stdout=output)
    return [line.strip() for line in output.getvalue().splitlines() if line.strip()]


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
    django.setup()
    # A long migration is legitimate; the settings' limit is for pages and tasks.
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
    try:
        executor = MigrationExecutor(connection)
        newer = find_newer_migrations(executor.loader)
        if newer and not env.read_flag("ALLOW_NEWER_DATABASE", default=False):
            say("refused", explain_newer_database(newer))
            return REFUSED
        migrate(executor)
    except DatabaseError as error:
        say("refused", f"The database could not be migrated: {str(error).strip().splitlines()[0]}.")
        return REFUSED
    if reason := check_key():
        say("refused", reason)
        return REFUSED
    for line in run_command("bootstrap"):
        say("step", line)
    for path in run_command("signin_link")[-1:]:
        say("link", path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
