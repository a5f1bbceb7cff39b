#!/usr/bin/env python
from __future__ import annotations

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    try:
        from django.core.management import execute_from_command_line

        import usage_credits  # noqa: F401  # only to say at once what is missing
    except ImportError as error:
        raise SystemExit(
            f'{error}. From the root of the repository: pip install -e ".[demo]", in Python 3.11 or later.'
        ) from error
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
