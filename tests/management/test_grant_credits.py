from __future__ import annotations

import datetime
import uuid
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.app.models import Newcomer, User
from tests.factories import StudioFactory, TeamFactory, amounts_of, make_user, stored
from tests.management.running import run
from usage_credits.models import Transaction
from usage_credits.signals import credits_added
from usage_credits.testing import capture_events
from usage_credits.values import MAX_AMOUNT

pytestmark = pytest.mark.django_db

START = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.UTC)


def test_grant_credits_reaches_every_owner() -> None:
    users = [make_user(), make_user(credits=5)]
    outcome = run("grant_credits", "100", "--all")
    assert outcome.stdout == "Granted 100 credits to 2 owners, 0 already granted, 0 failed.\n"
    assert (outcome.code, outcome.stderr) == (0, "")
    assert [user.credits for user in users] == [100, 105]


def test_grant_credits_reaches_only_the_owners_that_match_every_filter() -> None:
    wanted, inactive, other = make_user(), make_user(), make_user()
    User.objects.filter(pk__in=[wanted.pk, inactive.pk]).update(first_name="Ada")
    User.objects.filter(pk=inactive.pk).update(is_active=False)
    run("grant_credits", "100", "--filter", "first_name=Ada", "is_active=True", "last_login__isnull=true")
    assert [user.credits for user in (wanted, inactive, other)] == [100, 0, 0]


def test_grant_credits_reaches_the_owners_with_the_given_ids() -> None:
    users = [make_user() for _ in range(3)]
    run("grant_credits", "100", "--ids", str(users[0].pk), str(users[2].pk))
    assert [user.credits for user in users] == [100, 0, 100]


def test_grant_credits_reaches_owners_with_uuid_keys() -> None:
    team, other = TeamFactory.create(), TeamFactory.create()
    outcome = run("grant_credits", "100", "--to", "app.Team", "--ids", str(team.pk))
    assert outcome.code == 0
    assert (team.credits, other.credits) == (100, 0)


def test_grant_credits_opens_missing_wallets_with_their_initial_balance() -> None:
    (newcomer,) = Newcomer.objects.bulk_create([Newcomer(name="Ada")])  # bulk_create sends no post_save
    run("grant_credits", "50", "--to", "app.Newcomer", "--all")
    assert amounts_of(newcomer.wallet()) == [100, 50]


def test_grant_credits_reaches_the_wallet_of_another_asset() -> None:
    user = make_user(credits=5)
    outcome = run("grant_credits", "50", "--all", "--asset", "Gems")
    assert outcome.stdout.startswith("Granted 50 gems to 1 owner")
    assert (user.wallet("gems").balance, user.credits) == (50, 5)


def test_grant_credits_for_some_operations_only() -> None:
    user = make_user()
    run("grant_credits", "50", "--all", "--priority", "-1", "--scope", "report", "mail")
    lot = user.wallet().lots.get()
    assert (lot.priority, lot.scope) == (-1, ("mail", "report"))
    assert (user.credits_for("mail"), user.credits_for("img")) == (50, 0)


@pytest.mark.parametrize(
    ("option", "value", "problem"),
    [
        ("--scope", "fly", "--scope: there is no operation 'fly'"),
        ("--scope", "", "--scope: got ''"),
        ("--priority", "40000", "--priority: got 40000"),
    ],
)
def test_grant_credits_refuses_no_priority_and_no_scope(option: str, value: str, problem: str) -> None:
    make_user()
    before = stored()
    outcome = run("grant_credits", "50", "--all", option, value)
    assert outcome.code == 1
    assert problem in outcome.stderr
    assert stored() == before


def test_grant_credits_stores_category_reason_metadata_and_expiry() -> None:
    user = make_user()
    expires_at = START + datetime.timedelta(days=30)
    with time_machine.travel(START, tick=False):
        run(
            "grant_credits",
            "100",
            "--all",
            "--reason",
            "Spring bonus",
            "--metadata",
            '{"campaign": 7}',
            "--expires-at",
            expires_at.isoformat(),
            "--idempotency-key",
            "spring",
        )
    row = user.credit_history.get()
    assert (row.category, row.metadata) == ("bonus", {"campaign": 7, "reason": "Spring bonus"})
    assert (row.expires_at, row.idempotency_key) == (expires_at, "spring")


def test_grant_credits_reads_a_time_without_offset_in_the_projects_time_zone() -> None:
    user = make_user()
    with time_machine.travel(START, tick=False):
        run("grant_credits", "100", "--all", "--expires-at", "2026-04-01T08:00")
    assert user.credit_history.get().expires_at == datetime.datetime(2026, 4, 1, 8, tzinfo=datetime.UTC)


def test_grant_credits_again_with_the_same_key_grants_nothing() -> None:
    make_user()
    run("grant_credits", "100", "--all", "--idempotency-key", "spring")
    late = make_user()
    before = late.credits
    outcome = run("grant_credits", "100", "--all", "--idempotency-key", "spring")
    assert outcome.stdout == "Granted 100 credits to 1 owner, 1 already granted, 0 failed.\n"
    assert late.credits == before + 100
    assert Transaction.objects.count() == 2


def test_grant_credits_goes_on_after_an_owner_that_is_refused() -> None:
    full, used, fine = make_user(credits=MAX_AMOUNT), make_user(), make_user()
    used.give_credits(7, idempotency_key="spring")
    outcome = run("grant_credits", "100", "--all", "--idempotency-key", "spring")
    assert outcome.code == 1
    assert f"app.User {full.pk}: amount: the balance would become" in outcome.stderr
    assert f"app.User {used.pk}: The idempotency key 'spring' was used" in outcome.stderr
    assert "Granted 100 credits to 1 owner, 0 already granted, 2 failed." in outcome.stderr
    assert [amounts_of(user.wallet()) for user in (full, used, fine)] == [[MAX_AMOUNT], [7], [100]]


