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


def run(server: Server, address: str, results: Results, *, sizes: Sizes, quick: bool, peer: bool) -> None:
    """Add to `results` what each benchmark finds, and print it; exits where one leaves an unsound ledger."""
    topic = ""
    for name, measured in _benchmarks(server, address, sizes, peer=peer):
        empty_ledger()
        for found in measured:
            if isinstance(found, Call):
                results.calls.append(found)
                continue
            if found.topic != topic:
                topic = found.topic
                print(f"\n{topic}")
            results.figures.append(found)
            verdict = found.verdict(quick=quick)
            print(f"  {found.name:72} {found.measured:>12}  {found.budget:18} {verdict}", flush=True)
        prove(name)
        results.proved.append(name)


def _benchmarks(
    server: Server, address: str, sizes: Sizes, *, peer: bool
) -> Iterator[tuple[str, Iterable[Figure | Call]]]:
    yield "calls one after another", one_by_one.measure(address, rounds=sizes.turns, history=sizes.history)
    yield "statements", statements.measure(history=sizes.history)
    yield "batches", batches.measure(rounds=sizes.batches)
    yield (
        "processes at once",
        many_processes.measure(address, rounds=sizes.process_rounds, seconds=sizes.seconds),
    )
    yield (
        "a snapshot elsewhere",
        snapshots.measure(address, rounds=sizes.job_rounds, debits=sizes.snapshot_debits),
    )
    yield "expire_credits", jobs.expire(lots=sizes.lots, rounds=sizes.job_rounds)
    yield "fulfill_credits", jobs.fulfill(number=sizes.due, rounds=sizes.job_rounds)
    yield "verify_credits", jobs.verify(rows=sizes.verified, rounds=sizes.verify_rounds)
    if peer:
        yield (
            "the peer's turns",
            comparison.measure(
                server, rounds=sizes.peer_rounds, seconds=sizes.seconds, history=sizes.peer_history
            ),
        )
