from __future__ import annotations

import pytest

from tests.factories import make_wallet, stored
from tests.management.running import run
from usage_credits.models import Lot, Wallet

pytestmark = pytest.mark.django_db


def test_verify_credits_finds_a_used_ledger_sound() -> None:
    for _ in range(3):
        make_wallet(credits=100).debit(30)
    outcome = run("verify_credits")
    assert (outcome.stdout, outcome.stderr, outcome.code) == ("3 wallets, 6 transactions: sound.\n", "", 0)


def test_verify_credits_fails_and_names_what_it_found() -> None:
    wallet = make_wallet(credits=100)
    Wallet.objects.filter(pk=wallet.pk).update(booked_balance=99)
    outcome = run("verify_credits")
    assert outcome.code == 1
    assert f"INV-1 wallet {wallet.pk}" in outcome.stderr
    assert "1 wallet, 1 transaction: 2 findings." in outcome.stderr
    assert outcome.stdout == ""


def test_verify_credits_finds_a_lot_that_lost_credits() -> None:
    wallet = make_wallet(credits=100)
    Lot.objects.filter(wallet=wallet).update(remaining=60)
    outcome = run("verify_credits")
    assert "INV-3" in outcome.stderr
    assert "of 100 there are 0 allocated, 0 held and 60 remaining" in outcome.stderr


def test_verify_credits_changes_nothing() -> None:
    wallet = make_wallet(credits=100)
    Wallet.objects.filter(pk=wallet.pk).update(booked_balance=99)
    before = stored()
    run("verify_credits")
    assert stored() == before


def test_verify_credits_of_one_wallet_looks_at_no_other() -> None:
    wallet, other = make_wallet(credits=100), make_wallet(credits=100)
    Wallet.objects.filter(pk=other.pk).update(booked_balance=99)
    assert run("verify_credits", "--wallets", str(wallet.pk)).stdout == "1 wallet, 1 transaction: sound.\n"
    assert run("verify_credits", "--wallets", str(other.pk)).code == 1


def test_verify_credits_prints_no_more_findings_than_asked_but_counts_all() -> None:
    make_wallet(credits=100)
    make_wallet(credits=100)
    Wallet.objects.update(booked_balance=99)
    outcome = run("verify_credits", "--limit", "1")
    assert outcome.stderr.count("INV-1") == 1
    assert "4 findings, 1 shown." in outcome.stderr


def test_verify_credits_refuses_a_wallet_that_does_not_exist() -> None:
    outcome = run("verify_credits", "--wallets", "4711")
    assert (outcome.code, outcome.stderr) == (1, "--wallets: there is no wallet 4711.\n")


def test_verify_credits_refuses_a_negative_limit() -> None:
    assert run("verify_credits", "--limit", "-1").stderr.startswith("--limit: got -1")


def test_verify_credits_of_a_range_looks_at_no_other_wallet() -> None:
    wallets = [make_wallet(credits=100) for _ in range(3)]
    Wallet.objects.filter(pk=wallets[2].pk).update(booked_balance=99)
    first_two = f"{wallets[0].pk}-{wallets[1].pk}"
    assert run("verify_credits", "--wallets", first_two).stdout == "2 wallets, 2 transactions: sound.\n"
    assert run("verify_credits", "--wallets", f"{wallets[1].pk}-").code == 1


def test_verify_credits_of_a_range_without_wallets_finds_it_sound() -> None:
    wallet = make_wallet()
    beyond = f"{wallet.pk + 1}-{wallet.pk + 9}"
    assert run("verify_credits", "--wallets", beyond).stdout == "0 wallets, 0 transactions: sound.\n"
