from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Any

import pytest
import time_machine
from django.core import serializers
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests import bad_values
from tests.app.models import Newcomer, Studio
from tests.factories import (
    add_lots,
    configured,
    days,
    lot_of,
    make_user,
    make_wallet,
    payments_of,
    remaining_of,
    stored,
)
from usage_credits import (
    InsufficientCredits,
    InvalidOperation,
    InvalidValue,
    Operation,
    WalletNotFound,
)
from usage_credits.ledger.verification import verify
from usage_credits.models import Lot, Wallet
from usage_credits.testing import capture_events

pytestmark = pytest.mark.django_db

NEGATIVES = {"ALLOW_NEGATIVE_BALANCE": True}


@pytest.fixture
def wallet() -> Wallet:
    """A wallet of 10 for anything, 20 for mail and 30 for mail and reports, spent in the reverse order."""
    wallet = make_wallet(10)
    wallet.credit(20, priority=-1, scope=["mail"])
    wallet.credit(30, priority=-2, scope=["report", "mail"])
    return wallet


def refused(call: Callable[[], Any]) -> tuple[int, int]:
    """Return what was available and required; nothing was written."""
    before = stored()
    with pytest.raises(InsufficientCredits) as refusal:
        call()
    assert stored() == before
    return refusal.value.available, refusal.value.required


class Uses(Enum):
    MAIL = "mail"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, None),
        (["mail"], ("mail",)),
        (("report", "mail", "report"), ("mail", "report")),
        ({"report", "mail"}, ("mail", "report")),
        ((name for name in ["b", "a"]), ("a", "b")),
        ([Uses.MAIL], ("mail",)),
        (["50%_off, or \\'more\\'", "ü"], ("50%_off, or \\'more\\'", "ü")),
        ([" mail", "mail "], (" mail", "mail ")),
    ],
)
def test_a_scope_is_kept_sorted_each_name_once(given: Any, kept: Any) -> None:
    lot = lot_of(make_wallet().credit(10, scope=given))
    assert lot.scope == kept
    (copy,) = serializers.deserialize("json", serializers.serialize("json", [lot]))
    assert copy.object.scope == kept  # type: ignore[attr-defined]
    assert Lot.objects.filter(scope=kept).get() == lot


def test_a_debit_takes_what_its_operation_may_spend(wallet: Wallet) -> None:
    wallet.debit(35, operation="report")
    assert remaining_of(wallet) == [5, 20, 0]
    wallet.debit(24, operation="mail")
    assert remaining_of(wallet) == [1, 0, 0]
    assert wallet.debit(1).operation is None
    assert list(verify()) == []


@pytest.mark.parametrize(("operation", "available"), [(None, 10), ("img", 10), ("report", 40), ("mail", 60)])
def test_a_refusal_says_what_is_available_for_the_operation(
    wallet: Wallet, operation: str | None, available: int
) -> None:
    with capture_events() as heard:
        assert refused(lambda: wallet.debit(61, operation=operation)) == (available, 61)
        assert refused(lambda: wallet.hold(61, operation=operation)) == (available, 61)
    assert {(event.event, event.operation, event.available) for event in heard} == {
        ("insufficient_credits", operation, available)
    }
    assert wallet.available_for(operation) == available
    wallet.debit(available, operation=operation)
    assert wallet.available_for(operation) == 0
    assert wallet.balance == 60 - available


def test_names_are_compared_byte_by_byte() -> None:
    wallet = make_wallet()
    wallet.credit(10, scope=["Chat", "50%_off", "line"])
    for operation in ("chat", "CHAT", "Chat ", "Cha", "hat", "50%", "50xxoff", "_", "%", "", " "):
        if operation.strip():
            assert refused(lambda name=operation: wallet.debit(1, operation=name)) == (0, 1)  # type: ignore[misc]
            assert wallet.available_for(operation) == 0
    wallet.debit(4, operation="Chat")
    wallet.debit(6, operation="50%_off")
    assert list(verify()) == []


def test_all_credits_are_still_counted_where_no_operation_is_named(wallet: Wallet) -> None:
    wallet.hold(5, operation="report")
    assert (wallet.balance, wallet.held, wallet.available) == (60, 5, 55)
    assert wallet.available_for() == 10
    assert [wallet.has_enough_balance(amount) for amount in (10, 11)] == [True, False]
    wallet.credit(100)
    assert wallet.has_enough_balance(110)


def test_what_expired_or_is_held_is_not_available_for_anything() -> None:
    wallet = make_wallet()
    wallet.credit(10, expires_at=timezone.now() + days(1), scope=["mail"])
    wallet.credit(20, scope=["mail"])
    wallet.hold(4, operation="mail", ttl=days(0.5))
    assert wallet.available_for("mail") == 26
    with time_machine.travel(timezone.now() + days(2), tick=False):
        assert wallet.available_for("mail") == 20
        wallet.debit(20, operation="mail")
        assert (wallet.available_for("mail"), wallet.balance) == (0, 0)


