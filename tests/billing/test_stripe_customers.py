from __future__ import annotations

from typing import Any

import pytest
import stripe
from django.conf import settings as django_settings
from django.db import models
from djstripe.models import Customer

from tests.app.models import Team, User
from tests.billing.shopping import announce, buy, check_out, pack_metadata, pay_directly
from usage_credits.models import PaymentNotice
from usage_credits.testing import FakeStripe


def created(fake: FakeStripe) -> list[dict[str, Any]]:
    """Return the parameters of every customer that was created."""
    return [
        request.params
        for request in fake.requests
        if (request.method, request.path) == ("post", "/v1/customers")
    ]


def without_reference(owner: models.Model) -> dict[str, str]:
    return {**pack_metadata(owner), "usage_credits_owner": ""}


def make_customer(**arguments: Any) -> str:
    return stripe.Customer.create(api_key=django_settings.STRIPE_TEST_SECRET_KEY, **arguments).id


@pytest.mark.behaviour("DEC-24")
def test_create_missing_customer_at_checkout(fake: FakeStripe, user: User) -> None:
    user.first_name, user.last_name = "Ada", "Lovelace"
    user.save()
    session = check_out(user)
    (arguments,) = created(fake)
    assert arguments == {
        "email": "ada@example.com",
        "name": "Ada Lovelace",
        "metadata": {"usage_credits_owner": f"app.user:{user.pk}", "djstripe_subscriber": str(user.pk)},
    }
    customer = Customer.objects.get()
    assert (customer.id, customer.subscriber) == (session.customer, user)


@pytest.mark.behaviour("DEC-24")
def test_create_customer_once(fake: FakeStripe, user: User) -> None:
    first, second = check_out(user), check_out(user, "bonus")
    assert first.customer == second.customer
    assert len(created(fake)) == 1


def test_use_customer_that_djstripe_knows(fake: FakeStripe, user: User) -> None:
    known, _created = Customer.get_or_create(user)
    assert check_out(user).customer == known.id
    assert len(created(fake)) == 1


def test_create_customer_anew_once_the_old_one_is_deleted(fake: FakeStripe, user: User) -> None:
    old = check_out(user).customer
    assert isinstance(old, str)
    stripe.Customer.delete(old, api_key=django_settings.STRIPE_TEST_SECRET_KEY)
    fake.deliver_pending()
    assert check_out(user).customer != old


def test_create_customer_as_settings_say(fake: FakeStripe, user: User, settings: Any) -> None:
    settings.USAGE_CREDITS = {
        **settings.USAGE_CREDITS,
        "CUSTOMER_ATTRIBUTES": lambda owner: {
            "email": "billing@example.com",
            "preferred_locales": ["de"],
            "metadata": {"team": "red", "usage_credits_owner": "app.user:0"},
        },
    }
    check_out(user)
    (arguments,) = created(fake)
    assert arguments["email"] == "billing@example.com"
    assert arguments["preferred_locales"] == ["de"]
    assert arguments["metadata"]["team"] == "red"
    assert arguments["metadata"]["usage_credits_owner"] == f"app.user:{user.pk}"


def test_sell_to_owner_that_is_no_subscriber(fake: FakeStripe) -> None:
    team = Team.objects.create(name="Ada's", email="team@example.com")
    first, second = buy(fake, team), buy(fake, team)
    assert first["customer"] == second["customer"]
    assert len(created(fake)) == 1
    assert Customer.objects.get().subscriber is None
    assert team.credits == 2_000


def test_award_subscriber_of_the_customer(fake: FakeStripe, user: User) -> None:
    customer, _created = Customer.get_or_create(user)
    announce(fake, pay_directly(without_reference(user), customer=customer.id))
    assert user.credits == 1_000


def test_award_owner_that_the_customer_names(fake: FakeStripe) -> None:
    team = Team.objects.create(name="Ada's")
    customer = make_customer(metadata={"usage_credits_owner": f"app.team:{team.pk}"})
    announce(fake, pay_directly(without_reference(team), customer=customer))
    assert team.credits == 1_000


def test_award_owner_whom_checkout_named_before_that_of_the_customer(fake: FakeStripe, user: User) -> None:
    team = Team.objects.create(name="Ada's")
    customer, _created = Customer.get_or_create(user)
    buy(fake, team, customer=customer.id)
    assert (team.credits, user.credits) == (1_000, 0)


def test_award_buyer_whose_customer_lost_its_subscriber(fake: FakeStripe, user: User) -> None:
    session = fake.pay(check_out(user).id)
    Customer.objects.update(subscriber=None)
    announce(fake, session)
    assert user.credits == 1_000


def test_award_buyer_whose_customer_stripe_does_not_know(fake: FakeStripe, user: User) -> None:
    session = fake.pay(check_out(user).id)
    Customer.objects.all().delete()
    announce(fake, session)
    assert user.credits == 1_000


def test_ask_resolver_for_the_owner(fake: FakeStripe, user: User, settings: Any) -> None:
    team = Team.objects.create(name="Ada's")
    asked = []

    def resolve(customer: Customer) -> Team:
        asked.append(customer.id)
        return team

    settings.USAGE_CREDITS = {**settings.USAGE_CREDITS, "OWNER_RESOLVER": resolve}
    customer, _created = Customer.get_or_create(user)
    announce(fake, pay_directly(without_reference(user), customer=customer.id))
    assert (team.credits, user.credits, asked) == (1_000, 0, [customer.id])


@pytest.mark.parametrize(
    "reference", ["app.user:0", "app.user:x", "app.team:x", "nothing", "no.model:1", ":"]
)
def test_keep_payment_whose_reference_leads_nowhere(fake: FakeStripe, user: User, reference: str) -> None:
    customer = make_customer(email="x@example.com")
    metadata = {**pack_metadata(user), "usage_credits_owner": reference}
    assert announce(fake, pay_directly(metadata, customer=customer)) == [200, 200]
    notice = PaymentNotice.objects.get()
    assert (notice.reason, notice.customer_id) == ("no_owner", customer)


def test_keep_payment_of_customer_that_was_deleted(fake: FakeStripe, user: User) -> None:
    customer = make_customer(email="x@example.com")
    intent = pay_directly(without_reference(user), customer=customer)
    stripe.Customer.delete(customer, api_key=django_settings.STRIPE_TEST_SECRET_KEY)
    assert announce(fake, intent) == [200, 200]
    assert PaymentNotice.objects.get().reason == "no_owner"


def test_award_buyer_whose_customer_was_deleted_since(fake: FakeStripe, user: User) -> None:
    session = fake.pay(check_out(user).id)
    stripe.Customer.delete(str(session["customer"]), api_key=django_settings.STRIPE_TEST_SECRET_KEY)
    fake.deliver_pending()
    assert user.credits == 1_000


def test_create_customer_anew_where_the_known_one_says_it_is_deleted(fake: FakeStripe, user: User) -> None:
    old = check_out(user).customer
    Customer.objects.update(stripe_data={"id": old, "object": "customer", "deleted": True})
    user.email = "countess@example.com"
    user.save()
    assert check_out(user).customer != old
