"""The page on which packs and plans are offered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from usage_credits import conf
from usage_credits.billing.plan_prices import PlanPrice, plan_prices
from usage_credits.dsl.plans import SubscriptionPlan
from usage_credits.statements.plans import running_plans
from usage_credits.views.pages import Page
from usage_credits.views.redirects import next_url


@dataclass(frozen=True)
class Offer:
    """A plan that is sold, with its prices; `is_running` where the owner pays for it already."""

    plan: SubscriptionPlan
    prices: list[PlanPrice]
    is_running: bool


class ShopView(Page):
    """Offer the packs, and the plans that are sold through Stripe and not archived.

    Takes `next`, a URL on this host, to which buyers go on once they have paid. Its context has `packs`, `offers`,
    `plans` (those that the owner has), `is_subscribed` (one of them is paid) and `next_url`.
    """

    page = "shop"
    template_name = "usage_credits/shop.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        catalogue = conf.current().catalogue
        running = running_plans(self.owner.find_wallet())
        paid = {plan.name for plan in running if plan.is_paid}
        sold = catalogue.plans_on_sale
        prices = plan_prices(sold)
        return super().get_context_data(
            packs=catalogue.packs,
            offers=[Offer(plan, prices[plan.name], plan.name in paid) for plan in sold],
            plans=running,
            is_subscribed=bool(paid),
            next_url=next_url(self.request, self.request.GET.get("next", "")),
            **kwargs,
        )
