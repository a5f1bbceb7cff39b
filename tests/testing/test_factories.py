from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone

from tests.app.models import User
from tests.factories import UserFactory, make_user
from usage_credits import InvalidAmount, credits
from usage_credits.models import NoticeReason, PaymentNotice, Wallet
from usage_credits.testing.factories import (
    CreditFactory,
    FulfillmentFactory,
    PaymentNoticeFactory,
    WalletFactory,
)

pytestmark = [pytest.mark.django_db, pytest.mark.sound_ledger]


@pytest.fixture
def user(db: None) -> User:
    return make_user()


def test_wallet_is_the_owners_own(user: User) -> None:
    wallet = WalletFactory.create(owner=user, credits=30)
    assert (wallet.balance, wallet.booked_balance, wallet.owner) == (30, 30, user)
    assert WalletFactory.create(owner=user) == wallet
    assert WalletFactory.create(owner=user, asset="gems").asset == "gems"
    assert Wallet.objects.filter(owner_id=user.pk).count() == 2


def test_credit_has_its_lot(user: User) -> None:
    tomorrow = timezone.now() + timedelta(days=1)
    credit = CreditFactory.create(owner=user, amount=5, expires_at=tomorrow, category="bonus")
    assert (credit.lot.remaining, credit.lot.expires_at, credit.category) == (5, tomorrow, "bonus")
    CreditFactory.create_batch(3, wallet=credit.wallet)
    assert user.credits == 305


def test_credit_that_the_ledger_refuses_is_refused(user: User) -> None:
    with pytest.raises(InvalidAmount):
        CreditFactory.create(owner=user, amount=0)
    assert user.credits == 0


def test_fulfillment_awards_on_its_schedule(user: User) -> None:
    start = timezone.now() + timedelta(days=1)
    plan = FulfillmentFactory.create(owner=user, plan="pro")
    grant = FulfillmentFactory.create(owner=user)
    waiting = FulfillmentFactory.create(owner=user, gives=credits(7).every("week"), starts_at=start)
    assert user.credits == 600 + 100
    assert (plan.plan_name, plan.is_active, grant.period) == ("pro", True, "P1M")
    assert (waiting.next_fulfillment_at, waiting.last_fulfilled_at) == (start, None)


def test_payment_notice_is_open_and_its_own(assert_ledger_sound: Callable[..., None]) -> None:
    user = UserFactory.create()
    first = PaymentNoticeFactory.create()
    second = PaymentNoticeFactory.create(
        reason="unknown_pack", wallet=WalletFactory.create(owner=user), payload={"pack_name": "golden"}
    )
    assert list(PaymentNotice.objects.unresolved()) == [first, second]
    assert (first.reason, second.reason) == (NoticeReason.NO_OWNER, NoticeReason.UNKNOWN_PACK)
    assert second.payload == {"pack_name": "golden"}
    assert_ledger_sound()
