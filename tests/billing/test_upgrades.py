from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection

from tests.app.models import User
from tests.billing.changing import PRO, Changes, day, plans_of
from tests.billing.subscribing import (
    GRACE,
    awards_of,
    fulfillment_of,
    latest_event,
    stripe_at,
    subscribe,
)
from usage_credits import SubscriptionPlan, credits, detach_owner
from usage_credits.models import Fulfillment, Transaction
from usage_credits.signals import EventContext, subscription_credits_awarded
from usage_credits.testing import FakeStripe, capture_events

pytestmark = pytest.mark.usefixtures("verified")

TO_PREM = ("subscription_upgrade", 2_000)
TO_ROLL = ("subscription_upgrade", 1_000)
TO_ULTRA = ("subscription_upgrade", 5_000)


@pytest.mark.behaviour("CHG-01", "CHG-02", "CHG-03", "CHG-04", "CHG-27")
def test_award_a_whole_cycle_of_a_larger_plan_at_once(changes: Changes, user: User) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user)
        changes.deliver()
        clock.move_to(day(1, 16))
        changes.change(subscription, "price_prem")
        changes.repeat(subscription)
        assert awards_of(subscription) == [*PRO, TO_PREM]
        assert user.credits == 2_600
        row = Transaction.objects.latest("pk")
        assert row.expires_at == day(2, 16) + GRACE
        assert (row.metadata["reason"], row.metadata["plan_name"]) == ("plan_upgrade", "prem")
        assert row.metadata["subscription_id"] == subscription["id"]
        fulfillment = fulfillment_of(subscription)
        assert plans_of(fulfillment) == ("prem", "", None)
        assert (fulfillment.period, fulfillment.next_fulfillment_at) == ("P1M", day(2, 16))
        assert (fulfillment.last_fulfilled_at, fulfillment.credits_last_awarded) == (day(1, 16), 2_000)
        assert fulfillment.metadata["subscription_id"] == subscription["id"]
        assert fulfillment.metadata["price_id"] == "price_prem"
        for moment in (day(2, 1), day(2, 16), day(3, 1), day(3, 16)):
            changes.meet(clock, subscription, moment)
            changes.repeat(subscription)
        assert awards_of(subscription)[3:] == [("subscription_credits", 2_000)] * 2
        dates = fulfillment.transactions.filter(category="subscription_credits").order_by("pk")
        assert list(dates.values_list("grid_date", flat=True)) == [day(1, 1), day(2, 16), day(3, 16)]


@pytest.mark.behaviour("CHG-03")
def test_let_an_upgrade_that_is_kept_never_expire(changes: Changes, user: User) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user)
        changes.deliver()
        clock.move_to(day(1, 16))
        changes.change(subscription, "price_roll")
        row = Transaction.objects.latest("pk")
        assert (row.category, row.amount, row.expires_at) == ("subscription_upgrade", 1_000, None)


@pytest.mark.behaviour("CHG-02", "CHG-03")
def test_take_over_the_period_of_a_larger_plan(changes: Changes, user: User, settings: Any) -> None:
    weekly = SubscriptionPlan("weekly", stripe_price="price_other", gives=credits(400).every("week"))
    plans = settings.USAGE_CREDITS["SUBSCRIPTION_PLANS"]
    settings.USAGE_CREDITS = {**settings.USAGE_CREDITS, "SUBSCRIPTION_PLANS": [*plans, weekly]}
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user)
        changes.deliver()
        clock.move_to(day(1, 16))
        changes.change(subscription, "price_other")
        fulfillment = fulfillment_of(subscription)
        assert (fulfillment.period, fulfillment.next_fulfillment_at) == ("P7D", day(1, 23))
        assert Transaction.objects.latest("pk").expires_at == day(1, 23) + GRACE
        for moment in (day(1, 23), day(1, 30)):
            clock.move_to(moment)
            changes.repeat(subscription)
        assert awards_of(subscription)[2:] == [
            ("subscription_upgrade", 400),
            ("subscription_credits", 400),
            ("subscription_credits", 400),
        ]


