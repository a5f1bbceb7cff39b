"""How much is measured, and how often."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Of what is timed, the rounds and their seconds; of what it is done to, the rows."""

    history: int
    turns: int
    batches: int
    process_rounds: int
    snapshot_debits: int
    seconds: float
    lots: int
    due: int
    verified: int
    job_rounds: int
    verify_rounds: int
    peer_rounds: int
    peer_history: int


FULL = Sizes(
    history=100_000,
    turns=150,
    batches=80,
    process_rounds=7,
    snapshot_debits=3_000,
    seconds=1,
    lots=100_000,
    due=50_000,
    verified=1_000_000,
    job_rounds=3,
    verify_rounds=2,
    peer_rounds=5,
    peer_history=20_000,
)
"""What the budgets are about."""
QUICK = Sizes(
    history=10_000,
    turns=3,
    batches=3,
    process_rounds=1,
    snapshot_debits=100,
    seconds=0.2,
    lots=1_000,
    due=500,
    verified=10_000,
    job_rounds=1,
    verify_rounds=1,
    peer_rounds=1,
    peer_history=1_000,
)
"""So much that all of it runs, and that what grows with history shows."""
