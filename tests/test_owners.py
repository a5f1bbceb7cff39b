from __future__ import annotations

from typing import Any

import pytest
import time_machine
from django.db import connection, models
from django.db.models import ProtectedError
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from tests.app.models import Academy, Member, Newcomer, Studio, Team, User
from tests.factories import NewcomerFactory, StudioFactory, TeamFactory, configured, days, make_user, stored
from usage_credits import (
    InvalidValue,
    SubscriptionPlan,
    WalletNotFound,
    WalletOptions,
    credits,
    detach_owner,
    start_plan,
    stop_plan,
    with_credits,
)
from usage_credits.ledger.verification import verify
from usage_credits.models import Transaction, Wallet
from usage_credits.testing import capture_events

pytestmark = pytest.mark.django_db


def answers(queryset: models.QuerySet[Any]) -> dict[Any, int | None]:
    with CaptureQueriesContext(connection) as captured:
        found = {owner.pk: owner.credits_now for owner in with_credits(queryset)}
    assert len(captured) == 1
    return found


@pytest.mark.parametrize("factory", [make_user, TeamFactory.create], ids=["integer key", "UUID key"])
def test_with_credits_answers_what_each_owner_reads(factory: Any) -> None:
    owners = [factory() for _ in range(5)]
    with time_machine.travel("2026-01-01", tick=False) as clock:
        owners[0].give_credits(100)
        owners[1].give_credits(70, expires_at=timezone.now() + days(1))
        owners[1].give_credits(5)
        with configured(ALLOW_NEGATIVE_BALANCE=True):
            owners[2].wallet().debit(30)
        owners[3].wallet().delete()
        model = type(owners[0])
        assert answers(model._default_manager.all()) == {owner.pk: owner.credits for owner in owners}
        assert answers(model._default_manager.all())[owners[1].pk] == 75
        clock.shift(days(1))
        found = answers(model._default_manager.all())
    assert found == dict(zip([owner.pk for owner in owners], [100, 5, 0, 0, 0], strict=True))
    assert {type(credits) for credits in found.values()} == {int}


def test_with_credits_answers_for_owners_without_wallet() -> None:
    studio, newcomer = StudioFactory.create(), NewcomerFactory.create()
    newcomer.wallet().history()
    Newcomer.objects.bulk_create([Newcomer(name="no wallet yet")])
    assert answers(Studio.objects.all()) == {studio.pk: None}
    assert set(answers(Newcomer.objects.all()).values()) == {100}
    studio.wallet()
    assert answers(Studio.objects.all()) == {studio.pk: 0}


def test_with_credits_can_be_filtered_and_ordered_and_keeps_assets_apart() -> None:
    rich, poor = make_user(50), make_user(5)
    poor.wallet("gems").credit(7)
    users: models.QuerySet[Any] = User.objects.all()
    assert list(with_credits(users).filter(credits_now__gte=10)) == [rich]
    assert list(with_credits(users).order_by("credits_now")) == [poor, rich]
    assert {user.pk: user.credits_now for user in with_credits(users, "gems")} == {rich.pk: 0, poor.pk: 7}


@pytest.mark.behaviour("WAL-10")
def test_owners_of_different_models_with_one_key_have_separate_wallets() -> None:
    user = User.objects.create(pk=4_711, username="ada")
    studio = Studio.objects.create(pk=4_711, name="ada's")
    row = studio.wallet().credit(5)
    assert user.wallet() != studio.wallet()
    assert (user.credits, studio.credits) == (0, 5)
    stored_wallet = Wallet.objects.get(pk=studio.wallet().pk)
    assert (stored_wallet.owner, Transaction.objects.get(pk=row.pk).owner) == (studio, studio)
    assert Wallet.objects.get(pk=user.wallet().pk).owner == user


def test_proxy_and_child_share_the_wallet_of_their_parent() -> None:
    user = make_user(5)
    member = Member.objects.get(pk=user.pk)
    assert member.wallet() == user.wallet()
    assert member.credits == 5
    assert answers(Member.objects.all()) == {user.pk: 5}
    academy = Academy.objects.create(name="school")
    parent = Newcomer.objects.get(pk=academy.pk)
    assert academy.wallet() == parent.wallet()
    parent.give_credits(10)
    assert (academy.credits, parent.credits) == (35, 35)
    assert answers(Academy.objects.all()) == answers(Newcomer.objects.all()) == {academy.pk: 35}
    assert Wallet.objects.count() == 2


