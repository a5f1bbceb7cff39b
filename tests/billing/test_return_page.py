from __future__ import annotations

from typing import Any

import pytest
import stripe
from django.conf import settings as django_settings
from django.test import Client, override_settings
from django.urls import reverse

from tests.app.models import Team, User
from tests.billing.shopping import check_out, check_out_plan, pack_metadata
from usage_credits import InvalidValue, SubscriptionPlan, credits, settle_checkout
from usage_credits.ledger.verification import verify
from usage_credits.models import Fulfillment, PaymentNotice, Transaction
from usage_credits.testing import FakeStripe, capture_events

ADDED = "added to your balance"
PROCESSING = "is being processed"
UNPAID = "was not paid"


@pytest.fixture(autouse=True)
def prices(fake: FakeStripe) -> None:
    fake.add_price("price_pro", amount=2_900)


@pytest.fixture
def buyer(client: Client, user: User) -> Client:
    client.force_login(user)
    return client


def come_back(buyer: Client, session: Any, **query: str) -> Any:
    session_id = session if isinstance(session, str) else session["id"]
    return buyer.get(reverse("usage_credits:checkout_return"), {"session_id": session_id, **query})


def says(answer: Any, text: str) -> bool:
    assert answer.status_code == 200
    return text in answer.content.decode()


def test_award_pack_when_the_buyer_comes_back_before_the_webhook(
    fake: FakeStripe, user: User, buyer: Client
) -> None:
    session = fake.pay(check_out(user).id)
    with capture_events() as events:
        assert says(come_back(buyer, session), f"1000 credits {ADDED}")
        assert says(come_back(buyer, session), f"1000 credits {ADDED}")
    assert [event.event for event in events].count("credit_pack_purchased") == 1
    assert user.credits == 1_000
    assert set(fake.deliver_pending()) == {200}
    assert [row.amount for row in Transaction.objects.all()] == [1_000]
    assert Fulfillment.objects.get().source_id == f"pi:{session['payment_intent']}"
    assert list(verify()) == []


def test_say_so_when_the_webhook_came_first(fake: FakeStripe, user: User, buyer: Client) -> None:
    session = fake.pay(check_out(user).id)
    fake.deliver_pending()
    assert says(come_back(buyer, session), f"1000 credits {ADDED}")
    assert [row.amount for row in Transaction.objects.all()] == [1_000]


def test_award_plan_when_the_buyer_comes_back_before_the_webhook(
    fake: FakeStripe, user: User, buyer: Client
) -> None:
    session = fake.pay(check_out_plan(user).id)
    assert says(come_back(buyer, session), f"600 credits {ADDED}")
    assert user.credits == 600
    assert set(fake.deliver_pending()) == {200}
    assert says(come_back(buyer, session), f"600 credits {ADDED}")
    assert sorted(row.amount for row in Transaction.objects.all()) == [100, 500]
    assert Fulfillment.objects.get().source_id == f"sub:{session['subscription']}"
    assert list(verify()) == []


def test_award_pack_that_cost_nothing(fake: FakeStripe, user: User, buyer: Client) -> None:
    fake.add_coupon(100, code="GIFT")
    session = fake.pay(check_out(user, allow_promotion_codes=True).id, promotion_code="gift")
    assert says(come_back(buyer, session), f"1000 credits {ADDED}")
    fake.deliver_pending()
    assert [row.amount for row in Transaction.objects.all()] == [1_000]


def test_award_trial(fake: FakeStripe, user: User, buyer: Client) -> None:
    session = fake.pay(check_out_plan(user, subscription_data={"trial_period_days": 7}).id)
    assert says(come_back(buyer, session), f"50 credits {ADDED}")
    fake.deliver_pending()
    assert [row.amount for row in Transaction.objects.all()] == [50]


def test_welcome_subscriber_whose_credits_are_yet_to_come(
    fake: FakeStripe, user: User, buyer: Client, settings: Any
) -> None:
    plan = SubscriptionPlan("pro", stripe_price="price_pro", gives=credits(500).every("month"))
    settings.USAGE_CREDITS = {"SUBSCRIPTION_PLANS": [plan]}
    session = fake.pay(check_out_plan(user, subscription_data={"trial_period_days": 7}).id)
    assert says(come_back(buyer, session), "Your subscription has begun.")
    assert user.credits == 0


@pytest.mark.parametrize("check_out", [check_out, check_out_plan])
def test_wait_for_money_that_comes_later(fake: FakeStripe, user: User, buyer: Client, check_out: Any) -> None:
    session = fake.pay(check_out(user).id, delayed=True)
    assert says(come_back(buyer, session, next="/"), PROCESSING)
    fake.deliver_pending()
    assert user.credits == 0
    fake.settle(session)
    assert says(come_back(buyer, session), ADDED)
    expected = user.credits
    assert expected > 0
    fake.deliver_pending()
    assert user.credits == expected


