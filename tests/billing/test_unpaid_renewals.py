from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine

from tests.app.models import User
from tests.billing.fulfilling import fulfill
from tests.billing.subscribing import DRAFT, GRACE, START, awards_of, fulfillment_of, stripe_at, subscribe
from usage_credits import SubscriptionPlan, credits
from usage_credits.models import Debt, Transaction
from usage_credits.testing import FakeStripe, capture_events

pytestmark = pytest.mark.usefixtures("verified")

FEB, MAR, APR = (datetime(2026, month, 1, tzinfo=UTC) for month in (2, 3, 4))
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
FIRST = [("subscription_signup_bonus", 100), ("subscription_credits", 500)]
CYCLE = ("subscription_credits", 500)
TAKEN, GIVEN_BACK = ("subscription_refund", -500), ("subscription_refund", 500)


@pytest.fixture
def clock(fake: FakeStripe) -> Iterator[time_machine.Traveller]:
    with stripe_at(fake) as clock:
        yield clock


def sell(fake: FakeStripe, user: User, price: str = "price_pro", **params: Any) -> dict[str, Any]:
    subscription = subscribe(fake, user, price, **params)
    fake.deliver_pending()
    return subscription


def meet(fake: FakeStripe, clock: Any, moment: datetime) -> None:
    """Let time pass until `moment`, and hear of what it brought; the job runs as well."""
    clock.move_to(moment)
    fake.catch_up()
    assert set(fake.deliver_pending()) <= {200}
    fulfill()


def pay_late(fake: FakeStripe, subscription: dict[str, Any]) -> None:
    fake.mend_card(subscription["customer"])
    fake.retry(subscription["latest_invoice"])
    assert set(fake.deliver_pending()) == {200}


def told_again(fake: FakeStripe) -> None:
    """Hear of everything once more, the latest first."""
    before = awards_of(fake.all("subscription")[0])
    for event in reversed(fake.announced):
        assert fake.deliver(event) == [200]
        assert fake.deliver(fake.reissue(event)) == [200]
    assert awards_of(fake.all("subscription")[0]) == before


@pytest.mark.behaviour("REN-01", "REN-02", "REN-05", "DEC-07")
def test_leave_no_gap_while_the_invoice_is_a_draft(fake: FakeStripe, user: User, clock: Any) -> None:
    subscription = sell(fake, user)
    user.wallet().debit(350)
    meet(fake, clock, FEB)
    invoice = fake.get("invoice", subscription["latest_invoice"])
    assert (subscription["status"], invoice["status"]) == ("active", "draft")
    fulfillment = fulfillment_of(subscription)
    assert (fulfillment.stops_at, fulfillment.next_fulfillment_at, fulfillment.stop_reason) == (MAR, MAR, "")
    for moment, left in ((FEB + 2 * MINUTE, 750), (FEB + 6 * MINUTE, 600), (FEB + DRAFT, 600)):
        meet(fake, clock, moment)
        assert user.credits == left
    assert invoice["status"] == "paid"
    assert awards_of(subscription) == [*FIRST, CYCLE]
    row = Transaction.objects.get(grid_date=FEB)
    assert (row.expires_at, row.metadata["invoice_id"]) == (MAR + GRACE, invoice["id"])
    told_again(fake)
    assert fulfillment_of(subscription).if_unpaid == {}


@pytest.mark.behaviour("REN-07", "REN-08")
def test_take_back_what_was_not_paid_and_give_it_back_when_it_is(
    fake: FakeStripe, user: User, clock: Any
) -> None:
    subscription = sell(fake, user)
    fake.fail_card(subscription["customer"])
    meet(fake, clock, FEB + 10 * MINUTE)
    assert user.credits == 600
    user.wallet().debit(400)
    with capture_events() as events:
        meet(fake, clock, FEB + DRAFT)
    assert subscription["status"] == "past_due"
    assert awards_of(subscription) == [*FIRST, CYCLE, ("subscription_refund", -200)]
    assert (user.credits, user.wallet().claims) == (0, 300)
    claim = Debt.objects.get(open_amount__gt=0)
    (told,) = [event for event in events if event.event == "credits_refunded"]
    for facts in (claim.metadata, told.metadata, Transaction.objects.latest("pk").metadata):
        assert facts is not None
        assert (facts["reason"], facts["refunded"], facts["invoice_id"]) == (
            "unpaid",
            False,
            subscription["latest_invoice"],
        )
    fulfillment = fulfillment_of(subscription)
    assert (fulfillment.stops_at, fulfillment.stop_reason) == (FEB, "past_due")
    told_again(fake)
    user.give_credits(100)
    assert (user.credits, user.wallet().claims) == (0, 200)
    clock.move_to(FEB + 3 * DAY)
    pay_late(fake, subscription)
    assert awards_of(subscription)[4:] == [("subscription_refund", -100), ("subscription_refund", 300)]
    assert (user.credits, user.wallet().claims) == (300, 0)
    row = Transaction.objects.latest("pk")
    assert (row.expires_at, row.metadata["reason"]) == (MAR + GRACE, "paid")
    told_again(fake)
    meet(fake, clock, MAR + DRAFT)
    assert user.credits == 500
    assert fulfillment_of(subscription).stops_at == APR