def test_one_statement_tells_what_is_available(wallet: Wallet) -> None:
    user: Any = wallet.owner
    add_lots(wallet, 50)
    asks: list[Callable[[], Any]] = [
        lambda: wallet.available_for("mail"),
        lambda: user.credits_for("mail"),
        lambda: user.has_enough_credits_to("mail"),
    ]
    user.credits  # noqa: B018 - Django reads a content type once a process
    for ask in asks:
        with CaptureQueriesContext(connection) as captured:
            ask()
        assert len(captured) == 1


def test_no_wallet_has_nothing_for_an_operation(wallet: Wallet) -> None:
    wallet.pk = 0
    with pytest.raises(WalletNotFound):
        wallet.available_for("mail")


@pytest.mark.parametrize("operation", bad_values.OPERATIONS, ids=bad_values.named)
def test_refuse_what_names_no_operation(wallet: Wallet, operation: Any) -> None:
    before = stored()
    calls: list[Callable[[], Any]] = [
        lambda: wallet.debit(1, operation=operation),
        lambda: wallet.hold(1, operation=operation),
        lambda: wallet.plan_debit(1, operation=operation),
        lambda: wallet.available_for(operation),
    ]
    for call in calls:
        with pytest.raises(InvalidValue) as refusal:
            call()
        assert refusal.value.field == "operation"
    with pytest.raises(InvalidValue) as refusal:
        wallet.debit_many([1, {"amount": 1, "operation": operation}])
    assert refusal.value.field == "items[1].operation"
    with pytest.raises(InvalidValue) as refusal:
        Operation(operation, costs=1)
    assert refusal.value.field == "name"
    assert stored() == before


@pytest.mark.parametrize("scope", bad_values.SCOPES, ids=bad_values.named)
def test_refuse_what_is_no_scope(scope: Any) -> None:
    user = make_user()
    wallet, before = user.wallet(), stored()
    for call in (wallet.credit, user.give_credits):
        with pytest.raises(InvalidValue) as refusal:
            call(5, scope=scope)
        assert refusal.value.field == "scope"
    assert stored() == before


def test_a_wallet_takes_any_name_and_an_owner_those_of_settings() -> None:
    user = make_user()
    before = stored()
    with pytest.raises(InvalidValue, match=r"'fly'.*report, img, mail") as refusal:
        user.give_credits(5, scope=["mail", "fly"])
    assert refusal.value.field == "scope"
    assert stored() == before
    user.wallet().credit(5, scope=["fly"])
    user.give_credits(7, scope=[Uses.MAIL])
    assert (user.credits, user.credits_for("mail"), user.credits_for(Uses.MAIL)) == (12, 7, 7)


def test_an_owner_spends_on_operations_what_is_for_them() -> None:
    user = make_user(10)
    user.give_credits(25, scope=["report"], priority=-1)
    user.give_credits(24, scope=["mail"])
    assert (user.credits, user.credits_for("report"), user.credits_for("img")) == (59, 35, 10)
    assert user.has_enough_credits_to("report")
    assert not user.has_enough_credits_to("img", mb=1)
    assert refused(lambda: user.spend_credits_on("img", mb=1)) == (10, 11)
    row = user.spend_credits_on("report")
    assert row
    assert row.operation == row.metadata["operation"] == "report"
    assert remaining_of(user.wallet()) == [10, 0, 24]
    assert not user.has_enough_credits_to("report")
    assert user.estimate_credits_to("report") == 25
    with user.spending_credits_on("mail") as charge:
        assert charge.hold
        assert charge.hold.operation == "mail"
        charge.amount = 3
    assert remaining_of(user.wallet()) == [7, 0, 24]


def test_an_owner_without_a_wallet_has_its_initial_balance_for_each_operation() -> None:
    (newcomer,) = Newcomer.objects.bulk_create([Newcomer(name="newcomer")])
    assert newcomer.credits_for("report") == 100
    assert newcomer.has_enough_credits_to("report")
    with pytest.raises(WalletNotFound):
        Studio.objects.create(name="studio").credits_for("report")
    with pytest.raises(InvalidOperation):
        newcomer.credits_for("fly")


