"""What an owner can buy and do, by API: packs and plans, prices of operations, checkout."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple

from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.generics import ListAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from usage_credits import conf
from usage_credits.billing.plan_prices import PlanPrice, plan_prices
from usage_credits.billing.providers import can_sell, provider_errors
from usage_credits.contrib.rest_framework import serializers
from usage_credits.contrib.rest_framework.problems import CreditProblem, turn_away
from usage_credits.contrib.rest_framework.views import CreditView
from usage_credits.dsl.plans import SubscriptionPlan
from usage_credits.exceptions import InvalidValue
from usage_credits.gates.coverage import available_for, refusal_of
from usage_credits.gates.problems import Problem, problem_of

logger = logging.getLogger("usage_credits")


class PackListView(CreditView, ListAPIView[Any]):
    """The packs that are sold, in the order of settings."""

    serializer_class = serializers.CreditPackSerializer

    def get_queryset(self) -> Any:
        return conf.current().catalogue.packs


class PlanOnSale(NamedTuple):
    """A plan and what it costs."""

    plan: SubscriptionPlan
    prices: list[PlanPrice]


class PlanListView(CreditView, ListAPIView[Any]):
    """The plans that are sold, in the order of settings: those with a price that are not archived."""

    serializer_class = serializers.CreditPlanSerializer

    def get_queryset(self) -> Any:
        sold = conf.current().catalogue.plans_on_sale
        prices = plan_prices(sold)
        return [PlanOnSale(plan, prices[plan.name]) for plan in sold]


class EstimateView(CreditView):
    """Tell what an operation would cost the owner, and whether that can be paid now. Charges nothing."""

    serializer_class = serializers.CreditUseSerializer
    result_class = serializers.CreditEstimateSerializer
    refusals = (400,)

    def get_attributed_to(self) -> str | None:
        """Return the API key or member whose caps count: none."""
        return None

    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        use = self.get_serializer(data=request.data)
        use.is_valid(raise_exception=True)
        return Response(self.result_class(self._estimate(**use.validated_data)).data)

    def _estimate(self, operation: str, params: Mapping[str, Any], price: int) -> dict[str, Any]:
        owner = self.wallet_owner
        refusal = refusal_of(owner, operation, params, attributed_to=self.get_attributed_to())
        return {
            "operation": operation,
            "price": price,
            "available": available_for(owner, operation),
            "covered": refusal is None,
            "refusal": refusal and problem_of(refusal, operation).body(),
        }


class CheckoutView(CreditView):
    """Start the checkout of a pack or a plan at Stripe. Awards nothing: the payment does."""

    serializer_class = serializers.CreditOrderSerializer
    result_class = serializers.CreditCheckoutSerializer
    success = 201
    refusals = (400, 503)
    redirect_hosts: Collection[str] = ()
    """Hosts, with their ports, to which Stripe's page may lead besides that of the request."""

    def get_redirect_hosts(self) -> set[str]:
        """Return the hosts to which Stripe's page may lead."""
        return {self.request.get_host(), *self.redirect_hosts}

    def get_checkout_options(self, offer: Any) -> dict[str, Any]:
        """Return more arguments of the checkout session of a pack or plan, such as allow_promotion_codes: none."""
        return {}

    def post(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        order: Any = self.get_serializer(data=request.data)
        order.is_valid(raise_exception=True)
        try:
            session = self._session(**order.validated_data)
        except InvalidValue as error:
            if error.field not in order.fields:
                raise
            raise ValidationError({error.field: [error.args[1]]}) from error
        return Response(self.result_class(session).data, status=self.success)

    def _session(self, *, offer: Any, **order: Any) -> Any:
        owner = self.wallet_owner
        if not can_sell():
            raise self._unavailable()
        try:
            return offer.create_checkout_session(owner, **{**self.get_checkout_options(offer), **order})
        except provider_errors() as error:
            logger.exception("Stripe did not answer: %s cannot be sold", offer.name)
            raise self._unavailable() from error

    def _unavailable(self) -> CreditProblem:
        title = _("Checkout is not available")
        detail = _("Nothing can be bought at the moment. Nothing was charged.")
        return turn_away(self.request, Problem(503, "checkout-unavailable", title, detail))
