from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from importlib.util import find_spec
from typing import Any

import pytest
from django.conf import settings
from django.core.checks import CheckMessage, run_checks
from django.core.management import CommandError, call_command
from django.db import connections
from django.test import override_settings

from tests.app.models import Newcomer
from usage_credits import CreditPack, Operation, SubscriptionPlan, WalletOptions, credits, dollars

# dj-stripe's own checks, which run along, look for keys in the database.
pytestmark = pytest.mark.django_db

ALIAS = "credits_elsewhere"
PACK = CreditPack("starter", gives=1_000, costs=dollars(49))
DAILY = SubscriptionPlan("daily", gives=credits(10).every("day"))
SOLD = SubscriptionPlan("sold", gives=credits(10).every("month"), stripe_price="price_1")

# A backend can be asked only where its driver is: mysqlclient comes with the MariaDB run.
MYSQL_LEVELS = ("repeatable read", "SERIALIZABLE", None) if find_spec("MySQLdb") else ()
MYSQL_READ_COMMITTED = ({}, {"isolation_level": "Read Committed"}) if find_spec("MySQLdb") else ()

UseDatabase = Callable[[str, dict[str, Any]], None]


class CreditsElsewhere:
    def db_for_write(self, model: type[Any], **hints: Any) -> str | None:
        return ALIAS if model._meta.app_label == "usage_credits" else None


@pytest.fixture
def use_database() -> Iterator[UseDatabase]:
    def use(engine: str, options: dict[str, Any]) -> None:
        database = {"ENGINE": f"django.db.backends.{engine}", "NAME": ":memory:", "OPTIONS": options}
        connections.settings[ALIAS] = connections.configure_settings({"default": {}, ALIAS: database})[ALIAS]

    with override_settings(DATABASE_ROUTERS=["tests.test_checks.CreditsElsewhere"]):
        yield use
    connections.settings.pop(ALIAS, None)
    with suppress(AttributeError):  # no check opened it
        del connections[ALIAS]


def found(**keys: Any) -> list[CheckMessage]:
    with override_settings(USAGE_CREDITS=keys):
        return [message for message in run_checks() if str(message.id).startswith("usage_credits.")]


def ids(messages: list[CheckMessage]) -> list[str | None]:
    return [message.id for message in messages]


def without_stripe() -> override_settings:
    return override_settings(INSTALLED_APPS=[app for app in settings.INSTALLED_APPS if app != "djstripe"])


def test_check_says_nothing_about_good_settings(use_database: UseDatabase) -> None:
    use_database("sqlite3", {"transaction_mode": "IMMEDIATE"})
    assert (
        found(OPERATIONS=[Operation("mail", costs=1)], CALLBACKS={"credits_added": "tests.test_checks.ids"})
        == []
    )


@pytest.mark.behaviour("CFG-12", "DEC-11")
def test_check_names_every_key_that_is_refused() -> None:
    messages = found(
        DEFAULT_CURRENCY="dollar",
        LOW_BALANCE_THRESHOLD="abc",
        ROUNDING="banker",
        MIN_FULFILMENT_PERIOD=timedelta(days=1),
    )
    assert ids(messages) == ["usage_credits.E001"] * 4
    assert [message.msg.split(":")[0] for message in messages] == [
        "DEFAULT_CURRENCY",
        "LOW_BALANCE_THRESHOLD",
        "ROUNDING",
        "MIN_FULFILMENT_PERIOD",
    ]
    assert "did you mean 'MIN_FULFILLMENT_PERIOD'?" in messages[3].msg
    assert all("USAGE_CREDITS" in str(message.hint) for message in messages)


@pytest.mark.behaviour("CFG-12", "DEC-11")
def test_check_command_fails_for_a_refused_setting() -> None:
    with (
        override_settings(USAGE_CREDITS={"ROUNDING": "banker"}),
        pytest.raises(CommandError, match=r"usage_credits\.E001.* ROUNDING: got 'banker'"),
    ):
        call_command("check")


def test_check_shows_settings_that_are_no_mapping() -> None:
    with override_settings(USAGE_CREDITS=[]):
        messages = [message for message in run_checks() if message.id == "usage_credits.E001"]
    assert [message.msg.split(":")[0] for message in messages] == ["USAGE_CREDITS"]


@pytest.mark.behaviour("CFG-12", "CFG-15", "DEC-11")
def test_check_shows_rules_across_the_catalogue() -> None:
    copy = SubscriptionPlan("copy", gives=credits(10).every("month"), stripe_price="price_1")
    messages = found(SUBSCRIPTION_PLANS=[SOLD, copy])
    assert ids(messages) == ["usage_credits.E001"]
    assert messages[0].msg.startswith("SUBSCRIPTION_PLANS: the price id 'price_1'")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("FORMATTER", "no.such.formatter"),
        ("OWNER_RESOLVER", "tests.test_checks.absent"),
        ("CUSTOMER_ATTRIBUTES", "tests.test_checks.ALIAS"),
        ("CALLBACKS", {"credits_added": ["tests.test_checks.ids", "no.such.callback"]}),
        ("OPERATIONS", "no.such.list"),
        ("CREDIT_PACKS", "tests.test_checks.ids"),
    ],
)
def test_check_shows_dotted_paths_that_cannot_be_imported(key: str, value: Any) -> None:
    messages = found(**{key: value})
    assert ids(messages) == ["usage_credits.E002"]
    assert messages[0].msg.startswith(f"{key}: ")
    assert "dotted path" in str(messages[0].hint)


