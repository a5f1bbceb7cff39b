from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import stripe
from djstripe.models import Customer

from tests.app.models import Team, User
from tests.billing.shopping import check_out, check_out_plan, sent
from tests.billing.subscribing import START, fulfillment_of, stripe_at
from usage_credits import InvalidValue, create_portal_session
from usage_credits.testing import FakeStripe

PORTAL = "/v1/billing_portal/sessions"
BACK = "https://shop.test/account"


@pytest.fixture(autouse=True)
def prices(fake: FakeStripe) -> None:
    fake.add_price("price_pro", amount=2_900)


def subscribe(fake: FakeStripe, owner: Any, **options: Any) -> str:
    """Subscribe by checkout and return the customer's id."""
    session = fake.pay(check_out_plan(owner, **options).id)
    assert set(fake.deliver_pending()) == {200}
    return str(session["customer"])


def test_open_the_portal_of_the_owners_customer(fake: FakeStripe, user: User) -> None:
    customer = check_out(user).customer
    session = create_portal_session(user, return_url=BACK, locale="de")
    assert session.url
    assert sent(fake, PORTAL) == {"customer": customer, "return_url": BACK, "locale": "de"}


def test_open_the_portal_of_an_owner_that_is_no_subscriber_of_djstripe(fake: FakeStripe) -> None:
    team = Team.objects.create(name="Analysts")
    customer = subscribe(fake, team)
    create_portal_session(team, return_url=BACK)
    assert sent(fake, PORTAL)["customer"] == customer


def test_open_the_portal_where_a_guest_subscribed(fake: FakeStripe, user: User) -> None:
    own = check_out(user).customer
    guest = subscribe(fake, user, customer_email="someone@example.com")
    assert own != guest
    create_portal_session(user, return_url=BACK)
    assert sent(fake, PORTAL)["customer"] == guest


def test_open_the_portal_where_a_guest_has_to_mend_a_payment(fake: FakeStripe, user: User) -> None:
    check_out(user)
    with stripe_at(fake) as clock:
        guest = subscribe(fake, user, customer_email="someone@example.com")
        fake.fail_card(guest)
        clock.move_to(START + timedelta(days=40))
        fake.catch_up()
        fake.deliver_pending()
        assert fulfillment_of(fake.all("subscription")[0]).stop_reason == "past_due"
        create_portal_session(user, return_url=BACK)
    assert sent(fake, PORTAL)["customer"] == guest


def test_open_the_owners_own_portal_once_the_guests_subscription_has_ended(
    fake: FakeStripe, user: User
) -> None:
    own = check_out(user).customer
    subscribe(fake, user, customer_email="someone@example.com")
    fake.cancel(fake.all("subscription")[0])
    fake.deliver_pending()
    create_portal_session(user, return_url=BACK)
    assert sent(fake, PORTAL)["customer"] == own


@pytest.mark.parametrize("is_known", [True, False])
def test_show_nobody_the_payments_of_others(fake: FakeStripe, user: User, is_known: bool) -> None:
    other = User.objects.create(username="eve", email="eve@example.com")
    shared = check_out(other).customer
    for owner in (other, user):
        subscribe(fake, owner, customer=shared)
    if not is_known:
        Customer.objects.update(subscriber=None, metadata={})
    with pytest.raises(InvalidValue, match="has no Stripe customer"):
        create_portal_session(user, return_url=BACK)
    create_portal_session(user, return_url=BACK, customer=shared)
    assert sent(fake, PORTAL)["customer"] == shared


def test_refuse_owner_without_customer(fake: FakeStripe, user: User) -> None:
    with pytest.raises(InvalidValue, match="nothing to manage") as refusal:
        create_portal_session(user, return_url=BACK)
    assert refusal.value.field == "owner"
    assert not Customer.objects.exists()
    assert fake.requests == []


def test_refuse_customer_that_was_deleted(fake: FakeStripe, user: User) -> None:
    customer = subscribe(fake, user)
    fake.requests.clear()
    stripe.Customer.delete(customer, api_key="sk_test_" + "0" * 24)
    fake.deliver_pending()
    with pytest.raises(InvalidValue, match="has no Stripe customer"):
        create_portal_session(user, return_url=BACK)


def test_refuse_owner_that_is_not_saved(fake: FakeStripe) -> None:
    with pytest.raises(InvalidValue, match="unsaved User") as refusal:
        create_portal_session(User(username="ada"), return_url=BACK)
    assert refusal.value.field == "owner"


def test_show_what_stripe_refuses(fake: FakeStripe, user: User) -> None:
    check_out(user)
    with fake.outage(PORTAL), pytest.raises(stripe.APIError):
        create_portal_session(user, return_url=BACK)
