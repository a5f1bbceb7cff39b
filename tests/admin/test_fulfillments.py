from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from tests.admin.browsing import list_url, page_url, rows_listed, staff_client, statements_for
from tests.admin.rows import make_debt, make_fulfillment
from tests.billing.fulfilling import START, amounts_awarded, at, make_grant, make_subscription
from tests.billing.shopping import announce, charge_of, check_out
from tests.billing.subscribing import stripe_at, subscribe
from tests.factories import make_user, make_wallet, stored
from usage_credits import SubscriptionPlan, credits
from usage_credits.admin import settlements
from usage_credits.models import Fulfillment
from usage_credits.testing import FakeStripe, receive_webhooks, use_fake_stripe

pytestmark = pytest.mark.django_db

CHANGE = ("view_fulfillment", "change_fulfillment")


@pytest.fixture
def fake(db: None) -> Iterator[FakeStripe]:
    with use_fake_stripe(FakeStripe()) as fake:
        receive_webhooks()
        yield fake


@pytest.fixture
def clock(db: None) -> Iterator[time_machine.Traveller]:
    with time_machine.travel(START, tick=False) as clock:
        yield clock


def act(client: Client, action: str, *rows: Fulfillment) -> list[str]:
    chosen = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return messages_of(client.post(list_url(Fulfillment), chosen, follow=True))


def press(client: Client, button: str, row: Fulfillment) -> list[str]:
    answer = client.post(page_url(row, button), follow=True)
    assert answer.redirect_chain == [(page_url(row), 302)]
    return messages_of(answer)


