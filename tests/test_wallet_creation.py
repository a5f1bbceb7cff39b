from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.contenttypes.models import ContentType
from django.core import serializers
from django.db import IntegrityError, transaction

from tests.app.models import Academy, Newcomer, Studio, User
from tests.factories import (
    NewcomerFactory,
    StudioFactory,
    TeamFactory,
    UserFactory,
    amounts_of,
    configured,
    names,
    stored,
)
from usage_credits import InvalidValue, SubscriptionPlan, WalletOptions, credits
from usage_credits.ledger.wallets import open_wallet
from usage_credits.models import Fulfillment, Transaction, Wallet
from usage_credits.testing import capture_events

pytestmark = pytest.mark.django_db


@pytest.mark.behaviour("WAL-01")
@pytest.mark.parametrize("factory", [UserFactory, TeamFactory])
def test_wallet_is_created_with_its_owner(factory: Any) -> None:
    owner = factory.create()
    wallet = Wallet.objects.get()
    assert (wallet.owner, wallet.asset, wallet.booked_balance, wallet.metadata) == (owner, "credits", 0, {})
    assert not Transaction.objects.exists()


@pytest.mark.behaviour("WAL-02")
def test_saving_again_creates_no_second_wallet() -> None:
    user = UserFactory.create()
    user.first_name = "Ada"
    user.save()
    assert Wallet.objects.count() == 1


@pytest.mark.behaviour("WAL-03")
def test_nothing_is_created_where_it_is_switched_off() -> None:
    studio = StudioFactory.create()
    assert studio.credit_wallet is None
    assert studio.find_wallet() is None
    assert not Wallet.objects.exists()
    assert studio.wallet().owner == studio
    assert studio.credits == 0
    assert studio.credit_wallet == studio.wallet()


@pytest.mark.behaviour("WAL-05", "WAL-08", "DEC-23")
def test_missing_wallet_is_created_on_access_and_every_access_finds_it() -> None:
    user = UserFactory.create()
    user.wallet().delete()
    wallet = user.credit_wallet
    assert wallet is not None
    assert (wallet.pk is not None, wallet.balance) == (True, 0)
    assert user.wallet() == user.wallet("credits") == user.credit_wallet == user.find_wallet() == wallet
    assert Wallet.objects.count() == 1


@pytest.mark.behaviour("WAL-06", "DEC-23")
def test_reading_creates_nothing() -> None:
    user, newcomer = UserFactory.create(), NewcomerFactory.create()
    user.wallet().delete()
    Wallet.objects.filter(pk=newcomer.wallet().pk).update(owner_type=None, owner_id=None)
    before = stored()
    assert (user.find_wallet(), user.has_wallet(), user.find_wallet("gems")) == (None, False, None)
    assert (user.credits, newcomer.credits) == (0, 100)
    assert list(user.credit_history) == []
    assert user.credit_subscriptions == []
    assert not user.has_enough_credits_to("report")
    assert newcomer.has_enough_credits_to("report")
    assert stored() == before


@pytest.mark.behaviour("WAL-07")
@pytest.mark.parametrize(
    "owner", [User(username="unsaved"), User(pk=5, username="unsaved, with a key")], ids=str
)
def test_unsaved_owner_cannot_have_a_wallet(owner: User) -> None:
    for action in (owner.wallet, lambda: owner.credit_wallet, lambda: owner.give_credits(5)):
        with pytest.raises(InvalidValue, match="unsaved") as refusal:
            action()
        assert refusal.value.field == "owner"
    assert owner.find_wallet() is None
    assert owner.credits == 0
    assert not Wallet.objects.exists()


@pytest.mark.behaviour("WAL-11")
def test_initial_balance_is_a_row_of_the_ledger() -> None:
    with capture_events() as events:
        newcomer = NewcomerFactory.create()
    row = Transaction.objects.get()
    assert (row.amount, row.category, row.metadata) == (
        100,
        "manual_adjustment",
        {"reason": "initial_balance"},
    )
    assert newcomer.credits == 100
    assert [context.event for context in events] == ["credits_added"]
    newcomer.save()
    assert newcomer.wallet().debit(100).balance_after == 0
    assert newcomer.wallet().balance == 0


@pytest.mark.behaviour("WAL-12")
def test_only_the_default_asset_starts_with_credits() -> None:
    newcomer = NewcomerFactory.create()
    assert newcomer.wallet("gems").balance == 0
    assert newcomer.wallet().balance == 100


@pytest.mark.behaviour("WAL-13")
@pytest.mark.parametrize("balance", [-5, 2.5, True, "5", 2**63])
def test_initial_balance_is_a_whole_number_from_zero(balance: Any) -> None:
    with pytest.raises(InvalidValue) as refusal:
        WalletOptions(initial_balance=balance)
    assert refusal.value.field == "initial_balance"
    assert isinstance(refusal.value, ValueError)
    studio = StudioFactory.create()
    with pytest.raises(InvalidValue) as refusal:
        open_wallet(studio, initial_balance=balance)
    assert refusal.value.field == "initial_balance"
    assert not Wallet.objects.exists()


