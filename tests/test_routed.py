from __future__ import annotations

from tests.runs import run_with_settings


def test_take_payments_where_the_ledger_is_apart_from_stripe() -> None:
    run_with_settings("tests.settings_apart", "apart")


def test_work_where_routers_choose_the_database_and_default_is_empty() -> None:
    run_with_settings("tests.settings_routed", "routed")
