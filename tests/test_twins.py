from __future__ import annotations

import contextvars
import dataclasses
import datetime
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, assert_type

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import SynchronousOnlyOperation
from django.db import models, transaction

import usage_credits
from tests.app.models import Newcomer, Studio, User
from tests.billing.recharging import give_card
from tests.billing.shopping import RETURN, check_out
from tests.factories import make_user, make_wallet, stored
from tests.repository.public_calls import DJANGO, NEED_NONE, twins
from usage_credits import (
    InsufficientCredits,
    UsageCreditsError,
    credits,
    find_credit_pack,
    find_subscription_plan,
    signals,
    start_grant,
    start_plan,
)
from usage_credits.models import Fulfillment, Hold, Lot, Recharge, Transaction, Transfer, Wallet
from usage_credits.testing import FakeStripe, capture_events, receive_webhooks, use_fake_stripe
from usage_credits.testing.fake_stripe.client import fake_in_use

pytestmark = pytest.mark.django_db

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
HOUR, DAY = datetime.timedelta(hours=1), datetime.timedelta(days=1)

KEY = re.compile(r"lot|.*_id")

Make = Callable[[], Any]
Use = Callable[[Any, Any], Any]


class Patron(User):
    """An owner whose project does some things its own way."""

    class Meta:
        app_label = "app"
        proxy = True

    @property
    def credits(self) -> int:
        return 7

    def give_credits(self, amount: int, **options: Any) -> Transaction:
        return super().give_credits(2 * amount, **options)


@pytest.fixture(autouse=True)
def stopped_clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def fake() -> Iterator[FakeStripe]:
    with use_fake_stripe(FakeStripe()) as fake:
        receive_webhooks()
        fake.add_price("price_pro", amount=2_900)
        yield fake


def user() -> User:
    return make_user(100)


def wallet() -> Wallet:
    return make_wallet(100)


def with_usage() -> User:
    owner = make_user(100)
    owner.spend_credits_on("report")
    return owner


def hold() -> Hold:
    return wallet().hold(40)


def closed_hold() -> Hold:
    return hold().release()


def capped() -> Wallet:
    wallet = make_wallet(100)
    wallet.set_cap("key_1", 50, every="day")
    return wallet


def debit() -> Transaction:
    return wallet().debit(30)


def transfer() -> Transfer:
    return wallet().transfer_to(make_wallet(), 30)


def broke() -> User:
    return make_user(5)


def nobody() -> User:
    return User(username="nobody")


def studio() -> Studio:
    return Studio.objects.create(name="without a wallet")


def with_plan() -> User:
    owner = make_user()
    start_plan(owner, "pro")
    return owner


def plan() -> Fulfillment:
    return start_plan(make_user(), "pro")


def shopper() -> User:
    return User.objects.create(username=f"shopper {User.objects.count()}", email="ada@example.com")


def rechargeable() -> User:
    owner = shopper()
    owner.set_recharge("starter", threshold=100)
    return owner


def with_card() -> User:
    owner = rechargeable()
    fake = fake_in_use()
    assert fake
    give_card(fake, owner)
    return owner


def sold_pack() -> Any:
    return find_credit_pack("starter")


