from __future__ import annotations

import os

from hypothesis import settings

from tests.plugins import plugins_to_load

pytest_plugins = ["tests.repository.plugin", *plugins_to_load()]

# quick: while working. ci: longer, and the same examples in every run.
settings.register_profile("quick", max_examples=25, stateful_step_count=20, deadline=None)
settings.register_profile(
    "ci", max_examples=100, stateful_step_count=50, deadline=None, derandomize=True, print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
