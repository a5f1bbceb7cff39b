"""The transfer: credits that moved from one wallet to another of the same asset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from usage_credits.dsl.categories import MAX_CATEGORY
from usage_credits.models.append_only import AppendOnlyModel, AppendOnlyQuerySet
from usage_credits.models.fields import KeyField, MetadataField
from usage_credits.models.verbs import TransferVerbs
from usage_credits.models.wallet import Wallet

if TYPE_CHECKING:
    from usage_credits.models.transaction import Transaction, TransactionQuerySet


class TransferQuerySet(AppendOnlyQuerySet["Transfer"]):
    def of_category(self, category: str) -> TransferQuerySet:
        return self.filter(category=category)


class ExpirationPolicy(models.TextChoices):
    PRESERVE = "preserve", _("keep each lot's expiry")
    NONE = "none", _("never expires")
    FIXED = "fixed", _("expires at a given moment")


class Transfer(TransferVerbs, AppendOnlyModel):
    """What moved between two wallets; its transactions are the legs. Inserted once, never changed."""

    from_wallet = models.ForeignKey(
        Wallet, models.PROTECT, related_name="outgoing_transfers", verbose_name=_("from wallet")
    )
    to_wallet = models.ForeignKey(
        Wallet, models.PROTECT, related_name="incoming_transfers", verbose_name=_("to wallet")
    )
    asset = KeyField(_("asset"), max_length=50)
    amount = models.BigIntegerField(_("amount"))
    category = models.CharField(_("category"), max_length=MAX_CATEGORY)
    expiration_policy = models.CharField(
        _("expiration policy"), max_length=10, choices=ExpirationPolicy.choices
    )
    metadata = MetadataField(_("metadata"))
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    objects = TransferQuerySet.as_manager()

    replayed = False
    """True on the result of a call whose idempotency key had been used before: nothing was moved by that call."""

    class Meta(AppendOnlyModel.Meta):
        abstract = False
        verbose_name = _("transfer")
        verbose_name_plural = _("transfers")
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="usage_credits_transfer_positive"),
            models.CheckConstraint(
                condition=~Q(from_wallet=F("to_wallet")), name="usage_credits_transfer_between_two"
            ),
            models.CheckConstraint(
                condition=Q(expiration_policy__in=ExpirationPolicy.values),
                name="usage_credits_transfer_policy",
            ),
        ]

    def __str__(self) -> str:
        named = {
            "amount": self.amount,
            "asset": self.asset,
            "sender": self.from_wallet_id,
            "recipient": self.to_wallet_id,
        }
        return _("%(amount)s %(asset)s from wallet %(sender)s to %(recipient)s") % named

    @property
    def outbound_transaction(self) -> Transaction:
        """Return the sender's leg. One statement."""
        legs: TransactionQuerySet = self.transactions.all()
        return legs.debits().get()

    @property
    def inbound_transactions(self) -> TransactionQuerySet:
        """Return the receiver's legs, one for each lot that arrived, in the order in which they came."""
        legs: TransactionQuerySet = self.transactions.all()
        return legs.credits().oldest_first()

    @property
    def inbound_transaction(self) -> Transaction | None:
        """Return the receiver's leg, None where there are several. One statement."""
        legs = list(self.inbound_transactions[:2])
        return legs[0] if len(legs) == 1 else None

    async def aoutbound_transaction(self) -> Transaction:
        """Await `outbound_transaction`, which is read in Django's thread."""
        return await sync_to_async(lambda: self.outbound_transaction)()

    async def ainbound_transaction(self) -> Transaction | None:
        """Await `inbound_transaction`, which is read in Django's thread."""
        return await sync_to_async(lambda: self.inbound_transaction)()

    def clean(self) -> None:
        """Refuse a transfer within one wallet, of nothing, or of an asset that either wallet has not."""
        errors: dict[str, Any] = {}
        if self.from_wallet_id == self.to_wallet_id:
            errors["to_wallet"] = _("A transfer goes to another wallet.")
        if type(self.amount) is int and self.amount < 1:
            errors["amount"] = _("A transfer moves at least one credit.")
        if not self.asset == self.from_wallet.asset == self.to_wallet.asset:
            errors["asset"] = _("The transfer and both wallets have one asset.")
        if errors:
            raise ValidationError(errors)
