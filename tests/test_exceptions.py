from __future__ import annotations

import datetime
import pickle

import pytest

from tests.factories import make_wallet, stored
from usage_credits import (
    AppendOnlyError,
    CapExceeded,
    HoldNotOpen,
    IdempotencyConflict,
    InsufficientCredits,
    InvalidAmount,
    InvalidOperation,
    InvalidTransfer,
    InvalidValue,
    UsageCreditsError,
    WalletNotFound,
)


@pytest.mark.parametrize(
    "error",
    [
        InsufficientCredits(5, 10),
        CapExceeded("key", "P1D", 20, 5, 10, datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)),
        InvalidOperation("no"),
        InvalidValue("field", "no"),
        InvalidAmount("amount", "no"),
        InvalidTransfer("to", "no"),
        IdempotencyConflict("no"),
        HoldNotOpen("no"),
        WalletNotFound("no"),
        AppendOnlyError(),
    ],
    ids=repr,
)
def test_errors_share_one_root_and_survive_pickling(error: UsageCreditsError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert isinstance(error, UsageCreditsError)
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


def test_refused_values_are_value_errors_that_name_the_field() -> None:
    for kind in (InvalidValue, InvalidAmount, InvalidTransfer):
        error = kind.of("amount", 1.5, "a whole number")
        assert isinstance(error, ValueError)
        assert (error.field, str(error)) == ("amount", "amount: got 1.5 (float), allowed is a whole number.")
    assert len(str(InvalidValue.of("field", "x" * 10_000, "less"))) < 200


@pytest.mark.django_db
@pytest.mark.parametrize("verb", ["credit", "debit"])
def test_callers_transaction_is_usable_after_a_refusal(verb: str) -> None:
    wallet = make_wallet(5)
    wallet.debit(1, idempotency_key="used")
    before = stored()
    refusals: list[tuple[type[UsageCreditsError], dict[str, object]]] = [
        (InvalidValue, {"amount": 1, "category": "unknown"}),
        (InvalidAmount, {"amount": 0}),
        (IdempotencyConflict, {"amount": 3, "idempotency_key": "used"}),
    ]
    if verb == "debit":
        refusals.append((InsufficientCredits, {"amount": 100}))
    for kind, arguments in refusals:
        with pytest.raises(kind):
            getattr(wallet, verb)(**arguments)
        assert stored() == before
    assert wallet.debit(4).balance_after == 0