def messages_of(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


def shown_on(client: Client, row: Fulfillment) -> str:
    return client.get(page_url(row)).content.decode()


def test_award_what_is_due_of_those_selected(admin_client: Client, clock: time_machine.Traveller) -> None:
    due, other, later = (make_grant(make_wallet()) for _ in range(3))
    Fulfillment.objects.filter(pk=later.pk).update(next_fulfillment_at=at(2, 28))
    assert act(admin_client, "award_due", due, later) == ["1 award of 70 credits was made."]
    assert [amounts_awarded(one) for one in (due, other, later)] == [[70], [], []]
    assert act(admin_client, "award_due", due, later) == ["Nothing was due."]
    assert amounts_awarded(due) == [70]


def test_award_what_is_due_by_a_button_that_may_be_pressed_twice(
    admin_client: Client, clock: time_machine.Traveller
) -> None:
    fulfillment = make_subscription(make_wallet(), "roll")
    clock.move_to(at(3, 2))
    assert press(admin_client, "award_due", fulfillment) == ["2 awards of 2000 credits were made."]
    assert press(admin_client, "award_due", fulfillment) == ["Nothing was due."]
    assert amounts_awarded(fulfillment) == [1_000, 1_000]


def test_say_why_an_award_fails_until_it_succeeds(
    admin_client: Client, clock: time_machine.Traveller, settings: Any
) -> None:
    offered = settings.USAGE_CREDITS
    fulfillment, fine = make_subscription(make_wallet()), make_grant(make_wallet())
    settings.USAGE_CREDITS = {}
    problem, made = act(admin_client, "award_due", fulfillment, fine)
    assert "which SUBSCRIPTION_PLANS does not hold" in problem
    assert made == "1 award of 70 credits was made."
    shown = shown_on(admin_client, fulfillment)
    assert shown.index("which SUBSCRIPTION_PLANS does not hold") < shown.index("Coming awards")
    assert "SUBSCRIPTION_PLANS" in admin_client.get(list_url(Fulfillment)).content.decode()
    assert rows_listed(admin_client, Fulfillment, state="failed") == [fulfillment]
    assert rows_listed(admin_client, Fulfillment, state="due") == [fulfillment]
    settings.USAGE_CREDITS = offered
    press(admin_client, "award_due", fulfillment)
    assert rows_listed(admin_client, Fulfillment, state="failed") == []
    assert rows_listed(admin_client, Fulfillment, state="due") == []


def test_ask_stripe_what_was_missed(admin_client: Client, fake: FakeStripe) -> None:
    user = make_user()
    with stripe_at(fake) as clock:
        session = fake.pay(check_out(user).id)
        announce(fake, session)
        subscription = subscribe(fake, user, "price_roll")
        assert set(fake.deliver_pending()) == {200}
        assert user.credits == 2_000
        fake.refund(charge_of(fake, session), 2_450)
        clock.shift(timedelta(days=32))
        fake.catch_up()
        bought, subscribed = Fulfillment.objects.order_by("pk")
        manual = make_grant(make_wallet())
        said = act(admin_client, "ask_stripe", bought, subscribed, manual)
        assert said[0] == f"pi:{session['payment_intent']}: took back 500"
        assert said[1].startswith(f"sub:{subscription['id']}: awarded 1000, changed ")
        assert len(said) == 2
        assert user.credits == 2_500
        assert act(admin_client, "ask_stripe", bought, subscribed) == ["2 are as Stripe has them."]
        assert press(admin_client, "ask_stripe", subscribed) == ["1 is as Stripe has it."]
        with fake.outage():
            (problem,) = press(admin_client, "ask_stripe", subscribed)
        assert "An error occurred with our connection to Stripe" in problem


@pytest.mark.parametrize("job", ["award_due", "ask_stripe"])
def test_settling_needs_the_permission_to_change_fulfillments(job: str) -> None:
    fulfillment = make_grant(make_wallet(), source="stripe")
    client = staff_client("view_fulfillment")
    before = stored()
    assert f'value="{job}"' not in client.get(list_url(Fulfillment)).content.decode()
    assert page_url(fulfillment, job) not in shown_on(client, fulfillment)
    assert client.post(page_url(fulfillment, job)).status_code == 403
    act(client, job, fulfillment)
    assert stored() == before


@pytest.mark.parametrize("job", ["award_due", "ask_stripe"])
def test_settling_is_offered_to_who_may_and_takes_posts_only(job: str) -> None:
    fulfillment = make_grant(make_wallet(), source="stripe")
    client = staff_client(*CHANGE)
    before = stored()
    assert f'value="{job}"' in client.get(list_url(Fulfillment)).content.decode()
    assert page_url(fulfillment, job) in shown_on(client, fulfillment)
    assert client.get(page_url(fulfillment, job)).status_code == 405
    assert Client(enforce_csrf_checks=True).post(page_url(fulfillment, job)).status_code in (302, 403)
    assert stored() == before


def test_stripe_is_offered_only_where_it_stands_behind(admin_client: Client) -> None:
    fulfillment = make_grant(make_wallet())
    shown = shown_on(admin_client, fulfillment)
    assert page_url(fulfillment, "award_due") in shown
    assert page_url(fulfillment, "ask_stripe") not in shown
    assert act(admin_client, "ask_stripe", fulfillment) == ["Stripe stands behind none of these."]


def test_settling_refuses_what_is_not_there(admin_client: Client) -> None:
    url = reverse("admin:usage_credits_fulfillment_award_due", args=[4711])
    assert admin_client.post(url).status_code == 404


def test_settling_takes_only_so_many_at_once(
    admin_client: Client, clock: time_machine.Traveller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settlements, "MOST", 1)
    first, second = make_grant(make_wallet()), make_grant(make_wallet())
    (said,) = act(admin_client, "award_due", first, second)
    assert said.startswith("Select at most 1 fulfillments")
    assert amounts_awarded(first) == []


def test_page_shows_the_coming_awards_up_to_the_stop(admin_client: Client, clock: Any) -> None:
    fulfillment = make_subscription(
        make_wallet(),
        seats=4,
        stops_at=at(12, 1),
        paid_from=at(1, 31),
        paid_through=at(2, 28),
        credits_expire_at=at(12, 24),
    )
    assert dates_shown(admin_client, fulfillment) == [
        "Jan. 31, 2026, 10 a.m. pro",
        "Feb. 28, 2026, 10 a.m. pro",
        "March 31, 2026, 10 a.m. pro",
    ]
    shown = shown_on(admin_client, fulfillment)
    for value in (">4<", "Dec. 1, 2026", "Dec. 24, 2026"):
        assert value in shown
    Fulfillment.objects.update(stops_at=at(2, 28))
    assert dates_shown(admin_client, fulfillment) == ["Jan. 31, 2026, 10 a.m. pro"]
    Fulfillment.objects.update(next_fulfillment_at=None)
    assert dates_shown(admin_client, fulfillment) == []


def test_page_shows_what_awards_once(admin_client: Client, clock: Any) -> None:
    assert dates_shown(admin_client, make_grant(make_wallet())) == ["Jan. 31, 2026, 10 a.m."]


def test_pending_plan_is_shown_with_its_dates(admin_client: Client, clock: Any, settings: Any) -> None:
    yearly = SubscriptionPlan("yearly", gives=credits(100).every("year"))
    sold = settings.USAGE_CREDITS
    settings.USAGE_CREDITS = {**sold, "SUBSCRIPTION_PLANS": [*sold["SUBSCRIPTION_PLANS"], yearly]}
    fulfillment = make_subscription(make_wallet(), pending_plan="yearly", pending_from=at(2, 28))
    dates = dates_shown(admin_client, fulfillment)
    assert dates == [
        "Jan. 31, 2026, 10 a.m. pro",
        "Feb. 28, 2026, 10 a.m. yearly",
        "Feb. 28, 2027, 10 a.m. yearly",
    ]
    assert "yearly from Feb. 28, 2026, 10 a.m." in admin_client.get(list_url(Fulfillment)).content.decode()
    settings.USAGE_CREDITS = sold
    assert [date.split()[-1] for date in dates_shown(admin_client, fulfillment)] == ["pro"] * 3
    Fulfillment.objects.update(pending_from=None)
    assert admin_client.get(list_url(Fulfillment)).status_code == 200


def dates_shown(client: Client, fulfillment: Fulfillment) -> list[str]:
    return re.findall(r"<div>(\w[^<>]+ [ap]\.m\.(?: \w+)?)</div>", shown_on(client, fulfillment))


def test_claims_are_shown_with_fulfillment_and_wallet(admin_client: Client) -> None:
    fulfillment = make_fulfillment()
    claim = make_debt(fulfillment)
    wallet = claim.wallet
    type(wallet).objects.filter(pk=wallet.pk).update(claims=9)
    for url in (page_url(fulfillment), list_url(Fulfillment), page_url(wallet), list_url(type(wallet))):
        assert ">9<" in admin_client.get(url).content.decode()
    tables = admin_client.get(page_url(wallet)).context["related_tables"]
    (claims,) = [table for table in tables if table.title == "Open claims"]
    assert page_url(claim) in str(claims.rows[0][0])


def test_list_takes_as_many_statements_for_many_schedules_as_for_one(
    admin_client: Client, clock: Any
) -> None:
    make_debt(make_subscription(make_wallet(), pending_plan="prem", pending_from=at(2, 28)))
    for_one = statements_for(admin_client, list_url(Fulfillment))
    for _ in range(9):
        make_debt(make_subscription(make_wallet(), pending_plan="prem", pending_from=at(2, 28)))
    assert statements_for(admin_client, list_url(Fulfillment)) == for_one


def test_errors_are_escaped(admin_client: Client) -> None:
    fulfillment = make_grant(make_wallet(), last_error="<script>alert(1)</script>")
    for url in (page_url(fulfillment), list_url(Fulfillment), page_url(fulfillment.wallet)):
        shown = admin_client.get(url).content.decode()
        assert "<script>alert(1)" not in shown
        assert "&lt;script&gt;alert(1)" in shown