@pytest.mark.behaviour("CHG-05", "EVT-19")
def test_tell_of_an_upgrade_once_it_is_committed(changes: Changes, user: User) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user)
        changes.deliver()
        clock.move_to(day(1, 16))
        with capture_events() as events:
            changes.change(subscription, "price_prem")
            changes.repeat(subscription)
    assert [(event.event, event.amount) for event in events] == [
        ("credits_added", 2_000),
        ("subscription_credits_awarded", 2_000),
    ]
    told = events[-1]
    assert told.reason == "plan_upgrade"
    assert told.fulfillment == fulfillment_of(subscription)
    assert told.metadata is not None
    assert (told.metadata["reason"], told.metadata["plan_name"]) == ("plan_upgrade", "prem")


@pytest.mark.behaviour("EVT-19")
@pytest.mark.django_db(transaction=True)
def test_tell_of_an_upgrade_after_the_commit(fake: FakeStripe, user: User) -> None:
    told: list[tuple[int, bool]] = []

    def note(sender: type, context: EventContext, **kwargs: Any) -> None:
        told.append((context.amount or 0, connection.in_atomic_block))

    with stripe_at(fake) as clock:
        subscribe(fake, user)
        fake.deliver_pending()
        clock.move_to(day(1, 16))
        fake.change_plan(fake.all("subscription")[0], "price_prem")
        subscription_credits_awarded.connect(note)
        try:
            fake.deliver_pending()
        finally:
            subscription_credits_awarded.disconnect(note)
    assert told == [(2_000, False)]


@pytest.mark.behaviour("CHG-06", "DEC-20")
def test_award_every_real_upgrade(changes: Changes, user: User) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user)
        changes.deliver()
        for number, price in ((10, "price_prem"), (20, "price_ultra")):
            clock.move_to(day(1, number))
            changes.change(subscription, price)
        assert awards_of(subscription) == [*PRO, TO_PREM, TO_ULTRA]
        assert user.credits == 7_600
        assert fulfillment_of(subscription).next_fulfillment_at == day(2, 20)


@pytest.mark.behaviour("DEC-20", "CHG-14", "CHG-27")
def test_award_a_plan_once_in_a_paid_period(changes: Changes, user: User) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user)
        changes.deliver()
        for number, price in enumerate(["price_prem", "price_pro", "price_prem"] * 3, start=3):
            clock.move_to(day(1, number))
            changes.change(subscription, price)
        assert awards_of(subscription) == [*PRO, TO_PREM]
        assert user.credits == 2_600
        assert plans_of(fulfillment_of(subscription)) == ("prem", "", None)


@pytest.mark.behaviour("DEC-20")
def test_award_the_same_upgrade_again_in_another_paid_period(changes: Changes, user: User) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user)
        changes.deliver()
        clock.move_to(day(1, 10))
        changes.change(subscription, "price_prem")
        clock.move_to(day(1, 20))
        changes.change(subscription, "price_pro")
        changes.meet(clock, subscription, day(2, 1))
        changes.meet(clock, subscription, day(2, 10))
        assert awards_of(subscription)[3:] == [("subscription_credits", 500)]
        clock.move_to(day(2, 20))
        changes.change(subscription, "price_prem")
        assert awards_of(subscription)[4:] == [TO_PREM]


@pytest.mark.behaviour("CHG-15")
def test_upgrade_while_a_smaller_plan_is_pending(changes: Changes, user: User) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user, "price_prem")
        changes.deliver()
        clock.move_to(day(1, 10))
        changes.change(subscription, "price_pro")
        assert plans_of(fulfillment_of(subscription)) == ("prem", "pro", day(2, 1))
        clock.move_to(day(1, 20))
        changes.change(subscription, "price_ultra")
        changes.repeat(subscription)
        assert awards_of(subscription)[2:] == [TO_ULTRA]
        assert plans_of(fulfillment_of(subscription)) == ("ultra", "", None)
        changes.meet(clock, subscription, day(2, 1))
        changes.meet(clock, subscription, day(2, 20))
        assert awards_of(subscription)[3:] == [("subscription_credits", 5_000)]


