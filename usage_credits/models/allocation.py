"""The allocation: how much of which debit a lot paid."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q, Sum
from django.utils.translation import gettext_lazy as _

from usage_credits.models.append_only import AppendOnlyModel, AppendOnlyQuerySet
from usage_credits.models.lot import Lot
from usage_credits.models.transaction import Transaction
from usage_credits.models.wallet import Wallet


class AllocationQuerySet(AppendOnlyQuerySet["Allocation"]):
    pass


class Allocation(AppendOnlyModel):
    """A part of a lot that paid a part of a debit of the same wallet. Inserted once, never changed."""

    # For sharding by wallet. Nothing looks allocations up by it, so it has no index, and no constraint, which would
    # read the whole table for each wallet that is deleted; debit and lot protect the wallet.
    wallet = models.ForeignKey(
        Wallet,
        models.DO_NOTHING,
        related_name="allocations",
        db_index=False,
        db_constraint=False,
        verbose_name=_("wallet"),
    )
    debit = models.ForeignKey(
        Transaction, models.PROTECT, related_name="allocations", verbose_name=_("debit")
    )
    lot = models.ForeignKey(Lot, models.PROTECT, related_name="allocations", verbose_name=_("lot"))
    amount = models.BigIntegerField(_("amount"))

    objects = AllocationQuerySet.as_manager()

    class Meta(AppendOnlyModel.Meta):
        abstract = False
        verbose_name = _("allocation")
        verbose_name_plural = _("allocations")
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="usage_credits_allocation_positive"),
        ]

    def __str__(self) -> str:
        named = {"amount": self.amount, "lot": self.lot_id, "debit": self.debit_id}
        return _("%(amount)s of lot %(lot)s for debit %(debit)s") % named

    def clean_fields(self, exclude: Collection[str] | None = None) -> None:
        """Refuse an amount that is no whole number, before Django cuts it down to one."""
        if type(self.amount) is not int:
            raise ValidationError({"amount": _("An allocation is a whole number of credits.")})
        super().clean_fields(exclude)

    def clean(self) -> None:
        """Refuse an amount that the lot has not left, a credit as debit, and a lot of another wallet."""
        errors: dict[str, Any] = {}
        others = Allocation.objects.filter(lot=self.lot_id).exclude(pk=self.pk)
        left = self.lot.amount - (others.aggregate(paid=Sum("amount"))["paid"] or 0)
        if type(self.amount) is not int or not 1 <= self.amount <= left:
            errors["amount"] = _("The lot has %(left)d left to allocate.") % {"left": left}
        if self.debit.amount > 0:
            errors["debit"] = _("Only a debit is paid by lots.")
        if not self.wallet_id == self.debit.wallet_id == self.lot.wallet_id:
            errors["lot"] = _("The lot, the debit and the allocation belong to one wallet.")
        if errors:
            raise ValidationError(errors)
