from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.factories import add_lots, configured, make_wallet
from usage_credits.statements.payers import payers_of

pytestmark = pytest.mark.django_db


def test_payers_are_the_lots_of_each_debit_with_what_created_them() -> None:
    wallet = make_wallet()
    first = wallet.credit(10, category="signup_bonus")
    second = wallet.credit(20, category="referral_bonus")
    debit = wallet.debit(15)
    other = wallet.debit(5)
    paid = payers_of([first, second, debit, other])
    assert {pk: [(a.lot.transaction, a.amount) for a in found.allocations] for pk, found in paid.items()} == {
        debit.pk: [(first, 10), (second, 5)],
        other.pk: [(second, 5)],
    }
    assert not paid[debit.pk].has_more


def test_payers_of_a_debt_and_of_no_rows_are_none() -> None:
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        debit = make_wallet().debit(5)
    assert payers_of([debit]) == {}
    assert payers_of([]) == {}


def test_payers_are_a_few_of_many_in_one_statement() -> None:
    wallet = make_wallet()
    add_lots(wallet, 50)
    rows = [wallet.debit(20), wallet.debit(20)]
    with CaptureQueriesContext(connection) as statements:
        paid = payers_of(rows)
        assert [a.lot.transaction.amount for a in paid[rows[0].pk].allocations] == [1] * 5
    assert len(statements) == 1
    assert all(found.has_more for found in paid.values())