@pytest.mark.behaviour("CHG-16")
@pytest.mark.parametrize("is_pending", [True, False])
def test_take_over_a_plan_of_the_same_size_from_the_next_date(
    changes: Changes, user: User, settings: Any, is_pending: bool
) -> None:
    fortnights = SubscriptionPlan("long", stripe_price="price_a", gives=credits(1_000).every("14 days"))
    weeks = SubscriptionPlan("short", stripe_price="price_b", gives=credits(500).every("7 days"))
    small = SubscriptionPlan("small", stripe_price="price_c", gives=credits(5).every("month"))
    settings.USAGE_CREDITS = {"SUBSCRIPTION_PLANS": [fortnights, weeks, small]}
    fake = changes.fake
    with stripe_at(fake) as clock:
        for price, amount in (("price_a", 5_000), ("price_b", 5_001), ("price_c", 10)):
            fake.add_price(price, amount=amount)
        subscription = subscribe(fake, user, "price_a")
        changes.deliver()
        clock.move_to(day(1, 4))
        if is_pending:
            changes.change(subscription, "price_c")
            assert plans_of(fulfillment_of(subscription)) == ("long", "small", day(2, 1))
        clock.move_to(day(1, 5))
        changes.change(subscription, "price_b")
        changes.repeat(subscription)
        fulfillment = fulfillment_of(subscription)
        assert plans_of(fulfillment) == ("short", "", None)
        assert (fulfillment.period, fulfillment.next_fulfillment_at) == ("P7D", day(1, 15))
        for number in (15, 22):
            clock.move_to(day(1, number))
            changes.repeat(subscription)
        assert awards_of(subscription) == [
            ("subscription_credits", 1_000),
            ("subscription_credits", 500),
            ("subscription_credits", 500),
        ]
        assert fulfillment_of(subscription).next_fulfillment_at == day(1, 29)


@pytest.mark.behaviour("CHG-17")
@pytest.mark.parametrize(
    ("gives", "expected"),
    [
        (credits(500).every("7 days"), []),
        (credits(150).every("year"), []),
        (credits(36_524).every("year"), []),
        (credits(800).every("7 days"), [("subscription_upgrade", 800)]),
        (credits(36_600).every("year"), [("subscription_upgrade", 36_600)]),
        (credits(101).every("day"), [("subscription_upgrade", 101)]),
    ],
    ids=str,
)
def test_compare_plans_by_their_credits_per_time(
    changes: Changes, user: User, settings: Any, gives: Any, expected: list[tuple[str, int]]
) -> None:
    daily = SubscriptionPlan("daily", stripe_price="price_a", gives=credits(100).every("day"))
    other = SubscriptionPlan("other", stripe_price="price_b", gives=gives)
    settings.USAGE_CREDITS = {"SUBSCRIPTION_PLANS": [daily, other]}
    fake = changes.fake
    with stripe_at(fake) as clock:
        for price, amount in (("price_a", 5_000), ("price_b", 6_000)):
            fake.add_price(price, amount=amount)
        subscription = subscribe(fake, user, "price_a")
        changes.deliver()
        clock.shift(timedelta(hours=3))
        changes.change(subscription, "price_b")
        assert awards_of(subscription) == [("subscription_credits", 100), *expected]


@pytest.mark.behaviour("CHG-25")
def test_take_no_change_of_status_for_a_change_of_plan(changes: Changes, user: User) -> None:
    fake = changes.fake
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user)
        changes.deliver()
        for status in ("past_due", "active", "unpaid", "active", "past_due", "active"):
            clock.shift(timedelta(days=1))
            subscription["status"] = status
            changes.repeat(subscription)
        assert awards_of(subscription) == PRO
        assert plans_of(fulfillment_of(subscription)) == ("pro", "", None)


@pytest.mark.behaviour("CHG-19")
@pytest.mark.parametrize("is_known", [True, False])
def test_award_as_at_a_start_when_a_price_without_credits_becomes_a_plan(
    changes: Changes, user: User, is_known: bool
) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user, "price_other")
        if is_known:
            changes.deliver()
            assert not Fulfillment.objects.exists()
        clock.move_to(day(1, 10))
        changes.change(subscription, "price_pro")
        changes.repeat(subscription)
        assert awards_of(subscription) == PRO
        assert user.credits == 600
        fulfillment = fulfillment_of(subscription)
        assert (fulfillment.next_fulfillment_at, fulfillment.stops_at) == (day(2, 1), day(2, 1))
        changes.meet(clock, subscription, day(2, 1))
        assert awards_of(subscription)[2:] == [("subscription_credits", 500)]


@pytest.mark.behaviour("CHG-01", "SUB-18")
def test_upgrade_after_the_trial(changes: Changes, user: User) -> None:
    fake = changes.fake
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user, trial_period_days=7)
        changes.deliver()
        changes.meet(clock, subscription, day(1, 8))
        clock.move_to(day(1, 10))
        changes.change(subscription, "price_prem")
        assert awards_of(subscription) == [("subscription_trial", 50), *PRO, TO_PREM]
        assert fulfillment_of(subscription).next_fulfillment_at == day(2, 10)


