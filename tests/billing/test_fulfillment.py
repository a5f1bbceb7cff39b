from __future__ import annotations

from collections.abc import Iterator

import pytest
import time_machine
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from tests.app.models import User
from tests.billing.fulfilling import (
    START,
    amounts_awarded,
    at,
    before_locking,
    dates_awarded,
    fulfill,
    make_grant,
    make_subscription,
    refusing,
    rows_of,
)
from tests.billing.shopping import buy
from tests.factories import amounts_of, configured, make_wallet, names, stored
from usage_credits.billing.fulfillment import Fulfilled, count_due, fulfill_due, preview_due
from usage_credits.ledger.verification import verify
from usage_credits.models import Fulfillment, FulfillmentKind
from usage_credits.testing import FakeStripe, capture_events

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(START, tick=False) as clock:
        yield clock


@pytest.mark.behaviour("FUL-06")
def test_due_subscription_is_awarded_and_moves_on() -> None:
    wallet = make_wallet(credits=5)
    fulfillment = make_subscription(
        wallet, source="stripe", source_id="sub:sub_1", metadata={"subscription_id": "sub_1"}
    )
    assert fulfill() == Fulfilled(awarded=1, credits=500, failed=0, tried=1)
    (row,) = rows_of(fulfillment)
    assert (row.amount, row.category, row.wallet, row.created_at) == (
        500,
        "subscription_credits",
        wallet,
        START,
    )
    assert row.metadata == {
        "subscription_id": "sub_1",
        "fulfillment_id": fulfillment.pk,
        "fulfillment_period": "P1M",
        "plan_name": "pro",
        "reason": "fulfillment_cycle",
    }
    fulfillment.refresh_from_db()
    assert fulfillment.last_fulfilled_at == START
    assert fulfillment.next_fulfillment_at == at(2, 28)
    assert (fulfillment.credits_last_awarded, fulfillment.last_error) == (500, "")
    assert wallet.balance == 505
    assert list(verify()) == []


@pytest.mark.behaviour("FUL-06")
def test_award_and_schedule_are_stored_together_or_not_at_all() -> None:
    fulfillment = make_subscription(make_wallet())
    before = stored()
    with (
        connection.execute_wrapper(refusing("UPDATE", "usage_credits_fulfillment")),
        pytest.raises(OperationalError),
    ):
        fulfill()
    assert stored() == before
    assert fulfill().awarded == 1
    assert amounts_awarded(fulfillment) == [500]


@pytest.mark.behaviour("FUL-06")
def test_award_is_announced_after_its_credits() -> None:
    fulfillment = make_subscription(make_wallet())
    with capture_events() as heard:
        fulfill()
    assert names(heard) == ["credits_added", "subscription_credits_awarded"]
    assert (heard[1].amount, heard[1].fulfillment, heard[1].reason) == (500, fulfillment, "fulfillment_cycle")


@pytest.mark.behaviour("FUL-07")
def test_each_kind_awards_its_own_credits() -> None:
    wallet = make_wallet()
    sold = make_subscription(wallet)
    pack = make_subscription(wallet, "", kind=FulfillmentKind.PACK, pack_name="bonus", period="", anchor=None)
    grant = make_grant(wallet, 70)
    assert fulfill().awarded == 3
    awarded = [(row.amount, row.category) for one in (sold, pack, grant) for row in rows_of(one)]
    assert awarded == [(500, "subscription_credits"), (600, "credit_pack_purchase"), (70, "credit_added")]


@pytest.mark.behaviour("FUL-09")
def test_job_reads_the_pack_where_a_purchase_wrote_it(fake: FakeStripe, user: User) -> None:
    buy(fake, user, "bonus")
    bought = Fulfillment.objects.get()
    Fulfillment.objects.update(next_fulfillment_at=START, last_fulfilled_at=None)
    assert fulfill() == Fulfilled(awarded=1, credits=600, failed=0, tried=1)
    assert amounts_awarded(bought) == [600, 600]


@pytest.mark.behaviour("FUL-10", "FUL-13")
def test_second_run_at_once_awards_nothing() -> None:
    wallet = make_wallet()
    make_subscription(wallet)
    first, second = fulfill_due(), fulfill_due()
    assert next(first).awarded == 1
    assert list(second) == []
    assert fulfill() == Fulfilled()
    assert amounts_of(wallet) == [500]


@pytest.mark.behaviour("FUL-10", "FUL-13")
def test_what_was_awarded_since_it_was_read_is_not_awarded_again_nor_counted() -> None:
    one, other = make_subscription(make_wallet()), make_subscription(make_wallet())
    run = fulfill_due(batch_size=1)
    next(run)
    with connection.execute_wrapper(before_locking(lambda: Fulfillment.objects.update(stops_at=START))):
        assert list(run) == [Fulfilled()]
    assert (amounts_awarded(one), amounts_awarded(other)) == ([500], [])


