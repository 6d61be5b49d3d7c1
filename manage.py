#!/usr/bin/env python
"""The command line. `manage.py up` runs the whole product; every other command is Django's or an app's."""

import os
import sys


def main() -> int:
    if sys.argv[1:2] == ["up"]:
        # Before any settings: there is no database yet, and the supervisor stays small without Django.
        from dashboard.embedded.startup import run_up

        return run_up(sys.argv[2:])
    from dashboard.embedded.environment import load_environment

    load_environment()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
