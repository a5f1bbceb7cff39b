from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe
from django.core.management import CommandError, call_command
from djstripe.models import Customer

from tests.app.models import User
from tests.billing.shopping import announce, charge_of, check_out, pack_metadata, pay_directly
from tests.billing.subscribing import START, awards_of, stripe_at, subscribe
from tests.billing.test_refunds_of_invoices import charge_of as charge_of_invoice
from tests.factories import make_user, stored
from usage_credits.billing.stripe_customers import ensure_customer
from usage_credits.models import Debt, Fulfillment, PaymentNotice, Transaction
from usage_credits.testing import FakeStripe, capture_events

pytestmark = pytest.mark.usefixtures("verified")

FEB = datetime(2026, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def sync(*arguments: str) -> str:
    out = io.StringIO()
    call_command("sync_credits", *arguments, stdout=out, stderr=out)
    return out.getvalue()


def live(fake: FakeStripe, clock: Any, *owners: User) -> None:
    """Buy a pack that is refunded in part, subscribe, renew, upgrade, and get half of the renewal back."""
    customers = {ensure_customer(owner) for owner in owners}
    lives = [(fake.pay(check_out(owner).id), subscribe(fake, owner, "price_roll")) for owner in owners]
    clock.move_to(START + 14 * DAY)
    for session, _subscription in lives:
        fake.refund(charge_of(fake, session), 1_225)
    clock.move_to(FEB + DAY / 24)
    fake.catch_up()
    renewals = [one for one in fake.all("invoice") if one["billing_reason"] == "subscription_cycle"]
    clock.move_to(FEB + DAY)
    for _session, subscription in lives:
        fake.change_plan(subscription, "price_ultra")
    clock.move_to(FEB + 2 * DAY)
    for invoice in renewals:
        if invoice["customer"] in customers:
            fake.refund(charge_of_invoice(fake, invoice), 2_450)


def tell_of(fake: FakeStripe, customer: str) -> None:
    """Deliver the events that concern one customer, all at last."""
    charges = {charge["id"] for charge in fake.all("charge") if charge["customer"] == customer}
    for event in fake.announced:
        if customer in json.dumps(event) or event["data"]["object"].get("charge") in charges:
            assert fake.deliver(event) == [200]


def history_of(owner: User) -> list[tuple[Any, ...]]:
    rows = Transaction.objects.filter(wallet=owner.wallet())
    return sorted(rows.values_list("category", "amount", "grid_date", "expires_at"), key=str)


def told_in(events: list[Any]) -> list[tuple[str, Any]]:
    return sorted((event.event, event.amount or 0) for event in events)


def test_bring_what_the_webhooks_would_have_brought(fake: FakeStripe) -> None:
    told, missed = make_user(), make_user()
    with stripe_at(fake) as clock:
        live(fake, clock, told, missed)
        with capture_events() as told_events:
            tell_of(fake, ensure_customer(told))
        with capture_events() as missed_events:
            out = sync("--customer", ensure_customer(missed), "--since", "60")
        assert history_of(missed) == history_of(told) != []
        assert {amount for _category, amount, *_rest in history_of(told)} >= {1_000, -250, 5_000, -500}
        assert missed.credits == told.credits > 0
        assert told_in(missed_events) == told_in(told_events)
        assert "2 out of date" not in out
        before = standing()
        with capture_events() as events:
            assert ", 0 out of date: no credits" in sync("--all", "--since", "60")
        assert events == []
        assert standing() == before


def standing() -> dict[str, list[Any]]:
    """Return every row, without how many reports a fulfillment has taken in."""
    rows = stored()
    for fulfillment in rows["usage_credits.Fulfillment"]:
        del fulfillment["revision"]
    return rows


def test_say_what_would_change_without_writing(fake: FakeStripe, user: User) -> None:
    with stripe_at(fake) as clock:
        live(fake, clock, user)
        before = stored()
        with capture_events() as events:
            out = sync("--all", "--since", "60", "--dry-run")
        assert events == []
        assert stored() == before
        subscription, session = fake.all("subscription")[0], fake.all("checkout.session")[0]
        done = sync("--all", "--since", "60")
        credited = sum(row.amount for row in Transaction.objects.filter(amount__gt=0))
        taken = -sum(row.amount for row in Transaction.objects.filter(amount__lt=0))
        assert f"would award 1000, take back 250 (pi:{session['payment_intent']})\n" in out
        assert f"(sub:{subscription['id']})\n" in out
        assert out.endswith(f": would award {credited}, take back {taken}\n")
        assert done.endswith(f": awarded {credited}, took back {taken}\n")
        assert user.credits == credited - taken


def test_settle_only_what_one_customer_has(fake: FakeStripe) -> None:
    one, other = make_user(), make_user()
    for owner in (one, other):
        fake.pay(check_out(owner).id)
        fake.refund(charge_of(fake, fake.all("checkout.session")[-1]), 1_225)
    sync("--customer", ensure_customer(one))
    assert (one.credits, other.credits) == (750, 0)
    sync("--all")
    assert (one.credits, other.credits) == (750, 750)


def test_take_back_what_was_refunded_since_the_award(fake: FakeStripe, user: User) -> None:
    session = fake.pay(check_out(user).id)
    announce(fake, session)
    user.wallet().debit(900)
    fake.refund(charge_of(fake, session), 2_450)
    fake.refund(charge_of(fake, session), 980)
    assert "would take back 100, claim 600 (pi:" in sync("--all", "--dry-run")
    assert Debt.objects.count() == 0
    assert "took back 100, claimed 600 (pi:" in sync("--all")
    assert Debt.objects.get().open_amount == 600


def test_settle_disputes_that_were_decided_long_after(fake: FakeStripe, user: User) -> None:
    with stripe_at(fake) as clock:
        session = fake.pay(check_out(user).id)
        announce(fake, session)
        dispute = fake.open_dispute(charge_of(fake, session))
        assert set(fake.deliver_pending()) == {200}
        assert user.credits == 0
        clock.shift(80 * DAY)
        fake.win_dispute(dispute)
        assert "gave back 1000" in sync("--all")
        assert user.credits == 1_000


def test_follow_a_subscription_that_ends(fake: FakeStripe, user: User) -> None:
    with stripe_at(fake):
        subscription = subscribe(fake, user)
        assert set(fake.deliver_pending()) == {200}
        fake.cancel(subscription, at_period_end=True)
        assert "would change stop_reason (sub:" in sync("--all", "--dry-run")
        assert Fulfillment.objects.get().stop_reason == ""
        assert "changed stop_reason (sub:" in sync("--all")
        fulfillment = Fulfillment.objects.get()
        assert (fulfillment.stops_at, fulfillment.stop_reason) == (FEB, "canceled")
        assert "0 out of date: no credits" in sync("--all")


@pytest.mark.parametrize(
    ("since", "found"),
    [
        ([], []),
        (["--since", "90"], ["credit_pack", "subscription"]),
        (["--since", "2026-01-01"], ["credit_pack", "subscription"]),
    ],
)
def test_look_back_as_far_as_told(fake: FakeStripe, user: User, since: list[str], found: list[str]) -> None:
    with stripe_at(fake) as clock:
        subscription = subscribe(fake, user, "price_roll")
        fake.pay(check_out(user).id)
        clock.shift(DAY)
        fake.cancel(subscription)
        clock.shift(60 * DAY)
        sync("--all", *since)
        assert sorted(Fulfillment.objects.values_list("kind", flat=True)) == found


def test_award_free_and_direct_purchases(fake: FakeStripe, user: User) -> None:
    fake.pay(check_out(user, discounts=[{"coupon": fake.add_coupon(100)["id"]}]).id)
    pay_directly(pack_metadata(user))
    session = fake.pay(check_out(user).id)
    fake.get("payment_intent", session["payment_intent"])["metadata"] = {}
    out = sync("--all")
    assert out.count("awarded 1000 (") == 3
    assert user.credits == 3_000
    assert "no credits" in sync("--all")


def test_leave_what_is_not_ours_or_not_paid(fake: FakeStripe, user: User) -> None:
    check_out(user)
    fake.pay(check_out(user).id, delayed=True)
    pay_directly({"order": "7"})
    fake.refund(fake.all("charge")[-1])
    fake.add_price("price_theirs", amount=100)
    subscribe(fake, user, "price_theirs")
    before = stored()
    assert "0 out of date" in sync("--all")
    assert stored() == before


def test_page_through_all_of_it(fake: FakeStripe, user: User) -> None:
    for _ in range(101):
        pay_directly(pack_metadata(user))
    fake.requests.clear()
    assert "101 looked at, 101 out of date: awarded 101000" in sync("--all")
    pages = [one for one in fake.requests if (one.method, one.path) == ("get", "/v1/payment_intents")]
    assert len(pages) == 2


def test_ask_little_of_what_is_settled(fake: FakeStripe, user: User) -> None:
    for _ in range(3):
        pay_directly(pack_metadata(user))
    sync("--all")
    fake.requests.clear()
    sync("--all")
    assert len(fake.requests) == 5


def test_go_on_where_stripe_fails_for_one(fake: FakeStripe, user: User) -> None:
    first, second = pay_directly(pack_metadata(user)), pay_directly(pack_metadata(user))
    with fake.outage(f"/v1/payment_intents/{first.id}"):
        out = io.StringIO()
        with pytest.raises(CommandError, match="1 of 2 could not be settled"):
            call_command("sync_credits", "--all", stdout=out, stderr=out)
    assert f"failed pi:{first.id}: " in out.getvalue()
    assert [one.source_id for one in Fulfillment.objects.all()] == [f"pi:{second.id}"]


def resolve_owner(customer: Customer) -> User:
    if customer.email == "broken@example.com":
        raise LookupError("no such branch")
    return User.objects.get(email=customer.email)


def test_go_on_where_code_of_the_project_fails(fake: FakeStripe, user: User, settings: Any) -> None:
    settings.USAGE_CREDITS = {**settings.USAGE_CREDITS, "OWNER_RESOLVER": f"{__name__}.resolve_owner"}
    metadata = {**pack_metadata(user), "usage_credits_owner": ""}
    for email in ("broken@example.com", user.email):
        customer = stripe.Customer.create(email=email, api_key=settings.STRIPE_TEST_SECRET_KEY)
        pay_directly(metadata, customer=customer.id)
    out = io.StringIO()
    with pytest.raises(CommandError, match="1 of 2 could not be settled"):
        call_command("sync_credits", "--all", stdout=out, stderr=out)
    assert "LookupError: no such branch" in out.getvalue()
    assert user.credits == 1_000


def test_go_on_where_a_list_is_refused(fake: FakeStripe, user: User) -> None:
    pay_directly(pack_metadata(user))
    with fake.outage("/v1/refunds", 403), pytest.raises(CommandError, match="1 of 2 could not be settled"):
        sync("--all")
    assert user.credits == 1_000


def test_report_an_unknown_customer(fake: FakeStripe) -> None:
    with pytest.raises(CommandError, match="1 of 1 could not be settled"):
        sync("--customer", "cus_nobody")


def test_try_a_noticed_payment_once(fake: FakeStripe, user: User) -> None:
    metadata = {**pack_metadata(user), "pack_name": "later"}
    pay_directly(metadata)
    with pytest.raises(CommandError, match="1 of 1 could not be settled"):
        sync("--all", "--dry-run")
    assert not PaymentNotice.objects.exists()
    with pytest.raises(CommandError, match="1 of 1 could not be settled"):
        sync("--all")
    fake.refund(fake.all("charge")[-1], 100)
    with pytest.raises(CommandError, match=r"^1 of 1 payments still have no credits\.$"):
        sync("--all")
    assert PaymentNotice.objects.get().attempts == 3


def test_start_subscription_of_a_customer_nobody_knew(fake: FakeStripe, user: User) -> None:
    with stripe_at(fake):
        customer = stripe.Customer.create(
            metadata={"usage_credits_owner": f"app.user:{user.pk}"}, api_key="sk_test_" + "0" * 24
        )
        subscription = fake.subscribe(customer.id, "price_pro")
        sync("--all")
        assert awards_of(subscription) == [("subscription_signup_bonus", 100), ("subscription_credits", 500)]
        assert Customer.objects.filter(id=customer.id).exists()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--since", "5"], "--since needs --customer or --all"),
        (["--all", "--since", "soon"], "allowed is a number of days"),
        (["--all", "--since", "2026-13-01"], "allowed is a number of days"),
        (["--all", "--since", "9" * 20], "before time began"),
        (["--all", "--customer", "cus_1"], "not allowed with"),
    ],
)
def test_refuse_what_makes_no_sense(fake: FakeStripe, arguments: list[str], problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        sync(*arguments)
