"""What waits to be done by the jobs."""

from __future__ import annotations

import datetime

import time_machine
from django.utils import timezone

from tests.app.models import User
from tests.billing.fulfilling import make_grant
from tests.billing.recharging import give_card
from tests.factories import make_user, make_wallet
from usage_credits.models import Wallet
from usage_credits.testing import FakeStripe


def make_expired(number: int) -> list[Wallet]:
    """Return as many wallets, each with 10 credits that have expired and 5 that never do."""
    now = timezone.now()
    wallets = []
    with time_machine.travel(now - datetime.timedelta(days=2)):
        for _ in range(number):
            wallets.append(make_wallet(credits=5))
            wallets[-1].credit(10, expires_at=now - datetime.timedelta(days=1))
    return wallets


def make_due(number: int) -> list[Wallet]:
    """Return as many wallets, each with a grant of 70 credits that is due."""
    wallets = [make_wallet() for _ in range(number)]
    for wallet in wallets:
        make_grant(wallet, next_fulfillment_at=timezone.now() - datetime.timedelta(minutes=1))
    return wallets


def make_rechargeable(fake: FakeStripe, credits: int = 0) -> User:
    """Return a user with a card whose wallet is recharged below 50 credits."""
    owner = make_user(credits)
    give_card(fake, owner)
    owner.set_recharge("starter", threshold=50)
    return owner
