"""Compare the installed distribution with the checkout; run by `tox -e package` in an environment with the wheel."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from pathlib import Path

PLUGIN = "usage_credits.testing.pytest_plugin"
PACKAGE = Path(__file__).parent.parent.parent / "usage_credits"


def main() -> None:
    """Exit with the differences, if there are any."""
    files = importlib.metadata.files("usage_credits") or []
    installed = {str(file) for file in files if ".dist-info" not in file.parts[0] and file.suffix != ".pyc"}
    expected = {
        str(file.relative_to(PACKAGE.parent))
        for file in PACKAGE.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    if installed != expected:
        missing, surplus = sorted(expected - installed), sorted(installed - expected)
        sys.exit(f"missing from the wheel: {missing}; not of the package: {surplus}")
    plugins = {entry.value for entry in importlib.metadata.entry_points(group="pytest11")}
    # Where neither pytest nor Stripe is installed.
    if PLUGIN not in plugins or importlib.util.find_spec(PLUGIN) is None:
        sys.exit(f"pytest would not find {PLUGIN}, but {sorted(plugins)}")
    sys.stdout.write(f"the wheel holds the package: {len(installed)} files\n")


if __name__ == "__main__":
    main()
