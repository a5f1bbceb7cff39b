"""The transfer: credits that moved from one wallet to another of the same asset."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from usage_credits.dsl.categories import MAX_CATEGORY
from usage_credits.models.append_only import AppendOnlyModel, AppendOnlyQuerySet
from usage_credits.models.fields import KeyField, MetadataField
from usage_credits.models.wallet import Wallet


class TransferQuerySet(AppendOnlyQuerySet["Transfer"]):
    pass


class ExpirationPolicy(models.TextChoices):
    PRESERVE = "preserve", _("keep each lot's expiry")
    NONE = "none", _("never expires")
    FIXED = "fixed", _("expires at a given moment")


class Transfer(AppendOnlyModel):
    """What moved between two wallets; its transactions are the legs. Inserted once, never changed."""

    from_wallet = models.ForeignKey(Wallet, models.PROTECT, related_name="outgoing_transfers")
    to_wallet = models.ForeignKey(Wallet, models.PROTECT, related_name="incoming_transfers")
    asset = KeyField(_("asset"), max_length=50)
    amount = models.BigIntegerField(_("amount"))
    category = models.CharField(_("category"), max_length=MAX_CATEGORY)
    expiration_policy = models.CharField(
        _("expiration policy"), max_length=10, choices=ExpirationPolicy.choices
    )
    metadata = MetadataField(_("metadata"))
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    objects = TransferQuerySet.as_manager()

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
        return f"{self.amount} {self.asset} from wallet {self.from_wallet_id} to {self.to_wallet_id}"
