"""The spending cap: how much an API key or member may spend of a wallet in each window of time."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from usage_credits.models.fields import KeyField
from usage_credits.models.wallet import Wallet


class SpendingCap(models.Model):
    """A limit on what one key spends in each window; set it by `wallet.set_cap`.

    `spent`, `window_start` and `counts_from` are projections: what the ledger says of the window in which the key
    spent last. All columns change under the wallet's lock only.
    """

    wallet = models.ForeignKey(
        Wallet, models.CASCADE, related_name="spending_caps", db_index=False, verbose_name=_("wallet")
    )
    attributed_to = KeyField(
        _("attributed to"), max_length=255, help_text=_("The API key or member that spends.")
    )
    every = models.CharField(_("every"), max_length=50, help_text=_("How long a window is, in ISO 8601."))
    limit = models.BigIntegerField(_("limit"))
    spent = models.BigIntegerField(_("spent"), default=0)
    window_start = models.DateTimeField(_("window start"))
    counts_from = models.BigIntegerField(
        _("counts from"), help_text=_("The first transaction of the window, by its id.")
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    held = 0
    """What open holds of the key keep, where the cap was read together with them."""

    class Meta:
        verbose_name = _("spending cap")
        verbose_name_plural = _("spending caps")
        constraints = [
            models.UniqueConstraint(
                fields=["wallet", "attributed_to", "every"], name="usage_credits_one_cap_per_window"
            ),
            models.CheckConstraint(
                condition=Q(limit__gte=0, spent__gte=0), name="usage_credits_cap_not_negative"
            ),
        ]

    def __str__(self) -> str:
        named = {"limit": self.limit, "key": self.attributed_to, "every": self.every}
        return _("%(limit)s for %(key)s every %(every)s") % named
