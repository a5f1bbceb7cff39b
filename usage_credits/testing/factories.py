"""Factories of factory-boy for what credits consist of; each goes through the ledger, so that all of it adds up.

Their arguments are those of the calls they make, not the columns of the models.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from factory.declarations import Sequence
from factory.django import DjangoModelFactory

from usage_credits import credits, start_grant, start_plan
from usage_credits.billing.notices import Unresolvable, record_notice
from usage_credits.ledger.wallets import open_wallet
from usage_credits.models import Fulfillment, NoticeReason, PaymentNotice, Transaction, Wallet


class WalletFactory(DjangoModelFactory[Wallet]):
    """The wallet of `owner` (any saved model) for an `asset`, with so many more `credits` that never expire."""

    class Meta:
        model = Wallet

    credits = 0

    @classmethod
    def _create(cls, model_class: type[Wallet], *args: Any, **kwargs: Any) -> Wallet:
        return _open(**kwargs)


class CreditFactory(DjangoModelFactory[Transaction]):
    """A credit, by default of 100 to the wallet of `owner`; its lot is `credit.lot`.

    A `wallet` may be given instead of the owner; everything else is for `wallet.credit`.
    """

    class Meta:
        model = Transaction

    amount = 100

    @classmethod
    def _create(cls, model_class: type[Transaction], *args: Any, **kwargs: Any) -> Transaction:
        wallet = kwargs.pop("wallet", None) or open_wallet(kwargs.pop("owner"))
        return wallet.credit(kwargs.pop("amount"), **kwargs)


class FulfillmentFactory(DjangoModelFactory[Fulfillment]):
    """A schedule of awards for `owner` that no payment stands behind; its first award is made at once.

    With `plan`, as of `start_plan`; otherwise a grant, by default of 100 credits a month, as of `start_grant`.
    Everything else is for these.
    """

    class Meta:
        model = Fulfillment

    plan = None
    gives = credits(100).every("month")

    @classmethod
    def _create(cls, model_class: type[Fulfillment], *args: Any, **kwargs: Any) -> Fulfillment:
        owner, plan, gives = kwargs.pop("owner"), kwargs.pop("plan"), kwargs.pop("gives")
        return start_plan(owner, plan, **kwargs) if plan else start_grant(owner, gives, **kwargs)


class PaymentNoticeFactory(DjangoModelFactory[PaymentNotice]):
    """A payment that could not be turned into credits, by default because no owner was found."""

    class Meta:
        model = PaymentNotice

    source_id = Sequence("pi_factory_{}".format)  # type: ignore[no-untyped-call]
    reason = NoticeReason.NO_OWNER
    detail = "The payment names no owner."
    customer_id = ""
    wallet = None

    @classmethod
    def _create(cls, model_class: type[PaymentNotice], *args: Any, **kwargs: Any) -> PaymentNotice:
        problem = Unresolvable(NoticeReason(kwargs.pop("reason")), kwargs.pop("detail"))
        return record_notice(kwargs.pop("source_id"), problem, payload=kwargs.pop("payload", {}), **kwargs)


def _open(owner: models.Model, credits: int, asset: str | None = None) -> Wallet:
    wallet = open_wallet(owner, asset)
    if credits:
        wallet.credit(credits)
        wallet.refresh_from_db()
    return wallet
