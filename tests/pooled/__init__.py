"""Run with tests/settings_pooled.py, by tests/test_pooled.py and by the tox environment pgbouncer."""