# What each call is made on (what gives it, or None for a function), and how it is made.
ANSWERS: list[tuple[str, Make, Use]] = [
    ("HasWallet.credits", user, lambda owner, call: call()),
    ("HasWallet.credits", lambda: Newcomer.objects.create(name="new"), lambda owner, call: call()),
    ("HasWallet.credit_wallet", user, lambda owner, call: call()),
    ("HasWallet.credit_wallet", studio, lambda owner, call: call()),
    ("HasWallet.credit_history", user, lambda owner, call: call()),
    ("HasWallet.credit_subscriptions", with_plan, lambda owner, call: call()),
    ("HasWallet.wallet", user, lambda owner, call: call("gems")),
    ("HasWallet.find_wallet", user, lambda owner, call: call()),
    ("HasWallet.has_wallet", user, lambda owner, call: (call(), call(asset="gems"))),
    ("HasWallet.credits_for", user, lambda owner, call: call("img")),
    ("HasWallet.give_credits", user, lambda owner, call: call(9, reason="referral", expires_at=NOW + HOUR)),
    ("HasWallet.has_enough_credits_to", user, lambda owner, call: (call("img", mb=5), call("img", mb=500))),
    ("HasWallet.plan_spend_on", user, lambda owner, call: (call("img", mb=5), call("img", mb=500))),
    ("HasWallet.credit_runway", with_usage, lambda owner, call: call(days=7)),
    ("HasWallet.record_usage", user, lambda owner, call: call("img", message="msg_1", mb=5)),
    ("HasWallet.spend_credits_on", user, lambda owner, call: call("img", mb=5, attributed_to="key_1")),
    ("HasWallet.hold_credits_for", user, lambda owner, call: call("img", mb=5, ttl=2 * HOUR)),
    ("HasWallet.set_recharge", user, lambda owner, call: call("starter", threshold=100, max_per_day=1)),
    ("HasWallet.stop_recharge", rechargeable, lambda owner, call: call()),
    ("HasWallet.recharge_setting", rechargeable, lambda owner, call: call()),
    ("Wallet.credit", wallet, lambda wallet, call: call(20, metadata={"a": 1}, idempotency_key="k")),
    ("Wallet.debit", wallet, lambda wallet, call: call(20, attributed_to="key_1")),
    ("Wallet.debit_many", wallet, lambda wallet, call: call([20, {"amount": 90}], mode="each")),
    ("Wallet.transfer_to", wallet, lambda wallet, call: call(make_wallet(), 20, category="gift")),
    ("Wallet.hold", wallet, lambda wallet, call: call(20, ttl=HOUR)),
    ("Wallet.balance", wallet, lambda wallet, call: call()),
    ("Wallet.held", lambda: hold().wallet, lambda wallet, call: call()),
    ("Wallet.available", lambda: hold().wallet, lambda wallet, call: call()),
    ("Wallet.available_for", wallet, lambda wallet, call: (call(), call("img"))),
    ("Wallet.set_cap", wallet, lambda wallet, call: call("key_1", 50, every="day")),
    ("Wallet.remove_cap", capped, lambda wallet, call: (call("key_1", "day"), call("key_1"))),
    ("Wallet.caps", capped, lambda wallet, call: (call(), call("key_2"))),
    ("Wallet.balance_at", wallet, lambda wallet, call: (call(NOW - HOUR), call(NOW + HOUR))),
    ("Wallet.plan_debit", wallet, lambda wallet, call: call(20)),
    ("Wallet.statement", wallet, lambda wallet, call: call(since=NOW - HOUR)),
    ("Wallet.has_enough_balance", wallet, lambda wallet, call: (call(100), call(101))),
    ("Hold.extend", hold, lambda hold, call: call(2 * HOUR)),
    ("Hold.capture", hold, lambda hold, call: call(10, final=True)),
    ("Hold.release", hold, lambda hold, call: call()),
    ("Transaction.owner", debit, lambda row, call: call()),
    ("Transaction.remaining", debit, lambda row, call: call()),
    ("Transaction.unbacked", debit, lambda row, call: call()),
    ("Transaction.reverse", debit, lambda row, call: call(reason="twice")),
    ("Transfer.outbound_transaction", transfer, lambda transfer, call: call()),
    ("Transfer.inbound_transaction", transfer, lambda transfer, call: call()),
    ("Transfer.reverse", transfer, lambda transfer, call: call()),
    ("change_plan", with_plan, lambda owner, call: call(owner, "pro", "prem")),
    ("detach_owner", user, lambda owner, call: call(owner)),
    ("keep_plan", with_plan, lambda owner, call: call(owner, "pro")),
    ("key_spend", debit, lambda row, call: call("key_1", wallet=row.wallet)),
    ("ledger_stats", debit, lambda row, call: call(wallet=row.wallet)),
    ("start_grant", user, lambda owner, call: call(owner, credits(10).every("month"), reason="club")),
    ("start_plan", user, lambda owner, call: call(owner, "pro", metadata={"a": 1})),
    (
        "stop_grant",
        lambda: start_grant(user(), credits(10).every("month")),
        lambda grant, call: call(grant),
    ),
    ("stop_plan", with_plan, lambda owner, call: call(owner, "pro")),
    ("usage_summary", debit, lambda row, call: call(row.owner)),
]

