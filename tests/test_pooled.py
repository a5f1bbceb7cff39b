"""Collected where the database is PostgreSQL only, see tests/conftest.py."""

from __future__ import annotations

from tests.runs import run_with_settings


def test_work_over_connections_that_psycopg_pools() -> None:
    run_with_settings("tests.settings_pooled", "pooled")
