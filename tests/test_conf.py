from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from enum import StrEnum
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from usage_credits import (
    CreditPack,
    InvalidValue,
    Operation,
    SubscriptionPlan,
    credits,
    dollars,
    euros,
    find_credit_pack,
    find_subscription_plan,
)
from usage_credits.conf import InvalidSetting, Settings, UnimportableSetting, current, format_credits
from usage_credits.dsl.categories import DEFAULT_CATEGORIES
from usage_credits.dsl.events import EVENTS
from usage_credits.dsl.setting_values import SHORTEST_GRACE


def tokens(amount: int) -> str:
    return f"{amount} tokens"


def note(**context: object) -> None:
    pass


OPERATIONS = [Operation("listed", costs=1)]
NOT_CALLABLE = 5


BAD_VALUES: dict[str, list[Any]] = {
    "LOW_BALANCE_THRESHOLD": [-10, "abc", 2.7, True, "-10", "2.7", "", 2**63],
    "LOW_BALANCE_THRESHOLDS": [
        50,
        "20%",
        None,
        {50},
        [None],
        [-1],
        [True],
        [2.5],
        ["0%"],
        ["101%"],
        ["-5%"],
        ["20 percent"],
        ["٢٠%"],
        ["1e1%"],
        [[50]],
    ],
    "FULFILLMENT_GRACE_PERIOD": [timedelta(minutes=-5), "5 minutes", 300, False],
    "ROUNDING": ["banker", None, "CEIL", 1],
    "MIN_FULFILLMENT_PERIOD": ["1 day", 0, timedelta(seconds=0.5), None, timedelta(0)],
    "TRANSFER_EXPIRATION_POLICY": ["fixed", "fresh_window", None, 1],
    "TRANSFER_EXPIRATION_POLICIES": ["preserve", [], ["fresh_window"], [None], None, {"none"}],
    "DEFAULT_ASSET": ["", "  ", None, 5, "x" * 51],
    "DEFAULT_CURRENCY": ["", " ", "dollar", "us", None, 5],
    "ALLOW_NEGATIVE_BALANCE": ["yes", 1, None],
    "HOLD_TTL": [timedelta(0), 60, None, "1 hour"],
    "RECHARGE_RETRY_AFTER": [timedelta(0), 60, None, "1 hour"],
    "RECHARGE_MAX_FAILURES": [0, -1, True, 1.0, "5", None, 1_001],
    "ADDITIONAL_CATEGORIES": ["promo", None, {"promo"}, ["x" * 300]],
    "FORMATTER": ["tokens", "", 5, "my app.tokens", "a..b"],
    "OWNER_RESOLVER": ["resolver", 5],
    "CUSTOMER_ATTRIBUTES": ["attributes", {"name": "x"}],
    "CALLBACKS": [["a.b"], {"credits_added": "path"}, {"credits_added": [5]}, {"credits_added": None}, None],
    "OPERATIONS": ["path", None, {}, OPERATIONS[0], [5], [None]],
    "CREDIT_PACKS": [OPERATIONS, 5],
    "SUBSCRIPTION_PLANS": [OPERATIONS, 5],
}


