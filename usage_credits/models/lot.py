"""The lot: the spendable stock that a positive transaction created."""

from __future__ import annotations

import datetime

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from usage_credits.models.fields import ScopeField
from usage_credits.models.transaction import Transaction
from usage_credits.models.wallet import Wallet

_NEVER = datetime.datetime.max.replace(tzinfo=datetime.UTC)


class LotQuerySet(models.QuerySet["Lot"]):
    def open(self) -> LotQuerySet:
        """Keep lots with something left, whether or not they have expired."""
        return self.filter(is_open=True)

    def expired(self, moment: datetime.datetime) -> LotQuerySet:
        """Keep open lots whose expiry is `moment` or earlier: what is left of them waits to be booked."""
        return self.filter(is_open=True, expires_at__lte=moment)

    def current(self, moment: datetime.datetime) -> LotQuerySet:
        """Keep open lots that have not expired by `moment`: what can be spent then."""
        return self.open().filter(Q(expires_at=None) | Q(expires_at__gt=moment))

    def in_spending_order(self) -> LotQuerySet:
        """Order as debits take them: priority, soonest expiry, never-expiring last, then the order of insertion."""
        return self.order_by("priority", F("expires_at").asc(nulls_last=True), "pk")


class Lot(models.Model):
    """A projection: `remaining` (without what holds keep) and `is_open` change under the wallet's lock only."""

    wallet = models.ForeignKey(Wallet, models.PROTECT, related_name="lots", verbose_name=_("wallet"))
    transaction = models.OneToOneField(
        Transaction, models.PROTECT, related_name="lot", verbose_name=_("transaction")
    )
    amount = models.BigIntegerField(_("amount"))
    remaining = models.BigIntegerField(_("remaining"))
    is_open = models.BooleanField(_("is open"), default=True)
    expires_at = models.DateTimeField(_("expires at"), null=True)
    priority = models.SmallIntegerField(_("priority"), default=0)
    scope = ScopeField(
        _("scope"), null=True, help_text=_("Operations that this lot may pay for; null: any debit.")
    )

    objects = LotQuerySet.as_manager()

    class Meta:
        verbose_name = _("lot")
        verbose_name_plural = _("lots")
        constraints = [
            models.CheckConstraint(
                condition=Q(remaining__gte=0, remaining__lte=F("amount")),
                name="usage_credits_remaining_in_lot",
            ),
            models.CheckConstraint(
                condition=Q(is_open=True, remaining__gt=0) | Q(is_open=False, remaining=0),
                name="usage_credits_open_while_remaining",
            ),
        ]
        indexes = [
            # is_open leads the rest although it is constant in the partial index: MySQL has no partial indexes and
            # would otherwise walk every closed lot of the wallet.
            models.Index(
                fields=["wallet", "is_open", "priority", "expires_at", "id"],
                name="usage_credits_open_lots",
                condition=Q(is_open=True),
            ),
            models.Index(
                fields=["expires_at", "wallet"],
                name="usage_credits_lots_to_expire",
                condition=Q(is_open=True, expires_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        named = {"id": self.pk, "remaining": self.remaining, "amount": self.amount}
        return _("lot %(id)s: %(remaining)s of %(amount)s") % named

    @property
    def spending_key(self) -> tuple[int, datetime.datetime, float]:
        """Return what sorts lots as `in_spending_order` does; those not stored yet come last of their kind."""
        return self.priority, self.expires_at or _NEVER, self.pk or float("inf")

    def pays_for(self, operation: str | None) -> bool:
        """Tell whether a debit for `operation`, None for one that charges none, may take from this lot."""
        return in_scope(self.scope, operation)


def in_scope(scope: tuple[str, ...] | None, operation: str | None) -> bool:
    """Tell whether credits of `scope` may pay for `operation`."""
    return scope is None or operation in scope