@pytest.mark.behaviour("WAL-13")
def test_no_initial_balance_is_zero() -> None:
    assert WalletOptions(initial_balance=None).initial_balance == 0


@pytest.mark.behaviour("WAL-14")
def test_creation_asked_for_again_returns_the_same_wallet() -> None:
    studio = StudioFactory.create()
    wallet = open_wallet(studio, "ore", initial_balance=25)
    again = open_wallet(studio, " ORE ", initial_balance=75)
    assert (again, again.balance, amounts_of(again)) == (wallet, 25, [25])


@pytest.mark.behaviour("WAL-15", "WAL-16")
def test_loser_of_the_race_gets_the_winners_wallet_inside_its_transaction(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    newcomer = NewcomerFactory.create()
    winner = newcomer.wallet()
    monkeypatch.setattr("usage_credits.ledger.wallets.find_wallet", lambda *arguments: None)
    with transaction.atomic():
        assert open_wallet(newcomer) == winner
        assert User.objects.count() == 0
    assert amounts_of(winner) == [100]


@pytest.mark.behaviour("WAL-17")
@pytest.mark.django_db(transaction=True)
def test_other_integrity_errors_propagate() -> None:
    studio = StudioFactory.create()
    kind = ContentType.objects.get_for_model(Studio)
    ContentType.objects.filter(pk=kind.pk).delete()
    with pytest.raises(IntegrityError):
        studio.wallet()
    ContentType.objects.clear_cache()
    assert not Wallet.objects.exists()


@pytest.mark.behaviour("WAL-19")
def test_assets_are_stripped_and_lower_cased() -> None:
    studio = StudioFactory.create()
    gems = studio.wallet(" Gems ")
    assert gems.asset == "gems"
    assert studio.wallet("GEMS") == studio.find_wallet("gems ") == gems
    assert studio.has_wallet("Gems")
    refused: list[Any] = ["", "   ", "g" * 51, 5, b"gems", "ge\x00ms"]
    for bad in refused:
        for ask in (studio.wallet, studio.find_wallet, studio.has_wallet):
            with pytest.raises(InvalidValue) as refusal:
                ask(bad)
            assert refusal.value.field == "asset"
    assert Wallet.objects.count() == 1


def test_fixtures_bring_their_own_wallets() -> None:
    newcomer = NewcomerFactory.create()
    dump = serializers.serialize("json", [newcomer])
    Newcomer.objects.filter(pk=newcomer.pk)._raw_delete(using="default")
    Wallet.objects.update(owner_type=None, owner_id=None)
    for loaded in serializers.deserialize("json", dump):
        loaded.save()
    assert Newcomer.objects.get().find_wallet() is None


FREE = SubscriptionPlan("free", gives=credits(30).every("month"), signup_bonus=5)


@pytest.fixture
def free_plan(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(Newcomer, "wallet_options", WalletOptions(initial_balance=100, free_plan="free"))
    with configured(SUBSCRIPTION_PLANS=[FREE]):
        yield


def test_free_plan_starts_with_its_owner(free_plan: None) -> None:
    with capture_events() as events:
        newcomer = NewcomerFactory.create()
    assert amounts_of(newcomer.wallet()) == [100, 5, 30]
    assert newcomer.credit_subscriptions == [FREE]
    assert names(events) == ["credits_added"] * 3 + ["subscription_credits_awarded"]
    newcomer.save()
    assert Fulfillment.objects.count() == 1
    assert Academy.objects.create(name="with options of its own").credit_subscriptions == []


def test_free_plan_goes_with_an_owner_that_is_rolled_back(free_plan: None) -> None:
    before = stored()
    with transaction.atomic():
        NewcomerFactory.create()
        transaction.set_rollback(True)
    assert (stored(), Newcomer.objects.count()) == (before, 0)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "plans", [[], [SubscriptionPlan("free", gives=credits(30).every("month"), archived=True)]]
)
def test_owner_is_not_created_without_its_free_plan(free_plan: None, plans: list[SubscriptionPlan]) -> None:
    with configured(SUBSCRIPTION_PLANS=plans), pytest.raises(InvalidValue) as refusal:
        Newcomer.objects.create(name="ada")
    assert refusal.value.field == "free_plan"
    assert "free" in str(refusal.value)
    assert not Newcomer.objects.exists()
    assert not Wallet.objects.exists()


def test_fixtures_bring_their_own_plans(free_plan: None) -> None:
    newcomer = Newcomer(pk=5, name="ada")
    for loaded in serializers.deserialize("json", serializers.serialize("json", [newcomer])):
        loaded.save()
    assert Newcomer.objects.get().find_wallet() is None
    assert not Fulfillment.objects.exists()