@pytest.mark.parametrize("check_out", [check_out, check_out_plan])
def test_say_that_a_payment_bounced(fake: FakeStripe, user: User, buyer: Client, check_out: Any) -> None:
    session = fake.pay(check_out(user).id, delayed=True)
    fake.fail(session)
    if session["subscription"]:
        fake.get("subscription", session["subscription"])["status"] = "incomplete_expired"
    assert says(come_back(buyer, session), UNPAID)
    assert not Transaction.objects.exists()


@pytest.mark.parametrize("check_out", [check_out, check_out_plan])
def test_say_that_a_checkout_is_not_paid(fake: FakeStripe, user: User, buyer: Client, check_out: Any) -> None:
    session = check_out(user)
    assert says(come_back(buyer, session.id), UNPAID)
    stripe.checkout.Session.expire(session.id, api_key=django_settings.STRIPE_TEST_SECRET_KEY)
    assert says(come_back(buyer, session.id), UNPAID)
    assert not Fulfillment.objects.exists()
    assert not PaymentNotice.objects.exists()


def test_keep_payment_that_cannot_be_turned_into_credits_as_a_notice(
    fake: FakeStripe, user: User, buyer: Client, settings: Any
) -> None:
    session = fake.pay(check_out(user).id)
    settings.USAGE_CREDITS = {}
    assert says(come_back(buyer, session), PROCESSING)
    assert PaymentNotice.objects.get().source_id == f"pi:{session['payment_intent']}"
    assert not Transaction.objects.exists()


@pytest.mark.parametrize("check_out", [check_out, check_out_plan])
def test_answer_nothing_about_checkouts_of_others(
    fake: FakeStripe, user: User, client: Client, check_out: Any
) -> None:
    session = fake.pay(check_out(user).id)
    client.force_login(User.objects.create(username="eve"))
    stranger, unknown = (come_back(client, one) for one in (session, "cs_test_unknown"))
    assert stranger.status_code == unknown.status_code == 404
    assert stranger.content == unknown.content
    assert not Transaction.objects.exists()
    assert not Fulfillment.objects.exists()


def test_answer_nothing_about_checkouts_of_another_kind_of_owner(
    fake: FakeStripe, user: User, buyer: Client
) -> None:
    team = Team.objects.create(name="Analysts")
    session = fake.pay(check_out(team).id)
    assert come_back(buyer, session).status_code == 404
    assert settle_checkout(session["id"], team).status == "credited"
    assert (team.credits, user.credits) == (1_000, 0)


@pytest.mark.parametrize(
    "session_id",
    [
        "",
        " ",
        "cs_",
        "cs_test_unknown",
        "cs_" + "a" * 251,
        "pi_123",
        "cs_test_1/line_items",
        "../customers/cus_1",
        "cs_test_1\n",
        "cs_test_\x00",
        "cs_tést",
        "{CHECKOUT_SESSION_ID}",
    ],
)
def test_answer_not_found_to_bad_session_ids(fake: FakeStripe, buyer: Client, session_id: str) -> None:
    assert come_back(buyer, session_id).status_code == 404
    assert not Fulfillment.objects.exists()


def test_answer_not_found_without_a_session_id(fake: FakeStripe, buyer: Client) -> None:
    assert buyer.get(reverse("usage_credits:checkout_return")).status_code == 404
    assert fake.requests == []


def test_settle_no_session_of_another_purpose(fake: FakeStripe, user: User, buyer: Client) -> None:
    reference = pack_metadata(user)["usage_credits_owner"]
    session = stripe.checkout.Session.create(
        mode="payment",
        line_items=[
            {
                "quantity": 1,
                "price_data": {"currency": "usd", "unit_amount": 1, "product_data": {"name": "T-shirt"}},
            }
        ],
        metadata={"usage_credits_owner": reference},
        success_url="https://shop.test/",
        api_key=django_settings.STRIPE_TEST_SECRET_KEY,
    )
    fake.pay(session.id)
    assert come_back(buyer, session.id).status_code == 404


def test_ask_who_is_there_first(fake: FakeStripe, user: User, client: Client) -> None:
    session = fake.pay(check_out(user).id)
    answer = come_back(client, session)
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/?next=/credits/checkout/return/%3Fsession_id%3Dcs_")
    assert not Transaction.objects.exists()


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_take_get_only(fake: FakeStripe, user: User, buyer: Client, method: str) -> None:
    session = fake.pay(check_out(user).id)
    path = f"{reverse('usage_credits:checkout_return')}?session_id={session['id']}"
    assert getattr(buyer, method)(path).status_code == 405
    assert not Transaction.objects.exists()


