"""What a benchmark leaves must be a sound ledger."""

from __future__ import annotations

from io import StringIO

from django.core.management import CommandError, call_command


def prove(benchmark: str) -> None:
    """Run verify_credits; exits with what it finds after `benchmark`."""
    findings = StringIO()
    try:
        call_command("verify_credits", stdout=StringIO(), stderr=findings)
    except CommandError as error:
        raise SystemExit(f"after {benchmark}: {error}\n{findings.getvalue()}") from error
