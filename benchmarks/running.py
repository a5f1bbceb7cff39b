"""All benchmarks, one after another, each on an empty ledger and each proved at its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from benchmarks import batches, jobs, many_processes, one_by_one, snapshots, statements
from benchmarks.figures import Call, Figure
from benchmarks.filling import empty_ledger
from benchmarks.peer import comparison
from benchmarks.proofs import prove
from benchmarks.results import Results
from benchmarks.server import Server
from benchmarks.sizes import Sizes

Benchmarks = Iterator[tuple[str, Iterable[Figure | Call]]]


def run(server: Server, address: str, results: Results, *, sizes: Sizes, quick: bool, peer: bool) -> None:
    """Add to `results` what each benchmark finds, and print it; exits where one leaves an unsound ledger."""
    for name, measured in _calls(server, address, sizes, peer=peer):
        empty_ledger()
        _take(measured, results, quick=quick)
        prove(name)
        results.proved.append(name)
    # These empty the ledger themselves, and prove it after each of their rounds.
    for name, measured in _jobs(address, sizes):
        _take(measured, results, quick=quick)
        results.proved.append(name)


def _take(measured: Iterable[Figure | Call], results: Results, *, quick: bool) -> None:
    for found in measured:
        if isinstance(found, Call):
            results.calls.append(found)
            continue
        if not results.figures or results.figures[-1].topic != found.topic:
            print(f"\n{found.topic}")
        results.figures.append(found)
        verdict = found.verdict(quick=quick)
        print(f"  {found.name:72} {found.measured:>12}  {found.budget:18} {verdict}", flush=True)


def _calls(server: Server, address: str, sizes: Sizes, *, peer: bool) -> Benchmarks:
    rounds, seconds = sizes.process_rounds, sizes.seconds
    yield "calls one after another", one_by_one.measure(address, rounds=sizes.turns, history=sizes.history)
    yield "calls of all kinds", statements.measure(history=sizes.history)
    yield "batches", batches.measure(rounds=sizes.batches)
    yield "processes at once", many_processes.measure(address, rounds=rounds, seconds=seconds)
    yield (
        "a snapshot elsewhere",
        snapshots.measure(address, rounds=sizes.job_rounds, debits=sizes.snapshot_debits),
    )
    if peer:
        compared = comparison.measure(
            server, rounds=sizes.peer_rounds, seconds=seconds, history=sizes.peer_history
        )
        yield "our turns beside stapel-billing", compared


def _jobs(address: str, sizes: Sizes) -> Benchmarks:
    yield "expire_credits", jobs.expire(lots=sizes.lots, rounds=sizes.job_rounds)
    yield "fulfill_credits", jobs.fulfill(address, number=sizes.due, rounds=sizes.job_rounds)
    yield "the rows that it was timed on", jobs.verify(rows=sizes.verified, rounds=sizes.verify_rounds)