OF_STRIPE: list[tuple[str, Make, Use]] = [
    ("Sellable.create_checkout_session", sold_pack, lambda pack, call: call(shopper(), **RETURN).mode),
    (
        "Sellable.create_checkout_session",
        lambda: find_subscription_plan("pro"),
        lambda plan, call: call(shopper(), **RETURN).mode,
    ),
    ("settle_checkout", shopper, lambda owner, call: call(check_out(owner).id, owner)),
    ("recharge_if_due", with_card, lambda owner, call: call(owner.wallet()).state),
    (
        "create_portal_session",
        shopper,
        lambda owner, call: (check_out(owner), call(owner, locale="de").locale)[1],
    ),
]

REFUSALS: list[tuple[str, Make, Use]] = [
    ("HasWallet.credits", studio, lambda owner, call: call()),
    ("HasWallet.wallet", nobody, lambda owner, call: call()),
    ("HasWallet.give_credits", user, lambda owner, call: call(0)),
    ("HasWallet.has_enough_credits_to", user, lambda owner, call: call("teleport")),
    ("HasWallet.plan_spend_on", studio, lambda owner, call: call("report")),
    ("HasWallet.credit_runway", user, lambda owner, call: call(days=0)),
    ("HasWallet.record_usage", user, lambda owner, call: call("img", message="", mb=5)),
    ("HasWallet.spend_credits_on", broke, lambda owner, call: call("report")),
    ("HasWallet.hold_credits_for", broke, lambda owner, call: call("report")),
    ("HasWallet.set_recharge", user, lambda owner, call: call("gold", threshold=100)),
    ("Wallet.credit", wallet, lambda wallet, call: call(1.5)),
    ("Wallet.debit", wallet, lambda wallet, call: call(101)),
    ("Wallet.debit_many", wallet, lambda wallet, call: call([50, 51])),
    ("Wallet.transfer_to", wallet, lambda wallet, call: call(wallet, 1)),
    ("Wallet.hold", wallet, lambda wallet, call: call(101)),
    ("Wallet.plan_debit", wallet, lambda wallet, call: call(-1)),
    ("Wallet.statement", wallet, lambda wallet, call: call(since="today")),
    ("Hold.extend", closed_hold, lambda hold, call: call()),
    ("Hold.capture", hold, lambda hold, call: call(101)),
    ("Hold.release", closed_hold, lambda hold, call: call()),
    ("Transaction.reverse", lambda: debit().reverse()[0], lambda row, call: call()),
    ("Transfer.reverse", transfer, lambda transfer, call: call(reason=5)),
    ("change_plan", user, lambda owner, call: call(owner, "pro", "prem")),
    ("create_portal_session", nobody, lambda owner, call: call(owner)),
    ("detach_owner", nobody, lambda owner, call: call(owner)),
    ("keep_plan", user, lambda owner, call: call(owner, "silver")),
    ("key_spend", user, lambda owner, call: call("", owner=owner)),
    ("ledger_stats", user, lambda owner, call: call(owner=owner, wallet=owner.wallet())),
    ("settle_checkout", user, lambda owner, call: call("none", owner)),
    ("start_grant", user, lambda owner, call: call(owner, 10)),
    ("start_plan", user, lambda owner, call: call(owner, "silver")),
    ("stop_grant", user, lambda owner, call: call(owner)),
    ("stop_plan", nobody, lambda owner, call: call(owner, "pro")),
    ("usage_summary", user, lambda owner, call: call(owner, since="today")),
    ("Sellable.create_checkout_session", sold_pack, lambda pack, call: call(nobody(), **RETURN)),
]


