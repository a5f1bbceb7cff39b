"""Run a command as a shell would, and keep what it said."""

from __future__ import annotations

from dataclasses import dataclass
from io import StringIO
from typing import Any

from django.core.management import call_command
from django.core.management.base import CommandError


@dataclass(frozen=True)
class Outcome:
    """What a command printed, and the exit code that a shell would have seen."""

    stdout: str
    stderr: str
    code: int


def run(name: str, *args: Any) -> Outcome:
    """Run a command; the message of a CommandError is found in stderr, as it is in a shell."""
    stdout, stderr, code = StringIO(), StringIO(), 0
    try:
        call_command(name, *args, stdout=stdout, stderr=stderr, no_color=True)
    except CommandError as error:
        code = error.returncode
        stderr.write(f"{error}\n")
    return Outcome(stdout.getvalue(), stderr.getvalue(), code)
