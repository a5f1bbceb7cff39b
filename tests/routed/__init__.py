"""Run with tests/settings_routed.py, by tests/test_routed.py."""
