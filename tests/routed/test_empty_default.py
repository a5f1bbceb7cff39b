from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command
from django.db import connections, transaction
from django.db.models import ProtectedError
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory, override_settings

from tests.app.models import Newcomer, Studio, Team, User
from tests.factories import days, names
from usage_credits import (
    charges_credits,
    detach_owner,
    ledger_stats,
    requires_credits,
    start_plan,
    usage_summary,
    with_credits,
)
from usage_credits.models import Fulfillment, Lot, Transaction, Wallet
from usage_credits.testing import assert_ledger_sound, capture_events

pytestmark = pytest.mark.django_db(databases=["ledger", "users"])
START = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


def make_user(username: str = "ada", **options: bool) -> User:
    return User.objects.create(username=username, **options)


def make_team() -> Team:
    return Team.objects.create(name="editors")


OWNERS = pytest.mark.parametrize("make_owner", [make_user, make_team], ids=["beside the ledger", "apart"])


def run(name: str, *arguments: str) -> str:
    output = StringIO()
    call_command(name, *arguments, stdout=output, stderr=output)
    return output.getvalue()


def test_default_is_empty_and_tables_are_where_the_router_puts_them() -> None:
    assert connections.settings["default"]["ENGINE"] == "django.db.backends.dummy"
    ledger, users = (connections[alias].introspection.table_names() for alias in ("ledger", "users"))
    assert "usage_credits_wallet" in ledger
    assert "app_user" in ledger
    assert "usage_credits_wallet" not in users
    assert "app_team" in users


@OWNERS
def test_credit_debit_spend_and_report(make_owner: Callable[[], User | Team]) -> None:
    owner = make_owner()
    owner.give_credits(100, reason="signup")
    first = owner.spend_credits_on("report", idempotency_key="once")
    again = owner.spend_credits_on("report", idempotency_key="once")
    assert first is not None
    assert again is not None
    assert (again.pk, again.replayed) == (first.pk, True)
    owner.wallet().debit_many([{"amount": 1}, {"amount": 2}])
    assert owner.credits == 72
    assert owner.plan_spend_on("report").left == 47
    assert usage_summary(owner).spent == 28
    assert ledger_stats(owner=owner).outstanding == 72
    assert {row._state.db for row in Transaction.objects.all()} == {"ledger"}
    assert_ledger_sound()


@OWNERS
def test_gates_ask_and_charge(make_owner: Callable[[], User | Team]) -> None:
    owner = make_owner()
    owner.give_credits(25)

    def visit(decorate: Callable[..., Callable[..., Any]]) -> int:
        @decorate("report", owner=lambda request: owner)
        def view(request: HttpRequest) -> HttpResponse:
            return HttpResponse("ran")

        answer: HttpResponse = view(RequestFactory().post("/", headers={"accept": "application/json"}))
        return answer.status_code

    assert [visit(gate) for gate in (requires_credits, charges_credits)] == [200, 200]
    assert [visit(gate) for gate in (requires_credits, charges_credits)] == [402, 402]
    assert (owner.credits, owner.wallet().held) == (0, 0)
    assert_ledger_sound()


@OWNERS
def test_hold_charge_around_work_transfer_and_reverse(make_owner: Callable[[], User | Team]) -> None:
    owner, other = make_owner(), make_user("bob")
    owner.give_credits(100)
    hold = owner.hold_credits_for("report")
    assert hold is not None
    hold.capture(5, final=True)
    with owner.spending_credits_on("report") as charge:
        charge.amount = 10
    assert charge.transaction is not None
    charge.transaction.reverse()
    moved = owner.wallet().transfer_to(other.wallet(), 20)
    assert (owner.credits, other.credits) == (75, 20)
    moved.reverse()
    owner.wallet().set_cap("key", 10, every="day")
    owner.wallet().debit(10, attributed_to="key")
    assert (owner.credits, other.credits) == (85, 0)
    assert_ledger_sound()


@OWNERS
def test_fulfill_expire_and_verify_by_the_commands(make_owner: Callable[[], User | Team]) -> None:
    with time_machine.travel(START, tick=False):
        owner = make_owner()
        start_plan(owner, "pro")
        owner.give_credits(7, expires_at=START + days(1))
        had = owner.credits
    with time_machine.travel(START + days(32), tick=False):
        assert "500 credits" in run("fulfill_credits")
        assert "Expired" in run("expire_credits", "--database", "ledger")
        assert "sound" in run("verify_credits")
        assert owner.credits > 0
        assert had == 607
    assert Fulfillment.objects.using("ledger").count() == 1
    assert not Lot.objects.expired(START + days(32)).exists()


