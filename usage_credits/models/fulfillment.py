"""The fulfillment: the schedule of awards that a payment, or a plan without one, stands for."""

from __future__ import annotations

import datetime
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from usage_credits.dsl.grid import Grid
from usage_credits.dsl.periods import Period
from usage_credits.exceptions import InvalidValue
from usage_credits.models.fields import KeyField, MetadataField
from usage_credits.models.wallet import Wallet

MANUAL_SOURCE: Final = "manual"
"""The source of fulfillments that no payment stands behind."""


class FulfillmentKind(models.TextChoices):
    PACK = "credit_pack", _("credit pack")
    SUBSCRIPTION = "subscription", _("subscription")
    MANUAL = "manual", _("manual")


class FulfillmentQuerySet(models.QuerySet["Fulfillment"]):
    def due(self, moment: datetime.datetime) -> FulfillmentQuerySet:
        """Keep those whose next grid date has come by `moment` and lies before their stop."""
        return self.filter(
            Q(stops_at=None) | Q(next_fulfillment_at__lt=F("stops_at")),
            Q(last_fulfilled_at=None) | Q(next_fulfillment_at__gt=F("last_fulfilled_at")),
            next_fulfillment_at__lte=moment,
        )

    def to_end(self, moment: datetime.datetime) -> FulfillmentQuerySet:
        """Keep those without a payment whose stop has come by `moment`, that wait for nothing and were not ended."""
        return self.filter(source=MANUAL_SOURCE, stops_at__lte=moment, next_fulfillment_at__gte=F("stops_at"))

    def active(self) -> FulfillmentQuerySet:
        """Keep the fulfillments that have not stopped."""
        return self.exclude(stops_at__lte=timezone.now())


class Fulfillment(models.Model):
    """What was sold to whom, and when the next award is due. State, changed under the wallet's lock only.

    (`source`, `source_id`) names the payment or subscription at its provider and is unique: one source, one
    fulfillment. One that no payment stands behind has no source id, unless its caller named it.
    """

    wallet = models.ForeignKey(Wallet, models.PROTECT, related_name="fulfillments", verbose_name=_("wallet"))
    kind = models.CharField(_("kind"), max_length=20, choices=FulfillmentKind.choices)
    source = KeyField(_("source"), max_length=50)
    source_id = KeyField(_("source id"), max_length=255, null=True)
    plan_name = models.CharField(_("plan"), max_length=255, blank=True)
    pack_name = models.CharField(_("pack"), max_length=255, blank=True)
    as_sold = MetadataField(_("as sold"), help_text=_("The pack or plan as it was defined when it was sold."))
    credits_last_awarded = models.BigIntegerField(_("credits last awarded"), default=0)
    seats = models.PositiveIntegerField(_("seats"), default=1)
    seats_awarded = models.PositiveIntegerField(
        _("seats awarded"), default=1, help_text=_("The most seats that the running period was awarded for.")
    )
    anchor = models.DateTimeField(_("anchor"), null=True)
    period = models.CharField(
        _("period"), max_length=50, blank=True, help_text=_("ISO 8601, empty: not recurring.")
    )
    last_fulfilled_at = models.DateTimeField(_("last fulfilled at"), null=True)
    next_fulfillment_at = models.DateTimeField(_("next fulfillment at"), null=True)
    paid_from = models.DateTimeField(
        _("paid from"), null=True, help_text=_("When the latest period that was paid began.")
    )
    paid_through = models.DateTimeField(_("paid through"), null=True)
    stops_at = models.DateTimeField(_("stops at"), null=True)
    stop_reason = models.CharField(_("stop reason"), max_length=100, blank=True)
    pending_plan = models.CharField(_("pending plan"), max_length=255, blank=True)
    pending_from = models.DateTimeField(_("pending from"), null=True)
    changed_at = models.DateTimeField(
        _("changed at"), null=True, help_text=_("When the plan was last changed at its source.")
    )
    credits_expire_at = models.DateTimeField(
        _("credits expire at"),
        null=True,
        help_text=_("What it awarded lasts no longer; null: no such limit."),
    )
    if_unpaid = MetadataField(
        _("if unpaid"),
        help_text=_("How it stood before a period that counts as paid until its payment is known."),
    )
    revision = models.PositiveIntegerField(
        _("revision"), default=0, help_text=_("How many reports of its source it has taken in.")
    )
    last_error = models.TextField(_("last error"), blank=True)
    metadata = MetadataField(_("metadata"))
    created_at = models.DateTimeField(_("created at"), default=timezone.now)

    objects = FulfillmentQuerySet.as_manager()

    class Meta:
        verbose_name = _("fulfillment")
        verbose_name_plural = _("fulfillments")
        constraints = [
            models.UniqueConstraint(
                fields=["source", "source_id"], name="usage_credits_source_fulfilled_once"
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_fulfillment_at", "id"],
                name="usage_credits_due",
                condition=Q(next_fulfillment_at__isnull=False),
            ),
            models.Index(
                fields=["stops_at", "id"],
                name="usage_credits_stopping",
                condition=Q(next_fulfillment_at__isnull=False, stops_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.plan_name or self.pack_name} {self.source_id or ''}".strip()

    @property
    def grid(self) -> Grid | None:
        """Return the dates on which it awards, None for one that awards once."""
        anchor = self.anchor or self.next_fulfillment_at
        return Grid(anchor, Period.parse(self.period)) if self.period and anchor else None

    @property
    def is_recurring(self) -> bool:
        return bool(self.period)

    @property
    def is_active(self) -> bool:
        """Tell whether it has not stopped: the instant of the stop itself counts as stopped."""
        return self.stops_at is None or self.stops_at > timezone.now()

    def due_date(self, moment: datetime.datetime) -> datetime.datetime | None:
        """Return the next grid date if it has come by `moment`, lies before the stop and was not awarded yet."""
        date: datetime.datetime | None = self.next_fulfillment_at
        if date is None or date > moment or (self.stops_at is not None and date >= self.stops_at):
            return None
        return date if self.last_fulfilled_at is None or date > self.last_fulfilled_at else None

    def clean(self) -> None:
        errors: dict[str, Any] = {}
        if not self.wallet_id:
            errors["wallet"] = _("A fulfillment awards to a wallet.")
        if self.kind not in FulfillmentKind.values:
            errors["kind"] = _("A fulfillment is for a pack, a subscription or a manual grant.")
        if type(self.credits_last_awarded) is not int:
            errors["credits_last_awarded"] = _("An award is a whole number of credits.")
        try:
            Period.parse(self.period or "month")
        except InvalidValue:
            errors["period"] = _("This is no period such as P1M.")
        if problem := self._problem_of_date():
            errors["next_fulfillment_at"] = problem
        if errors:
            raise ValidationError(errors)

    def _problem_of_date(self) -> Any:
        date, last = self.next_fulfillment_at, self.last_fulfilled_at
        if not isinstance(date, datetime.datetime):
            return None
        if not self.is_recurring:
            return None if self._state.adding else _("What awards once has no next date.")
        if isinstance(last, datetime.datetime) and date <= last:
            return _("The next award comes after the last one.")
        if self._state.adding and date <= timezone.now():
            return _("The first award is still to come.")
        return None
