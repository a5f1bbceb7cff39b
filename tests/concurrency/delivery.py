"""What a web process of the concurrency tests does: take webhooks and show pages, with Stripe behind an address."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import stripe
from django.contrib.auth import get_user_model
from django.test import Client
from django.urls import reverse

from usage_credits import recharge_if_due
from usage_credits.models import Wallet
from usage_credits.testing.fake_stripe import through_test_client

ATTEMPTS = 10


def receive(api_base: str, deliveries: list[tuple[str, bytes, Mapping[str, str]]]) -> list[int]:
    """Take each delivery, again while it is answered by an error, as Stripe does; return the last answers."""
    stripe.api_base = api_base
    answers = []
    for url, body, headers in deliveries:
        for _attempt in range(ATTEMPTS):
            status = through_test_client(url, body, headers)
            if status < 500:
                break
        answers.append(status)
    return answers


def come_back(api_base: str, user_id: int, session_ids: list[str]) -> list[int]:
    """Open the return page of each checkout once, as the buyer's browser does; return the answers."""
    stripe.api_base = api_base
    buyer = Client(raise_request_exception=False)
    buyer.force_login(get_user_model().objects.get(pk=user_id))
    page = reverse("usage_credits:checkout_return")
    return [buyer.get(page, {"session_id": session_id}).status_code for session_id in session_ids]


def recharge_until_killed(api_base: str, wallet_id: int) -> None:
    """Recharge a wallet and die, by a signal that cannot be caught, once Stripe has charged and before it is heard."""
    stripe.api_base = api_base
    create = stripe.PaymentIntent.create

    def create_and_die(**options: Any) -> None:
        create(**options)
        os.kill(os.getpid(), signal.SIGKILL)

    stripe.PaymentIntent.create = create_and_die  # type: ignore[method-assign,assignment]
    recharge_if_due(Wallet.objects.get(pk=wallet_id))


def work(target: str, *values: Any) -> Any:
    """Do what `target` ("module:function") does, so that processes of one run may do different things."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)(*values)
