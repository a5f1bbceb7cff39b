"""Automatic recharges: what an owner agreed to, and each attempt to buy the pack."""

from __future__ import annotations

import datetime

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from usage_credits.models.fields import KeyField, MetadataField
from usage_credits.models.fulfillment import Fulfillment
from usage_credits.models.wallet import Wallet


class RechargeSetting(models.Model):
    """Which pack a wallet buys by itself, when and how often; set it by `owner.set_recharge`.

    State, changed under the wallet's lock only.
    """

    wallet = models.OneToOneField(
        Wallet, models.CASCADE, related_name="recharge_setting", verbose_name=_("wallet")
    )
    pack_name = models.CharField(_("pack"), max_length=255)
    as_sold = MetadataField(_("as sold"), help_text=_("The pack as it was when its owner agreed to buy it."))
    threshold = models.BigIntegerField(
        _("threshold"), help_text=_("A balance below it is recharged, in credits.")
    )
    max_per_day = models.PositiveIntegerField(_("most a day"))
    max_per_month = models.PositiveIntegerField(_("most a month"))
    payment_method = KeyField(
        _("payment method"), max_length=255, blank=True, help_text=_("Empty: the customer's default one.")
    )
    is_enabled = models.BooleanField(_("is enabled"), default=True)
    stop_reason = models.CharField(_("stop reason"), max_length=100, blank=True)
    failures = models.PositiveIntegerField(_("failures in a row"), default=0)
    paused_until = models.DateTimeField(_("paused until"), null=True)
    told_at = models.DateTimeField(
        _("told at"), null=True, help_text=_("When the owner was told of these failures.")
    )
    set_at = models.DateTimeField(_("set at"), default=timezone.now)
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    class Meta:
        verbose_name = _("recharge setting")
        verbose_name_plural = _("recharge settings")
        constraints = [
            models.CheckConstraint(
                condition=Q(threshold__gte=0, max_per_day__gte=1, max_per_month__gte=1),
                name="usage_credits_recharge_is_bounded",
            ),
        ]

    def __str__(self) -> str:
        return _("%(pack)s below %(threshold)s") % {"pack": self.pack_name, "threshold": self.threshold}


class RechargeState(models.TextChoices):
    STARTED = "started", _("started")
    PAID = "paid", _("paid, waits for its credits")
    SUCCEEDED = "succeeded", _("succeeded")
    FAILED = "failed", _("failed")


IN_FLIGHT = (RechargeState.STARTED, RechargeState.PAID)
"""The states in which money may be on its way and no other recharge of the wallet begins."""


class RechargeQuerySet(models.QuerySet["Recharge"]):
    def in_flight(self) -> RechargeQuerySet:
        """Keep those that have not ended."""
        return self.filter(in_flight_of__isnull=False)

    def to_resume(self, moment: datetime.datetime) -> RechargeQuerySet:
        """Keep those whose answer or credits are to be asked for by `moment`."""
        return self.filter(next_attempt_at__lte=moment)


class Recharge(models.Model):
    """One attempt to charge a wallet's owner for a pack. Money in minor units.

    `in_flight_of` is the wallet while it has not ended, and unique: there is one at most. `key` is what Stripe knows
    it by: the idempotency key of its payment, and in the payment's metadata.
    """

    wallet = models.ForeignKey(
        Wallet, models.PROTECT, related_name="recharges", db_index=False, verbose_name=_("wallet")
    )
    in_flight_of = models.OneToOneField(
        Wallet, models.PROTECT, null=True, related_name="recharge_in_flight", verbose_name=_("in flight of")
    )
    key = KeyField(_("key"), max_length=32)
    state = models.CharField(
        _("state"), max_length=20, choices=RechargeState.choices, default=RechargeState.STARTED
    )
    pack_name = models.CharField(_("pack"), max_length=255)
    as_sold = MetadataField(_("as sold"))
    credits = models.BigIntegerField(_("credits"))
    amount = models.BigIntegerField(_("amount"), help_text=_("In the currency's minor unit."))
    currency = models.CharField(_("currency"), max_length=3)
    customer_id = KeyField(_("customer id"), max_length=255, blank=True)
    payment_method = KeyField(_("payment method"), max_length=255, blank=True)
    payment = KeyField(
        _("payment"),
        max_length=255,
        null=True,
        help_text=_("pi: and the id of the payment intent, once it is known."),
    )
    fulfillment = models.OneToOneField(
        Fulfillment, models.PROTECT, null=True, related_name="recharge", verbose_name=_("fulfillment")
    )
    reason = models.CharField(_("reason"), max_length=100, blank=True)
    error = models.TextField(_("error"), blank=True)
    attempts = models.PositiveIntegerField(_("attempts"), default=1)
    next_attempt_at = models.DateTimeField(
        _("next attempt at"), null=True, help_text=_("When Stripe is asked again; null: it has ended.")
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    ended_at = models.DateTimeField(_("ended at"), null=True)

    objects = RechargeQuerySet.as_manager()

    class Meta:
        verbose_name = _("recharge")
        verbose_name_plural = _("recharges")
        constraints = [
            models.UniqueConstraint(fields=["key"], name="usage_credits_one_recharge_per_key"),
            models.UniqueConstraint(fields=["payment"], name="usage_credits_one_recharge_per_payment"),
            models.CheckConstraint(
                condition=Q(credits__gt=0, amount__gt=0), name="usage_credits_recharge_positive"
            ),
            models.CheckConstraint(
                # Not null by name: a condition that is null is none.
                condition=Q(
                    state__in=["started", "paid"], in_flight_of__isnull=False, in_flight_of=F("wallet")
                )
                | Q(state__in=["succeeded", "failed"], in_flight_of__isnull=True),
                name="usage_credits_recharge_in_flight",
            ),
            models.CheckConstraint(
                condition=Q(state="succeeded", fulfillment__isnull=False, payment__isnull=False)
                | Q(state__in=["started", "paid", "failed"], fulfillment__isnull=True),
                name="usage_credits_recharge_awarded",
            ),
        ]
        indexes = [
            models.Index(fields=["wallet", "created_at"], name="usage_credits_recharges"),
            models.Index(
                fields=["next_attempt_at", "id"],
                name="usage_credits_to_resume",
                condition=Q(next_attempt_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.pack_name} {self.get_state_display()}"

    @property
    def is_in_flight(self) -> bool:
        """Tell whether it has not ended: money may be on its way."""
        return self.state in IN_FLIGHT
