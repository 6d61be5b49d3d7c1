"""Run PostgreSQL and Redis in the foreground for work by hand: ``python tools/dev_services.py NAME``.

Data stays in DATA_DIR or .data/dev-NAME. Prints the export lines that manage.py needs; Ctrl-C stops both.
"""

import base64
import os
import secrets
import signal
import sys
from pathlib import Path

BASE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(BASE))

from dashboard.embedded.errors import StartError  # noqa: E402 - after the path is set
from dashboard.embedded.folder import hold_data_folder, open_data_folder, read_or_create_secret  # noqa: E402
from dashboard.embedded.stores import choose_place, prepare_postgres, prepare_redis  # noqa: E402


def report(line: str) -> None:
    print(f"# {line}", file=sys.stderr, flush=True)


def main() -> int:
    name = sys.argv[1] if len(sys.argv) > 1 else "default"
    folder = open_data_folder(Path(os.environ.get("DATA_DIR") or BASE / ".data" / f"dev-{name}"))
    field_key = read_or_create_secret(
        folder.secrets / "field-encryption-keys",
        create=lambda: "k1:" + base64.b64encode(secrets.token_bytes(32)).decode(),
    )
    with hold_data_folder(folder):
        place = choose_place(folder, report=report)
        postgres, redis = prepare_postgres(place, report=report), prepare_redis(place)
        try:
            postgres.start()
            redis.start()
            print(f"export DATABASE_URL='{postgres.url}'")
            print(f"export REDIS_URL='{redis.url}'")
            print(
                f"export SECRET_KEY='{read_or_create_secret(folder.secrets / 'secret-key', create=secrets.token_hex)}'"
            )
            print(f"export FIELD_ENCRYPTION_KEYS='{field_key}' DEBUG=1", flush=True)
            report("Ctrl-C stops both.")
            signal.sigwait({signal.SIGINT, signal.SIGTERM})
        finally:
            redis.stop()
            postgres.stop()
    return 0


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        sys.exit(main())
    except StartError as error:
        sys.exit(str(error))
