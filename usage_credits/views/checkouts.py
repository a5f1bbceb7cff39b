"""Send buyers to Stripe: to a checkout, or to where they manage what they subscribed to."""

from __future__ import annotations

import logging
from typing import Any, Final
from urllib.parse import urlencode

from django.core.exceptions import BadRequest
from django.http import Http404, HttpRequest, HttpResponse

from usage_credits import conf
from usage_credits.billing.portal import create_portal_session
from usage_credits.billing.providers import can_sell, provider_errors
from usage_credits.dsl.packs import CreditPack
from usage_credits.dsl.plans import SubscriptionPlan
from usage_credits.exceptions import InvalidValue
from usage_credits.statements.plans import running_plans
from usage_credits.views.pages import Page
from usage_credits.views.redirects import SeeOther, next_url

logger = logging.getLogger("usage_credits")

SESSION_ID: Final = "{CHECKOUT_SESSION_ID}"
"""What Stripe replaces by the id of the session."""

MOST_SEATS: Final = 100_000


class NothingToManage(Exception):
    """The owner has no customer at Stripe."""


class ToStripe(Page):
    """Answer a POST by a redirect to Stripe, or say that Stripe does not answer: 502, and nothing has changed.

    Takes `next`, a URL on this host to which to go on in the end; another one is answered 400. 404 where dj-stripe is
    not installed. Override `get_options` for what else a checkout takes.
    """

    http_method_names = ["post", "options"]
    template_name = "usage_credits/checkout_unavailable.html"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not can_sell():
            raise Http404("Nothing is sold here.")
        if self.next_url and not next_url(request, self.next_url):
            raise BadRequest("next: allowed is a page of this site.")
        try:
            return SeeOther(self.get_session().url)
        except NothingToManage:
            return self.render_to_response(self.get_context_data(has_nothing=True, **kwargs), status=404)
        except provider_errors():
            logger.exception("Stripe did not answer where %s asked for a session", type(self).__name__)
            return self.render_to_response(self.get_context_data(**kwargs), status=502)

    def get_session(self) -> Any:
        """Return Stripe's session, at whose `url` to go on. Raises Http404, NothingToManage, and as Stripe does."""
        raise NotImplementedError

    def get_options(self, sold: CreditPack | SubscriptionPlan) -> dict[str, Any]:
        """Return arguments of `create_checkout_session` beside where it leads: `allow_promotion_codes`, say."""
        return {}

    @property
    def next_url(self) -> str:
        """Return where to go on in the end, as it was sent."""
        return self.request.POST.get("next", "")

    def checkout(self, sold: CreditPack | SubscriptionPlan, **options: Any) -> Any:
        """Return the session of a checkout that leads to the return page, or back to the shop."""
        on = f"&{urlencode({'next': self.next_url})}" if self.next_url else ""
        leads = {
            "success_url": f"{self._absolute('checkout_return')}?session_id={SESSION_ID}{on}",
            "cancel_url": self._absolute("shop"),
        }
        return sold.create_checkout_session(self.owner, **{**leads, **self.get_options(sold), **options})

    def portal(self) -> Any:
        """Return the session of Stripe's portal that leads on, or back to the shop. Raises NothingToManage."""
        back = self.request.build_absolute_uri(self.next_url) if self.next_url else self._absolute("shop")
        try:
            return create_portal_session(self.owner, return_url=back)
        except InvalidValue as error:
            raise NothingToManage from error

    def _absolute(self, name: str) -> str:
        """Return where another page is, or the first page of this site where urls.py leaves it out."""
        return self.request.build_absolute_uri(self.urls.get(name, "/"))


class BuyPackView(ToStripe):
    """Send the owner to the checkout of `pack`, the name of one; 404 for one that there is not."""

    def get_session(self) -> Any:
        pack = conf.find_credit_pack(self.request.POST.get("pack"))
        if pack is None:
            raise Http404("There is no such pack.")
        return self.checkout(pack)


class SubscribeView(ToStripe):
    """Send the owner to the checkout of `plan`, billed by `period`; who pays for a plan already, to the portal.

    `period` is left out for a plan with a single price. `seats`, 1 by default, count for plans with `per_seat` alone.
    404 for what is not sold so.
    """

    def get_session(self) -> Any:
        plan = conf.find_subscription_plan(self.request.POST.get("plan"))
        period = self.request.POST.get("period") or None
        if plan is None or plan.archived or plan.price_id(period) is None:
            raise Http404("There is no such plan.")
        seats = self._seats() if plan.per_seat else 1
        if any(running.is_paid for running in running_plans(self.owner.find_wallet())):
            return self.portal()
        return self.checkout(plan, period=period, quantity=seats)

    def _seats(self) -> int:
        asked = self.request.POST.get("seats") or "1"
        seats = int(asked) if asked.isascii() and asked.isdecimal() and len(asked) < 10 else 0
        if not 0 < seats <= MOST_SEATS:
            raise BadRequest(f"seats: allowed is a whole number from 1 to {MOST_SEATS}.")
        return seats


class ManageSubscriptionView(ToStripe):
    """Send the owner to Stripe's portal, where they change, pay and end plans, and save cards.

    404 for who has never bought anything.
    """

    def get_session(self) -> Any:
        return self.portal()