@pytest.mark.parametrize("next_url", ["/renders/new/?from=shop", "http://testserver/renders/"])
def test_go_on_to_a_page_on_the_same_host(fake: FakeStripe, user: User, buyer: Client, next_url: str) -> None:
    session = fake.pay(check_out(user).id)
    answer = come_back(buyer, session, next=next_url)
    assert (answer.status_code, answer["Location"]) == (302, next_url)
    assert user.credits == 1_000


@pytest.mark.parametrize(
    "next_url",
    [
        "https://evil.test/",
        "//evil.test",
        "/\\evil.test",
        "javascript:alert(1)",
        "http:///evil.test",
        "ftp://testserver/",
    ],
)
def test_go_nowhere_else(fake: FakeStripe, user: User, buyer: Client, next_url: str) -> None:
    session = fake.pay(check_out(user).id)
    answer = come_back(buyer, session, next=next_url)
    assert says(answer, ADDED)
    assert "Continue" not in answer.content.decode()
    assert "evil" not in answer.content.decode()


def test_link_to_the_next_page_while_the_money_is_on_its_way(
    fake: FakeStripe, user: User, buyer: Client
) -> None:
    session = fake.pay(check_out(user).id, delayed=True)
    answer = come_back(buyer, session, next='/shop/?a="b"')
    assert says(answer, '<a href="/shop/?a=&quot;b&quot;">Continue</a>')
    check_again = f"/credits/checkout/return/?session_id={session['id']}&amp;next=%2Fshop%2F"
    assert says(answer, f'<a href="{check_again}')


@pytest.mark.parametrize(
    ("check_out", "path"),
    [
        (check_out, "/v1/checkout/sessions"),
        (check_out, "/v1/payment_intents"),
        (check_out_plan, "/v1/checkout/sessions"),
        (check_out_plan, "/v1/subscriptions"),
        (check_out_plan, "/v1/invoices"),
    ],
)
def test_leave_it_to_the_webhook_while_stripe_does_not_answer(
    fake: FakeStripe, user: User, buyer: Client, check_out: Any, path: str
) -> None:
    session = fake.pay(check_out(user).id)
    with fake.outage(path):
        assert says(come_back(buyer, session), PROCESSING)
    assert not Transaction.objects.exists()
    assert set(fake.deliver_pending()) == {200}
    assert user.credits == (600 if session["subscription"] else 1_000)


def test_never_be_kept_by_caches(fake: FakeStripe, user: User, buyer: Client) -> None:
    assert "no-store" in come_back(buyer, check_out(user).id)["Cache-Control"]


def test_word_amounts_as_the_project_does(fake: FakeStripe, user: User, buyer: Client, settings: Any) -> None:
    settings.USAGE_CREDITS = {
        **settings.USAGE_CREDITS,
        "FORMATTER": lambda amount: f"{amount:,} <gems>",
    }
    session = fake.pay(check_out(user).id)
    assert says(come_back(buyer, session), f"1,000 &lt;gems&gt; {ADDED}")


def test_show_the_page_in_the_language_of_the_project(fake: FakeStripe, user: User, buyer: Client) -> None:
    session = check_out(user)
    with override_settings(LANGUAGE_CODE="ar"):
        assert says(come_back(buyer, session.id), '<html lang="ar" dir="rtl">')
    assert says(come_back(buyer, session.id), '<html lang="en-us">')


def test_settle_for_a_page_of_the_projects_own(fake: FakeStripe, user: User) -> None:
    session = fake.pay(check_out(user).id)
    result = settle_checkout(session["id"], user)
    assert (result.status, result.credits, result.fulfillment) == (
        "credited",
        1_000,
        Fulfillment.objects.get(),
    )
    unpaid = settle_checkout(check_out(user).id, user)
    assert (unpaid.status, unpaid.credits, unpaid.fulfillment) == ("unpaid", 0, None)


@pytest.mark.parametrize("session_id", [None, 7, "", "cs_test_unknown"])
def test_refuse_to_settle_what_is_no_checkout_of_the_owner(
    fake: FakeStripe, user: User, session_id: Any
) -> None:
    with pytest.raises(InvalidValue, match="has no such checkout") as refusal:
        settle_checkout(session_id, user)
    assert refusal.value.field == "session_id"


def test_refuse_to_settle_for_an_owner_that_is_not_saved(fake: FakeStripe) -> None:
    with pytest.raises(InvalidValue, match="unsaved User") as refusal:
        settle_checkout("cs_test_1", User(username="ada"))
    assert refusal.value.field == "owner"
