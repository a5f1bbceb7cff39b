from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import stripe
import time_machine
from django.conf import settings as django_settings
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.app.models import Studio, Team, User
from tests.billing.recharging import INTENTS, charges, deliver, give_card, recharge, recharged
from tests.billing.shopping import buy, charge_of, pack_metadata, pay_directly
from tests.factories import configured, names, stored
from usage_credits import (
    CreditPack,
    InsufficientCredits,
    InvalidAmount,
    InvalidValue,
    cents,
    detach_owner,
    find_credit_pack,
    recharge_if_due,
)
from usage_credits.billing.stripe_customers import ensure_customer
from usage_credits.ledger.verification import verify
from usage_credits.models import Fulfillment, PaymentNotice, Recharge, RechargeSetting, Wallet
from usage_credits.testing import FakeStripe, capture_events, use_fake_stripe

NOON = datetime.datetime(2030, 1, 31, 12, tzinfo=datetime.UTC)
MINUTE, HOUR, DAY = (
    datetime.timedelta(minutes=1),
    datetime.timedelta(hours=1),
    datetime.timedelta(days=1),
)

pytestmark = pytest.mark.usefixtures("verified")


@pytest.fixture
def payer(fake: FakeStripe, user: User) -> User:
    """A user with a card and 99 credits, who agreed to buy the pack starter below 100."""
    give_card(fake, user)
    deliver(fake)
    user.give_credits(99)
    user.set_recharge("starter", threshold=100)
    return user


@pytest.mark.behaviour("TOK-05", "TOK-07")
def test_charge_for_the_pack_and_award_it_when_the_webhook_comes(fake: FakeStripe, payer: User) -> None:
    made = recharged(payer)
    (intent,) = charges(fake)
    assert (intent["amount"], intent["currency"]) == (4_900, "usd")
    assert (made.state, made.payment, made.credits) == ("paid", f"pi:{intent['id']}", 1_000)
    assert payer.credits == 99
    deliver(fake)
    assert payer.credits == 1_099
    fulfillment = Fulfillment.objects.get()
    assert (fulfillment.kind, fulfillment.source_id) == ("credit_pack", made.payment)
    made.refresh_from_db()
    assert (made.state, made.fulfillment, made.in_flight_of) == ("succeeded", fulfillment, None)
    row = payer.credit_history.get(category="credit_pack_purchase")
    assert (row.amount, row.cash_amount, row.cash_currency) == (1_000, 4_900, "usd")


def test_charge_off_session_as_the_pack_says(fake: FakeStripe, payer: User) -> None:
    made = recharged(payer)
    sent = [request.params for request in fake.requests if request.path == INTENTS]
    pack = find_credit_pack("starter")
    assert pack
    assert sent[0]["metadata"] == {
        **pack.base_metadata(),
        "usage_credits_owner": f"app.user:{payer.pk}",
        "usage_credits_recharge": made.key,
    }
    assert (sent[0]["off_session"], sent[0]["confirm"]) == ("true", "true")
    assert (sent[0]["customer"], sent[0]["payment_method"]) == (made.customer_id, made.payment_method)


def test_charge_the_method_that_was_chosen(fake: FakeStripe, payer: User) -> None:
    first = recharge_method(fake, payer)
    give_card(fake, payer)
    payer.set_recharge("starter", threshold=100, payment_method=first)
    assert recharged(payer).payment_method == first


@pytest.mark.behaviour("TOK-12")
@pytest.mark.parametrize("holder", ["another owner", "nobody we know", "nobody"])
def test_charge_no_method_of_somebody_else(fake: FakeStripe, payer: User, holder: str) -> None:
    if holder == "another owner":
        method = recharge_method(fake, Team.objects.create(name="crew"))
    else:
        stranger = stripe.Customer.create(api_key=django_settings.STRIPE_TEST_SECRET_KEY)
        method = fake.add_card(stranger.id)["id"]
    if holder == "nobody":
        stripe.PaymentMethod.detach(method, api_key=django_settings.STRIPE_TEST_SECRET_KEY)
    payer.set_recharge("starter", threshold=100, payment_method=method)
    made = recharged(payer)
    assert (made.state, made.reason) == ("failed", "no_payment_method")
    assert fake.all("payment_intent") == []