@pytest.fixture
def broken_modules(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[None]:
    (tmp_path / "crashing_credits.py").write_text("1 / 0\n")
    (tmp_path / "refused_credits.py").write_text(
        "from usage_credits import Operation\nOPERATIONS = [Operation('bad', costs=-1)]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("crashing_credits", "refused_credits"):
        sys.modules.pop(name, None)


def read(**keys: Any) -> Settings:
    with override_settings(USAGE_CREDITS=keys):
        return current()


def refusal(**keys: Any) -> InvalidSetting:
    with override_settings(USAGE_CREDITS=keys), pytest.raises(InvalidSetting) as caught:
        _ = current().catalogue
    return caught.value


@pytest.mark.behaviour("CFG-01", "CFG-02", "CFG-06", "CST-15", "CAT-01")
def test_settings_have_their_defaults() -> None:
    assert read() == Settings(
        low_balance_threshold=None,
        default_asset="credits",
        default_currency="usd",
        rounding="ceil",
        allow_negative_balance=False,
        fulfillment_grace_period=timedelta(minutes=5),
        min_fulfillment_period=timedelta(days=1),
        additional_categories=(),
        transfer_expiration_policy="preserve",
        hold_ttl=timedelta(hours=1),
    )


def test_missing_setting_means_the_defaults() -> None:
    with override_settings(USAGE_CREDITS={"LOW_BALANCE_THRESHOLD": 5}):
        del settings.USAGE_CREDITS
        assert current() == Settings()


@pytest.mark.parametrize("value", [None, [], "OPERATIONS", 5])
def test_setting_that_is_no_mapping_is_refused(value: Any) -> None:
    with override_settings(USAGE_CREDITS=value), pytest.raises(InvalidSetting, match=r"^USAGE_CREDITS: got"):
        current()


@pytest.mark.behaviour("CFG-14")
def test_override_takes_effect_at_once_and_ends_with_its_block() -> None:
    before = current()
    with override_settings(USAGE_CREDITS={"LOW_BALANCE_THRESHOLD": 7}):
        assert current().low_balance_threshold == 7
        with override_settings(USAGE_CREDITS={"LOW_BALANCE_THRESHOLD": 8}):
            assert current().low_balance_threshold == 8
        assert current().low_balance_threshold == 7
    assert current() == before


def test_settings_are_read_once_until_they_change() -> None:
    before = current()
    with override_settings(LANGUAGE_CODE="de"):
        assert current() is before


def test_settings_are_read_once_by_many_threads() -> None:
    with override_settings(USAGE_CREDITS={"HOLD_TTL": timedelta(minutes=1)}), ThreadPoolExecutor(8) as pool:
        barrier = threading.Barrier(8)

        def read_together(_: int) -> Settings:
            barrier.wait()
            return current()

        assert len({id(found) for found in pool.map(read_together, range(8))}) == 1


@pytest.mark.behaviour("DEC-11")
def test_unknown_key_suggests_the_nearest_one() -> None:
    assert str(refusal(LOW_BALANCE_TRESHOLD=5)) == (
        "LOW_BALANCE_TRESHOLD: there is no such setting, did you mean 'LOW_BALANCE_THRESHOLD'?"
    )
    assert "allowed are OPERATIONS, CREDIT_PACKS" in str(refusal(ZZZ=5))


@pytest.mark.behaviour("CFG-04", "CFG-05", "CFG-07", "CFG-08", "CFG-09", "CFG-11", "CFG-06", "DEC-11")
@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, values in BAD_VALUES.items() for value in values]
)
def test_bad_value_is_refused_and_names_its_key(key: str, value: Any) -> None:
    error = refusal(**{key: value})
    assert error.field == key
    assert str(error).startswith(f"{key}: ")
    assert "allowed is" in str(error)
    assert isinstance(error, InvalidValue)
    assert isinstance(error, ImproperlyConfigured)


def test_thresholds_are_credits_and_shares_each_once() -> None:
    found = read(LOW_BALANCE_THRESHOLD=5, LOW_BALANCE_THRESHOLDS=[50, " 12.5% ", "50", "12.5 %", 5, "100%"])
    assert [str(one) for one in found.low_balance_thresholds] == ["50", "12.5%", "5", "100%"]
    assert [str(one) for one in found.thresholds] == ["5", "50", "12.5%", "100%"]
    assert read().thresholds == ()


@pytest.mark.behaviour("CFG-04")
@pytest.mark.parametrize(("value", "read_as"), [(None, None), (0, 0), (50, 50), ("50", 50), (" 50 ", 50)])
def test_threshold_is_a_whole_number_or_none(value: Any, read_as: int | None) -> None:
    assert read(LOW_BALANCE_THRESHOLD=value).low_balance_threshold == read_as


@pytest.mark.behaviour("CFG-06")
@pytest.mark.parametrize("value", [None, 0, timedelta(0), timedelta(milliseconds=5)])
def test_grace_is_never_below_a_second(value: Any) -> None:
    assert (
        read(FULFILLMENT_GRACE_PERIOD=value).fulfillment_grace_period
        == SHORTEST_GRACE
        == timedelta(seconds=1)
    )


@pytest.mark.behaviour("CFG-06")
def test_grace_is_the_duration_given() -> None:
    assert read(FULFILLMENT_GRACE_PERIOD=timedelta(hours=2)).fulfillment_grace_period == timedelta(hours=2)


@pytest.mark.behaviour("CFG-08")
@pytest.mark.parametrize("rounding", ["ceil", "floor", "round"])
def test_rounding_is_one_of_three(rounding: str) -> None:
    assert read(ROUNDING=rounding).rounding == rounding