@pytest.mark.behaviour("FUL-20")
def test_subscription_without_a_period_is_awarded_once_for_good() -> None:
    fulfillment = make_subscription(make_wallet(), period="", anchor=None)
    assert fulfill().awarded == 1
    (row,) = rows_of(fulfillment)
    assert (row.amount, row.expires_at) == (500, None)
    fulfillment.refresh_from_db()
    assert fulfillment.next_fulfillment_at is None
    assert fulfill() == Fulfilled()


@pytest.mark.behaviour("FUL-24")
def test_fulfillments_of_one_wallet_due_at_once_all_award() -> None:
    wallet = make_wallet()
    one, other = make_grant(wallet, 100), make_grant(wallet, 200)
    assert fulfill() == Fulfilled(awarded=2, credits=300, failed=0, tried=2)
    assert (amounts_awarded(one), amounts_awarded(other)) == ([100], [200])
    assert wallet.balance == 300
    assert list(verify()) == []


@pytest.mark.behaviour("FUL-25")
def test_pending_plan_awards_from_its_date_on_and_the_current_one_before(
    clock: time_machine.Traveller,
) -> None:
    fulfillment = make_subscription(
        make_wallet(), "prem", pending_plan="pro", pending_from=at(3, 31), stops_at=at(6, 30)
    )
    for moment in (START, at(2, 28), at(3, 31), at(4, 30)):
        clock.move_to(moment)
        assert fulfill().awarded == 1
    assert amounts_awarded(fulfillment) == [2000, 2000, 500, 500]
    fulfillment.refresh_from_db()
    assert (fulfillment.plan_name, fulfillment.pending_plan, fulfillment.pending_from) == ("pro", "", None)
    assert fulfillment.as_sold["plan_name"] == "pro"


@pytest.mark.behaviour("FUL-25")
def test_pending_plan_that_has_gone_leaves_the_current_one() -> None:
    fulfillment = make_subscription(make_wallet(), pending_plan="gone", pending_from=START)
    assert fulfill().credits == 500
    fulfillment.refresh_from_db()
    assert (fulfillment.plan_name, fulfillment.pending_plan) == ("pro", "")


@pytest.mark.behaviour("FUL-26")
def test_one_time_fulfillment_with_a_past_date_is_awarded_once() -> None:
    fulfillment = make_grant(make_wallet(), 70, next_fulfillment_at=at(1, 1, year=2020))
    assert fulfill() == Fulfilled(awarded=1, credits=70, failed=0, tried=1)
    fulfillment.refresh_from_db()
    assert (fulfillment.last_fulfilled_at, fulfillment.next_fulfillment_at) == (START, None)
    assert fulfill() == Fulfilled()
    assert dates_awarded(fulfillment) == [at(1, 1, year=2020)]


def test_the_longest_due_come_first_and_a_limit_bounds_how_many() -> None:
    late = make_grant(make_wallet())
    later = make_grant(make_wallet(), "abc", next_fulfillment_at=at(1, 30))
    latest = make_grant(make_wallet(), next_fulfillment_at=at(1, 29))
    assert preview_due(limit=2) == Fulfilled(awarded=1, credits=70, failed=1, tried=2)
    assert fulfill(limit=2) == Fulfilled(awarded=1, credits=70, failed=1, tried=2)
    assert [len(rows_of(one)) for one in (late, later, latest)] == [0, 0, 1]


def test_preview_writes_nothing_and_says_what_the_job_then_does(clock: time_machine.Traveller) -> None:
    wallet = make_wallet()
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        wallet.debit(30)
    for plan in ("roll", "pro", "gone"):
        make_subscription(wallet, plan)
    make_subscription(wallet, "prem", pending_plan="pro", pending_from=at(2, 28))
    clock.move_to(at(4, 1))
    before = stored()
    with capture_events() as heard:
        preview = preview_due()
    assert (stored(), heard) == (before, [])
    assert (count_due(), preview) == (4, Fulfilled(awarded=5, credits=4000, failed=1, tried=4))
    assert fulfill() == preview
    assert list(verify()) == []


def test_batch_takes_as_many_statements_for_sixty_as_for_thirty() -> None:
    def run(number: int) -> int:
        for _ in range(number):
            wallet = make_wallet()
            with time_machine.travel(at(1, 1), tick=False):
                wallet.credit(5, expires_at=at(1, 2))
            make_subscription(wallet, "roll")
            make_subscription(wallet, "prem", pending_plan="pro", pending_from=at(1, 1))
            make_subscription(wallet, "gone")
        with CaptureQueriesContext(connection) as statements:
            assert fulfill(batch_size=60).awarded == 2 * number
        Fulfillment.objects.update(next_fulfillment_at=None)
        return len(statements)

    # Few rows go in fewer statements: both are many.
    assert run(20) == run(10)