@pytest.mark.parametrize("model", [Team, Studio])
def test_charge_the_method_that_any_owner_chose(fake: FakeStripe, model: type[Any]) -> None:
    owner = model.objects.create(name="crew")
    first = recharge_method(fake, owner)
    give_card(fake, owner)
    owner.set_recharge("hundred", threshold=1, payment_method=first)
    assert recharged(owner).payment_method == first


def recharge_method(fake: FakeStripe, owner: Any) -> str:
    method: str = give_card(fake, owner)["id"]
    return method


@pytest.mark.parametrize("model", [Team, Studio])
def test_charge_any_owner(fake: FakeStripe, model: type[Any]) -> None:
    owner = model.objects.create(name="crew")
    owner.set_recharge("hundred", threshold=1)
    give_card(fake, owner)
    recharged(owner)
    deliver(fake)
    assert owner.credits == 100


@pytest.mark.behaviour("TOK-06")
@pytest.mark.parametrize(("balance", "is_due"), [(98, True), (99, True), (100, False), (101, False)])
def test_charge_below_the_threshold_only(fake: FakeStripe, payer: User, balance: int, is_due: bool) -> None:
    payer.give_credits(50)
    payer.wallet().debit(149 - balance)
    assert (recharge(payer) is not None) == is_due
    assert len(charges(fake)) == is_due


def test_count_no_credits_that_have_expired(fake: FakeStripe, payer: User) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        payer.give_credits(50, expires_at=NOON + HOUR)
        assert recharge(payer) is None
        clock.shift(HOUR)
        assert recharge(payer)


@pytest.mark.behaviour("TOK-12")
def test_charge_nobody_who_did_not_agree(fake: FakeStripe, user: User) -> None:
    give_card(fake, user)
    assert recharge(user) is None
    assert charges(fake) == []


@pytest.mark.behaviour("TOK-12")
def test_charge_nobody_who_stopped(fake: FakeStripe, payer: User) -> None:
    stopped = payer.stop_recharge()
    assert stopped
    assert (stopped.is_enabled, stopped.stop_reason) == (False, "stopped")
    assert recharge(payer) is None
    assert charges(fake) == []
    assert payer.stop_recharge() == stopped


def test_stop_what_was_never_set(user: User) -> None:
    before = stored()
    assert user.stop_recharge() is None
    assert user.recharge_setting is None
    assert stored() == before


def test_set_again_begins_anew(payer: User) -> None:
    payer.stop_recharge()
    payer.set_recharge("hundred", threshold=5, max_per_day=1, max_per_month=2)
    setting = payer.recharge_setting
    assert setting
    assert (setting.is_enabled, setting.stop_reason, setting.pack_name) == (True, "", "hundred")
    assert (setting.threshold, setting.max_per_day, setting.max_per_month) == (5, 1, 2)
    assert RechargeSetting.objects.count() == 1


@pytest.mark.behaviour("TOK-11")
@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("pack", "gold"),
        ("pack", None),
        ("pack", 5),
        ("pack", CreditPack("starter", gives=5, costs=cents(1))),
        ("threshold", -1),
        ("threshold", True),
        ("threshold", 2**63),
        ("threshold", 1.5),
        ("max_per_day", 0),
        ("max_per_day", True),
        ("max_per_month", -3),
        ("max_per_month", 2**31),
        ("max_per_month", None),
        ("payment_method", ""),
        ("payment_method", "p" * 256),
    ],
)
def test_refuse_terms_that_are_none(user: User, field: str, wrong: Any) -> None:
    terms = {"pack": "starter", "threshold": 100, field: wrong}
    before = stored()
    with pytest.raises(InvalidValue) as refusal:
        user.set_recharge(**terms)
    assert refusal.value.field == field
    assert isinstance(refusal.value, InvalidAmount) == (field == "threshold")
    assert stored() == before


