"""Measure the ledger against the floors: `python -m benchmarks`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import django

from benchmarks.machine import describe
from benchmarks.results import Results
from benchmarks.server import Server, find_server
from benchmarks.sizes import FULL, QUICK


def main() -> int:
    """Run the benchmarks, print each figure beside its budget, and return 1 where one is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a little of all; judge what is counted, not timed"
    )
    parser.add_argument("--peer", action="store_true", help="install stapel-billing and measure it, too")
    parser.add_argument(
        "--write", type=Path, metavar="FOLDER", help="write results.json, table.md and plot.svg"
    )
    options = parser.parse_args()
    if options.write and options.quick:
        parser.error("--write: the figures of a quick run are not worth keeping")
    started, server = time.monotonic(), find_server()
    with server.database("benchmark") as address:
        os.environ |= {"DATABASE_URL": address, "DJANGO_SETTINGS_MODULE": "benchmarks.settings"}
        django.setup()
        results = _measure(server, address, options)
    minutes = (time.monotonic() - started) / 60
    results.machine["Duration"] = f"{minutes:.1f} minutes"
    if options.write:
        results.write(options.write)
    missed = [figure for figure in results.figures if figure.verdict(quick=options.quick) == "MISSED"]
    print(f"\n{len(missed)} of {len(results.figures)} figures missed their budgets; {minutes:.1f} minutes")
    return 1 if missed else 0


def _measure(server: Server, address: str, options: argparse.Namespace) -> Results:
    # Only here: they need the apps.
    from django.core.management import call_command
    from django.db import connections

    from benchmarks.running import run

    call_command("migrate", run_syncdb=True, verbosity=0)
    results = Results(describe(server))
    try:
        run(
            server,
            address,
            results,
            sizes=QUICK if options.quick else FULL,
            quick=options.quick,
            peer=options.peer,
        )
    finally:
        connections.close_all()
    return results


if __name__ == "__main__":
    sys.exit(main())
