"""The pages of the app."""

from __future__ import annotations

from typing import Any, cast

from django.contrib.auth.mixins import LoginRequiredMixin
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.generic import TemplateView

from usage_credits.billing.checkout import settle_checkout
from usage_credits.conf import format_credits
from usage_credits.exceptions import InvalidValue


@method_decorator(never_cache, name="dispatch")
class CheckoutReturnView(LoginRequiredMixin, TemplateView):
    """Settle the checkout that a buyer comes back from, then say what became of it.

    Takes `session_id`, which Stripe puts where a success_url has {CHECKOUT_SESSION_ID}, and `next`, a URL on the same
    host: to there it redirects once the checkout is credited; otherwise the page links to it. Answers 404 for
    everything that is no checkout of this owner's. Override `get_owner` where the user of the request is not the
    owner, and the template, whose context has `result`, `amount` (as text) and `next_url`.
    """

    http_method_names = ["get", "head", "options"]
    template_name = "usage_credits/checkout_return.html"

    def get_owner(self) -> models.Model:
        """Return the owner whose checkout this may be: the user of the request."""
        return cast("models.Model", self.request.user)

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            result = settle_checkout(request.GET.get("session_id", ""), self.get_owner())
        except InvalidValue as error:
            raise Http404("There is no such checkout.") from error
        next_url = self._next_url()
        if result.fulfillment is not None and next_url:
            return redirect(next_url)
        context = self.get_context_data(
            result=result, amount=format_credits(result.credits), next_url=next_url, **kwargs
        )
        return self.render_to_response(context)

    def _next_url(self) -> str:
        """Return where to go on; nothing where that is not on this host, so that no link leads buyers astray."""
        next_url = self.request.GET.get("next", "")
        is_safe = url_has_allowed_host_and_scheme(
            next_url, allowed_hosts={self.request.get_host()}, require_https=self.request.is_secure()
        )
        return next_url if is_safe else ""