def test_refuse_an_owner_that_is_not_saved(db: None) -> None:
    with pytest.raises(InvalidValue, match="owner"):
        User(username="nobody").set_recharge("starter", threshold=1)


@pytest.mark.behaviour("TOK-08")
def test_refuse_what_gives_nothing(fake: FakeStripe, payer: User) -> None:
    with pytest.raises(InvalidAmount):
        CreditPack("free", gives=0, costs=cents(2_000))
    made = recharged(payer)
    with pytest.raises(IntegrityError), transaction.atomic():
        Recharge.objects.filter(pk=made.pk).update(credits=0)


@pytest.mark.behaviour("TOK-09")
def test_charge_once_while_one_is_in_flight(fake: FakeStripe, payer: User) -> None:
    recharged(payer)
    for _number in range(5):
        payer.wallet().debit(1)
        assert recharge(payer) is None
    assert len(charges(fake)) == 1
    deliver(fake)
    assert (payer.credits, recharge(payer)) == (1_094, None)


@pytest.mark.behaviour("TOK-09")
def test_database_refuses_a_second_one_in_flight(fake: FakeStripe, payer: User) -> None:
    made = recharged(payer)
    made.pk, made.key, made.payment, made._state.adding = None, "other", None, True
    with pytest.raises(IntegrityError), transaction.atomic():
        made.save()


@pytest.mark.behaviour("TOK-10")
def test_award_once_however_often_it_is_announced(fake: FakeStripe, payer: User) -> None:
    recharged(payer)
    with capture_events() as events:
        for event in fake.pending:
            assert set(fake.deliver(event, times=2)) == {200}
            fake.deliver(fake.reissue(event))
    assert payer.credits == 1_099
    assert Recharge.objects.filter(state="succeeded").count() == Fulfillment.objects.count() == 1
    assert names(events).count("recharge_succeeded") == 1


@pytest.mark.behaviour("TOK-10")
@pytest.mark.parametrize("lost", ["answer", "process"])
def test_charge_once_though_the_answer_is_lost(fake: FakeStripe, payer: User, lost: str) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        with fake.lost_answers(INTENTS) if lost == "answer" else fake.outage("/v1/customers/"):
            made = recharged(payer)
        assert (made.state, made.payment) == ("started", None)
        assert made.error
        assert len(charges(fake)) == (lost == "answer")
        assert recharge(payer) is None
        clock.shift(10 * MINUTE)
        again = recharged(payer)
        assert (again.pk, again.state, len(charges(fake))) == (made.pk, "paid", 1)
        deliver(fake)
    assert payer.credits == 1_099


@pytest.mark.behaviour("TOK-10")
def test_award_by_the_webhook_though_the_answer_is_lost(fake: FakeStripe, payer: User) -> None:
    with fake.lost_answers(INTENTS):
        recharged(payer)
    deliver(fake)
    made = Recharge.objects.get()
    assert (made.state, made.error, payer.credits) == ("succeeded", "", 1_099)


def test_find_what_was_paid_for_a_wallet_that_was_detached_since(fake: FakeStripe, payer: User) -> None:
    wallet = payer.wallet()
    with time_machine.travel(NOON, tick=False) as clock:
        with fake.lost_answers(INTENTS):
            recharged(payer)
        detach_owner(payer)
        clock.shift(10 * MINUTE)
        made = recharge_if_due(Wallet.objects.get(pk=wallet.pk))
    assert made
    assert (made.state, len(charges(fake))) == ("paid", 1)


def stop(payer: User) -> None:
    payer.stop_recharge()


def buy_credits(payer: User) -> None:
    payer.give_credits(1)


def agree_anew(payer: User) -> None:
    payer.set_recharge("hundred", threshold=100)


def leave(payer: User) -> None:
    detach_owner(payer)


