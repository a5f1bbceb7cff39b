"""The page to which buyers come back."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect

from usage_credits.billing.checkout import settle_checkout
from usage_credits.billing.providers import can_sell
from usage_credits.conf import format_credits
from usage_credits.exceptions import InvalidValue
from usage_credits.views.pages import Page
from usage_credits.views.redirects import next_url


class CheckoutReturnView(Page):
    """Settle the checkout that a buyer comes back from, then say what became of it.

    Takes `session_id`, which Stripe puts where a success_url has {CHECKOUT_SESSION_ID}, and `next`, a URL on the same
    host: to there it redirects once the checkout is credited; otherwise the page links to it. Answers 404 for
    everything that is no checkout of this owner's. Its context has `result`, `amount` (as text) and `next_url`.
    """

    page = "checkout_return"
    template_name = "usage_credits/checkout_return.html"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not can_sell():
            raise Http404("Nothing is sold here.")
        try:
            result = settle_checkout(request.GET.get("session_id", ""), self.owner)
        except InvalidValue as error:
            raise Http404("There is no such checkout.") from error
        on = next_url(request, request.GET.get("next", ""))
        if result.fulfillment is not None and on:
            return redirect(on)
        amount = format_credits(result.credits)
        return self.render_to_response(
            self.get_context_data(result=result, amount=amount, next_url=on, **kwargs)
        )
