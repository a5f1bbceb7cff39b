from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from tests.admin.browsing import list_url, staff_client
from tests.app.models import User
from tests.billing.shopping import announce, check_out
from tests.billing.subscribing import stripe_at, subscribe
from tests.factories import make_user
from tests.settings import USAGE_CREDITS
from usage_credits.models import PaymentNotice
from usage_credits.testing import FakeStripe, receive_webhooks, use_fake_stripe


@pytest.fixture
def fake(db: None) -> Iterator[FakeStripe]:
    with use_fake_stripe(FakeStripe()) as fake:
        receive_webhooks()
        yield fake


def pay_while_the_pack_is_unknown(fake: FakeStripe, user: User, settings: Any) -> PaymentNotice:
    session = fake.pay(check_out(user).id)
    settings.USAGE_CREDITS = {**USAGE_CREDITS, "CREDIT_PACKS": []}
    announce(fake, session)
    return PaymentNotice.objects.latest("pk")


def retry(client: Client, *notices: PaymentNotice) -> list[str]:
    chosen = {"action": "retry", "_selected_action": [str(notice.pk) for notice in notices]}
    answer = client.post(list_url(PaymentNotice), chosen, follow=True)
    return [str(message) for message in answer.context["messages"]]


def test_retry_turns_the_selected_payments_into_credits(
    admin_client: Client, fake: FakeStripe, settings: Any
) -> None:
    user, other = make_user(), make_user()
    notice = pay_while_the_pack_is_unknown(fake, user, settings)
    settings.USAGE_CREDITS = USAGE_CREDITS
    unselected = pay_while_the_pack_is_unknown(fake, other, settings)
    settings.USAGE_CREDITS = USAGE_CREDITS
    assert retry(admin_client, notice) == ["1 payment was resolved."]
    assert (user.credits, other.credits) == (1_000, 0)
    assert list(PaymentNotice.objects.unresolved()) == [unselected]
    assert retry(admin_client, notice) == ["0 payments were resolved."]
    assert user.credits == 1_000


def test_retry_says_why_a_payment_stays_open(admin_client: Client, fake: FakeStripe, settings: Any) -> None:
    user = make_user()
    notice = pay_while_the_pack_is_unknown(fake, user, settings)
    problem, summary = retry(admin_client, notice)
    assert notice.source_id in problem
    assert "the pack is not in settings" in problem
    assert summary == "0 payments were resolved."
    assert user.credits == 0


def test_retry_turns_a_noticed_subscription_into_credits(
    admin_client: Client, fake: FakeStripe, settings: Any
) -> None:
    user = make_user()
    with stripe_at(fake):
        subscription = subscribe(fake, user, metadata={"plan_name": "pro"})
        settings.USAGE_CREDITS = {**USAGE_CREDITS, "SUBSCRIPTION_PLANS": []}
        assert set(fake.deliver_pending()) == {200}
        notice = PaymentNotice.objects.get(source_id=f"sub:{subscription['id']}", reason="unknown_plan")
        problem, _summary = retry(admin_client, notice)
        assert "the plan is not in settings" in problem
        settings.USAGE_CREDITS = USAGE_CREDITS
        assert retry(admin_client, notice) == ["1 payment was resolved."]
        assert user.credits == 600


@pytest.mark.parametrize(
    ("permissions", "is_offered"),
    [(("view_paymentnotice",), False), (("view_paymentnotice", "change_paymentnotice"), True)],
)
def test_retry_needs_the_permission_to_change_notices(
    fake: FakeStripe, settings: Any, permissions: tuple[str, ...], is_offered: bool
) -> None:
    notice = pay_while_the_pack_is_unknown(fake, make_user(), settings)
    settings.USAGE_CREDITS = USAGE_CREDITS
    client = staff_client(*permissions)
    assert ('value="retry"' in client.get(list_url(PaymentNotice)).content.decode()) is is_offered
    retry(client, notice)
    assert PaymentNotice.objects.unresolved().exists() is not is_offered
