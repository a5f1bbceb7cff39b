from __future__ import annotations

import datetime
import os

import pytest
import time_machine
from django.apps import apps
from django.core.checks import run_checks
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext

from tests.admin.browsing import page_url
from tests.factories import amounts_of, make_user, make_wallet
from tests.management.running import run
from usage_credits.exceptions import InsufficientCredits

VENDORS = {"sqlite": "sqlite", "postgres": "postgresql", "mariadb": "mysql"}
START = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


@pytest.mark.behaviour("ADM-07")
def test_run_uses_the_database_that_was_asked_for(db: None) -> None:
    assert connection.vendor == VENDORS[os.environ.get("TEST_DATABASE", "sqlite")]


@pytest.mark.behaviour("ADM-07")
def test_wallet_is_granted_spent_adjusted_and_expired_on_every_database(admin_client: Client) -> None:
    user = make_user()
    wallet = user.wallet()
    with time_machine.travel(START, tick=False):
        expires_at = (START + datetime.timedelta(days=1)).isoformat()
        run("grant_credits", "100", "--ids", str(user.pk), "--expires-at", expires_at)
        user.spend_credits_on("report")
    with time_machine.travel(START + datetime.timedelta(days=2), tick=False):
        assert run("expire_credits").stdout == "Expired 1 lot of 1 wallet: 75 credits.\n"
    sent = {"amount": 40, "reason": "goodwill", "token": "7e57ab1e-0000-4000-8000-000000000000"}
    admin_client.post(page_url(wallet, "adjust"), sent)
    with pytest.raises(InsufficientCredits):
        user.wallet().debit(41)
    assert amounts_of(wallet) == [100, -25, -75, 40]
    assert user.credits == 40
    assert run("verify_credits", "--wallet", str(wallet.pk)).code == 0


@pytest.mark.behaviour("ADM-07")
def test_write_locks_the_wallet_first_also_where_rows_cannot_be_locked(db: None) -> None:
    wallet = make_wallet(credits=10)
    with CaptureQueriesContext(connection) as captured:
        wallet.debit(5)
    statements = [query["sql"] for query in captured if "usage_credits_" in query["sql"]]
    locks = "FOR" in statements[0] if connection.features.has_select_for_update else "UPDATE" in statements[0]
    assert "usage_credits_wallet" in statements[0]
    assert locks


@pytest.mark.behaviour("ADM-08")
def test_table_prefix_is_no_setting(db: None) -> None:
    tables = {model._meta.db_table for model in apps.get_app_config("usage_credits").get_models()}
    assert all(table.startswith("usage_credits_") for table in tables)
    with override_settings(USAGE_CREDITS={"TABLE_PREFIX": "mine_"}):
        (error,) = [found for found in run_checks() if found.id == "usage_credits.E001"]
    assert "TABLE_PREFIX" in str(error)