@pytest.mark.behaviour("REN-07", "REN-08", "DEC-12")
def test_end_alike_in_whatever_order_one_hears_of_it(fake: FakeStripe, user: User, clock: Any) -> None:
    names = ("customer.subscription.updated", "invoice.payment_failed", "invoice.paid")
    for order in itertools.permutations(names):
        with time_machine.travel(START, tick=False) as travel:
            owner = User.objects.create(username=" ".join(order))
            subscription = sell(fake, owner)
            heard = len(fake.announced)
            fake.fail_card(subscription["customer"])
            meet(fake, travel, FEB)
            assert owner.credits == 1_100
            travel.move_to(FEB + DRAFT)
            fake.catch_up()
            travel.shift(DAY)
            fake.mend_card(subscription["customer"])
            fake.retry(subscription["latest_invoice"])
            events = fake.announced[heard:]
            for name in order * 2:
                event = next(one for one in reversed(events) if one["type"] == name)
                assert fake.deliver(fake.reissue(event)) == [200]
            assert owner.credits == 600, order
            assert awards_of(subscription) == [*FIRST, CYCLE], order


@pytest.mark.behaviour("REN-07", "REN-08")
def test_award_once_when_the_draft_was_never_heard_of(fake: FakeStripe, user: User, clock: Any) -> None:
    subscription = sell(fake, user)
    fake.fail_card(subscription["customer"])
    meet(fake, clock, FEB + DRAFT)
    assert awards_of(subscription) == FIRST
    clock.shift(DAY)
    pay_late(fake, subscription)
    assert awards_of(subscription) == [*FIRST, CYCLE]
    told_again(fake)


@pytest.mark.behaviour("REN-07", "REN-08")
@pytest.mark.parametrize("price", ["price_prem", "price_ultra"])
def test_award_no_date_of_an_unpaid_period_after_an_upgrade(
    fake: FakeStripe, user: User, clock: Any, price: str
) -> None:
    subscription = sell(fake, user)
    changed_at = START + 9 * DAY
    clock.move_to(changed_at)
    fake.change_plan(subscription, price)
    fake.deliver_pending()
    before = awards_of(subscription)
    fake.fail_card(subscription["customer"])
    meet(fake, clock, FEB)
    fulfillment = fulfillment_of(subscription)
    assert (fulfillment.next_fulfillment_at, fulfillment.stops_at) == (datetime(2026, 2, 10, tzinfo=UTC), MAR)
    for moment in (FEB + DRAFT, datetime(2026, 2, 12, tzinfo=UTC)):
        meet(fake, clock, moment)
        fulfillment = fulfillment_of(subscription)
        assert (fulfillment.stops_at, fulfillment.stop_reason) == (FEB, "past_due")
        assert awards_of(subscription) == before
    pay_late(fake, subscription)
    (row,) = Transaction.objects.filter(fulfillment=fulfillment, grid_date__gte=FEB)
    assert row.grid_date == datetime(2026, 2, 10, tzinfo=UTC)
    assert len(awards_of(subscription)) == len(before) + 1
    told_again(fake)


@pytest.mark.behaviour("REN-07", "REN-08", "DEC-15")
def test_keep_the_dates_of_credits_that_roll_over(fake: FakeStripe, user: User, clock: Any) -> None:
    subscription = sell(fake, user, "price_roll")
    fake.fail_card(subscription["customer"])
    meet(fake, clock, FEB)
    assert user.credits == 2_000
    meet(fake, clock, FEB + DRAFT)
    assert user.credits == 1_000
    meet(fake, clock, FEB + 10 * DAY)
    pay_late(fake, subscription)
    assert user.credits == 2_000
    meet(fake, clock, MAR + DRAFT)
    assert user.credits == 3_000
    dates = Transaction.objects.filter(grid_date__isnull=False).order_by("pk")
    assert list(dates.values_list("grid_date", flat=True)) == [START, FEB, MAR]