@pytest.mark.behaviour("SUB-18")
def test_convert_to_the_last_of_many_plans_tried(changes: Changes, user: User) -> None:
    fake = changes.fake
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user, "price_prem", trial_period_days=7)
        changes.deliver()
        for number, price in enumerate(["price_pro", "price_ultra", "price_other", "price_pro"], start=2):
            clock.move_to(day(1, number))
            changes.change(subscription, price)
            assert not Transaction.objects.filter(category__in=["subscription_upgrade"]).exists()
        changes.meet(clock, subscription, day(1, 8))
        assert awards_of(subscription) == PRO


@pytest.mark.behaviour("CHG-01")
def test_award_no_upgrade_while_a_renewal_is_not_paid(changes: Changes, user: User) -> None:
    fake = changes.fake
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user)
        changes.deliver()
        fake.fail_card(subscription["customer"])
        changes.meet(clock, subscription, day(2, 1))
        clock.move_to(day(2, 3))
        changes.change(subscription, "price_prem")
        assert awards_of(subscription) == PRO
        clock.move_to(day(2, 5))
        fake.mend_card(subscription["customer"])
        for invoice in fake.all("invoice"):
            if invoice["status"] == "open":
                fake.retry(invoice)
        changes.deliver()
        changes.repeat(subscription)
        fulfillment = fulfillment_of(subscription)
        assert fulfillment.plan_name == "prem"
        awarded = awards_of(subscription)[2:]
        # Its invoice was for the smaller plan, unless the subscription's state is all there is.
        if changes.is_state_alone:
            assert awarded == [("subscription_credits", 2_000)]
        else:
            assert awarded == [("subscription_credits", 500), TO_PREM]


@pytest.mark.behaviour("CHG-06", "CHG-26")
@pytest.mark.parametrize("is_late", [True, False])
def test_award_every_upgrade_in_a_period_that_is_paid_after_the_first(
    fake: FakeStripe, user: User, is_late: bool
) -> None:
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user)
        fake.deliver_pending()
        clock.move_to(day(2, 1))
        fake.catch_up()
        # The invoice of the renewal stays a draft for an hour.
        for moment, price in ((day(2, 1), "price_prem"), (day(2, 3), "price_ultra")):
            clock.move_to(moment + timedelta(minutes=30))
            fake.catch_up()
            fake.change_plan(subscription, price)
            if not is_late:
                fake.deliver_pending()
                clock.shift(timedelta(hours=1))
                fake.catch_up()
                fake.deliver_pending()
        fake.deliver_pending()
        assert awards_of(subscription) == [*PRO, ("subscription_credits", 500), TO_PREM, TO_ULTRA]
        assert fulfillment_of(subscription).plan_name == "ultra"


@pytest.mark.behaviour("CHG-01")
def test_award_no_upgrade_that_is_not_paid(changes: Changes, user: User) -> None:
    fake = changes.fake
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user)
        changes.deliver()
        clock.move_to(day(1, 10))
        fake.fail_card(subscription["customer"])
        fake.change_plan(subscription, "price_prem", proration_behavior="always_invoice")
        assert subscription["status"] == "past_due"
        changes.deliver()
        assert awards_of(subscription) == PRO
        assert fulfillment_of(subscription).plan_name == "pro"
        clock.move_to(day(1, 12))
        fake.mend_card(subscription["customer"])
        fake.retry(subscription["latest_invoice"])
        changes.deliver()
        changes.repeat(subscription)
        assert awards_of(subscription) == [*PRO, TO_PREM]
        assert fulfillment_of(subscription).plan_name == "prem"


@pytest.mark.behaviour("CHG-01", "REN-14")
def test_award_no_upgrade_while_paused(changes: Changes, user: User) -> None:
    fake = changes.fake
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user)
        changes.deliver()
        clock.move_to(day(1, 5))
        fake.pause(subscription)
        changes.deliver()
        clock.move_to(day(1, 10))
        changes.change(subscription, "price_prem")
        changes.repeat(subscription)
        assert awards_of(subscription) == PRO
        clock.move_to(day(1, 12))
        fake.resume(subscription)
        changes.deliver()
        assert awards_of(subscription) == [*PRO, TO_PREM]


