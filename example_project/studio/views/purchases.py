"""What is sold: packs and plans through Stripe's checkout, and coming back from there."""

from __future__ import annotations

import logging
from typing import Any

import stripe
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from studio.plans import running_plans
from studio.views.account import user_of
from usage_credits import (
    InvalidValue,
    conf,
    create_portal_session,
    find_credit_pack,
    find_subscription_plan,
    settle_checkout,
)

logger = logging.getLogger("studio")


@login_required
@require_GET
def packs(request: HttpRequest) -> HttpResponse:
    running = running_plans(user_of(request))
    context = {
        "packs": conf.current().catalogue.packs,
        "plan": find_subscription_plan("pro"),
        "costs": settings.PRO_COSTS,
        "plans": running,
        "is_subscribed": any(plan.is_paid for plan in running),
        "balance": user_of(request).credits,
    }
    return render(request, "studio/packs.html", context)


@login_required
@require_POST
def buy(request: HttpRequest, name: str) -> HttpResponse:
    """Send the user to Stripe's checkout page; the credits come with Stripe's events, or when the user comes back."""
    pack = find_credit_pack(name)
    if pack is None:
        raise Http404(f"There is no pack {name!r}.")
    try:
        checkout = pack.create_checkout_session(
            user_of(request),
            # Stripe keeps the card, so that it can pay for automatic recharges.
            payment_intent_data={"setup_future_usage": "off_session"},
            **_urls(request),
        )
    except stripe.StripeError:
        return _apologise(request, f"the {pack.display_name} cannot be bought")
    return _see(checkout.url)


@login_required
@require_POST
def subscribe(request: HttpRequest, name: str, period: str) -> HttpResponse:
    """Send the user to Stripe's checkout page of a plan; who has one already manages that instead."""
    plan = find_subscription_plan(name)
    if plan is None or plan.price_id(period) is None:
        raise Http404(f"There is no plan {name!r} by the {period}.")
    user = user_of(request)
    if any(running.is_paid for running in running_plans(user)):
        return manage_plan(request)
    try:
        checkout = plan.create_checkout_session(user, period=period, **_urls(request))
    except stripe.StripeError:
        return _apologise(request, f"the {name.title()} plan cannot be bought")
    return _see(checkout.url)


@login_required
@require_POST
def manage_plan(request: HttpRequest) -> HttpResponse:
    """Send the user to Stripe's portal; what they change there comes back as events."""
    page = request.build_absolute_uri(reverse("statement"))
    try:
        portal = create_portal_session(user_of(request), return_url=page)
    except InvalidValue as error:
        raise Http404("There is nothing to manage.") from error
    except stripe.StripeError:
        return _apologise(request, "your plan cannot be managed")
    return _see(portal.url)


def _urls(request: HttpRequest) -> dict[str, Any]:
    """Return where Stripe's checkout page leads."""
    returned = request.build_absolute_uri(reverse("purchased"))
    return {
        "success_url": f"{returned}?session_id={{CHECKOUT_SESSION_ID}}",
        "cancel_url": request.build_absolute_uri(reverse("packs")),
    }


def _see(url: str) -> HttpResponse:
    answer = HttpResponseRedirect(url)
    answer.status_code = 303
    return answer


def _apologise(request: HttpRequest, problem: str) -> HttpResponse:
    logger.exception("Stripe did not answer: %s", problem)
    return render(request, "studio/checkout_unavailable.html", {"problem": problem}, status=502)


@login_required
@require_GET
def purchased(request: HttpRequest) -> HttpResponse:
    """Welcome the buyer back, whose payment is settled here where Stripe's events are still on their way."""
    user = user_of(request)
    try:
        result = settle_checkout(request.GET.get("session_id", ""), user)
    except InvalidValue as error:
        raise Http404("There is no such purchase.") from error
    return render(request, "studio/purchased.html", {"balance": user.credits, "result": result})