@pytest.mark.behaviour("REN-07", "REN-08")
@pytest.mark.parametrize("is_late", [False, True])
def test_cap_what_is_kept_once_the_period_is_paid(
    fake: FakeStripe, user: User, clock: Any, settings: Any, is_late: bool
) -> None:
    plan = SubscriptionPlan(
        "capped",
        stripe_price="price_roll",
        gives=credits(1_000).every("month"),
        unused_credits="rollover",
        rollover_cap=300,
    )
    settings.USAGE_CREDITS = {"SUBSCRIPTION_PLANS": [plan]}
    subscription = sell(fake, user, "price_roll")
    if is_late:
        fake.fail_card(subscription["customer"])
    meet(fake, clock, FEB)
    assert user.credits == 2_000
    meet(fake, clock, FEB + DRAFT)
    if is_late:
        assert user.credits == 1_000
        clock.shift(DAY)
        pay_late(fake, subscription)
    assert user.credits == 1_300
    told_again(fake)
    fulfill()
    assert user.credits == 1_300


@pytest.mark.behaviour("REN-07", "REN-08")
def test_take_back_each_of_two_renewals_and_give_back_what_is_paid(
    fake: FakeStripe, user: User, clock: Any
) -> None:
    subscription = sell(fake, user, "price_roll")
    fake.fail_card(subscription["customer"])
    meet(fake, clock, FEB)
    meet(fake, clock, FEB + DRAFT)
    first = subscription["latest_invoice"]
    meet(fake, clock, MAR)
    assert (subscription["status"], user.credits) == ("past_due", 1_000)
    meet(fake, clock, MAR + DRAFT)
    assert user.credits == 1_000
    clock.shift(DAY)
    pay_late(fake, subscription)
    assert (subscription["status"], user.credits) == ("active", 2_000)
    fake.retry(first)
    assert set(fake.deliver_pending()) == {200}
    assert user.credits == 3_000
    told_again(fake)


@pytest.mark.behaviour("REN-07", "SUB-15")
def test_take_back_the_first_cycle_and_its_bonus_after_a_trial(
    fake: FakeStripe, user: User, clock: Any
) -> None:
    subscription = sell(fake, user, trial_period_days=7)
    paid_from = START + 7 * DAY
    fake.fail_card(subscription["customer"])
    meet(fake, clock, paid_from)
    assert awards_of(subscription)[1:] == FIRST
    assert user.credits == 600
    meet(fake, clock, paid_from + DRAFT)
    assert awards_of(subscription)[3:] == [("subscription_refund", -600)]
    assert (user.credits, fulfillment_of(subscription).anchor) == (0, None)
    clock.shift(DAY)
    pay_late(fake, subscription)
    assert user.credits == 600
    row = Transaction.objects.get(grid_date=paid_from)
    returned = Transaction.objects.filter(category="subscription_refund", amount__gt=0)
    assert set(returned.values_list("amount", "expires_at")) == {(100, None), (500, row.expires_at)}
    fulfillment = fulfillment_of(subscription)
    assert (fulfillment.anchor, fulfillment.next_fulfillment_at) == (
        paid_from,
        datetime(2026, 2, 8, tzinfo=UTC),
    )
    told_again(fake)


@pytest.mark.behaviour("REN-07", "REN-14")
@pytest.mark.parametrize("status", ["canceled", "unpaid"])
def test_keep_what_was_taken_when_dunning_fails(
    fake: FakeStripe, user: User, clock: Any, status: str
) -> None:
    subscription = sell(fake, user)
    fake.fail_card(subscription["customer"])
    meet(fake, clock, FEB)
    meet(fake, clock, FEB + DRAFT)
    clock.shift(14 * DAY)
    fake.end_dunning(subscription, status)
    meet(fake, clock, FEB + 15 * DAY)
    assert awards_of(subscription) == [*FIRST, CYCLE, TAKEN]
    assert (user.credits, fulfillment_of(subscription).is_active) == (100, False)
    meet(fake, clock, APR)
    told_again(fake)


