"""The payment notice: a payment that could not be turned into credits yet, and why."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from usage_credits.models.fields import KeyField, MetadataField
from usage_credits.models.fulfillment import Fulfillment


class NoticeReason(models.TextChoices):
    UNKNOWN_PACK = "unknown_pack", _("the pack is not in settings")
    UNKNOWN_PLAN = "unknown_plan", _("the plan is not in settings")
    NO_OWNER = "no_owner", _("no owner was found")
    MISMATCH = "mismatch", _("the pack differs from what was sold")
    REFUSED = "refused", _("the ledger refuses the award")


class PaymentNoticeQuerySet(models.QuerySet["PaymentNotice"]):
    def unresolved(self) -> PaymentNoticeQuerySet:
        """Keep the payments that still wait for their credits, in the order they were first seen."""
        return self.filter(resolved_at__isnull=True).order_by("pk")


class PaymentNotice(models.Model):
    """A payment of which Stripe told us and that no award stands for; one row for each source id."""

    source = KeyField(_("source"), max_length=50)
    source_id = KeyField(_("source id"), max_length=255)
    reason = models.CharField(_("reason"), max_length=30, choices=NoticeReason.choices)
    detail = models.TextField(_("detail"), blank=True)
    customer_id = KeyField(_("customer id"), max_length=255, blank=True)
    payload = MetadataField(_("payload"), help_text=_("The provider's ids and the metadata of the purchase."))
    attempts = models.PositiveIntegerField(_("attempts"), default=1)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    last_attempt_at = models.DateTimeField(_("last attempt at"), default=timezone.now)
    resolved_at = models.DateTimeField(_("resolved at"), null=True)
    fulfillment = models.ForeignKey(
        Fulfillment, models.PROTECT, null=True, related_name="notices", verbose_name=_("fulfillment")
    )

    objects = PaymentNoticeQuerySet.as_manager()

    class Meta:
        verbose_name = _("payment notice")
        verbose_name_plural = _("payment notices")
        constraints = [
            models.UniqueConstraint(
                fields=["source", "source_id"], name="usage_credits_one_notice_per_source"
            ),
        ]
        indexes = [
            models.Index(
                fields=["id"], name="usage_credits_open_notices", condition=Q(resolved_at__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source_id}: {self.get_reason_display()}"
