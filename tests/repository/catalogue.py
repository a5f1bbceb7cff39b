"""The promised behaviours of tests/behaviours.txt: one id a line, ` waived: reason` after those not kept."""

from __future__ import annotations

import re
from pathlib import Path

LIST = Path(__file__).parent.parent / "behaviours.txt"

_LINE = re.compile(r"(?P<id>[A-Z]{3}-\d\d)(?: waived: (?P<reason>\S.*))?")


def read_catalogue(text: str) -> dict[str, str | None]:
    """Return every id with the reason why it is waived, or None if it must be proved.

    Raises ValueError for a line of another form and for an id listed twice.
    """
    catalogue: dict[str, str | None] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise ValueError(f"line {number}: {line!r} is neither 'DEB-08' nor 'DEB-08 waived: reason'")
        if match["id"] in catalogue:
            raise ValueError(f"line {number}: {match['id']} is listed twice")
        catalogue[match["id"]] = match["reason"]
    return catalogue
