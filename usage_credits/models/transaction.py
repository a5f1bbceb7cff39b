"""The ledger row: one signed change of a wallet, with the balance before and after it."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q, Sum
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from usage_credits.dsl.categories import MAX_CATEGORY
from usage_credits.dsl.token_prices import minor_units
from usage_credits.models.append_only import AppendOnlyModel, AppendOnlyQuerySet
from usage_credits.models.fields import KeyField, MetadataField
from usage_credits.models.fulfillment import Fulfillment
from usage_credits.models.hold import Hold
from usage_credits.models.transfer import Transfer
from usage_credits.models.verbs import TransactionVerbs
from usage_credits.models.wallet import Wallet

if TYPE_CHECKING:
    from usage_credits.models.lot import Lot

LISTED = 250
"""How many transactions a listing shows when nothing else is asked for."""


class TransactionQuerySet(AppendOnlyQuerySet["Transaction"]):
    def oldest_first(self) -> TransactionQuerySet:
        """Order by posting: rows of one instant keep the order in which they were posted."""
        return self.order_by("pk")

    def newest_first(self) -> TransactionQuerySet:
        """Order by posting, latest first, whatever order stood before."""
        return self.order_by("-pk")

    def recent(self, limit: int = LISTED) -> TransactionQuerySet:
        """Return the latest `limit` transactions, latest first."""
        return self.newest_first()[:limit]

    def of_category(self, category: str) -> TransactionQuerySet:
        return self.filter(category=category)

    def credits(self) -> TransactionQuerySet:
        return self.filter(amount__gt=0)

    def debits(self) -> TransactionQuerySet:
        return self.filter(amount__lt=0)

    def operation_charges(self) -> TransactionQuerySet:
        return self.filter(category="operation_charge")

    def expired(self) -> TransactionQuerySet:
        """Keep the rows whose lot has expired: `expires_at` is now or earlier."""
        return self.filter(expires_at__lte=timezone.now())

    def not_expired(self) -> TransactionQuerySet:
        return self.exclude(expires_at__lte=timezone.now())


class Transaction(TransactionVerbs, AppendOnlyModel):
    """A signed ledger row. Inserted once by the ledger under the wallet's lock, never changed."""

    wallet = models.ForeignKey(
        Wallet, models.PROTECT, related_name="transactions", db_index=False, verbose_name=_("wallet")
    )
    amount = models.BigIntegerField(_("amount"))
    category = models.CharField(_("category"), max_length=MAX_CATEGORY)
    balance_before = models.BigIntegerField(_("balance before"))
    balance_after = models.BigIntegerField(_("balance after"))
    overdraft = models.BigIntegerField(
        _("overdraft"), default=0, help_text=_("How much of this debit no lot paid when it was posted.")
    )
    expires_at = models.DateTimeField(_("expires at"), null=True)
    metadata = MetadataField(_("metadata"))
    idempotency_key = KeyField(_("idempotency key"), max_length=255, null=True)
    attributed_to = KeyField(_("attributed to"), max_length=255, null=True)
    operation = KeyField(_("operation"), max_length=255, null=True)
    model = KeyField(_("model"), max_length=255, null=True)
    member = KeyField(_("member"), max_length=255, null=True)
    tokens = models.BigIntegerField(_("tokens"), null=True)
    provider_cost_nanos = models.BigIntegerField(
        _("provider cost"), null=True, help_text=_("In billionths of the currency's minor unit.")
    )
    provider_currency = models.CharField(  # noqa: DJ001 - null says: no cost
        _("provider currency"), max_length=3, null=True
    )
    cash_amount = models.BigIntegerField(
        _("cash amount"), null=True, help_text=_("In the currency's minor unit.")
    )
    cash_currency = models.CharField(_("cash currency"), max_length=3, null=True)  # noqa: DJ001 - null says: no cash
    transfer = models.ForeignKey(
        Transfer,
        models.PROTECT,
        null=True,
        related_name="transactions",
        db_index=False,
        verbose_name=_("transfer"),
    )
    hold = models.ForeignKey(
        Hold, models.PROTECT, null=True, related_name="transactions", db_index=False, verbose_name=_("hold")
    )
    fulfillment = models.ForeignKey(
        Fulfillment,
        models.PROTECT,
        null=True,
        related_name="transactions",
        db_index=False,
        verbose_name=_("fulfillment"),
    )
    grid_date = models.DateTimeField(_("grid date"), null=True)
    reverses = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        related_name="reversals",
        db_index=False,
        verbose_name=_("reverses"),
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    objects = TransactionQuerySet.as_manager()

    replayed = False
    """True on the result of a call whose idempotency key had been used before: nothing was posted by that call."""

    class Meta(AppendOnlyModel.Meta):
        abstract = False
        verbose_name = _("transaction")
        verbose_name_plural = _("transactions")
        constraints = [
            models.CheckConstraint(condition=~Q(amount=0), name="usage_credits_amount_not_zero"),
            models.CheckConstraint(
                condition=Q(balance_after=F("balance_before") + F("amount")),
                name="usage_credits_after_is_before_plus",
            ),
            models.CheckConstraint(
                condition=Q(overdraft=0) | Q(overdraft__gt=0, overdraft__lte=-F("amount")),
                name="usage_credits_overdraft_in_debit",
            ),
            models.CheckConstraint(
                condition=Q(cash_amount__isnull=True, cash_currency__isnull=True)
                | Q(cash_amount__isnull=False, cash_currency__isnull=False),
                name="usage_credits_cash_with_currency",
            ),
            models.CheckConstraint(
                condition=Q(provider_cost_nanos__isnull=True, provider_currency__isnull=True)
                | Q(provider_cost_nanos__isnull=False, provider_currency__isnull=False),
                name="usage_credits_provider_cost_with_currency",
            ),
            models.UniqueConstraint(
                fields=["wallet", "idempotency_key"], name="usage_credits_one_effect_per_key"
            ),
            models.UniqueConstraint(
                fields=["fulfillment", "grid_date"], name="usage_credits_one_award_per_date"
            ),
        ]
        indexes = [
            models.Index(fields=["wallet", "id"], name="usage_credits_history"),
            models.Index(fields=["wallet", "created_at"], name="usage_credits_by_date"),
            models.Index(
                fields=["wallet", "id"], name="usage_credits_overdrafts", condition=Q(overdraft__gt=0)
            ),
            models.Index(
                fields=["transfer"], name="usage_credits_of_transfer", condition=Q(transfer__isnull=False)
            ),
            models.Index(fields=["hold"], name="usage_credits_of_hold", condition=Q(hold__isnull=False)),
            models.Index(
                fields=["reverses"], name="usage_credits_reversals", condition=Q(reverses__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.category} {self.amount:+d}"

    @property
    def owner(self) -> models.Model | None:
        """Return the wallet's owner, None once it was detached."""
        owner: models.Model | None = self.wallet.owner
        return owner

    @property
    def provider_cost(self) -> Decimal | None:
        """Return what the use cost the project, in the minor unit of `provider_currency` (cents); None if unknown."""
        return None if self.provider_cost_nanos is None else minor_units(self.provider_cost_nanos)

    @property
    def is_expired(self) -> bool:
        """Tell whether the lot that this row created has expired: the instant of expiry itself counts as expired."""
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def remaining(self) -> int:
        """Return what is left of the lot that this row created, 0 for a debit. One statement."""
        lot: Lot | None = getattr(self, "lot", None)
        return lot.remaining if lot else 0

    @property
    def unbacked(self) -> int:
        """Return how much of this debit no lot has paid yet, 0 for a credit. One statement."""
        if self.amount > 0:
            return 0
        return -self.amount - (self.allocations.aggregate(paid=Sum("amount"))["paid"] or 0)

    async def aowner(self) -> models.Model | None:
        """Await `owner`, which is read in Django's thread."""
        return await sync_to_async(lambda: self.owner)()

    async def aremaining(self) -> int:
        """Await `remaining`, which is read in Django's thread."""
        return await sync_to_async(lambda: self.remaining)()

    async def aunbacked(self) -> int:
        """Await `unbacked`, which is read in Django's thread."""
        return await sync_to_async(lambda: self.unbacked)()

    def clean(self) -> None:
        errors: dict[str, Any] = {}
        if self.amount == 0:
            errors["amount"] = _("A transaction moves at least one credit.")
        elif self.balance_before + self.amount != self.balance_after:
            errors["balance_after"] = _("The balance after is the balance before plus the amount.")
        if isinstance(self.expires_at, datetime.datetime) and self.amount < 0:
            errors["expires_at"] = _("Only a credit expires.")
        if errors:
            raise ValidationError(errors)
