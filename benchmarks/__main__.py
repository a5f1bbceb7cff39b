"""Measure the ledger against the floors: `python -m benchmarks`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator

from benchmarks.figures import Figure
from benchmarks.server import database


def main() -> int:
    """Run the benchmarks, print each figure beside its budget, and return 1 where one is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="few rounds; judge statement counts and growth only"
    )
    options = parser.parse_args()
    with database() as address:
        os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
        _prepare()
        missed = [
            figure for figure in _measure(address, quick=options.quick) if not _shown(figure, options.quick)
        ]
        _close()
    return 1 if missed else 0


def _prepare() -> None:
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", run_syncdb=True, verbosity=0)


def _close() -> None:
    from django.db import connections

    connections.close_all()


def _measure(address: str, *, quick: bool) -> Iterator[Figure]:
    from benchmarks import batches, hot_wallet, jobs, one_by_one

    yield from one_by_one.measure(address, rounds=5 if quick else 60, history=1_000 if quick else 100_000)
    yield from batches.measure(rounds=3 if quick else 30)
    yield from hot_wallet.measure(address, rounds=1 if quick else 3, seconds=1 if quick else 5)
    yield from jobs.measure(size=0.01 if quick else 1)


def _shown(figure: Figure, quick: bool) -> bool:
    judged = not (quick and figure.is_timed)
    verdict = ("ok" if figure.is_met else "MISSED") if figure.budget and judged else ""
    print(f"{figure.name:60} {figure.value:10.2f} {figure.unit:2} {figure.budget:15} {verdict}", flush=True)
    return figure.is_met or not judged


sys.exit(main())
