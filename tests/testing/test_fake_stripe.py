from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import stripe

from usage_credits.testing import FakeStripe, use_fake_stripe
from usage_credits.testing.fake_stripe.forms import decode

LINE = {
    "quantity": 2,
    "price_data": {"currency": "usd", "unit_amount": 500, "product_data": {"name": "Seat"}},
}
SESSION: dict[str, Any] = {"mode": "payment", "line_items": [LINE], "success_url": "https://shop.test/"}


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeStripe]:
    monkeypatch.setattr(stripe, "api_key", "sk_test_1")
    with use_fake_stripe(FakeStripe()) as fake:
        yield fake


def test_read_nested_parameters() -> None:
    assert decode("a=1&b[c][d]=2&e[0][f]=3&e[1][f]=4&g[]=5&g[]=6&h=") == {
        "a": "1",
        "b": {"c": {"d": "2"}},
        "e": [{"f": "3"}, {"f": "4"}],
        "g": ["5", "6"],
        "h": "",
    }


def test_answer_unknown_id_as_stripe_does(fake: FakeStripe) -> None:
    with pytest.raises(stripe.InvalidRequestError, match=r"No such customer: 'cus_x'") as refusal:
        stripe.Customer.retrieve("cus_x")
    assert (refusal.value.code, refusal.value.http_status) == ("resource_missing", 404)


@pytest.mark.parametrize("path", ["/v1/unicorns", "/v1/customers/cus_1/unicorns", "/v2/core/events"])
def test_answer_unknown_path_with_404(fake: FakeStripe, path: str) -> None:
    assert fake.handle("GET", path, "", {}).status == 404


def test_give_the_same_ids_in_every_run() -> None:
    made = []
    for seed in ("a", "a", "b"):
        fake = FakeStripe(seed=seed)
        fake.handle("POST", "/v1/customers", "email=ada@example.com", {})
        made.append(fake.all("customer")[0]["id"])
    assert made[0] == made[1] != made[2]
    assert len(made[0]) == len("cus_") + 24


def test_change_list_and_delete_objects(fake: FakeStripe) -> None:
    ids = [stripe.Customer.create(name=name, metadata={"a": "1"}).id for name in "xyz"]
    changed = stripe.Customer.modify(ids[0], name="new", metadata={"a": "", "b": "2"})
    assert (changed.to_dict()["name"], changed.to_dict()["metadata"]) == ("new", {"b": "2"})
    assert [one.id for one in stripe.Customer.list(limit=1).auto_paging_iter()] == ids[::-1]
    stripe.Customer.delete(ids[0])
    assert stripe.Customer.retrieve(ids[0]).to_dict() == {
        "id": ids[0],
        "object": "customer",
        "deleted": True,
    }
    names = [event["type"] for event in fake.events]
    assert names == ["customer.created"] * 3 + ["customer.updated", "customer.deleted"]


def test_repeat_answer_to_same_idempotency_key(fake: FakeStripe) -> None:
    first = stripe.Customer.create(email="ada@example.com", idempotency_key="k")
    assert stripe.Customer.create(email="ada@example.com", idempotency_key="k").id == first.id
    assert len(fake.all("customer")) == 1
    with pytest.raises(stripe.IdempotencyError):
        stripe.Customer.create(email="eve@example.com", idempotency_key="k")


def test_expand_what_is_asked_for(fake: FakeStripe) -> None:
    intent = stripe.PaymentIntent.create(amount=100, currency="usd", confirm=True)
    assert isinstance(intent.latest_charge, str)
    expanded = stripe.PaymentIntent.retrieve(intent.id, expand=["latest_charge.balance_transaction"])
    charge = expanded.latest_charge
    assert isinstance(charge, stripe.Charge)
    assert isinstance(charge.balance_transaction, stripe.BalanceTransaction)
    assert charge.balance_transaction.net == 97


