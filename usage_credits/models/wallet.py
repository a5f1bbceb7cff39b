"""The wallet: who owns credits of one asset, and the projections of its ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from usage_credits.models.fields import KeyField, MetadataField, OwnerIdField
from usage_credits.models.owner_field import OwnerField
from usage_credits.models.verbs import WalletVerbs

if TYPE_CHECKING:
    from usage_credits.models.transaction import TransactionQuerySet


class Wallet(WalletVerbs, models.Model):
    """Credits of one asset that belong to one owner of any model.

    `booked_balance`, `booked_held`, `debt`, `claims`, `cap_count` and `last_award` are projections: only the ledger
    writes them, under the lock of this row. `booked_balance` still counts lots that expired since the last write;
    `balance` does not.
    """

    owner_type = models.ForeignKey(
        ContentType, models.PROTECT, null=True, related_name="+", db_index=False, verbose_name=_("owner type")
    )
    owner_id = OwnerIdField(_("owner id"), max_length=255, null=True)
    owner = OwnerField("owner_type", "owner_id")
    asset = KeyField(_("asset"), max_length=50)
    booked_balance = models.BigIntegerField(_("booked balance"), db_column="balance", default=0)
    booked_held = models.BigIntegerField(_("booked held"), db_column="held", default=0)
    debt = models.BigIntegerField(_("debt"), default=0)
    claims = models.BigIntegerField(_("claims"), default=0)
    cap_count = models.PositiveIntegerField(_("spending caps"), default=0)
    last_award = models.BigIntegerField(
        _("last award"), null=True, help_text=_("What a pack or plan awarded last.")
    )
    metadata = MetadataField(_("metadata"))
    created_at = models.DateTimeField(_("created at"), default=timezone.now, editable=False)

    PROJECTIONS = frozenset({"booked_balance", "booked_held", "debt", "claims", "cap_count", "last_award"})

    class Meta:
        verbose_name = _("wallet")
        verbose_name_plural = _("wallets")
        permissions = [("adjust_wallet", _("Can adjust a wallet's credits"))]
        constraints = [
            models.UniqueConstraint(
                fields=["owner_type", "owner_id", "asset"], name="usage_credits_one_wallet"
            ),
            models.CheckConstraint(
                condition=models.Q(booked_held__gte=0), name="usage_credits_held_not_negative"
            ),
            models.CheckConstraint(condition=models.Q(debt__gte=0), name="usage_credits_debt_not_negative"),
            models.CheckConstraint(
                condition=models.Q(claims__gte=0), name="usage_credits_claims_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return _("%(asset)s wallet %(id)s") % {"asset": self.asset, "id": self.pk}

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save the wallet; an existing one keeps its projections, so that a stale instance cannot undo a posting."""
        if not self._state.adding:
            named = kwargs.get("update_fields")
            fields = {field.name for field in self._meta.concrete_fields if not field.primary_key}
            kwargs["update_fields"] = (fields if named is None else set(named)) - self.PROJECTIONS
        super().save(*args, **kwargs)

    def history(self) -> TransactionQuerySet:
        """Return the wallet's transactions, oldest first."""
        return self.transactions.oldest_first()
