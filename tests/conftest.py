from __future__ import annotations

import os

from hypothesis import settings

from tests.plugins import plugins_to_load

pytest_plugins = ["tests.repository.plugin", *plugins_to_load()]

# quick: while working, with other examples in every run; a machine that checks wants the same ones. ci: longer.
settings.register_profile(
    "quick", max_examples=25, stateful_step_count=20, deadline=None, derandomize="CI" in os.environ
)
settings.register_profile(
    "ci", max_examples=100, stateful_step_count=25, deadline=None, derandomize=True, print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

# They need settings of their own; tests/test_routed.py and tests/test_pooled.py run them. Pools are for PostgreSQL.
_SETTINGS = os.environ.get("DJANGO_SETTINGS_MODULE")
collect_ignore = [
    folder for folder in ("apart", "routed", "pooled") if f"tests.settings_{folder}" != _SETTINGS
]
# The tox environment browser names one, and installs what drives it.
if "CHROMIUM" not in os.environ:
    collect_ignore.append("browser")
if os.environ.get("TEST_DATABASE") != "postgres":
    collect_ignore.append("test_pooled.py")
