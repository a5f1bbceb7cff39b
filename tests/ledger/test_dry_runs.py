from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests import bad_values
from tests.app.models import Newcomer, Studio, User
from tests.factories import add_lots, configured, days, lot_of, make_user, make_wallet, payments_of, stored
from usage_credits import InsufficientCredits, InvalidAmount, InvalidOperation, Operation, WalletNotFound
from usage_credits.ledger.dry_runs import DryRun, Expiring, LotShare
from usage_credits.models import Wallet
from usage_credits.testing import capture_events

pytestmark = pytest.mark.django_db


@pytest.fixture
def wallet() -> Wallet:
    """A wallet of 10 that expire tomorrow, 20 in two days, 30 never."""
    wallet = make_wallet()
    now = timezone.now()
    for amount, expires_at in ((30, None), (20, now + days(2)), (10, now + days(1))):
        wallet.credit(amount, expires_at=expires_at)
    return wallet


def test_name_the_lots_that_would_pay_what_is_left_and_what_expires_next(wallet: Wallet) -> None:
    never, later, soon = wallet.lots.order_by("pk")
    plan = wallet.plan_debit(25)
    assert plan == DryRun(
        price=25,
        lots=(LotShare(soon.pk, 10, 0, soon.expires_at), LotShare(later.pk, 15, 5, later.expires_at)),
        left=35,
        expires_next=Expiring(5, later.expires_at),  # type: ignore[arg-type]
        refused=None,
    )
    debit = wallet.debit(25)
    assert payments_of(debit) == [(share.lot, share.amount) for share in plan.lots]
    assert wallet.available == plan.left
    assert wallet.plan_debit(35) == DryRun(
        35, (LotShare(later.pk, 5, 0, later.expires_at), LotShare(never.pk, 30, 0, None)), left=0
    )


@pytest.mark.parametrize("amount", [25, 61])
def test_write_and_announce_nothing(wallet: Wallet, amount: int) -> None:
    before = stored()
    with time_machine.travel(timezone.now() + days(1.5), tick=False), capture_events() as heard:
        wallet.plan_debit(amount)
    assert (stored(), heard) == (before, [])


def test_say_why_it_would_be_refused(wallet: Wallet) -> None:
    plan = wallet.plan_debit(61)
    assert isinstance(plan.refused, InsufficientCredits)
    assert (plan.refused.available, plan.refused.required) == (60, 61)
    assert (plan.price, plan.lots, plan.left) == (61, (), 60)
    assert plan.expires_next
    assert plan.expires_next.amount == 10


def test_leave_out_what_has_expired(wallet: Wallet) -> None:
    with time_machine.travel(timezone.now() + days(1.5), tick=False):
        plan = wallet.plan_debit(25)
        assert [(share.amount, share.left) for share in plan.lots] == [(20, 0), (5, 25)]
        assert (plan.left, plan.expires_next) == (25, None)
        assert wallet.plan_debit(51).refused is not None


def test_leave_out_what_holds_keep_until_their_time_is_over(wallet: Wallet) -> None:
    wallet.hold(40, ttl=days(0.1))
    assert wallet.plan_debit(21).refused is not None
    assert wallet.plan_debit(20).left == 0
    with time_machine.travel(timezone.now() + days(0.2), tick=False):
        assert wallet.plan_debit(50).left == 10


def test_count_what_would_become_debt() -> None:
    wallet = make_wallet(10)
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        plan = wallet.plan_debit(25)
        assert (plan.left, plan.refused, [share.amount for share in plan.lots]) == (-15, None, [10])
        wallet.debit(25)
        assert wallet.plan_debit(5).left == wallet.balance - 5 == -20
    assert wallet.plan_debit(5).refused is not None


@pytest.mark.parametrize("amount", bad_values.AMOUNTS, ids=bad_values.named)
def test_refuse_what_is_no_amount(amount: Any) -> None:
    with pytest.raises(InvalidAmount):
        make_wallet(10).plan_debit(amount)


def test_plan_an_operation() -> None:
    user = make_user(40)
    plan = user.plan_spend_on("report")
    lot = lot_of(user.credit_history.get())
    assert plan == DryRun(25, (LotShare(lot.pk, 25, 15, None),), left=15)
    assert user.plan_spend_on("img", mb=5).price == user.estimate_credits_to("img", mb=5)
    user.spend_credits_on("report")
    refused = user.plan_spend_on("report").refused
    assert isinstance(refused, InsufficientCredits)
    assert (refused.available, refused.required) == (15, 25)


def test_plan_a_free_operation() -> None:
    with configured(OPERATIONS=[Operation("look", costs=0)]):
        assert make_user().plan_spend_on("look") == DryRun(0, (), left=0)


@pytest.mark.parametrize("call", [("nothing", {}), ("img", {}), ("report", {"idempotency_key": "a"})])
def test_plan_no_operation_that_is_refused(call: tuple[str, dict[str, Any]]) -> None:
    name, params = call
    with pytest.raises(InvalidOperation):
        make_user(100).plan_spend_on(name, **params)


def test_plan_for_an_owner_whose_wallet_is_still_to_be_created() -> None:
    user = make_user()
    user.wallet().delete()
    assert user.plan_spend_on("report").left == user.credits == 0
    assert isinstance(user.plan_spend_on("report").refused, InsufficientCredits)
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        assert user.plan_spend_on("report") == DryRun(25, (), left=-25)
    (newcomer,) = Newcomer.objects.bulk_create([Newcomer(name="newcomer")])
    assert newcomer.plan_spend_on("report") == DryRun(25, (), left=75)
    assert not user.has_wallet()
    assert not newcomer.has_wallet()


def test_plan_for_no_wallet_is_an_error() -> None:
    with pytest.raises(WalletNotFound):
        Studio.objects.create(name="studio").plan_spend_on("report")
    wallet = make_wallet()
    Wallet.objects.filter(pk=wallet.pk).delete()
    with pytest.raises(WalletNotFound):
        wallet.plan_debit(5)


@pytest.mark.parametrize("lots", [2, 500])
def test_statements_do_not_depend_on_lots(lots: int) -> None:
    user: User = make_user()
    wallet = user.wallet()
    add_lots(wallet, lots, amount=25)
    plans: list[Callable[[], DryRun]] = [
        lambda: wallet.plan_debit(25 * lots),
        lambda: user.plan_spend_on("report"),
    ]
    for reads in plans:
        with CaptureQueriesContext(connection) as captured:
            reads()
        assert [query["sql"][:6] for query in captured] == ["SELECT", "SELECT"]