def test_dry_runs_follow_the_operation(wallet: Wallet) -> None:
    anything, _mail, both = wallet.lots.order_by("pk")
    plan = wallet.plan_debit(35, operation="report")
    assert [(share.lot, share.amount) for share in plan.lots] == [(both.pk, 30), (anything.pk, 5)]
    assert (plan.left, plan.refused) == (5, None)
    plan = wallet.plan_debit(11)
    assert isinstance(plan.refused, InsufficientCredits)
    assert (plan.refused.available, plan.left, plan.lots) == (10, 10, ())
    user: Any = wallet.owner
    plan = user.plan_spend_on("mail")
    assert [share.lot for share in plan.lots] == [both.pk]
    assert plan.left == 59
    with configured(OPERATIONS=[Operation("look", costs=0)]):
        assert user.plan_spend_on("look").left == 10


def test_what_expires_next_is_told_of_what_the_operation_may_spend() -> None:
    user = make_user(10)
    user.give_credits(5, expires_at=timezone.now() + days(1), scope=["mail"])
    assert user.plan_spend_on("report").expires_next is None
    expiring = user.plan_spend_on("mail").expires_next
    assert expiring
    assert expiring.amount == 4


def test_a_batch_is_paid_as_debits_one_after_the_other(wallet: Wallet) -> None:
    items: list[Any] = [
        {"amount": 30, "operation": "report"},
        {"amount": 20, "operation": "mail"},
        10,
    ]
    rows = wallet.debit_many(items)
    assert [row.operation for row in rows] == ["report", "mail", None]
    assert remaining_of(wallet) == [0, 0, 0]
    assert list(verify()) == []


def test_a_batch_that_cannot_be_paid_says_how_much_of_it_could(wallet: Wallet) -> None:
    items: list[Any] = [{"amount": 40, "operation": "report"}, {"amount": 5, "operation": "mail"}, 10]
    with capture_events() as heard:
        assert refused(lambda: wallet.debit_many(items)) == (45, 55)
        assert refused(lambda: wallet.debit_many(items[:1] * 2)) == (40, 80)
    assert [(event.operation, event.required) for event in heard] == [(None, 55), ("report", 80)]
    results = wallet.debit_many(items, mode="each")
    assert [isinstance(result, InsufficientCredits) for result in results] == [False, False, True]
    assert wallet.balance == 15


def test_holds_and_captures_follow_the_hold_s_operation(wallet: Wallet) -> None:
    hold = wallet.hold(35, operation="report")
    assert remaining_of(wallet) == [5, 20, 0]
    assert refused(lambda: hold.capture(41)) == (40, 41)
    row = hold.capture(38)
    assert (row.operation, remaining_of(wallet)) == ("report", [2, 20, 0])
    other = wallet.hold(3, operation="mail")
    other.release()
    assert remaining_of(wallet) == [2, 20, 0]
    assert list(verify()) == []


def test_events_of_a_hold_name_its_operation(wallet: Wallet) -> None:
    with capture_events() as heard:
        wallet.hold(5, operation="report", metadata={"operation": "other"}).capture()
    assert [event.operation for event in heard if event.hold] == ["report", "report"]


def test_transfers_take_what_has_no_scope(wallet: Wallet) -> None:
    other = make_wallet()
    assert refused(lambda: wallet.transfer_to(other, 11)) == (10, 11)
    transfer = wallet.transfer_to(other, 10)
    assert remaining_of(wallet) == [0, 20, 30]
    transfer.reverse()
    assert (wallet.balance, other.balance) == (60, 0)
    assert list(verify()) == []


def test_a_credit_is_reversed_whatever_its_scope(wallet: Wallet) -> None:
    credit = wallet.credit(40, scope=["img"])
    wallet.debit(15, operation="img")  # 10 of what is for anything, as that came first
    (row,) = credit.reverse()
    assert row.amount == -35
    assert remaining_of(wallet) == [0, 20, 30, 0]
    assert wallet.claims == 0
    wallet.refresh_from_db()
    assert wallet.claims == 5
    assert list(verify()) == []


def test_claims_wait_for_credits_without_a_scope() -> None:
    wallet = make_wallet()
    credit = wallet.credit(10, scope=["mail"])
    wallet.debit(10, operation="mail")
    credit.reverse()
    wallet.credit(5, scope=["mail"])
    wallet.refresh_from_db()
    assert (wallet.claims, wallet.available_for("mail")) == (10, 5)
    wallet.credit(25)
    wallet.refresh_from_db()
    assert (wallet.claims, wallet.available_for()) == (0, 15)
    assert list(verify()) == []


def test_what_no_lot_of_the_operation_pays_becomes_debt(wallet: Wallet) -> None:
    with configured(**NEGATIVES):
        row = wallet.debit(25)
        assert (row.overdraft, remaining_of(wallet), wallet.balance) == (15, [0, 20, 30], 35)
        assert wallet.plan_debit(5).left == 0
    assert list(verify()) == []


