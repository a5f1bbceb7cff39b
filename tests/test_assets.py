from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ValidationError

from tests.app.models import User
from tests.factories import configured, lot_of, make_user, stored
from usage_credits import (
    CreditPack,
    InsufficientCredits,
    InvalidValue,
    SubscriptionPlan,
    WalletOptions,
    credits,
    start_plan,
)
from usage_credits.ledger.verification import verify
from usage_credits.models import Allocation, Wallet

pytestmark = pytest.mark.django_db


@pytest.fixture
def user() -> User:
    return make_user()


@pytest.mark.behaviour("AST-01")
def test_wallet_of_another_asset_is_created_on_demand(user: User) -> None:
    user.give_credits(100)
    assert not user.has_wallet("gems")
    gems = user.wallet("gems")
    assert (gems.asset, gems.balance) == ("gems", 0)
    assert user.wallet("gems") == gems == user.find_wallet("gems")
    assert (user.credits, user.credit_wallet) == (100, user.wallet("credits"))


@pytest.mark.behaviour("AST-02")
def test_assets_are_spent_apart(user: User) -> None:
    coins, gems = user.wallet("coins"), user.wallet("gems")
    coins.credit(100)
    gems.credit(5)
    gems.debit(5)
    assert (gems.balance, coins.balance) == (0, 100)
    with pytest.raises(InsufficientCredits):
        gems.debit(1)


@pytest.mark.behaviour("AST-03")
def test_asset_codes_are_cleaned(user: User) -> None:
    wallets = {user.wallet(code).pk for code in ("EUR", " eur ", "Eur")}
    assert wallets == {user.wallet("eur").pk}
    assert user.has_wallet(" EUR")
    for code in ("", " ", 5, "x" * 51):
        with pytest.raises(InvalidValue):
            user.wallet(code)  # type: ignore[arg-type]


@pytest.mark.behaviour("AST-04")
def test_default_asset_of_the_model_wins_over_that_of_settings(
    user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert user.wallet().asset == "credits"
    with configured(DEFAULT_ASSET=" Tokens "):
        assert user.wallet().asset == "tokens"
        monkeypatch.setattr(User, "wallet_options", WalletOptions(default_asset="gems", initial_balance=7))
        assert user.wallet().asset == "gems"
        assert (user.credits, user.wallet("tokens").balance) == (7, 0)
        assert make_user().credit_wallet == Wallet.objects.latest("pk")
    assert Wallet.objects.latest("pk").asset == "gems"


@pytest.mark.behaviour("AST-05")
def test_one_setting_names_the_asset_of_everything_that_is_sold_and_spent(user: User) -> None:
    plan = SubscriptionPlan("monthly", gives=credits(50).every("month"))
    with configured(DEFAULT_ASSET="tokens", SUBSCRIPTION_PLANS=[plan]):
        start_plan(user, "monthly")
        user.give_credits(50)
        user.spend_credits_on("report")
        assert user.credits == 75
        assert user.wallet("tokens").balance == 75
    assert user.credits == 0


@pytest.mark.behaviour("AST-06")
def test_allocation_between_wallets_is_refused(user: User) -> None:
    lot = lot_of(user.wallet("gems").credit(10))
    user.give_credits(10)
    debit = user.wallet().debit(5)
    for wallet in (lot.wallet, debit.wallet):
        with pytest.raises(ValidationError, match="one wallet"):
            Allocation(wallet=wallet, debit=debit, lot=lot, amount=1).full_clean()


@pytest.mark.behaviour("AST-08")
def test_other_assets_work_at_the_wallet_only(user: User) -> None:
    gems = user.wallet("gems")
    gems.credit(1_000, category="bonus")
    gems.hold(10).capture()
    gems.transfer_to(make_user().wallet("gems"), 10)
    assert gems.balance == 980
    before = stored()
    assert not user.has_enough_credits_to("report")
    parameters: list[dict[str, Any]] = [{}, {"asset": "gems"}]
    for params in parameters:
        with pytest.raises(InsufficientCredits):
            user.spend_credits_on("report", **params)
    assert stored() == before
    definitions: list[Any] = [CreditPack, SubscriptionPlan]
    for define in definitions:
        with pytest.raises(TypeError, match="asset"):
            define("gems", gives=1, asset="gems")
    assert list(verify()) == []
