"""The package's own pytest plugin, in this suite and in those it runs."""

from __future__ import annotations

from importlib.metadata import entry_points

PLUGIN = "usage_credits.testing.pytest_plugin"


def plugins_to_load() -> list[str]:
    """Return the plugin where pytest does not find it by itself: an installation brings its entry point."""
    is_installed = any(entry.value == PLUGIN for entry in entry_points(group="pytest11"))
    return [] if is_installed else [PLUGIN]


def pytest_options() -> list[str]:
    """Return the options with which another run of pytest has the plugin."""
    return [option for plugin in plugins_to_load() for option in ("-p", plugin)]
