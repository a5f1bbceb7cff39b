"""The debt: what a clawback or a reversal could not take, due from the wallet's next credits."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from usage_credits.models.fields import KeyField, MetadataField
from usage_credits.models.fulfillment import Fulfillment
from usage_credits.models.transaction import Transaction
from usage_credits.models.wallet import Wallet


class Debt(models.Model):
    """A claim of a refunded payment or a reversed credit: outside balance and ledger until the next credit pays it.

    What a debit took beyond the lots is no row here: it stands on the debit itself (`overdraft`) and, as far as it
    is still open, in the wallet's `debt`. Debts are settled oldest first, so the open ones are always the latest.
    """

    wallet = models.ForeignKey(Wallet, models.PROTECT, related_name="debts", verbose_name=_("wallet"))
    fulfillment = models.ForeignKey(
        Fulfillment,
        models.PROTECT,
        null=True,
        related_name="debts",
        db_index=False,
        verbose_name=_("fulfillment"),
    )
    reverses = models.OneToOneField(
        Transaction,
        models.PROTECT,
        null=True,
        related_name="claim",
        help_text=_("The credit that was reversed after it was spent."),
        verbose_name=_("reverses"),
    )
    payment = KeyField(
        _("payment"), max_length=255, null=True, help_text=_("The refunded payment at its provider.")
    )
    amount = models.BigIntegerField(_("amount"), help_text=_("All that could not be taken at first."))
    open_amount = models.BigIntegerField(_("open amount"))
    metadata = MetadataField(_("metadata"), help_text=_("The refund; what pays the claim carries it along."))
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    class Meta:
        verbose_name = _("debt")
        verbose_name_plural = _("debts")
        constraints = [
            models.UniqueConstraint(
                fields=["fulfillment", "payment"], name="usage_credits_one_claim_per_payment"
            ),
            models.CheckConstraint(
                condition=Q(fulfillment__isnull=False, payment__isnull=False, reverses__isnull=True)
                | Q(fulfillment__isnull=True, payment__isnull=True, reverses__isnull=False),
                name="usage_credits_claim_of_one",
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="usage_credits_claim_positive"),
            models.CheckConstraint(
                condition=Q(open_amount__gte=0, open_amount__lte=models.F("amount")),
                name="usage_credits_open_in_claim",
            ),
        ]

    def __str__(self) -> str:
        named = {"open": self.open_amount, "amount": self.amount, "wallet": self.wallet_id}
        return _("%(open)s of %(amount)s due from wallet %(wallet)s") % named
