"""Fail a test whose ledger does not add up."""

from __future__ import annotations

from usage_credits.ledger.verification import verify

_SHOWN = 20


def assert_ledger_sound(*, using: str | None = None) -> None:
    """Check every invariant, as `verify_credits` does; raises AssertionError with what breaks one.

    Reads only. `using` is the alias of a database, by default the one that the ledger is read from.
    """
    __tracebackhide__ = True
    findings = [str(finding) for finding in verify(using=using)]
    if findings:
        left_off = [f"… and {len(findings) - _SHOWN} more"] if len(findings) > _SHOWN else []
        listed = "\n  ".join([*findings[:_SHOWN], *left_off])
        raise AssertionError(f"The ledger does not add up, {len(findings)} found:\n  {listed}")
