from __future__ import annotations

import datetime
import io
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
import time_machine

from tests import bad_values
from tests.factories import amounts_of, configured, make_user, names, snapshots_of, stored
from tests.settings import USAGE_CREDITS
from usage_credits import InsufficientCredits, InvalidOperation, InvalidValue, Operation, __version__, credits
from usage_credits.testing import capture_events

pytestmark = pytest.mark.django_db

OPERATIONS: Any = USAGE_CREDITS["OPERATIONS"]


def with_operations(*operations: Operation, **keys: Any) -> Any:
    return configured(OPERATIONS=[*OPERATIONS, *operations], **keys)


@pytest.mark.behaviour("SPD-01")
def test_estimate_writes_and_announces_nothing() -> None:
    user = make_user()
    before = stored()
    with capture_events() as events:
        assert user.estimate_credits_to("img", mb=5) == 15
        assert user.estimate_credits_to("img", size=5 * 1024**2) == 15
    assert (stored(), events) == (before, [])


@pytest.mark.behaviour("SPD-02")
@pytest.mark.parametrize(("balance", "enough"), [(25, True), (24, False), (0, False)])
def test_has_enough_writes_and_announces_nothing(balance: int, enough: bool) -> None:
    user = make_user(balance)
    before = stored()
    with capture_events() as events:
        assert user.has_enough_credits_to("report") is enough
    assert (stored(), events) == (before, [])


def calls(user: Any) -> list[Any]:
    return [user.estimate_credits_to, user.has_enough_credits_to, user.spend_credits_on]


@pytest.mark.behaviour("SPD-03")
@pytest.mark.parametrize("name", ["teleport", "", None, 5, ["report"], "REPORT "])
def test_unknown_operation_is_named(name: Any) -> None:
    user = make_user(100)
    before = stored()
    for call in calls(user):
        with pytest.raises(InvalidOperation) as refusal:
            call(name)
        assert repr(name) in str(refusal.value)
    assert stored() == before


@pytest.mark.behaviour("SPD-04")
@pytest.mark.parametrize(
    "params", [{}, {"mb": -1}, {"mb": "many"}, {"mb": float("nan")}, {"mb": None}], ids=str
)
@pytest.mark.parametrize("balance", [0, 100])
def test_parameters_are_checked_before_the_balance(params: dict[str, Any], balance: int) -> None:
    user = make_user(balance)
    before = stored()
    with capture_events() as events:
        for call in calls(user):
            with pytest.raises(InvalidOperation):
                call("img", **params)
    assert (stored(), events) == (before, [])