def test_an_operation_can_spend_no_more_than_debts_leave(wallet: Wallet) -> None:
    with configured(**NEGATIVES):
        wallet.debit(25)
    assert (wallet.balance, wallet.available, wallet.available_for("mail")) == (35, 35, 35)
    assert refused(lambda: wallet.debit(36, operation="mail")) == (35, 36)
    assert refused(lambda: wallet.hold(36, operation="mail")) == (35, 36)
    wallet.debit(35, operation="mail")
    assert (wallet.balance, wallet.available_for("mail"), remaining_of(wallet)) == (0, 0, [0, 15, 0])
    assert list(verify()) == []


def test_with_negatives_an_operation_spends_all_that_is_for_it(wallet: Wallet) -> None:
    with configured(**NEGATIVES):
        wallet.debit(25)
        row = wallet.debit(45, operation="mail")
        assert (row.overdraft, wallet.balance, remaining_of(wallet)) == (0, -10, [0, 5, 0])
        row = wallet.debit(10, operation="mail")
        assert (row.overdraft, wallet.balance) == (5, -20)
    assert list(verify()) == []


def test_a_scoped_credit_settles_debts_up_to_the_first_that_it_may_not_pay() -> None:
    wallet = make_wallet()
    with configured(**NEGATIVES):
        debts = [wallet.debit(10, operation=operation) for operation in ("mail", "report", None, "mail")]
    wallet.credit(100, scope=["mail", "report"])
    assert [debt.unbacked for debt in debts] == [0, 0, 10, 10]
    assert (wallet.balance, wallet.available_for("mail"), wallet.available_for()) == (60, 60, 0)
    wallet.credit(15)
    assert [debt.unbacked for debt in debts] == [0, 0, 0, 5]
    assert list(verify()) == []
    wallet.credit(1, scope=["mail"])
    assert [debt.unbacked for debt in debts] == [0, 0, 0, 4]
    wallet.credit(10)
    assert [debt.unbacked for debt in debts] == [0, 0, 0, 0]
    assert wallet.balance == 86
    assert list(verify()) == []


def test_a_scoped_credit_pays_no_debt_of_another_operation() -> None:
    wallet = make_wallet()
    with configured(**NEGATIVES):
        debt = wallet.debit(10, operation="mail")
    wallet.credit(30, scope=["report"])
    assert (debt.unbacked, wallet.balance, wallet.available_for("report")) == (10, 20, 20)
    assert wallet.available_for("mail") == 0
    assert list(verify()) == []


def test_a_released_hold_settles_what_its_lots_may_pay() -> None:
    wallet = make_wallet()
    wallet.credit(10, scope=["mail"])
    wallet.credit(10, scope=["report"])
    holds = [wallet.hold(10, operation=operation) for operation in ("mail", "report")]
    with configured(**NEGATIVES):
        debts = [wallet.debit(4, operation=operation) for operation in ("mail", None, "report")]
    holds[1].release()
    assert [debt.unbacked for debt in debts] == [4, 4, 4]
    holds[0].release()
    assert [debt.unbacked for debt in debts] == [0, 4, 4]
    assert list(verify()) == []


def test_a_reversed_debit_gives_back_what_it_owes_first() -> None:
    wallet = make_wallet()
    wallet.credit(10, scope=["mail"])
    with configured(**NEGATIVES):
        debit = wallet.debit(15, operation="mail")
    rows = debit.reverse()
    assert [(row.amount, lot_of(row).scope, lot_of(row).remaining) for row in rows] == [
        (5, None, 0),
        (10, ("mail",), 10),
    ]
    assert list(verify()) == []


def test_expiry_takes_what_has_a_scope() -> None:
    wallet = make_wallet(10)
    wallet.credit(20, expires_at=timezone.now() + days(1), scope=["mail"])
    with time_machine.travel(timezone.now() + days(2), tick=False):
        wallet.debit(1)
    assert remaining_of(wallet) == [9, 0]
    assert list(verify()) == []


def test_free_work_needs_nothing(wallet: Wallet) -> None:
    user: Any = wallet.owner
    with configured(OPERATIONS=[Operation("look", costs=0)]):
        assert user.has_enough_credits_to("look")
        assert user.spend_credits_on("look") is None


def test_a_repeated_key_is_a_replay_whatever_is_left(wallet: Wallet) -> None:
    first = wallet.debit(30, operation="report", idempotency_key="job")
    wallet.debit(30, operation="mail")
    again = wallet.debit(30, operation="report", idempotency_key="job")
    assert (again.pk, again.replayed, again.operation) == (first.pk, True, "report")


def test_payments_name_the_scoped_lot(wallet: Wallet) -> None:
    lot = wallet.lots.get(scope=("mail",))
    assert payments_of(wallet.debit(40, operation="mail"))[1] == (lot.pk, 10)