@pytest.mark.behaviour("TOK-09", "TOK-12")
@pytest.mark.parametrize("path", ["/v1/customers/", INTENTS])
@pytest.mark.parametrize("change", [stop, buy_credits, agree_anew, leave])
def test_charge_nothing_late_that_is_not_wanted_any_more(
    fake: FakeStripe, payer: User, path: str, change: Callable[[User], None]
) -> None:
    wallet = payer.wallet()
    with time_machine.travel(NOON, tick=False) as clock, capture_events() as events:
        with fake.outage(path):
            recharged(payer)
        change(payer)
        clock.shift(10 * MINUTE)
        made = recharge_if_due(Wallet.objects.get(pk=wallet.pk))
        assert made
        assert (made.state, made.reason) == ("failed", "not_wanted")
        assert fake.all("payment_intent") == []
        assert "recharge_failed" not in names(events)
        setting = RechargeSetting.objects.get()
        assert (setting.failures, setting.paused_until) == (0, None)


class SlowStripe(FakeStripe):
    """A Stripe that takes its time to tell of a customer."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: Callable[[], object] | None = None

    def handle(self, method: str, path: str, query: str, headers: Mapping[str, str]) -> Any:
        answer = super().handle(method, path, query, headers)
        if path.startswith("/v1/customers/") and self.meanwhile:
            act, self.meanwhile = self.meanwhile, None
            act()
        return answer


@pytest.mark.behaviour("TOK-09")
@pytest.mark.parametrize(("change", "state", "paid"), [(stop, "failed", 0), (User.save, "paid", 1)])
def test_charge_nothing_that_another_run_went_on_with(
    user: User, change: Callable[[User], None], state: str, paid: int
) -> None:
    slow = SlowStripe()
    with use_fake_stripe(slow), time_machine.travel(NOON, tick=False) as clock:
        give_card(slow, user)
        user.set_recharge("starter", threshold=100)

        def go_on() -> None:
            change(user)
            clock.shift(10 * MINUTE)
            assert recharged(user).state == state

        slow.meanwhile = go_on
        assert recharged(user).state == state
        sent = [request for request in slow.requests if (request.method, request.path) == ("post", INTENTS)]
        assert len(sent) == len(charges(slow)) == paid


@pytest.mark.behaviour("TOK-10")
@pytest.mark.parametrize("change", [stop, buy_credits, agree_anew])
def test_award_what_was_paid_though_it_is_not_wanted_any_more(
    fake: FakeStripe, payer: User, change: Callable[[User], None]
) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        with fake.lost_answers(INTENTS):
            recharged(payer)
        change(payer)
        before = payer.credits
        clock.shift(10 * MINUTE)
        assert recharged(payer).state == "paid"
        deliver(fake)
    assert (payer.credits, len(charges(fake))) == (before + 1_000, 1)


@pytest.mark.behaviour("TOK-12")
def test_stop_while_money_is_on_its_way(fake: FakeStripe, payer: User) -> None:
    fake.add_bank_account(ensure_customer(payer))
    made = recharged(payer)
    payer.stop_recharge()
    fake.settle_payment(fake.all("payment_intent")[0])
    deliver(fake)
    made.refresh_from_db()
    assert (made.state, payer.credits) == ("succeeded", 1_099)
    payer.wallet().debit(1_099)
    assert recharge(payer) is None
    setting = payer.recharge_setting
    assert setting
    assert (setting.is_enabled, setting.stop_reason) == (False, "stopped")


def test_pack_that_changes_before_stripe_is_reached_is_not_charged(fake: FakeStripe, payer: User) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        with fake.outage(INTENTS):
            recharged(payer)
        clock.shift(10 * MINUTE)
        with configured(CREDIT_PACKS=[CreditPack("starter", gives=1_000, costs=cents(5_000))]):
            assert recharged(payer).reason == "not_wanted"
            assert recharged(payer).reason == "pack_changed"
    assert fake.all("payment_intent") == []


@pytest.mark.parametrize("reached", [True, False])
def test_never_send_a_key_again_that_stripe_has_forgotten(
    fake: FakeStripe, payer: User, reached: bool
) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        with fake.lost_answers(INTENTS) if reached else fake.outage(INTENTS):
            recharged(payer)
        clock.shift(2 * DAY)
        fake.requests.clear()
        made = recharged(payer)
    assert [request.method for request in fake.requests if request.path == INTENTS] == ["get"]
    assert (made.state, made.reason) == (("paid", "") if reached else ("failed", "not_sent"))


@pytest.mark.behaviour("TOK-10")
def test_award_what_was_paid_though_no_webhook_comes(fake: FakeStripe, payer: User) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        recharged(payer)
        clock.shift(10 * MINUTE)
        with capture_events() as events:
            made = recharged(payer)
        assert (made.state, payer.credits) == ("succeeded", 1_099)
        deliver(fake)
    assert payer.credits == 1_099
    assert names(events) == ["credits_added", "credit_pack_purchased", "recharge_succeeded"]


@pytest.mark.behaviour("TOK-10")
@pytest.mark.parametrize("packs", [[], [CreditPack("starter", gives=1_000, costs=cents(5_000))]])
def test_charge_no_more_while_paid_credits_cannot_be_awarded(
    fake: FakeStripe, payer: User, packs: list[CreditPack]
) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        recharged(payer)
        with configured(CREDIT_PACKS=packs):
            deliver(fake)
            clock.shift(10 * MINUTE)
            assert recharged(payer).state == "paid"
            clock.shift(DAY)
            assert recharged(payer).state == "paid"
        assert PaymentNotice.objects.unresolved().count() == len(charges(fake)) == 1
        clock.shift(DAY)
        assert recharged(payer).state == "succeeded"
    assert payer.credits == 1_099
    assert not PaymentNotice.objects.unresolved().exists()


@pytest.mark.behaviour("TOK-11")
def test_tell_the_owner_once_of_a_card_that_is_declined(fake: FakeStripe, payer: User) -> None:
    fake.fail_card(ensure_customer(payer), "insufficient_funds")
    with time_machine.travel(NOON, tick=False) as clock, capture_events() as events:
        made = recharged(payer)
        assert (made.state, made.reason) == ("failed", "insufficient_funds")
        assert made.error == "Your card was declined."
        assert recharge(payer) is None
        clock.shift(HOUR)
        assert recharged(payer).state == "failed"
        deliver(fake)
    assert (names(events), payer.credits) == (["recharge_failed"], 99)
    assert events[0].owner == payer
    assert events[0].reason == "insufficient_funds"
    assert events[0].metadata
    assert events[0].metadata["paused_until"] == (NOON + HOUR).isoformat()


@pytest.mark.behaviour("TOK-11")
def test_try_a_declined_card_less_and_less_and_then_no_more(fake: FakeStripe, payer: User) -> None:
    fake.fail_card(ensure_customer(payer))
    tried = []
    with time_machine.travel(NOON, tick=False) as clock, capture_events() as events:
        for hour in range(100):
            if recharge(payer):
                tried.append(hour)
            clock.shift(HOUR)
    assert tried == [0, 1, 3, 7, 15]
    setting = payer.recharge_setting
    assert setting
    assert (setting.is_enabled, setting.stop_reason) == (False, "generic_decline")
    failures = [event.metadata for event in events if event.event == "recharge_failed"]
    assert [(facts or {})["is_enabled"] for facts in failures] == [True, False]


def test_failures_are_counted_as_settings_say(fake: FakeStripe, payer: User) -> None:
    fake.fail_card(ensure_customer(payer))
    with (
        configured(RECHARGE_MAX_FAILURES=2, RECHARGE_RETRY_AFTER=DAY),
        time_machine.travel(NOON, tick=False) as clock,
    ):
        recharged(payer)
        clock.shift(DAY - MINUTE)
        assert recharge(payer) is None
        clock.shift(MINUTE)
        recharged(payer)
    assert payer.recharge_setting
    assert not payer.recharge_setting.is_enabled


def test_forget_failures_once_a_recharge_succeeds(fake: FakeStripe, payer: User) -> None:
    customer = ensure_customer(payer)
    fake.fail_card(customer)
    with time_machine.travel(NOON, tick=False) as clock:
        recharged(payer)
        fake.mend_card(customer)
        clock.shift(HOUR)
        recharged(payer)
        deliver(fake)
    setting = payer.recharge_setting
    assert setting
    assert (setting.failures, setting.told_at, setting.paused_until) == (0, None, None)


@pytest.mark.behaviour("TOK-11")
def test_a_bank_that_wants_to_hear_from_the_customer_is_a_failure(fake: FakeStripe, payer: User) -> None:
    fake.fail_card(ensure_customer(payer), "authentication_required")
    made = recharged(payer)
    assert (made.state, made.reason) == ("failed", "authentication_required")


@pytest.mark.behaviour("TOK-11")
@pytest.mark.parametrize("missing", ["customer", "method", "chosen"])
def test_charge_nothing_where_there_is_nothing_to_charge(fake: FakeStripe, user: User, missing: str) -> None:
    if missing == "method":
        ensure_customer(user)
    user.set_recharge("starter", threshold=100, payment_method="pm_gone" if missing == "chosen" else None)
    made = recharged(user)
    assert made.state == "failed"
    assert made.reason == ("resource_missing" if missing == "chosen" else "no_payment_method")
    assert fake.all("payment_intent") == []


@pytest.mark.parametrize("arrives", [True, False])
def test_wait_for_money_that_is_on_its_way(fake: FakeStripe, payer: User, arrives: bool) -> None:
    fake.add_bank_account(ensure_customer(payer))
    made = recharged(payer)
    assert (made.state, made.payment is None) == ("started", False)
    deliver(fake)
    assert recharge(payer) is None
    (intent,) = fake.all("payment_intent")
    if arrives:
        fake.settle_payment(intent)
    else:
        fake.fail_payment(intent)
    deliver(fake)
    made.refresh_from_db()
    assert (made.state, payer.credits) == (("succeeded", 1_099) if arrives else ("failed", 99))


@pytest.mark.behaviour("TOK-09")
def test_stay_within_the_caps_of_day_and_month_in_utc(fake: FakeStripe, payer: User) -> None:
    payer.set_recharge("hundred", threshold=1_000_000, max_per_day=2, max_per_month=5)
    days: dict[int, int] = {}
    with time_machine.travel(NOON.replace(day=1), tick=False) as clock:
        for _step in range(32 * 8):
            if recharge(payer):
                today = datetime.datetime.now(datetime.UTC).timetuple().tm_yday
                days[today] = days.get(today, 0) + 1
            deliver(fake)
            clock.shift(3 * HOUR)
    assert days == {1: 2, 2: 2, 3: 1, 32: 2, 33: 2}
    assert payer.credits == 99 + 900


@pytest.mark.parametrize("zone", ["Pacific/Auckland", "America/Los_Angeles"])
def test_caps_begin_anew_at_midnight_in_utc_wherever_one_is(
    fake: FakeStripe, payer: User, settings: Any, zone: str
) -> None:
    settings.TIME_ZONE = zone
    payer.set_recharge("hundred", threshold=1_000_000, max_per_day=1, max_per_month=2)
    made = []
    with time_machine.travel(NOON.replace(hour=0) - DAY, tick=False) as clock, timezone.override(zone):
        for hour in range(4 * 24):
            if recharge(payer):
                made.append(hour)
            deliver(fake)
            clock.shift(HOUR)
    # 30 and 31 January, then 1 and 2 February.
    assert made == [0, 24, 48, 72]


def test_removed_card_gives_way_to_the_new_default(fake: FakeStripe, payer: User) -> None:
    old = fake.all("payment_method")[0]["id"]
    with time_machine.travel(NOON, tick=False) as clock:
        with fake.outage(INTENTS):
            assert recharged(payer).payment_method == old
        stripe.PaymentMethod.detach(old, api_key=django_settings.STRIPE_TEST_SECRET_KEY)
        clock.shift(10 * MINUTE)
        assert recharged(payer).reason == "payment_method_unexpected_state"
        clock.shift(HOUR)
        assert recharged(payer).reason == "no_payment_method"
        new = give_card(fake, payer)["id"]
        clock.shift(2 * HOUR)
        made = recharged(payer)
    assert (made.state, made.payment_method, len(charges(fake))) == ("paid", new, 1)


def test_declined_recharges_do_not_count_under_the_caps(fake: FakeStripe, payer: User) -> None:
    customer = ensure_customer(payer)
    payer.set_recharge("starter", threshold=100, max_per_day=1, max_per_month=1)
    fake.fail_card(customer)
    with time_machine.travel(NOON, tick=False) as clock:
        recharged(payer)
        fake.mend_card(customer)
        clock.shift(HOUR)
        assert recharged(payer).state == "paid"


@pytest.mark.parametrize("packs", ["none", "dearer"])
def test_charge_nothing_the_owner_did_not_agree_to(fake: FakeStripe, payer: User, packs: str) -> None:
    dearer = [CreditPack("starter", gives=1_000, costs=cents(5_000))]
    with configured(CREDIT_PACKS=dearer if packs == "dearer" else []):
        made = recharged(payer)
    assert (made.state, made.reason) == ("failed", "pack_changed")
    assert fake.all("payment_intent") == []


@pytest.mark.parametrize("whole", [True, False])
def test_charge_no_more_once_a_recharge_was_refunded(fake: FakeStripe, payer: User, whole: bool) -> None:
    recharged(payer)
    deliver(fake)
    (intent,) = charges(fake)
    fake.refund(intent["latest_charge"], None if whole else 2_450)
    deliver(fake)
    assert payer.credits == (99 if whole else 599)
    payer.wallet().debit(payer.credits)
    with capture_events() as events:
        assert recharge(payer) is None
        assert recharge(payer) is None
    assert [(event.event, event.reason) for event in events] == [("recharge_failed", "refunded")]
    assert len(charges(fake)) == 1
    payer.set_recharge("starter", threshold=100)
    assert recharge(payer)


def test_charge_no_more_once_what_was_spent_is_claimed(fake: FakeStripe, payer: User) -> None:
    recharged(payer)
    deliver(fake)
    payer.wallet().debit(payer.credits)
    fake.open_dispute(charges(fake)[0]["latest_charge"])
    deliver(fake)
    assert payer.wallet().claims == 1_000
    assert recharge(payer) is None
    assert len(charges(fake)) == 1


@pytest.mark.parametrize("back", ["refunded", "disputed"])
def test_charge_no_more_once_an_older_recharge_is_refunded(fake: FakeStripe, payer: User, back: str) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        recharged(payer)
        deliver(fake)
        clock.shift(DAY)
        payer.set_recharge("starter", threshold=200)
        clock.shift(DAY)
        charge = charges(fake)[0]["latest_charge"]
        dispute = fake.open_dispute(charge) if back == "disputed" else fake.refund(charge)
        deliver(fake)
        assert (payer.credits, recharge(payer)) == (99, None)
        clock.shift(DAY)
        payer.set_recharge("starter", threshold=2_000)
        clock.shift(DAY)
        if back == "disputed":
            fake.win_dispute(dispute)
            deliver(fake)
        assert recharged(payer).state == "paid"
    assert len(charges(fake)) == 2


def test_charge_nobody_for_what_another_payment_claims(fake: FakeStripe, payer: User) -> None:
    with time_machine.travel(NOON, tick=False) as clock, capture_events() as events:
        session = buy(fake, payer, "bonus")
        payer.wallet().debit(payer.credits)
        clock.shift(HOUR)
        fake.open_dispute(charge_of(fake, session))
        deliver(fake)
        assert (payer.wallet().claims, recharge(payer)) == (600, None)
        clock.shift(HOUR)
        payer.set_recharge("starter", threshold=100)
        assert recharged(payer).state == "paid"
        deliver(fake)
    assert (payer.credits, payer.wallet().claims) == (400, 0)
    assert [event.reason for event in events if event.event == "recharge_failed"] == ["refunded"]


def test_refund_of_another_payment_stops_no_recharge(fake: FakeStripe, payer: User) -> None:
    session = buy(fake, payer, "bonus")
    fake.refund(charge_of(fake, session))
    deliver(fake)
    assert payer.credits == 99
    assert recharged(payer).state == "paid"


def test_charge_no_more_once_it_was_refunded_before_it_was_awarded(fake: FakeStripe, payer: User) -> None:
    with time_machine.travel(NOON, tick=False) as clock:
        recharged(payer)
        fake.refund(charges(fake)[0]["latest_charge"])
        deliver(fake)
        clock.shift(10 * MINUTE)
        made = recharged(payer)
        assert (made.state, made.reason, payer.credits) == ("failed", "refunded", 99)
        clock.shift(DAY)
        assert recharge(payer) is None


def test_charge_nobody_for_a_detached_wallet(fake: FakeStripe, payer: User) -> None:
    wallet = payer.wallet()
    detach_owner(payer)
    assert recharge_if_due(Wallet.objects.get(pk=wallet.pk)) is None
    assert RechargeSetting.objects.get().stop_reason == "no_owner"


def test_charge_nobody_for_a_wallet_that_packs_do_not_go_to(fake: FakeStripe, payer: User) -> None:
    wallet = payer.wallet()
    with configured(DEFAULT_ASSET="gems"):
        assert recharge_if_due(wallet) is None
    assert RechargeSetting.objects.get().stop_reason == "other_wallet"


@pytest.mark.behaviour("TOK-22")
def test_refuse_to_spend_while_the_credits_are_on_their_way(fake: FakeStripe, payer: User) -> None:
    recharged(payer)
    with pytest.raises(InsufficientCredits):
        payer.spend_credits_on("img", mb=500)
    deliver(fake)
    assert payer.spend_credits_on("img", mb=500)


def test_end_a_recharge_that_was_paid_after_all(fake: FakeStripe, payer: User) -> None:
    customer = ensure_customer(payer)
    fake.fail_card(customer)
    made = recharged(payer)
    fake.mend_card(customer)
    intent = fake.get("payment_intent", (made.payment or "").removeprefix("pi:"))
    fake.handle("POST", f"{INTENTS}/{intent['id']}/confirm", "", {})
    deliver(fake)
    made.refresh_from_db()
    assert (made.state, made.reason, payer.credits) == ("succeeded", "", 1_099)


@pytest.mark.parametrize("key", ["", "none", "x" * 500])
def test_award_a_purchase_whose_metadata_names_no_recharge(fake: FakeStripe, user: User, key: str) -> None:
    pay_directly(pack_metadata(user, usage_credits_recharge=key))
    deliver(fake)
    assert user.credits == 1_000


def test_another_payment_does_not_end_a_recharge(fake: FakeStripe, payer: User) -> None:
    made = recharged(payer)
    pay_directly(pack_metadata(payer, usage_credits_recharge=made.key))
    event = next(event for event in reversed(fake.pending) if event["type"] == "payment_intent.succeeded")
    assert fake.deliver(event) == [200]
    made.refresh_from_db()
    assert (made.state, payer.credits) == ("paid", 1_099)
    deliver(fake)
    made.refresh_from_db()
    assert (made.state, payer.credits) == ("succeeded", 2_099)


def test_find_a_recharge_whose_award_is_missing(fake: FakeStripe, payer: User) -> None:
    recharged(payer)
    deliver(fake)
    other = Fulfillment.objects.create(
        wallet=payer.wallet(), kind="credit_pack", source="s", source_id="pi:x"
    )
    with transaction.atomic():
        Recharge.objects.update(fulfillment=other)
        found = [str(finding) for finding in verify()]
        transaction.set_rollback(True)
    assert len(found) == 1
    assert found[0].startswith(f"INV-6 wallet {payer.wallet().pk}, recharge ")


def test_a_debit_takes_no_statement_more(payer: User) -> None:
    wallet = payer.wallet()

    def statements() -> int:
        with CaptureQueriesContext(connection) as sent:
            wallet.debit(1)
        return len(sent)

    with_setting = statements()
    RechargeSetting.objects.all().delete()
    assert statements() == with_setting


@pytest.mark.django_db(transaction=True)
def test_refuse_to_charge_within_a_transaction(fake: FakeStripe) -> None:
    user = User.objects.create(username="ada", email="ada@example.com")
    give_card(fake, user)
    user.set_recharge("starter", threshold=100)
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        recharge(user)
    assert charges(fake) == []
    assert not Recharge.objects.exists()