def test_grant_by_the_command_to_owners_of_either_database() -> None:
    user, team = make_user(), make_team()
    assert "1 owner" in run("grant_credits", "5", "--to", "app.User", "--all")
    assert "1 owner" in run("grant_credits", "6", "--to", "app.Team", "--all", "--idempotency-key", "june")
    assert (user.credits, team.credits) == (5, 6)
    with pytest.raises(CommandError, match="--database"):
        run("verify_credits", "--database", "nowhere")


@pytest.mark.django_db(databases=["ledger", "users"], transaction=True)
@OWNERS
def test_events_wait_for_the_commit_of_the_ledger(make_owner: Callable[[], User | Team]) -> None:
    owner = make_owner()
    with capture_events() as events:
        with transaction.atomic(using="ledger"):
            owner.give_credits(10)
            assert names(events) == []
        assert names(events) == ["credits_added"]
    assert events[0].owner == owner
    with capture_events() as events, transaction.atomic(using="ledger"):
        owner.give_credits(10)
        transaction.set_rollback(True, using="ledger")
    assert (names(events), owner.credits) == ([], 10)


@pytest.mark.django_db(databases=["ledger", "users"], transaction=True)
@OWNERS
def test_async_twins(make_owner: Callable[[], User | Team]) -> None:
    owner = make_owner()

    async def spend() -> int:
        await owner.agive_credits(100)
        async with owner.spending_credits_on("report"):
            pass
        return await owner.acredits()

    assert async_to_sync(spend)() == 75


@pytest.fixture
def other_number_of_team(db: None) -> Iterator[None]:
    """Give the content type of the teams a number in the ledger's database that it has not in their own."""
    ContentType.objects.using("ledger").create(app_label="gone", model="gone")
    ContentType.objects.using("ledger").filter(app_label="app", model="team").delete()
    ContentType.objects.clear_cache()
    yield
    ContentType.objects.clear_cache()


@pytest.mark.usefixtures("other_number_of_team")
def test_find_the_owner_wherever_it_lives() -> None:
    team, user = make_team(), make_user()
    owners = {wallet.pk: wallet.owner for wallet in Wallet.objects.all()}
    assert owners == {team.wallet().pk: team, user.wallet().pk: user}
    prefetched = Wallet.objects.prefetch_related("owner").order_by("pk")
    assert [wallet.owner for wallet in prefetched] == [owners[wallet.pk] for wallet in prefetched]
    wallet = team.wallet()
    assert wallet.owner_type is not None
    assert (wallet.owner, wallet.owner_type.model, wallet.owner_type._state.db) == (team, "team", "ledger")


def test_initial_balance_of_an_owner_that_lives_apart() -> None:
    assert Newcomer.objects.create(name="new").credits == 100


def test_annotate_owners_beside_the_ledger() -> None:
    make_user().give_credits(3)
    assert [user.credits_now for user in with_credits(User.objects.all())] == [3]  # type: ignore[attr-defined]


def test_owner_that_lives_apart_is_deleted_once_it_is_detached() -> None:
    team = make_team()
    with pytest.raises(ProtectedError, match="detach_owner"):
        team.delete()
    assert detach_owner(team) == 1
    team.delete()
    assert not Team.objects.exists()
    Studio.objects.create(name="no wallet").delete()


def test_admin_pages(client: Client) -> None:
    user, team = make_user(is_staff=True, is_superuser=True), make_team()
    client.force_login(user)
    for wallet in (user.wallet(), team.wallet()):
        wallet.credit(40)
        page = f"/admin/usage_credits/wallet/{wallet.pk}"
        sent = {"amount": -15, "reason": "goodwill", "token": "7e57ab1e-0000-4000-8000-000000000000"}
        assert client.post(f"{page}/adjust/", sent).status_code == 302
        assert client.get(f"{page}/change/").status_code == 200
        assert wallet.available == 25
    for name in ("wallet", "transaction", "lot", "hold", "fulfillment", "transfer", "debt", "paymentnotice"):
        assert client.get(f"/admin/usage_credits/{name}/").status_code == 200
    row = Transaction.objects.filter(wallet=team.wallet()).latest("pk")
    assert client.get(f"/admin/usage_credits/transaction/{row.pk}/change/").status_code == 200


def test_checks_look_at_the_database_of_the_ledger() -> None:
    # MariaDB has no conditional indexes, and Django says so.
    with override_settings(USAGE_CREDITS={}, SILENCED_SYSTEM_CHECKS=["models.W037"]):
        assert "no issues" in run("check", "--database", "ledger", "--fail-level", "WARNING")
