from __future__ import annotations

import subprocess
import sys

from tests.databases import child_environment

TRY = """
import django
django.setup()
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from tests.app.models import User
from usage_credits import create_portal_session, find_credit_pack, recharge_if_due, settle_checkout
from usage_credits.models import Wallet
from usage_credits.testing import capture_events, stripe_signature
for attempt in (
    lambda: find_credit_pack("starter").create_checkout_session(User(pk=1)),
    lambda: settle_checkout("cs_test_1", User(pk=1)),
    lambda: create_portal_session(User(pk=1)),
    lambda: User(pk=1).set_recharge("starter", threshold=5),
    lambda: recharge_if_due(Wallet(pk=1)),
    lambda: call_command("sync_credits"),
    lambda: call_command("recharge_credits"),
):
    try:
        attempt()
    except (ImproperlyConfigured, CommandError) as refusal:
        print(type(refusal).__name__, refusal)
"""


def test_say_what_is_missing_where_djstripe_is_not_installed(db: None) -> None:
    answer = subprocess.run(
        [sys.executable, "-c", TRY],
        env={**child_environment(), "DJANGO_SETTINGS_MODULE": "tests.settings_no_stripe"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.splitlines() == [
        *['ImproperlyConfigured Selling through Stripe needs "djstripe" in INSTALLED_APPS.'] * 5,
        *['CommandError This needs "djstripe" in INSTALLED_APPS.'] * 2,
    ]
