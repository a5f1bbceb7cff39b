from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from io import StringIO

import pytest
import time_machine
from django.core.management import call_command
from django.db import OperationalError, connection

from tests.billing.fulfilling import START, amounts_awarded, at, make_grant, make_subscription, refusing
from tests.factories import make_user, make_wallet, stored
from tests.management.running import run
from usage_credits import start_plan
from usage_credits.models import Fulfillment

pytestmark = pytest.mark.django_db

NOTHING = "Made 0 awards of 0 credits, 0 fulfillments failed.\n"


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(START, tick=False) as clock:
        yield clock


@pytest.mark.behaviour("ADM-06", "FUL-12")
def test_fulfill_credits_awards_what_is_due_and_says_so() -> None:
    sold, grant = make_subscription(make_wallet()), make_grant(make_wallet())
    make_subscription(make_wallet(), next_fulfillment_at=at(2, 1))
    outcome = run("fulfill_credits")
    assert outcome.stdout == "Made 2 awards of 570 credits, 0 fulfillments failed.\n"
    assert (outcome.code, outcome.stderr) == (0, "")
    assert (amounts_awarded(sold), amounts_awarded(grant)) == ([500], [70])


@pytest.mark.behaviour("ADM-06", "FUL-13")
def test_fulfill_credits_again_awards_nothing_more() -> None:
    make_subscription(make_wallet())
    run("fulfill_credits")
    before = stored()
    assert run("fulfill_credits").stdout == NOTHING
    assert stored() == before


@pytest.mark.behaviour("ADM-06", "FUL-12")
def test_fulfill_credits_fails_where_any_failed_and_awards_the_others() -> None:
    make_subscription(make_wallet(), "gone")
    good = make_subscription(make_wallet())
    outcome = run("fulfill_credits")
    assert outcome.code == 1
    assert outcome.stderr == "Made 1 award of 500 credits, 1 fulfillment failed.\n"
    assert amounts_awarded(good) == [500]


@pytest.mark.behaviour("ADM-06")
def test_fulfill_credits_on_a_dry_run_writes_nothing(clock: time_machine.Traveller) -> None:
    make_subscription(make_wallet(), "roll")
    make_subscription(make_wallet(), "gone")
    clock.move_to(at(3, 1))
    before = stored()
    outcome = run("fulfill_credits", "--dry-run")
    assert outcome.stdout == "Would make 2 awards of 2000 credits, 1 fulfillment failed.\n"
    assert outcome.code == 0
    assert stored() == before


@pytest.mark.behaviour("ADM-06")
def test_fulfill_credits_takes_up_no_more_than_the_limit() -> None:
    for _ in range(3):
        make_grant(make_wallet())
    assert run("fulfill_credits", "--dry-run", "--limit", "2").stdout.startswith(
        "Would make 2 awards of 140 "
    )
    assert run("fulfill_credits", "--limit", "2").stdout.startswith("Made 2 awards of 140 credits")
    assert run("fulfill_credits", "--limit", "2").stdout.startswith("Made 1 award of 70 credits")


def test_fulfill_credits_works_through_batches_of_one() -> None:
    for _ in range(3):
        make_grant(make_wallet())
    assert run("fulfill_credits", "--batch-size", "1").stdout.startswith("Made 3 awards of 210 credits")


@pytest.mark.behaviour("FUL-23")
def test_fulfill_credits_logs_its_start_its_count_and_how_long_it_took(
    caplog: pytest.LogCaptureFixture,
) -> None:
    make_grant(make_wallet())
    with caplog.at_level(logging.INFO, "usage_credits"):
        run("fulfill_credits")
    start, end = [record.getMessage() for record in caplog.records]
    assert start == "Awarding due fulfillments: 1 wait"
    assert re.sub(r"in \d+\.\d seconds", "in a moment", end) == (
        "Awarded due fulfillments in a moment: awards 1, credits 70, failed 0, ended 0"
    )


@pytest.mark.behaviour("FUL-23")
def test_fulfill_credits_raises_what_leaves_no_reason_to_keep() -> None:
    fulfillment = make_subscription(make_wallet())
    before = stored()
    with (
        connection.execute_wrapper(refusing("UPDATE", "usage_credits_fulfillment")),
        pytest.raises(OperationalError, match="deadlock"),
    ):
        run("fulfill_credits")
    assert stored() == before
    assert Fulfillment.objects.due(START).get() == fulfillment


def test_fulfill_credits_draws_a_bar_on_a_terminal() -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    for _ in range(2):
        make_grant(make_wallet())
    stderr = Terminal()
    call_command("fulfill_credits", "--batch-size", "1", stdout=StringIO(), stderr=stderr, no_color=True)
    assert "1/2" in stderr.getvalue()


@pytest.mark.parametrize(
    ("option", "value"),
    [("--limit", "0"), ("--limit", "-1"), ("--batch-size", "0"), ("--batch-size", "10001")],
)
def test_fulfill_credits_refuses_numbers_out_of_range(option: str, value: str) -> None:
    outcome = run("fulfill_credits", option, value)
    assert outcome.code == 1
    assert outcome.stderr.startswith(f"{option}: got {value}, allowed is")


def test_fulfill_credits_refuses_an_unknown_database() -> None:
    outcome = run("fulfill_credits", "--database", "nowhere")
    assert outcome.code == 1
    assert outcome.stderr.startswith("--database: got 'nowhere', allowed is one of default")


def test_fulfill_credits_of_some_wallets_awards_to_no_other() -> None:
    one, other = make_grant(make_wallet()), make_grant(make_wallet())
    only = f"{other.wallet_id}-{other.wallet_id + 1_000}"
    assert run("fulfill_credits", "--dry-run", "--wallets", only).stdout.startswith("Would make 1 award ")
    assert run("fulfill_credits", "--wallets", only).stdout.startswith("Made 1 award of 70 credits")
    assert (amounts_awarded(one), amounts_awarded(other)) == ([], [70])


def test_fulfill_credits_of_some_wallets_ends_nothing_of_another(clock: time_machine.Traveller) -> None:
    one, other = make_user(), make_user()
    plans = [start_plan(user, "roll", ends_at=at(2, 10)) for user in (one, other)]
    clock.move_to(at(2, 11))
    run("fulfill_credits", "--wallets", str(one.wallet().pk))
    dates = [Fulfillment.objects.get(pk=plan.pk).next_fulfillment_at for plan in plans]
    assert dates == [None, at(2, 28)]