@pytest.mark.parametrize("options", [{}, {"transaction_mode": None}, {"transaction_mode": "DEFERRED"}])
def test_check_warns_about_sqlite_without_immediate_transactions(
    use_database: UseDatabase, options: dict[str, Any]
) -> None:
    use_database("sqlite3", options)
    messages = found()
    assert ids(messages) == ["usage_credits.W001"]
    assert ALIAS in messages[0].msg
    assert "IMMEDIATE" in str(messages[0].hint)


@pytest.mark.parametrize("mode", ["IMMEDIATE", "immediate", "EXCLUSIVE"])
def test_check_accepts_sqlite_that_locks_from_the_start(use_database: UseDatabase, mode: str) -> None:
    use_database("sqlite3", {"transaction_mode": mode})
    assert found() == []


@pytest.mark.parametrize(
    ("engine", "level"),
    [
        ("postgresql", 4),
        ("postgresql", 3),
        ("postgresql", "serializable"),
        *(("mysql", level) for level in MYSQL_LEVELS),
    ],
)
def test_check_warns_about_other_isolation_levels(use_database: UseDatabase, engine: str, level: Any) -> None:
    use_database(engine, {"isolation_level": level})
    messages = found()
    assert ids(messages) == ["usage_credits.W002"]
    assert ALIAS in messages[0].msg
    assert "READ COMMITTED" in str(messages[0].hint)


@pytest.mark.parametrize(
    ("engine", "options"),
    [
        ("postgresql", {}),
        ("postgresql", {"isolation_level": 2}),
        *(("mysql", options) for options in MYSQL_READ_COMMITTED),
    ],
)
def test_check_accepts_read_committed(
    use_database: UseDatabase, engine: str, options: dict[str, Any]
) -> None:
    use_database(engine, options)
    assert found() == []


@pytest.mark.behaviour("CFG-17")
def test_check_warns_about_a_grace_longer_than_an_expiring_period() -> None:
    rolling = SubscriptionPlan("rolling", gives=credits(1).every("day"), unused_credits="rollover")
    messages = found(SUBSCRIPTION_PLANS=[DAILY, rolling], FULFILLMENT_GRACE_PERIOD=timedelta(days=2))
    assert "usage_credits.W003" in ids(messages)
    assert [message.msg for message in messages if message.id == "usage_credits.W003"] == [
        "FULFILLMENT_GRACE_PERIOD (2 days, 0:00:00) is longer than the period (P1D) of 'daily'."
    ]


@pytest.mark.parametrize(
    ("keys", "names"),
    [
        ({"CREDIT_PACKS": [PACK]}, "starter"),
        ({"SUBSCRIPTION_PLANS": [DAILY, SOLD]}, "sold"),
        ({"CREDIT_PACKS": [PACK], "SUBSCRIPTION_PLANS": [SOLD]}, "starter, sold"),
    ],
)
def test_check_warns_about_sales_without_dj_stripe(keys: dict[str, Any], names: str) -> None:
    with without_stripe():
        messages = [message for message in found(**keys) if message.id == "usage_credits.W004"]
    assert [message.msg.rpartition(": ")[2] for message in messages] == [f"{names}."]
    assert "INSTALLED_APPS" in str(messages[0].hint)


def test_check_accepts_free_plans_without_dj_stripe() -> None:
    with without_stripe():
        assert "usage_credits.W004" not in ids(found(SUBSCRIPTION_PLANS=[DAILY]))


def test_check_refuses_a_free_plan_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Newcomer, "wallet_options", WalletOptions(free_plan="daily"))
    archived = SubscriptionPlan("daily", gives=credits(10).every("day"), archived=True)
    for plans, says in (([SOLD], "allowed is"), ([], "none"), ([archived], "archived")):
        messages = [
            message for message in found(SUBSCRIPTION_PLANS=plans) if message.id == "usage_credits.E004"
        ]
        assert [message.obj for message in messages] == [Newcomer]
        assert says in messages[0].msg
        assert "SUBSCRIPTION_PLANS" in str(messages[0].hint)
    assert "usage_credits.E004" not in ids(found(SUBSCRIPTION_PLANS=[DAILY]))
    assert "usage_credits.E004" not in ids(found(SUBSCRIPTION_PLANS=[DAILY, DAILY]))


def test_check_leaves_further_warnings_out_while_settings_are_refused() -> None:
    keys = {"CREDIT_PACKS": [PACK], "SUBSCRIPTION_PLANS": [DAILY], "ROUNDING": "banker"}
    with without_stripe():
        assert set(ids(found(**keys))) <= {"usage_credits.E001", "usage_credits.W001"}


def test_check_asks_whether_the_server_returns_the_keys_of_inserted_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ids_of_server() -> list[str | None]:
        return ids(run_checks(tags=["database"], databases=["default"]))

    assert "usage_credits.E003" not in ids_of_server()
    features = type(connections["default"].features)
    monkeypatch.setattr(features, "can_return_rows_from_bulk_insert", False)
    assert "usage_credits.E003" in ids_of_server()
