from __future__ import annotations

import logging
import uuid
from typing import Any, cast
from urllib.parse import urlencode

import stripe
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from studio.forms import PictureForm, RenderForm, SignUpForm
from studio.models import User
from studio.orders import order
from studio.plans import running_plans
from studio.rendering import Picture, Style, draw
from usage_credits import (
    InsufficientCredits,
    InvalidOperation,
    InvalidValue,
    conf,
    create_portal_session,
    find_credit_pack,
    find_subscription_plan,
    settle_checkout,
)

logger = logging.getLogger("studio")

WELCOME_CREDITS = 15
PREVIEW_SIDE = 480
"""Pixels of a preview's longer side."""


def sign_up(request: HttpRequest) -> HttpResponse:
    form = SignUpForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        user = form.save()
        user.give_credits(WELCOME_CREDITS, reason="signup", idempotency_key="welcome")
        login(request, user)
        messages.success(request, f"Welcome! {user.credits} credits are on us.")
        return redirect("home")
    return render(request, "registration/sign_up.html", {"form": form, **_welcome()})


def _welcome() -> dict[str, int]:
    """Return what a new user gets: at once, the first credits of the free plan included, and every month."""
    free = find_subscription_plan("free")
    monthly = free.amount if free else 0
    return {"welcome_credits": WELCOME_CREDITS + monthly, "monthly_credits": monthly}


@require_GET
def home(request: HttpRequest) -> HttpResponse:
    if not request.user.is_authenticated:
        return render(request, "studio/welcome.html", {"styles": list(Style), **_welcome()})
    user = _user(request)
    return render(
        request,
        "studio/home.html",
        {
            "balance": user.credits,
            "renders": user.renders.all()[:6],
            "transactions": user.credit_history.recent(5),
        },
    )


@require_GET
@cache_control(max_age=86_400)
def sample(request: HttpRequest, style: str, seed: int) -> HttpResponse:
    """Show a small picture to anybody."""
    try:
        picture = Picture(Style(style), seed, PREVIEW_SIDE, PREVIEW_SIDE * 3 // 4)
    except ValueError as error:
        raise Http404(str(error)) from error
    return HttpResponse(draw(picture), content_type="image/png")


@login_required
@require_GET
def gallery(request: HttpRequest) -> HttpResponse:
    return render(request, "studio/gallery.html", {"renders": _user(request).renders.all()})


@login_required
@require_GET
def statement(request: HttpRequest) -> HttpResponse:
    user = _user(request)
    return render(
        request,
        "studio/statement.html",
        {
            "balance": user.credits,
            "plans": running_plans(user),
            "transactions": user.credit_history.recent(),
        },
    )


@login_required
@require_http_methods(["GET", "POST"])
def new_render(request: HttpRequest) -> HttpResponse:
    """Offer the form with prices; GET with values shows preview and estimate, POST orders."""
    user = _user(request)
    if request.method == "POST":
        form = RenderForm(request.POST, user=user)
        if form.is_valid():
            values = form.cleaned_data
            try:
                made = order(user, "render", form.picture(), title=values["title"], key=values["key"])
            except InvalidOperation as error:
                form.add_error("size", str(error))
            except InsufficientCredits as error:
                return _refuse(request, error)
            else:
                messages.success(request, f"Rendered for {made.cost} credits.")
                return redirect(made)
        return _show_form(request, form, status=400)
    values = {**RenderForm.fresh(), **request.GET.dict()}
    return _show_form(request, RenderForm(values, user=user))


def _show_form(request: HttpRequest, form: RenderForm, status: int = 200) -> HttpResponse:
    estimate: int | None = None
    refusal = ""
    if form.is_valid():
        try:
            estimate = _user(request).estimate_credits_to("render", megapixels=form.picture().megapixels)
        except InvalidOperation as error:
            refusal = str(error)
    context = {
        "form": form,
        "estimate": estimate,
        "refusal": refusal,
        "balance": _user(request).credits,
        "preview_url": _preview_url(form),
    }
    return render(request, "studio/new_render.html", context, status=status)


def _preview_url(form: RenderForm) -> str:
    values: dict[str, Any] = getattr(form, "cleaned_data", {})
    drawn = [(name, str(values[name])) for name in PictureForm.base_fields if name in values]
    return f"{reverse('preview')}?{urlencode(drawn)}" if len(drawn) == len(PictureForm.base_fields) else ""


@login_required
@require_GET
def preview(request: HttpRequest) -> HttpResponse:
    """Draw in small what a form describes: an operation that costs nothing and so leaves no trace in the ledger."""
    form = PictureForm(request.GET)
    if not form.is_valid():
        return HttpResponse("There is no such picture.", status=400, content_type="text/plain")
    _user(request).spend_credits_on("preview")
    return HttpResponse(draw(form.picture().fitted(PREVIEW_SIDE)), content_type="image/png")


@login_required
@require_GET
def show_render(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    made = get_object_or_404(_user(request).renders, pk=pk)
    larger = made.picture.doubled()
    try:
        price = _user(request).estimate_credits_to("upscale", megapixels=larger.megapixels)
        refusal = ""
    except InvalidOperation as error:
        price, refusal = None, str(error)
    context = {"render": made, "larger": larger, "price": price, "refusal": refusal, "key": uuid.uuid4()}
    return render(request, "studio/render.html", context)


@login_required
@require_GET
def image(request: HttpRequest, pk: uuid.UUID) -> FileResponse:
    """Send the file of one of the user's own renders; `?download` saves it."""
    made = get_object_or_404(_user(request).renders, pk=pk)
    return FileResponse(
        made.image.open(), as_attachment="download" in request.GET, filename=f"{made.style}-{made.seed}.png"
    )


@login_required
@require_POST
def upscale(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    made = get_object_or_404(_user(request).renders, pk=pk)
    try:
        key = uuid.UUID(request.POST.get("key", ""))
        larger = order(
            made.owner,
            "upscale",
            made.picture.doubled(),
            title=made.title,
            key=key,
            upscaled_from=made,
        )
    except InsufficientCredits as error:
        return _refuse(request, error)
    except (InvalidOperation, ValueError) as error:
        messages.error(request, str(error))
        return redirect(made)
    messages.success(request, f"Upscaled for {larger.cost} credits.")
    return redirect(larger)


@login_required
@require_GET
def packs(request: HttpRequest) -> HttpResponse:
    running = running_plans(_user(request))
    context = {
        "packs": conf.current().catalogue.packs,
        "plan": find_subscription_plan("pro"),
        "costs": settings.PRO_COSTS,
        "plans": running,
        "is_subscribed": any(plan.is_paid for plan in running),
        "balance": _user(request).credits,
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
        checkout = pack.create_checkout_session(_user(request), **_urls(request))
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
    user = _user(request)
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
        portal = create_portal_session(_user(request), return_url=page)
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
    user = _user(request)
    try:
        result = settle_checkout(request.GET.get("session_id", ""), user)
    except InvalidValue as error:
        raise Http404("There is no such purchase.") from error
    return render(request, "studio/purchased.html", {"balance": user.credits, "result": result})


@login_required
@require_POST
def dismiss(request: HttpRequest, pk: int) -> HttpResponse:
    get_object_or_404(_user(request).notices, pk=pk).delete()
    return redirect("home")


def _refuse(request: HttpRequest, error: InsufficientCredits) -> HttpResponse:
    context = {"error": error, "missing": error.required - error.available}
    return render(request, "studio/insufficient.html", context, status=402)


def _user(request: HttpRequest) -> User:
    return cast(User, request.user)
