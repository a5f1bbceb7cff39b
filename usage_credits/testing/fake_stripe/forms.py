"""Read the nested parameters of Stripe's form encoding: `a[b][0][c]=1`."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl

_PART = re.compile(r"[^\[\]]+|(?<=\[)(?=\])")


def decode(text: str) -> dict[str, Any]:
    """Return the parameters as nested dicts and lists; every leaf is text, as on the wire."""
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        *parents, leaf = _PART.findall(name)
        branch = tree
        for part in parents:
            branch = branch.setdefault(part, {})
        branch[leaf or str(len(branch))] = value
    return {name: _lists(value) for name, value in tree.items()}


def integer(value: Any) -> int:
    return int(value or 0)


def boolean(value: Any) -> bool:
    return value in (True, "true", "1")


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    branches = {name: _lists(branch) for name, branch in value.items()}
    if branches and all(name.isdigit() for name in branches):
        return [branches[name] for name in sorted(branches, key=int)]
    return branches
