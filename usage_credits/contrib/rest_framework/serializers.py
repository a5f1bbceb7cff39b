"""What the API shows of wallets, their rows, what is sold and what an operation costs, and what it takes."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from usage_credits import conf
from usage_credits.contrib.rest_framework.redirects import RedirectField
from usage_credits.dsl.packs import CreditPack
from usage_credits.dsl.plans import SubscriptionPlan
from usage_credits.exceptions import InvalidOperation
from usage_credits.gates.problems import unreadable
from usage_credits.models import Lot, Transaction, Wallet
from usage_credits.spending import operation_named, quote
from usage_credits.statements.exports import COLUMNS
from usage_credits.values import MAX_TEXT


class CreditWalletSerializer(serializers.ModelSerializer[Wallet]):
    """A wallet; all figures are credits."""

    # Of a queryset that `with_balances` has annotated.
    balance = serializers.IntegerField(source="balance_now", read_only=True)
    held = serializers.IntegerField(source="booked_held", read_only=True)
    available = serializers.SerializerMethodField()

    class Meta:
        model = Wallet
        fields = ["asset", "balance", "held", "available", "created_at"]
        read_only_fields = fields

    def get_available(self, wallet: Any) -> int:
        """What can be spent now, on whatever, never negative."""
        available: int = max(wallet.balance_now - wallet.booked_held, 0)
        return available


class CreditLotSerializer(serializers.ModelSerializer[Lot]):
    """A lot that has something left; `transaction` is the id of the row that created it."""

    scope = serializers.ListField(child=serializers.CharField(), read_only=True, allow_null=True)

    class Meta:
        model = Lot
        fields = ["transaction", "amount", "remaining", "expires_at", "priority", "scope"]
        read_only_fields = fields


class CreditTransactionSerializer(serializers.ModelSerializer[Transaction]):
    """A row of the ledger, as its CSV has it. Its metadata is the project's own matter and not shown."""

    class Meta:
        model = Transaction
        fields = COLUMNS
        read_only_fields = fields


class CreditPriceSerializer(serializers.Serializer[Any]):
    """Money in the currency's minor unit: cents."""

    amount = serializers.IntegerField(read_only=True)
    currency = serializers.CharField(read_only=True)


class CreditPackSerializer(serializers.Serializer[Any]):
    """A pack that is sold; `total` is what it awards, the bonus included."""

    name = serializers.CharField(read_only=True)
    display_name = serializers.CharField(read_only=True)
    credits = serializers.IntegerField(source="gives", read_only=True)
    bonus = serializers.IntegerField(read_only=True)
    total = serializers.IntegerField(read_only=True)
    price = CreditPriceSerializer(read_only=True)


class CreditPlanPriceSerializer(serializers.Serializer[Any]):
    """One of a plan's prices: `period` is what checkout wants to know it by, null where there is a single price.

    `price` is for one seat, `every` so often (ISO 8601); null where the project has not heard of it from Stripe.
    """

    period = serializers.CharField(read_only=True, allow_null=True)
    price = CreditPriceSerializer(source="cost.money", read_only=True, default=None, allow_null=True)
    every = serializers.CharField(source="every.iso", read_only=True, default=None, allow_null=True)


class CreditPlanSerializer(serializers.Serializer[Any]):
    """A plan that is sold: `credits` come `every` so often (ISO 8601)."""

    name = serializers.CharField(source="plan.name", read_only=True)
    credits = serializers.IntegerField(source="plan.amount", read_only=True)
    every = serializers.CharField(source="plan.period.iso", read_only=True)
    signup_bonus = serializers.IntegerField(source="plan.signup_bonus", read_only=True)
    trial_includes = serializers.IntegerField(source="plan.trial_includes", read_only=True)
    unused_credits = serializers.CharField(source="plan.unused_credits", read_only=True)
    rollover_cap = serializers.IntegerField(source="plan.rollover_cap", read_only=True, allow_null=True)
    per_seat = serializers.BooleanField(source="plan.per_seat", read_only=True)
    prices = CreditPlanPriceSerializer(many=True, read_only=True)


class CreditProblemSerializer(serializers.Serializer[Any]):
    """Why a request may not pass, as RFC 9457 has it; the members from `operation` on are there where they apply."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    operation = serializers.CharField(required=False)
    required = serializers.IntegerField(required=False)  # type: ignore[assignment]
    available = serializers.IntegerField(required=False)
    limit = serializers.IntegerField(required=False)
    left = serializers.IntegerField(required=False)
    resets_at = serializers.DateTimeField(required=False)
    field = serializers.CharField(required=False)


class CreditUseSerializer(serializers.Serializer[Any]):
    """An operation and its parameters."""

    operation = serializers.CharField(max_length=MAX_TEXT)
    params = serializers.DictField(default=dict)

    def validate_operation(self, name: str) -> str:
        """Refuse an unknown operation."""
        try:
            return operation_named(name).name
        except InvalidOperation as error:
            raise serializers.ValidationError(str(error)) from error

    def validate(self, use: dict[str, Any]) -> dict[str, Any]:
        """Work out the price."""
        try:
            price = quote(use["operation"], use["params"]).price
        except InvalidOperation as error:
            detail = unreadable(error, use["operation"]).detail
            raise serializers.ValidationError({"params": [detail]}) from error
        return {**use, "price": price}


class CreditEstimateSerializer(serializers.Serializer[Any]):
    """What an operation would cost now, what can be spent on it, and why it cannot be paid, if so."""

    operation = serializers.CharField()
    price = serializers.IntegerField()
    available = serializers.IntegerField()
    covered = serializers.BooleanField()
    refusal = CreditProblemSerializer(allow_null=True)


class CreditOrderSerializer(serializers.Serializer[Any]):
    """What to buy, either a pack or a plan, and where Stripe's page leads.

    `period` chooses among the prices of a plan that has several, `quantity` is the seats of a plan.
    """

    pack = serializers.CharField(max_length=MAX_TEXT, required=False)
    plan = serializers.CharField(max_length=MAX_TEXT, required=False)
    period = serializers.CharField(max_length=MAX_TEXT, required=False)
    quantity = serializers.IntegerField(min_value=1, max_value=1_000_000, default=1)
    success_url = RedirectField()
    cancel_url = RedirectField()

    def validate(self, order: dict[str, Any]) -> dict[str, Any]:
        """Find what is sold under the name, as `offer`."""
        catalogue = conf.current().catalogue
        offers: dict[str, tuple[CreditPack | SubscriptionPlan, ...]] = {
            "pack": catalogue.packs,
            "plan": catalogue.plans_on_sale,
        }
        named = {kind: order.pop(kind) for kind in offers if kind in order}
        if len(named) != 1:
            raise serializers.ValidationError(_("Give either a pack or a plan."))
        ((kind, name),) = named.items()
        for offer in offers[kind]:
            if offer.name == name:
                return {**order, "offer": offer}
        raise serializers.ValidationError({kind: [_("Nothing of this name is sold.")]})


class CreditCheckoutSerializer(serializers.Serializer[Any]):
    """A checkout session; `url` is the page on which the buyer pays."""

    id = serializers.CharField()
    url = serializers.URLField()