@pytest.mark.behaviour("CHG-16")
def test_keep_what_was_awarded_before_a_plan_of_the_same_size_was_heard_of(
    changes: Changes, user: User, settings: Any
) -> None:
    settings.USAGE_CREDITS = {
        "SUBSCRIPTION_PLANS": [
            SubscriptionPlan(name, stripe_price=price, gives=credits(500).every("month"))
            for name, price in (("one", "price_a"), ("other", "price_b"))
        ]
    }
    fake = changes.fake
    with stripe_at(fake) as clock:
        for price in ("price_a", "price_b"):
            fake.add_price(price, amount=10_000, interval="year")
        subscription = subscribe(fake, user, "price_a")
        changes.deliver()
        clock.move_to(day(1, 20))
        fake.change_plan(subscription, "price_b", proration_behavior=changes.prorations)
        clock.move_to(day(2, 1))
        call_command("fulfill_credits", verbosity=0)
        assert user.credits == 1_000
        clock.move_to(day(2, 5))
        changes.deliver()
        assert plans_of(fulfillment_of(subscription)) == ("other", "", None)
        assert user.credits == 500
        assert awards_of(subscription) == [("subscription_credits", 500)] * 2


@pytest.mark.behaviour("CHG-26", "CHG-27", "CHG-06")
@pytest.mark.parametrize("late", [0, 4])
@pytest.mark.parametrize("order", ["as it came", "reversed", "reissued first", "thrice", "the last only"])
def test_award_upgrades_the_same_in_whatever_order_they_are_told(
    fake: FakeStripe, user: User, order: str, late: int
) -> None:
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user)
        for event in fake.announced:
            fake.deliver(event)
        known = len(fake.announced)
        for number, price in ((10, "price_prem"), (12, "price_pro"), (14, "price_prem"), (20, "price_ultra")):
            clock.move_to(day(1, number))
            fake.change_plan(subscription, price)
        clock.move_to(day(1, 20 + late))
        told = fake.announced[known:]
        if order == "reversed":
            told.reverse()
        elif order == "reissued first":
            told = [fake.reissue(event) for event in told] + told
        elif order == "thrice":
            told = [event for event in told for _time in range(3)]
        elif order == "the last only":
            told = [latest_event(fake, subscription)]
        for event in told:
            assert fake.deliver(event) == [200]
        assert awards_of(subscription) == [*PRO, TO_PREM, TO_ULTRA]
        fulfillment = fulfillment_of(subscription)
        assert plans_of(fulfillment) == ("ultra", "", None)
        assert fulfillment.next_fulfillment_at == day(2, 20)
        expiries = fulfillment.transactions.order_by("pk").values_list("expires_at", flat=True)
        assert list(expiries) == [None, *(moment + GRACE for moment in (day(2, 1), day(2, 10), day(2, 20)))]


@pytest.mark.behaviour("CHG-01", "CHG-26")
@pytest.mark.parametrize(
    ("moment", "expected", "balance"),
    [
        (day(1, 18), TO_PREM, 2_600),
        (day(2, 3), TO_PREM, 2_100),
        # By then the upgrade's own cycle was over, and the next one had come.
        (day(2, 18), ("subscription_credits", 2_000), 2_100),
    ],
)
def test_award_an_upgrade_that_is_told_late(
    changes: Changes, user: User, moment: datetime, expected: tuple[str, int], balance: int
) -> None:
    with stripe_at(changes.fake) as clock:
        subscription = subscribe(changes.fake, user)
        changes.deliver()
        clock.move_to(day(1, 16))
        changes.fake.change_plan(subscription, "price_prem")
        changes.meet(clock, subscription, moment)
        changes.repeat(subscription)
        assert awards_of(subscription) == [*PRO, expected]
        assert user.credits == balance
        assert fulfillment_of(subscription).plan_name == "prem"


@pytest.mark.behaviour("CHG-24")
@pytest.mark.parametrize("price", ["price_prem", "price_other", "price_roll"])
def test_survive_the_end_of_the_owner(fake: FakeStripe, user: User, price: str) -> None:
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user)
        fake.deliver_pending()
        detach_owner(user)
        user.delete()
        clock.move_to(day(1, 16))
        fake.change_plan(subscription, price)
        assert set(fake.deliver_pending()) == {200}
        assert (
            Fulfillment.objects.get().metadata["left_for" if price == "price_other" else "price_id"] == price
        )
        if price != "price_other":
            assert awards_of(subscription)[2:] == [TO_PREM if price == "price_prem" else TO_ROLL]