def test_grant_credits_reports_owners_that_get_no_wallet_by_themselves() -> None:
    studio, walletless = StudioFactory.create(), StudioFactory.create()
    studio.wallet()
    outcome = run("grant_credits", "100", "--to", "app.Studio", "--all")
    assert outcome.code == 1
    assert f"app.Studio {walletless.pk}: it has no credits wallet" in outcome.stderr
    assert studio.credits == 100
    assert not walletless.has_wallet()


def test_grant_credits_settles_debts_and_books_expiry_first() -> None:
    with time_machine.travel(START, tick=False):
        user = make_user()
        user.give_credits(30, expires_at=START + datetime.timedelta(days=1))
    with time_machine.travel(START + datetime.timedelta(days=2), tick=False):
        run("grant_credits", "100", "--all")
        assert user.credits == 100
    assert amounts_of(user.wallet()) == [30, -30, 100]
    assert run("verify_credits").code == 0


def test_grant_credits_announces_each_grant_with_its_owner() -> None:
    users = [make_user(), make_user()]
    with capture_events() as heard:
        run("grant_credits", "100", "--all")
    assert [context.event for context in heard] == ["credits_added", "credits_added"]
    assert [context.owner for context in heard] == users


def test_grant_credits_on_a_dry_run_writes_nothing() -> None:
    make_user()
    before = stored()
    assert run("grant_credits", "1", "--all", "--dry-run").stdout == "Would grant 1 credit to 1 owner.\n"
    assert stored() == before


def test_grant_credits_goes_through_batches_smaller_than_the_owners() -> None:
    teams = TeamFactory.create_batch(5)
    outcome = run("grant_credits", "100", "--to", "app.Team", "--all", "--batch-size", "2")
    assert outcome.stdout.startswith("Granted 100 credits to 5 owners")
    assert {team.credits for team in teams} == {100}


def test_grant_credits_takes_as_many_statements_for_ten_owners_as_for_two() -> None:
    def grant(owners: int) -> int:
        pks = [str(make_user().pk) for _ in range(owners)]
        with CaptureQueriesContext(connection) as statements:
            run("grant_credits", "5", "--ids", *pks, "--idempotency-key", "spring")
        return len(statements)

    # One wallet is locked without asking the planner for indexes first: a statement less on PostgreSQL.
    assert grant(10) == grant(2)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["5"], "one of the arguments --all --ids --filter is required"),
        (["5", "--all", "--ids", "1"], "not allowed with argument --all"),
        (["0", "--all"], "AMOUNT: got 0"),
        (["x", "--all"], "AMOUNT: invalid int value"),
        (["5", "--all", "--to", "app.Nothing"], "--to: got 'app.Nothing'"),
        (["5", "--all", "--to", "nothing"], "--to: got 'nothing'"),
        (["5", "--all", "--to", "auth.Group"], "--to: auth.Group has no wallets"),
        (["5", "--all", "--asset", " "], "--asset: "),
        (["5", "--all", "--metadata", "{"], "--metadata: this is no JSON"),
        (["5", "--all", "--metadata", "[1]"], "--metadata: got '[1]'"),
        (["5", "--all", "--metadata", '{"a": NaN}'], "--metadata: JSON cannot hold it"),
        (["5", "--all", "--expires-at", "tomorrow"], "--expires-at: got 'tomorrow'"),
        (["5", "--all", "--expires-at", "2026-13-01"], "--expires-at: "),
        (["5", "--all", "--expires-at", "2001-01-01"], "--expires-at: got 2001-01-01"),
        (["5", "--all", "--idempotency-key", " "], "--idempotency-key: "),
        (["5", "--filter", "is_active"], "--filter: got 'is_active'"),
        (["5", "--filter", "nothing=1"], "--filter: Cannot resolve keyword 'nothing'"),
        (["5", "--filter", "pk=x"], "--filter: "),
        (["5", "--ids", "x"], "--ids: "),
        (["5", "--ids", "4711"], "--ids: there is no app.User 4711."),
        (["5", "--to", "app.Team", "--ids", str(uuid.UUID(int=1))], "--ids: there is no app.Team 00000000-"),
        (["5", "--all", "--batch-size", "0"], "--batch-size: got 0"),
        (["5", "--all", "--database", "nowhere"], "--database: got 'nowhere'"),
    ],
)
def test_grant_credits_refuses_bad_input_naming_the_argument(arguments: list[str], named: str) -> None:
    make_user()
    before = stored()
    outcome = run("grant_credits", *arguments)
    assert outcome.code == 1
    assert named in outcome.stderr
    assert stored() == before


@pytest.mark.django_db(transaction=True)
def test_grant_credits_goes_on_where_an_interruption_left_it() -> None:
    users = [make_user() for _ in range(5)]

    def interrupt(**kwargs: Any) -> None:
        raise KeyboardInterrupt

    arguments = ["100", "--all", "--idempotency-key", "spring", "--batch-size", "2"]
    credits_added.connect(interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            run("grant_credits", *arguments)
    finally:
        credits_added.disconnect(interrupt)
    assert [user.credits for user in users] == [100, 100, 0, 0, 0]
    outcome = run("grant_credits", *arguments)
    assert outcome.stdout == "Granted 100 credits to 3 owners, 2 already granted, 0 failed.\n"
    assert [user.credits for user in users] == [100] * 5
