"""The hold: credits reserved for work whose price is known only afterwards."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from usage_credits.dsl.categories import MAX_CATEGORY
from usage_credits.models.fields import KeyField, MetadataField
from usage_credits.models.verbs import HoldVerbs
from usage_credits.models.wallet import Wallet


class Hold(HoldVerbs, models.Model):
    """State, changed under the wallet's lock only; what it keeps of which lot is in HeldLot."""

    wallet = models.ForeignKey(
        Wallet, models.PROTECT, related_name="holds", db_index=False, verbose_name=_("wallet")
    )
    amount = models.BigIntegerField(_("amount"))
    captured = models.BigIntegerField(_("captured"), default=0)
    is_open = models.BooleanField(_("is open"), default=True)
    expires_at = models.DateTimeField(_("expires at"))
    category = models.CharField(_("category"), max_length=MAX_CATEGORY)
    metadata = MetadataField(_("metadata"))
    idempotency_key = KeyField(_("idempotency key"), max_length=255, null=True)
    attributed_to = KeyField(_("attributed to"), max_length=255, null=True)
    operation = KeyField(_("operation"), max_length=255, null=True)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    replayed = False
    """True on the result of a call whose idempotency key had been used before: nothing was held by that call."""

    class Meta:
        verbose_name = _("hold")
        verbose_name_plural = _("holds")
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="usage_credits_hold_positive"),
            models.CheckConstraint(condition=Q(captured__gte=0), name="usage_credits_captured_not_negative"),
            models.UniqueConstraint(
                fields=["wallet", "idempotency_key"], name="usage_credits_one_hold_per_key"
            ),
        ]
        indexes = [
            # is_open leads for MySQL, which has no partial indexes and would otherwise walk every closed hold.
            models.Index(
                fields=["is_open", "expires_at", "wallet"],
                name="usage_credits_holds_to_end",
                condition=Q(is_open=True),
            ),
            models.Index(
                fields=["wallet", "is_open", "expires_at"],
                name="usage_credits_open_holds",
                condition=Q(is_open=True),
            ),
        ]

    def __str__(self) -> str:
        return _("hold %(id)s of %(amount)s") % {"id": self.pk, "amount": self.amount}

    @property
    def left(self) -> int:
        """Return what the hold keeps as long as it is open, as far as this instance knows."""
        return self.amount - self.captured if self.is_open else 0


class HeldLot(models.Model):
    """How much of a lot an open hold keeps."""

    hold = models.ForeignKey(
        Hold, models.PROTECT, related_name="held_lots", db_index=False, verbose_name=_("hold")
    )
    lot = models.ForeignKey(
        "usage_credits.Lot", models.PROTECT, related_name="held_parts", verbose_name=_("lot")
    )
    amount = models.BigIntegerField(_("amount"))

    class Meta:
        verbose_name = _("held lot")
        verbose_name_plural = _("held lots")
        constraints = [
            models.CheckConstraint(condition=Q(amount__gte=0), name="usage_credits_held_part_not_negative"),
            models.UniqueConstraint(fields=["hold", "lot"], name="usage_credits_held_once"),
        ]

    def __str__(self) -> str:
        named = {"amount": self.amount, "lot": self.lot_id, "hold": self.hold_id}
        return _("%(amount)s of lot %(lot)s for hold %(hold)s") % named
