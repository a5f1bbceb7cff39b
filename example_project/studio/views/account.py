"""Who somebody is: signing up, their home page."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.contrib.auth import login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_GET

from studio.forms import SignUpForm
from studio.models import User
from studio.rendering import Style
from usage_credits import find_subscription_plan

WELCOME_CREDITS = 15


def user_of(request: HttpRequest) -> User:
    """Return who is signed in."""
    return cast(User, request.user)


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
    user = user_of(request)
    return render(request, "studio/home.html", {"balance": user.credits, "renders": user.renders.all()[:6]})
