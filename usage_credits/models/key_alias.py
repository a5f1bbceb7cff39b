"""The key alias: an older or newer spelling of an idempotency key that counts as used."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from usage_credits.models.fields import KeyField
from usage_credits.models.transaction import Transaction
from usage_credits.models.wallet import Wallet


class KeyAlias(models.Model):
    """A key under which `transaction` is found as well; recorded when a call named it beside the key in use."""

    wallet = models.ForeignKey(
        Wallet, models.PROTECT, related_name="key_aliases", db_index=False, verbose_name=_("wallet")
    )
    key = KeyField(_("key"), max_length=255)
    transaction = models.ForeignKey(
        Transaction, models.PROTECT, related_name="key_aliases", verbose_name=_("transaction")
    )

    class Meta:
        verbose_name = _("key alias")
        verbose_name_plural = _("key aliases")
        constraints = [
            models.UniqueConstraint(fields=["wallet", "key"], name="usage_credits_one_alias_per_key")
        ]

    def __str__(self) -> str:
        return _("%(key)s for transaction %(id)s") % {"key": self.key, "id": self.transaction_id}