def test_send_line_items_only_where_expanded(fake: FakeStripe) -> None:
    session = stripe.checkout.Session.create(**SESSION)
    assert "line_items" not in session
    found = stripe.checkout.Session.retrieve(session.id, expand=["line_items.data.price.product"]).to_dict()
    assert found["line_items"]["data"][0]["price"]["product"]["name"] == "Seat"
    assert found["amount_total"] == 1_000
    assert stripe.checkout.Session.list_line_items(session.id).data[0].quantity == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "party"}, "has no mode"),
        ({"line_items": []}, "At least one line item"),
        ({"colour": "blue"}, "unknown parameter: colour"),
        ({"customer": "cus_x"}, "No such customer"),
        ({"customer": "cus_x", "customer_email": "a@b.c"}, "only specify one of customer"),
        (
            {"discounts": [{"coupon": "x"}], "allow_promotion_codes": True},
            "only specify one of allow_promotion",
        ),
        ({"metadata": {"x" * 41: "1"}}, "up to 40 characters"),
        ({"payment_intent_data": {"metadata": {"x": "1" * 501}}}, "up to 40 characters"),
        ({"line_items": [{"price_data": {"currency": "usd"}, "quantity": 1}]}, "Missing required param"),
    ],
)
def test_refuse_sessions_that_stripe_refuses(fake: FakeStripe, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(stripe.InvalidRequestError, match=message):
        stripe.checkout.Session.create(**{**SESSION, **changes})


def test_announce_card_payment(fake: FakeStripe) -> None:
    fake.add_webhook_endpoint("https://shop.test/hook")
    session = fake.pay(stripe.checkout.Session.create(**SESSION, customer_creation="always"))
    assert (session["status"], session["payment_status"]) == ("complete", "paid")
    names = [event["type"] for event in fake.events_for(session)]
    assert names == ["charge.succeeded", "payment_intent.succeeded", "checkout.session.completed"]
    assert fake.events_for(session["payment_intent"]) == fake.events_for(session)
    assert fake.get("payment_intent", session["payment_intent"])["customer"] == session["customer"]
    with pytest.raises(Exception, match="is complete"):
        fake.pay(session)


def test_announce_delayed_payment_twice(fake: FakeStripe) -> None:
    fake.add_webhook_endpoint("https://shop.test/hook")
    session = fake.pay(stripe.checkout.Session.create(**SESSION), delayed=True)
    assert session["payment_status"] == "unpaid"
    assert [event["type"] for event in fake.events_for(session)] == ["checkout.session.completed"]
    fake.settle(session)
    assert session["payment_status"] == "paid"
    names = [event["type"] for event in fake.events_for(session)]
    assert names == [
        "checkout.session.completed",
        "charge.succeeded",
        "payment_intent.succeeded",
        "checkout.session.async_payment_succeeded",
    ]
    # What an event holds is how things were when it happened.
    assert fake.events_for(session)[0]["data"]["object"]["payment_status"] == "unpaid"


def test_bounce_delayed_payment(fake: FakeStripe) -> None:
    session = fake.pay(stripe.checkout.Session.create(**SESSION), delayed=True)
    fake.fail(session)
    assert fake.event("checkout.session.async_payment_failed")["data"]["object"]["id"] == session["id"]
    assert fake.get("payment_intent", session["payment_intent"])["status"] == "requires_payment_method"
    assert session["payment_status"] == "unpaid"


def test_announce_nothing_that_no_endpoint_is_enabled_for(fake: FakeStripe) -> None:
    session = fake.pay(stripe.checkout.Session.create(**SESSION))
    assert fake.announced == fake.pending == fake.events_for(session) == []
    fake.add_webhook_endpoint("https://shop.test/hook", enabled_events=["charge.succeeded"])
    fake.add_webhook_endpoint("https://shop.test/other", enabled_events=["customer.deleted"])
    (told,) = fake.announced
    assert told["type"] == "charge.succeeded"
    assert fake.pending == fake.events_for(session) == [told]


def test_take_no_payment_where_nothing_is_due(fake: FakeStripe) -> None:
    fake.add_webhook_endpoint("https://shop.test/hook")
    fake.add_coupon(100, code="GIFT")
    created = stripe.checkout.Session.create(**SESSION, allow_promotion_codes=True)
    with pytest.raises(Exception, match="code is invalid"):
        fake.pay(created, promotion_code="WRONG")
    session = fake.pay(created, promotion_code="gift")
    assert (session["amount_total"], session["payment_intent"]) == (0, None)
    assert session["payment_status"] == "no_payment_required"
    assert [event["type"] for event in fake.events_for(session)] == ["checkout.session.completed"]


def test_expire_open_session(fake: FakeStripe) -> None:
    session = stripe.checkout.Session.create(**SESSION)
    assert stripe.checkout.Session.expire(session.id).status == "expired"
    with pytest.raises(stripe.InvalidRequestError, match="is expired"):
        stripe.checkout.Session.expire(session.id)


def test_refund_part_then_rest_of_a_charge(fake: FakeStripe) -> None:
    intent = stripe.PaymentIntent.create(amount=100, currency="usd", confirm=True)
    stripe.Refund.create(payment_intent=intent.id, amount=30)
    charge = fake.get("charge", intent.latest_charge)
    assert (charge["amount_refunded"], charge["refunded"]) == (30, False)
    fake.refund(charge)
    assert (charge["amount_refunded"], charge["refunded"]) == (100, True)
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded amount"):
        stripe.Refund.create(charge=charge["id"], amount=1)


def test_tell_secret_of_webhook_endpoint_once(fake: FakeStripe) -> None:
    made = stripe.WebhookEndpoint.create(url="https://shop.test/hook", enabled_events=["charge.succeeded"])
    assert made.secret
    assert "secret" not in stripe.WebhookEndpoint.retrieve(made.id)


def test_deliver_wanted_events_until_they_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    answers, urls = [500, 200], []

    def post(url: str, body: bytes, headers: Any) -> int:
        urls.append(url)
        return answers.pop(0)

    fake = FakeStripe(send=post)
    fake.add_webhook_endpoint("https://shop.test/hook", enabled_events=["customer.created"])
    fake.handle("POST", "/v1/customers", "name=ada", {})
    fake.handle("POST", "/v1/products", "name=seat", {})
    assert [fake.deliver_pending() for _time in range(3)] == [[500], [200], []]
    assert urls == ["https://shop.test/hook"] * 2


def test_answer_errors_while_out(fake: FakeStripe) -> None:
    with fake.outage("/v1/customers"), pytest.raises(stripe.APIError):
        stripe.Customer.create(name="ada")
    assert stripe.Customer.create(name="ada").id


async def _create_asynchronously() -> stripe.Customer:
    return await stripe.Customer.create_async(name="ada")


def test_answer_asynchronous_calls(fake: FakeStripe) -> None:
    import asyncio

    assert asyncio.run(_create_asynchronously()).name == "ada"