@pytest.mark.behaviour("WAL-20")
def test_options_of_a_subclass_win() -> None:
    assert Academy.objects.create(name="school").credits == 25
    assert Newcomer.objects.create(name="ada").credits == 100
    assert Member.wallet_options == User.wallet_options == WalletOptions()

    class Twice:
        wallet_options = WalletOptions(initial_balance=1)
        wallet_options = WalletOptions(initial_balance=2)

    assert Twice.wallet_options.initial_balance == 2


@pytest.mark.behaviour("WAL-23")
@pytest.mark.parametrize("factory", [make_user, TeamFactory.create], ids=["integer key", "UUID key"])
def test_owner_with_history_cannot_be_deleted(factory: Any) -> None:
    owner, bystander = factory(), factory()
    owner.give_credits(5)
    before = stored()
    with pytest.raises(ProtectedError):
        owner.delete()
    with pytest.raises(ProtectedError):
        type(owner)._default_manager.filter(pk=owner.pk).delete()
    assert stored() == before
    owner.refresh_from_db()
    bystander.delete()
    assert [wallet.owner for wallet in Wallet.objects.all()] == [owner]


def test_wallet_without_history_goes_with_its_owner() -> None:
    owner = make_user()
    owner.wallet("gems")
    owner.delete()
    assert not Wallet.objects.exists()


@pytest.mark.parametrize("factory", [make_user, TeamFactory.create], ids=["integer key", "UUID key"])
def test_detached_owner_can_be_erased_and_its_ledger_stays(factory: Any) -> None:
    owner = factory()
    wallet = owner.wallet()
    wallet.credit(5)
    owner.wallet("gems")
    rows = list(wallet.history().values())
    assert detach_owner(owner) == 2
    owner.delete()
    detached = Wallet.objects.get(pk=wallet.pk)
    assert (detached.owner, detached.owner_type, detached.owner_id) == (None, None, None)
    assert list(detached.history().values()) == rows
    assert detached.history().get().owner is None
    with capture_events() as events:
        detached.debit(5)
    assert (events[0].owner, events[0].wallet) == (None, detached)
    assert list(verify()) == []


def test_detaching_leaves_the_owner_without_wallet_and_others_alone() -> None:
    owner, other = make_user(5), make_user(7)
    detach_owner(owner)
    assert owner.find_wallet() is None
    assert detach_owner(owner) == 0
    assert owner.wallet().balance == 0
    assert other.credits == 7
    with pytest.raises(InvalidValue) as refusal:
        detach_owner(User(username="unsaved"))
    assert refusal.value.field == "owner"


@pytest.mark.behaviour("WAL-04", "DEC-23")
@configured(SUBSCRIPTION_PLANS=[SubscriptionPlan("free", gives=credits(5).every("month"))])
def test_functions_take_the_lazy_user_of_a_request() -> None:
    user = make_user()
    lazy: Any = SimpleLazyObject(lambda: user)
    fulfillment = start_plan(lazy, "free")
    assert (fulfillment.wallet, user.credits) == (user.find_wallet(), 5)
    assert stop_plan(lazy, "free") == fulfillment
    assert detach_owner(lazy) == 1


def test_calls_without_a_wallet_say_so_where_none_is_created() -> None:
    studio = StudioFactory.create()
    calls: list[Any] = [
        lambda: studio.credits,
        lambda: studio.give_credits(5),
        lambda: studio.spend_credits_on("report"),
        lambda: studio.has_enough_credits_to("report"),
    ]
    for call in calls:
        with pytest.raises(WalletNotFound, match="Studio"):
            call()
    assert (studio.credit_wallet, studio.find_wallet(), studio.has_wallet()) == (None, None, False)
    assert list(studio.credit_history) == []
    assert studio.credit_subscriptions == []
    assert studio.estimate_credits_to("report") == 25
    assert not Wallet.objects.exists()


def test_team_keys_reach_their_wallets() -> None:
    team = TeamFactory.create()
    team.give_credits(5)
    again = Team.objects.get(pk=str(team.pk))
    assert (again.credits, again.wallet()) == (5, team.wallet())
    assert Wallet.objects.get().owner == team