@pytest.mark.behaviour("REN-07", "REN-10")
def test_take_back_what_a_draft_awarded_when_it_is_not_collected(
    fake: FakeStripe, user: User, clock: Any
) -> None:
    subscription = sell(fake, user)
    meet(fake, clock, FEB + 10 * MINUTE)
    fake.cancel(subscription)
    meet(fake, clock, FEB + DRAFT)
    assert fake.get("invoice", subscription["latest_invoice"])["status"] == "draft"
    assert awards_of(subscription) == [*FIRST, CYCLE, TAKEN]
    told_again(fake)


@pytest.mark.behaviour("REN-14")
@pytest.mark.parametrize("behavior", ["void", "keep_as_draft", "mark_uncollectible"])
def test_take_back_what_a_draft_awarded_when_collection_is_paused(
    fake: FakeStripe, user: User, clock: Any, behavior: str
) -> None:
    subscription = sell(fake, user)
    meet(fake, clock, FEB + 10 * MINUTE)
    fake.pause(subscription, behavior=behavior)
    fake.deliver_pending()
    assert awards_of(subscription) == [*FIRST, CYCLE, TAKEN]
    fake.resume(subscription)
    fake.deliver_pending()
    assert awards_of(subscription) == [*FIRST, CYCLE, TAKEN, GIVEN_BACK]
    fake.pause(subscription, behavior=behavior)
    meet(fake, clock, FEB + DRAFT)
    fake.resume(subscription)
    meet(fake, clock, FEB + 2 * DRAFT)
    assert awards_of(subscription) == [*FIRST, CYCLE, TAKEN, GIVEN_BACK, TAKEN]
    told_again(fake)


@pytest.mark.behaviour("REN-07")
@pytest.mark.parametrize("closes", ["void", "mark_uncollectible"])
def test_take_back_what_is_given_up(fake: FakeStripe, user: User, clock: Any, closes: str) -> None:
    subscription = sell(fake, user)
    fake.fail_card(subscription["customer"])
    meet(fake, clock, FEB)
    clock.move_to(FEB + DRAFT)
    fake.catch_up()
    answer = fake.handle("POST", f"/v1/invoices/{subscription['latest_invoice']}/{closes}", "", {})
    assert answer.status == 200
    assert set(fake.deliver_pending()) == {200}
    assert subscription["status"] == "active"
    assert awards_of(subscription) == [*FIRST, CYCLE, TAKEN]
    assert fulfillment_of(subscription).stops_at == FEB
    meet(fake, clock, MAR + DRAFT)
    assert awards_of(subscription)[4:] == [] if subscription["status"] == "past_due" else [CYCLE]


@pytest.mark.behaviour("REN-07")
def test_count_an_invoice_that_is_sent_once_it_is_paid(fake: FakeStripe, user: User, clock: Any) -> None:
    subscription = sell(fake, user)
    subscription["collection_method"] = "send_invoice"
    meet(fake, clock, FEB)
    assert awards_of(subscription) == FIRST
    meet(fake, clock, FEB + DRAFT)
    assert awards_of(subscription) == [*FIRST, CYCLE]


@pytest.mark.behaviour("REN-02")
def test_let_changes_wait_until_the_period_is_paid(fake: FakeStripe, user: User, clock: Any) -> None:
    subscription = sell(fake, user)
    meet(fake, clock, FEB + 10 * MINUTE)
    fake.change_plan(subscription, "price_prem")
    fake.deliver_pending()
    assert fulfillment_of(subscription).plan_name == "pro"
    meet(fake, clock, FEB + DRAFT)
    assert awards_of(subscription) == [*FIRST, CYCLE, ("subscription_upgrade", 2_000)]
    assert fulfillment_of(subscription).anchor == FEB + 10 * MINUTE
    told_again(fake)


@pytest.mark.behaviour("DEC-16", "REN-08")
def test_leave_to_refunds_what_they_take_of_a_period_paid_late(
    fake: FakeStripe, user: User, clock: Any
) -> None:
    subscription = sell(fake, user)
    fake.fail_card(subscription["customer"])
    meet(fake, clock, FEB)
    meet(fake, clock, FEB + DRAFT)
    clock.shift(DAY)
    pay_late(fake, subscription)
    paid = fake.event("invoice.paid")
    fake.refund(fake.all("charge")[-1])
    fake.deliver_pending()
    assert awards_of(subscription)[3:] == [TAKEN, GIVEN_BACK, TAKEN]
    assert Transaction.objects.latest("pk").metadata["refunded"] is True
    assert fake.deliver(fake.reissue(paid)) == [200]
    told_again(fake)