@pytest.mark.behaviour("SPD-05")
def test_failure_of_a_price_keeps_its_cause() -> None:
    user = make_user(100)
    with with_operations(Operation("crash", costs=lambda params: 1 // params["zero"])):
        for call in calls(user):
            with pytest.raises(InvalidOperation) as refusal:
                call("crash", zero=0)
            assert isinstance(refusal.value.__cause__, ZeroDivisionError)
    assert amounts_of(user.wallet()) == [100]


@pytest.mark.behaviour("SPD-06", "SPD-16", "OPS-12")
def test_spend_posts_the_charge_with_its_audit() -> None:
    user = make_user(100)
    with time_machine.travel("2026-01-02T03:04:05+00:00", tick=False):
        row = user.spend_credits_on("report", pages=3)
    assert row is not None
    row.refresh_from_db()
    assert (row.amount, row.category, user.credits) == (-25, "operation_charge", 75)
    assert snapshots_of(user.wallet()) == [(0, 100), (100, 75)]
    assert row.metadata == {
        "operation": "report",
        "cost": 25,
        "params": {"pages": 3},
        "metadata": {},
        "executed_at": "2026-01-02T03:04:05+00:00",
        "version": __version__,
    }
    assert list(user.credit_history.operation_charges()) == [row]


@pytest.mark.behaviour("SPD-07")
def test_refused_spend_is_announced_and_writes_nothing() -> None:
    user = make_user(5)
    before = stored()
    with capture_events() as events, pytest.raises(InsufficientCredits) as refusal:
        user.spend_credits_on("report", pages=3)
    assert (refusal.value.available, refusal.value.required) == (5, 25)
    assert stored() == before
    assert names(events) == ["insufficient_credits"]
    context = events[0]
    assert (context.owner, context.amount, context.operation) == (user, 25, "report")
    assert (context.available, context.required) == (5, 25)
    assert context.metadata == {"available": 5, "required": 25, "params": {"pages": 3}}


@pytest.mark.behaviour("SPD-12", "CST-01")
@pytest.mark.parametrize("balance", [0, 10])
def test_free_operation_charges_nothing(balance: int) -> None:
    user = make_user(balance)
    before = stored()
    with with_operations(Operation("look")), capture_events() as events:
        assert user.spend_credits_on("look") is None
        assert user.has_enough_credits_to("look") is True
        assert user.estimate_credits_to("look") == 0
    assert (stored(), events) == (before, [])


@pytest.mark.behaviour("SPD-13")
def test_spend_follows_the_rule_of_debits_below_zero() -> None:
    user = make_user(5)
    with configured(ALLOW_NEGATIVE_BALANCE=True):
        assert user.has_enough_credits_to("report") is False
        row = user.spend_credits_on("report")
    assert row is not None
    assert (row.balance_after, user.wallet().balance, user.credits) == (-20, -20, 0)


@pytest.mark.behaviour("SPD-16", "OPS-12", "OPS-13")
def test_callers_metadata_overwrites_nothing_of_the_system() -> None:
    user = make_user(100)
    loud = {"cost": 999, "executed_at": "never", "version": "0", "operation": "other", "team": "media"}
    with with_operations(Operation("print", costs=5, metadata=loud)):
        row = user.spend_credits_on("print", metadata={"cost": 1, "job": 7}, pages=2)
    assert row is not None
    assert (row.amount, row.metadata["cost"], row.metadata["operation"]) == (-5, 5, "print")
    assert row.metadata["version"] == __version__
    assert row.metadata["executed_at"] == row.metadata["executed_at"].replace("never", "")
    assert row.metadata["metadata"] == loud | {"cost": 1, "job": 7}
    assert row.metadata["params"] == {"pages": 2}
    assert row.description == "Print (-5 credits)"


@pytest.mark.behaviour("OPS-14", "DEC-19")
def test_price_is_worked_out_once_a_spend() -> None:
    user = make_user(100)
    prices = iter([5, 500, 500])
    with with_operations(Operation("moody", costs=lambda params: next(prices))):
        row = user.spend_credits_on("moody")
    assert row is not None
    assert (row.amount, row.metadata["cost"], user.credits) == (-5, 5, 95)
    assert list(prices) == [500, 500]


@pytest.mark.behaviour("OPS-15")
def test_parameters_that_json_cannot_hold_become_text() -> None:
    class Mode(Enum):
        FAST = "fast"

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    deep: Any = "bottom"
    for _ in range(200):
        deep = [deep]
    user = make_user(100)
    row = user.spend_credits_on(
        "report",
        file=io.BytesIO(b"x"),
        ratio=Decimal("1.5"),
        nan=float("nan"),
        on=datetime.date(2026, 1, 2),
        mode=Mode.FAST,
        nul="a\x00b",
        half="\ud800",
        huge=10**100,
        broken=Broken(),
        nested={"tuple": (1, {2})},
        deep=deep,
    )
    assert row is not None
    row.refresh_from_db()
    params = row.metadata["params"]
    assert params["ratio"] == "1.5"
    assert params["nan"] == "nan"
    assert params["on"] == "2026-01-02"
    assert params["mode"] == "fast"
    assert params["broken"] == "<Broken>"
    assert params["nested"] == {"tuple": [1, [2]]}
    assert all(isinstance(params[name], str) for name in ("file", "nul", "half", "huge"))


@pytest.mark.behaviour("OPS-16")
def test_operation_is_named_by_text_or_enum() -> None:
    class Uses(Enum):
        REPORT = "report"

    user = make_user(100)
    row = user.spend_credits_on(Uses.REPORT)
    assert row is not None
    assert row.metadata["operation"] == "report"
    assert user.estimate_credits_to(Uses.REPORT) == user.estimate_credits_to("report") == 25


@pytest.mark.behaviour("CRE-08", "CRE-09")
@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("metadata", value) for value in bad_values.METADATA),
        *(("idempotency_key", value) for value in bad_values.KEYS),
        *(("attributed_to", value) for value in bad_values.KEYS),
    ],
    ids=bad_values.named,
)
def test_spend_refuses_bad_input_and_writes_nothing(field: str, value: Any) -> None:
    user = make_user(100)
    before = stored()
    arguments: dict[str, Any] = {"idempotency_key": "once"}
    with capture_events() as events, pytest.raises(InvalidValue) as refusal:
        user.spend_credits_on("report", **(arguments | {field: value}))
    assert refusal.value.field == field
    assert (stored(), events) == (before, [])
    again = user.spend_credits_on("report", **arguments)
    assert again is not None
    assert not again.replayed


@pytest.mark.behaviour("DEC-17", "SUL-05")
def test_spend_is_charged_once_under_a_key() -> None:
    user = make_user(100)
    with capture_events() as events:
        first, second = (user.spend_credits_on("report", idempotency_key="job") for _ in range(2))
    assert first is not None
    assert second is not None
    assert (first, first.replayed, second.replayed) == (second, False, True)
    assert user.credits == 75
    assert names(events) == ["credits_deducted"]


@pytest.mark.parametrize("unit", ["kb", "mb", "gb"])
def test_spend_prices_what_the_caller_passed(unit: str) -> None:
    user = make_user(1000)
    with with_operations(Operation("store", costs=credits(2).per(unit))):
        params: dict[str, Any] = {unit: 1.2}
        row = user.spend_credits_on("store", **params)
    assert row is not None
    assert row.amount == -3
    assert row.metadata["params"] == {unit: 1.2}


@pytest.mark.parametrize(
    "options", [{"metadata": {"at": object()}}, {"idempotency_key": ""}, {"attributed_to": 5}]
)
def test_free_operation_refuses_bad_options_too(options: dict[str, Any]) -> None:
    user = make_user()
    with with_operations(Operation("preview")), pytest.raises(InvalidValue) as refusal:
        user.spend_credits_on("preview", **options)
    assert [refusal.value.field] == list(options)