@pytest.mark.behaviour("CFG-11", "DEC-24")
def test_names_are_read_in_lower_case() -> None:
    found = read(DEFAULT_ASSET=" EUR ", DEFAULT_CURRENCY="JPY", TRANSFER_EXPIRATION_POLICY=" NONE ")
    assert (found.default_asset, found.default_currency, found.transfer_expiration_policy) == (
        "eur",
        "jpy",
        "none",
    )


class Extra(StrEnum):
    PROMO = "promo"


def test_policies_of_transfers_are_read_in_lower_case_and_hold_the_default() -> None:
    found = read(TRANSFER_EXPIRATION_POLICIES=[" Preserve", "FIXED", "fixed"])
    assert found.transfer_expiration_policies == ("preserve", "fixed")
    assert read(TRANSFER_EXPIRATION_POLICIES=["fixed"]).catalogue.packs is not None
    with pytest.raises(InvalidSetting, match="TRANSFER_EXPIRATION_POLICIES has preserve, fixed"):
        _ = read(
            TRANSFER_EXPIRATION_POLICY="none", TRANSFER_EXPIRATION_POLICIES=["preserve", "fixed"]
        ).catalogue


@pytest.mark.behaviour("CAT-03", "CAT-05")
def test_additional_categories_are_cleaned_and_join_the_default_ones() -> None:
    found = read(ADDITIONAL_CATEGORIES=[" promo ", "promo", Extra.PROMO, "", "  ", None, 5, "bonus"])
    assert found.additional_categories == ("promo", "5")
    assert found.categories == (*DEFAULT_CATEGORIES, "promo", "5")


@pytest.mark.behaviour("CAT-04")
def test_additional_categories_refuse_a_plain_text() -> None:
    assert "a list or tuple" in str(refusal(ADDITIONAL_CATEGORIES="promo"))


def test_additional_categories_refuse_a_name_longer_than_the_column() -> None:
    assert "1 to 100 characters" in str(refusal(ADDITIONAL_CATEGORIES=["x" * 101]))


@pytest.mark.behaviour("CAT-06")
def test_default_categories_are_not_altered_by_additional_ones() -> None:
    before = DEFAULT_CATEGORIES
    read(ADDITIONAL_CATEGORIES=["promo"])
    assert read().categories == before
    assert {"signup_bonus", "transfer_in", "transfer_out", "expiration", "reversal", "credit_added"} <= set(
        before
    )


@pytest.mark.behaviour("CFG-18", "PAC-10")
def test_packs_and_plans_are_found_by_name() -> None:
    pack = CreditPack("small", gives=10, costs=dollars(1))
    plan = SubscriptionPlan("basic", gives=credits(10).every("month"))
    with override_settings(USAGE_CREDITS={"CREDIT_PACKS": [pack], "SUBSCRIPTION_PLANS": (plan,)}):
        assert find_credit_pack("small") == pack
        assert find_subscription_plan("basic") == plan
        assert find_credit_pack("large") is None
        assert find_subscription_plan(None) is None


@pytest.mark.behaviour("PAC-01")
def test_price_without_currency_is_read_in_the_default_currency() -> None:
    pack = CreditPack("small", gives=10, costs=900)
    with override_settings(USAGE_CREDITS={"CREDIT_PACKS": [pack], "DEFAULT_CURRENCY": "EUR"}):
        found = find_credit_pack("small")
    assert found is not None
    assert found.price == euros(9)


def test_definitions_may_be_a_dotted_path_to_a_list() -> None:
    assert read(OPERATIONS="tests.test_conf.OPERATIONS").catalogue.operation("listed") is OPERATIONS[0]


@pytest.mark.behaviour("CFG-09", "CFG-10")
def test_minimum_period_limits_the_plans() -> None:
    plan = SubscriptionPlan("fast", gives=credits(1).every("30 minutes"))
    error = refusal(SUBSCRIPTION_PLANS=[plan], MIN_FULFILLMENT_PERIOD=timedelta(hours=1))
    assert error.field == "SUBSCRIPTION_PLANS"
    assert "MIN_FULFILLMENT_PERIOD" in str(error)
    found = read(SUBSCRIPTION_PLANS=[plan], MIN_FULFILLMENT_PERIOD=timedelta(minutes=1))
    assert found.catalogue.plan("fast") is plan


@pytest.mark.behaviour("CFG-15")
def test_price_id_in_two_plans_is_refused_when_the_catalogue_is_read() -> None:
    plans = [
        SubscriptionPlan(name, gives=credits(1).every("day"), stripe_price="price_1") for name in ("a", "b")
    ]
    assert "'price_1' is in the plans 'a', 'b'" in str(refusal(SUBSCRIPTION_PLANS=plans))