def by_name(cases: list[tuple[str, Make, Use]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("name", "make", "use"), cases, ids=[name for name, *_ in cases])


def sync_call(name: str, subject: Any) -> Any:
    owner, _dot, method = name.rpartition(".")
    if not owner:
        return getattr(usage_credits, name)
    is_property = isinstance(getattr(type(subject), method), property)
    return (lambda: getattr(subject, method)) if is_property else getattr(subject, method)


def async_call(name: str, subject: Any) -> Any:
    owner, _dot, method = name.rpartition(".")
    return async_to_sync(getattr(subject if owner else usage_credits, f"a{method}"))


def facts(value: Any) -> Any:
    """Return what a result says, apart from which row it is."""
    if isinstance(value, models.Model):
        fields = [field for field in value._meta.concrete_fields if not field.primary_key]
        kept = {field.attname: getattr(value, field.attname) for field in fields}
        return type(value).__name__, getattr(value, "replayed", None), facts(kept)
    if isinstance(value, UsageCreditsError):
        return type(value), re.sub(r"\d+", "n", str(value))
    if isinstance(value, dict):
        return {key: facts(item) for key, item in value.items() if not KEY.fullmatch(str(key))}
    if isinstance(value, list | tuple | models.QuerySet):
        return [facts(item) for item in value]
    if dataclasses.is_dataclass(value):
        return facts({field.name: getattr(value, field.name) for field in dataclasses.fields(value)})
    return re.sub(r"\d+", "n", value) if isinstance(value, str) else value


def outcome(call_of: Callable[[str, Any], Any], name: str, make: Make, use: Use) -> Any:
    """Return what a call on something new answers or raises, and what it announces and writes."""
    subject, before = make(), {label: len(rows) for label, rows in stored().items()}
    with capture_events() as events:
        try:
            answer = facts(use(subject, call_of(name, subject)))
        except UsageCreditsError as error:
            answer = facts(error)
    written = {label: len(rows) - before[label] for label, rows in stored().items()}
    return answer, [context.event for context in events], written


@by_name(ANSWERS)
def test_twin_does_what_its_call_does(name: str, make: Make, use: Use) -> None:
    assert outcome(async_call, name, make, use) == outcome(sync_call, name, make, use)


@by_name(OF_STRIPE)
def test_twin_does_with_stripe_what_its_call_does(fake: FakeStripe, name: str, make: Make, use: Use) -> None:
    assert outcome(async_call, name, make, use) == outcome(sync_call, name, make, use)


@by_name(REFUSALS)
def test_twin_refuses_what_its_call_refuses(name: str, make: Make, use: Use) -> None:
    refusal = outcome(sync_call, name, make, use)
    kind = refusal[0][0]
    assert issubclass(kind, UsageCreditsError)
    assert outcome(async_call, name, make, use) == refusal


def test_each_twin_is_tried() -> None:
    assert {name for name, *_ in ANSWERS + OF_STRIPE} == set(twins())


def test_twin_calls_what_a_project_has_put_in_the_place_of_its_call() -> None:
    patron = Patron.objects.get(pk=make_user().pk)
    assert async_to_sync(patron.agive_credits)(10, metadata={"a": 1}).amount == 20
    assert async_to_sync(patron.acredits)() == 7


IN_A_COROUTINE: dict[str, tuple[Make, Callable[[Any], Any]]] = {
    "Fulfillment.due_date": (plan, lambda plan: plan.due_date(NOW + 99 * DAY)),
    "Fulfillment.grid": (plan, lambda plan: plan.grid),
    "Fulfillment.is_active": (plan, lambda plan: plan.is_active),
    "Fulfillment.is_recurring": (plan, lambda plan: plan.is_recurring),
    "HasWallet.estimate_credits_to": (user, lambda owner: owner.estimate_credits_to("img", mb=5)),
    "HasWallet.spending_credits_on": (user, lambda owner: owner.spending_credits_on("report")),
    "Hold.left": (hold, lambda hold: hold.left),
    "Lot.pays_for": (lambda: Lot.objects.get(wallet=make_wallet(5)), lambda lot: lot.pays_for("img")),
    "Lot.spending_key": (lambda: Lot.objects.get(wallet=make_wallet(5)), lambda lot: lot.spending_key),
    "Recharge.is_in_flight": (Recharge, lambda recharge: recharge.is_in_flight),
    "Transaction.description": (debit, lambda row: row.description),
    "Transaction.formatted_amount": (debit, lambda row: row.formatted_amount),
    "Transaction.formatted_balance_after": (debit, lambda row: row.formatted_balance_after),
    "Transaction.is_expired": (debit, lambda row: row.is_expired),
    "Transaction.provider_cost": (debit, lambda row: row.provider_cost),
    "Transfer.inbound_transactions": (transfer, lambda transfer: transfer.inbound_transactions),
    "Wallet.history": (wallet, lambda wallet: wallet.history()),
    "cents": (user, lambda owner: usage_credits.cents(5)),
    "charges_credits": (user, lambda owner: usage_credits.charges_credits("report")(lambda request: None)),
    "credits": (user, lambda owner: usage_credits.credits(5)),
    "dollars": (user, lambda owner: usage_credits.dollars(5)),
    "euros": (user, lambda owner: usage_credits.euros(5)),
    "find_credit_pack": (user, lambda owner: find_credit_pack("starter")),
    "find_subscription_plan": (user, lambda owner: find_subscription_plan("pro")),
    "pounds": (user, lambda owner: usage_credits.pounds(5)),
    "requires_credits": (user, lambda owner: usage_credits.requires_credits("report")(lambda request: None)),
    "token_prices": (user, lambda owner: usage_credits.token_prices({"small": (3, 15)})),
    "token_rates": (user, lambda owner: usage_credits.token_rates({"small": (3, 15)})),
    "with_credits": (user, lambda owner: usage_credits.with_credits(User.objects.all())),
}


@pytest.mark.parametrize("name", [name for name, why in NEED_NONE.items() if why != DJANGO])
def test_what_has_no_twin_can_be_called_in_a_coroutine(name: str) -> None:
    make, use = IN_A_COROUTINE[name]
    subject = make()
    ContentType.objects.clear_cache()

    async def call() -> None:
        use(subject)

    async_to_sync(call)()


def test_owners_with_their_credits_are_listed_in_a_coroutine() -> None:
    owner = user()
    ContentType.objects.clear_cache()

    async def listed() -> list[int]:
        found = usage_credits.with_credits(User.objects.filter(pk=owner.pk))
        return [listed_owner.credits_now async for listed_owner in found]  # type: ignore[attr-defined]

    assert async_to_sync(listed)() == [100]


def test_twin_has_the_types_of_its_call() -> None:
    owner = user()

    async def spend() -> None:
        wallet = await owner.awallet()
        assert_type(wallet, Wallet)
        assert_type(await owner.aspend_credits_on("mail"), Transaction | None)
        assert_type(await owner.acredits(), int)
        assert_type(await wallet.adebit(1, attributed_to="key_1"), Transaction)
        assert_type(await wallet.adebit_many([1]), list[Transaction])
        assert_type(await wallet.adebit_many([1], mode="each"), Sequence[Transaction | UsageCreditsError])
        assert_type(await (await wallet.ahold(5)).arelease(), Hold)
        assert_type(await usage_credits.astart_plan(owner, "pro"), Fulfillment)
        assert_type(await usage_credits.astop_plan(owner, "pro"), Fulfillment | None)

    async_to_sync(spend)()
    assert owner.wallet().history().debits().count() == 4


@pytest.mark.django_db(transaction=True)
def test_only_twins_reach_the_database_from_a_coroutine() -> None:
    owner = user()

    async def spend() -> Transaction | None:
        with pytest.raises(SynchronousOnlyOperation):
            owner.spend_credits_on("report")
        with pytest.raises(SynchronousOnlyOperation), transaction.atomic():
            pytest.fail("a transaction began in the event loop")
        return await owner.aspend_credits_on("report")

    row = async_to_sync(spend)()
    assert row
    assert (row.amount, owner.credits) == (-25, 75)


def test_twin_joins_the_transaction_of_sync_code_around_it() -> None:
    owner = user()
    with transaction.atomic():
        async_to_sync(owner.aspend_credits_on)("report")
        transaction.set_rollback(True)
    assert owner.credits == 100


def test_receivers_of_events_see_the_contextvars_of_the_task() -> None:
    request_id = contextvars.ContextVar("request_id", default="none")
    seen = []

    def note(context: signals.EventContext, **kwargs: Any) -> None:
        seen.append((context.event, request_id.get()))

    async def spend() -> None:
        request_id.set("r1")
        with pytest.raises(InsufficientCredits):
            await broke_user.aspend_credits_on("report")

    broke_user = make_user(5)
    signals.insufficient_credits.connect(note)
    try:
        async_to_sync(spend)()
    finally:
        signals.insufficient_credits.disconnect(note)
    assert seen == [("insufficient_credits", "r1")]
