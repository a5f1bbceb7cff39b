"""One row of each model, each with an owner of its own."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from django.db import models
from django.utils import timezone

from tests.factories import days, lot_of, make_wallet
from usage_credits.models import (
    Allocation,
    Debt,
    Fulfillment,
    HeldLot,
    Hold,
    KeyAlias,
    Lot,
    PaymentNotice,
    Recharge,
    RechargeSetting,
    SpendingCap,
    Transaction,
    Transfer,
    Wallet,
)

_numbers = itertools.count(1)


def make_transaction() -> Transaction:
    return make_wallet().credit(10, idempotency_key=f"key {next(_numbers)}")


def make_lot() -> Lot:
    return lot_of(make_transaction())


def make_allocation() -> Allocation:
    return make_wallet(credits=10).debit(4, attributed_to="member 1").allocations.get()


def make_fulfillment(wallet: Wallet | None = None) -> Fulfillment:
    return Fulfillment.objects.create(
        wallet=wallet or make_wallet(),
        kind="credit_pack",
        source="stripe",
        source_id=f"cs_{next(_numbers)}",
        pack_name="starter",
    )


def make_debt(fulfillment: Fulfillment | None = None) -> Debt:
    fulfillment = fulfillment or make_fulfillment()
    return Debt.objects.create(
        wallet=fulfillment.wallet,
        fulfillment=fulfillment,
        payment=f"pi_{Debt.objects.count()}",
        amount=9,
        open_amount=9,
    )


def make_transfer() -> Transfer:
    return Transfer.objects.create(
        from_wallet=make_wallet(),
        to_wallet=make_wallet(),
        asset="credits",
        amount=5,
        category="transfer_out",
        expiration_policy="preserve",
    )


def make_hold(wallet: Wallet | None = None) -> Hold:
    return Hold.objects.create(
        wallet=wallet or make_wallet(),
        amount=5,
        category="operation_charge",
        expires_at=timezone.now() + days(1),
        idempotency_key=f"hold {next(_numbers)}",
    )


def make_held_lot(hold: Hold | None = None) -> HeldLot:
    return HeldLot.objects.create(hold=hold or make_hold(), lot=make_lot(), amount=5)


def make_notice(fulfillment: Fulfillment | None = None) -> PaymentNotice:
    return PaymentNotice.objects.create(
        source="stripe",
        source_id=f"cs:cs_test_{next(_numbers)}",
        reason="no_owner",
        customer_id=f"cus_{next(_numbers)}",
        fulfillment=fulfillment,
    )


def make_key_alias(transaction: Transaction | None = None) -> KeyAlias:
    transaction = transaction or make_transaction()
    return KeyAlias.objects.create(
        wallet=transaction.wallet, key=f"older key {next(_numbers)}", transaction=transaction
    )


def make_recharge_setting(wallet: Wallet | None = None) -> RechargeSetting:
    setting: RechargeSetting = (wallet or make_wallet()).owner.set_recharge("starter", threshold=100)
    return setting


def make_recharge(wallet: Wallet | None = None) -> Recharge:
    setting = make_recharge_setting(wallet)
    fulfillment = make_fulfillment(setting.wallet)
    return Recharge.objects.create(
        wallet=setting.wallet,
        key=f"recharge {next(_numbers)}",
        state="succeeded",
        pack_name="starter",
        credits=1_000,
        amount=4_900,
        currency="usd",
        payment=fulfillment.source_id,
        fulfillment=fulfillment,
    )


def make_cap(wallet: Wallet | None = None) -> SpendingCap:
    return (wallet or make_wallet()).set_cap(f"member {next(_numbers)}", 50, every="day")


MAKERS: dict[type[models.Model], Callable[[], models.Model]] = {
    Allocation: make_allocation,
    Debt: make_debt,
    Fulfillment: make_fulfillment,
    HeldLot: make_held_lot,
    Hold: make_hold,
    KeyAlias: make_key_alias,
    Lot: make_lot,
    PaymentNotice: make_notice,
    Recharge: make_recharge,
    RechargeSetting: make_recharge_setting,
    SpendingCap: make_cap,
    Transaction: make_transaction,
    Transfer: make_transfer,
    Wallet: make_wallet,
}