@pytest.mark.behaviour("CFG-17")
def test_grace_longer_than_an_expiring_period_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    plans = [SubscriptionPlan("daily", gives=credits(1).every("day"))]
    with override_settings(
        USAGE_CREDITS={"SUBSCRIPTION_PLANS": plans, "FULFILLMENT_GRACE_PERIOD": timedelta(days=2)}
    ):
        for _ in range(3):
            assert current().catalogue.plan("daily") is plans[0]
    assert [record.name for record in caplog.records] == ["usage_credits"]


@pytest.mark.behaviour("CFG-01", "HLP-01")
def test_amounts_are_formatted_as_credits_or_by_the_formatter() -> None:
    with override_settings(USAGE_CREDITS={}):
        assert [format_credits(amount) for amount in (1, 100)] == ["1 credits", "100 credits"]
    for formatter in (tokens, "tests.test_conf.tokens"):
        with override_settings(USAGE_CREDITS={"FORMATTER": formatter}):
            assert format_credits(5) == "5 tokens"


@pytest.mark.behaviour("HLP-07")
def test_formatter_of_none_means_the_default() -> None:
    with override_settings(USAGE_CREDITS={"FORMATTER": None}):
        assert format_credits(5) == "5 credits"


def test_hooks_are_imported_on_first_use() -> None:
    found = read(OWNER_RESOLVER="no.such.module.resolver", CUSTOMER_ATTRIBUTES=tokens)
    assert found.hook("CUSTOMER_ATTRIBUTES") is tokens
    assert found.hook("FORMATTER") is None
    with pytest.raises(UnimportableSetting, match=r"^OWNER_RESOLVER: 'no\.such\.module\.resolver' cannot be"):
        found.hook("OWNER_RESOLVER")


def test_callbacks_are_one_or_many_for_each_event() -> None:
    found = read(CALLBACKS={"credits_added": note, "low_balance_reached": ["tests.test_conf.note", tokens]})
    assert found.callbacks_for("credits_added") == (note,)
    assert found.callbacks_for("low_balance_reached") == (note, tokens)
    assert found.callbacks_for("credits_expired") == ()


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_can_have_callbacks(event: str) -> None:
    assert read(CALLBACKS={event: note}).callbacks_for(event) == (note,)


def test_callbacks_of_an_unknown_event_are_refused() -> None:
    assert str(refusal(CALLBACKS={"low_balance": note})) == (
        "CALLBACKS: there is no event 'low_balance', did you mean 'low_balance_reached'?"
    )
    assert "there is no event 5" in str(refusal(CALLBACKS={5: note}))


@pytest.mark.parametrize(
    "path", ["tests.test_conf.NOT_CALLABLE", "tests.test_conf.absent", "crashing_credits.f"]
)
@pytest.mark.usefixtures("broken_modules")
def test_path_to_what_cannot_be_called_is_refused_on_use(path: str) -> None:
    with pytest.raises(UnimportableSetting, match=r"^CALLBACKS: ") as caught:
        read(CALLBACKS={"credits_added": path}).callbacks_for("credits_added")
    assert path in str(caught.value)


@pytest.mark.parametrize(
    "path", ["tests.test_conf.note", "tests.test_conf.absent", "crashing_credits.OPERATIONS"]
)
@pytest.mark.usefixtures("broken_modules")
def test_path_to_what_is_no_list_is_refused_on_use(path: str) -> None:
    error = refusal(OPERATIONS=path)
    assert isinstance(error, UnimportableSetting)
    assert (error.field, path in str(error)) == ("OPERATIONS", True)


@pytest.mark.usefixtures("broken_modules")
def test_path_to_definitions_that_are_refused_says_why() -> None:
    error = refusal(OPERATIONS="refused_credits.OPERATIONS")
    assert not isinstance(error, UnimportableSetting)
    assert str(error).startswith("OPERATIONS: importing 'refused_credits.OPERATIONS' failed: costs: got -1")


def test_list_that_cannot_be_read_leaves_the_other_settings_usable() -> None:
    found = read(OPERATIONS="no.such.list", LOW_BALANCE_THRESHOLD=5)
    assert found.low_balance_threshold == 5


def test_settings_are_typed_values_and_frozen() -> None:
    with pytest.raises(AttributeError):
        current().rounding = "floor"  # type: ignore[misc]
