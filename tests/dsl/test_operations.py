from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.dsl.pricing import price_of
from usage_credits import InvalidOperation, InvalidValue, Operation, credits
from usage_credits.dsl.audit import json_safe

MEGABYTE = 1024**2
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)


def seen_by_rules(**params: Any) -> dict[str, Any]:
    seen: dict[str, Any] = {}

    def remember(values: Mapping[str, Any]) -> bool:
        seen.update(values)
        return True

    Operation("look", validates=remember).quote(params)
    return seen


def audit_of(params: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    return Operation("upload", **{"costs": 5, **options}).quote(params).audit(NOON, "1.2.3")


@pytest.mark.behaviour("OPS-01")
def test_operation_has_a_name_a_cost_rules_and_metadata() -> None:
    operation = Operation("send", costs=3, validates=bool, metadata={"team": "mail"})
    assert operation.name == "send"
    assert operation.costs == credits(3)
    assert operation.validates == ((bool, "The validation of the parameters failed."),)
    assert operation.metadata == {"team": "mail"}


@pytest.mark.behaviour("CFG-13")
@pytest.mark.parametrize("name", ["", "  ", None, 5, b"send"])
def test_operation_refuses_a_blank_name(name: Any) -> None:
    with pytest.raises(InvalidValue, match=r"^name: got"):
        Operation(name, costs=1)


@pytest.mark.behaviour("OPS-02")
def test_parameters_give_rules_the_size_in_every_unit() -> None:
    for given_as in (
        {"mb": 1.5},
        {"size_mb": 1.5},
        {"size_megabytes": 1.5},
        {"size": 1_572_864},
        {"kb": 1_536},
    ):
        seen = seen_by_rules(**given_as)
        assert (seen["size"], seen["kb"], seen["mb"]) == (1_572_864, 1_536, 1.5)
        assert isinstance(seen["size"], int)
        assert isinstance(seen["kb"], int)


@pytest.mark.behaviour("OPS-02")
def test_parameters_prefer_the_forms_in_their_order() -> None:
    forms: dict[str, Any] = {"mb": 4, "size_mb": 3, "size_megabytes": 2, "size": MEGABYTE}
    for expected in (4, 3, 2, 1):
        assert price_of(credits(1).per("mb"), **forms) == expected
        del forms[next(iter(forms))]


@pytest.mark.behaviour("OPS-02")
@pytest.mark.parametrize("form", ["gb", "size_gb", "size_gigabytes"])
def test_parameters_read_gigabytes(form: str) -> None:
    assert seen_by_rules(**{form: 1})["size"] == 1024**3


@pytest.mark.behaviour("OPS-02")
def test_parameters_round_bytes_up() -> None:
    assert seen_by_rules(kb=0.0001)["size"] == 1


@pytest.mark.behaviour("OPS-02", "DEC-22")
def test_parameters_leave_out_sizes_that_were_not_given() -> None:
    assert seen_by_rules(steps=3) == {"steps": 3}
    assert seen_by_rules(size=None, mb=None) == {}


def test_parameters_mirror_unit_and_units() -> None:
    assert seen_by_rules(unit=3) == {"unit": 3, "units": 3}
    assert seen_by_rules(units=3, unit=None) == {"unit": 3, "units": 3}
    assert seen_by_rules(units=3, unit="kg") == {"unit": "kg", "units": 3}


@pytest.mark.behaviour("OPS-03")
def test_size_in_bytes_prices_as_megabytes() -> None:
    assert price_of(credits(1).per("mb"), size=10 * 1_048_576) == 10


@pytest.mark.behaviour("OPS-04")
def test_size_of_none_counts_as_missing() -> None:
    assert price_of(credits(1).per("mb"), mb=None, size=MEGABYTE) == 1
    with pytest.raises(InvalidOperation, match=r"'mb' is missing"):
        price_of(credits(1).per("mb"), mb=None)


@pytest.mark.behaviour("OPS-04", "OPS-05")
@pytest.mark.parametrize("size", ["abc", "5", -1, True, float("nan")])
def test_size_that_is_no_number_from_zero_up_is_refused_whatever_the_cost(size: Any) -> None:
    with pytest.raises(InvalidOperation, match=r"'size' is"):
        price_of(25, size=size)


@pytest.mark.parametrize("option", ["idempotency_key", "attributed_to", "metadata", "ttl", "amount"])
def test_parameters_named_like_options_are_refused(option: str) -> None:
    with pytest.raises(InvalidOperation, match=rf"'{option}'"):
        price_of(1, **{option: None})


@pytest.mark.behaviour("OPS-06", "OPS-10")
def test_rules_must_all_allow() -> None:
    operation = Operation(
        "resize",
        costs=1,
        validates=[
            (lambda params: params["mb"] <= 100, "at most 100 MB"),
            (lambda params: params["mb"] >= 1, "at least 1 MB"),
        ],
    )
    assert operation.quote({"mb": 50}).price == 1
    with pytest.raises(InvalidOperation, match=r"^at least 1 MB$"):
        operation.quote({"mb": 0})
    with pytest.raises(InvalidOperation, match=r"^at most 100 MB$"):
        operation.quote({"mb": 150})


@pytest.mark.behaviour("OPS-06")
@pytest.mark.parametrize(
    "validates", [lambda params: 0, [lambda params: None], (lambda params: "", lambda params: True)]
)
def test_rule_without_message_says_that_validation_failed(validates: Any) -> None:
    with pytest.raises(InvalidOperation, match=r"^The validation of the parameters failed.$"):
        Operation("no", validates=validates).quote({})


@pytest.mark.behaviour("OPS-07")
def test_refusal_is_the_message_of_the_rule_alone() -> None:
    with pytest.raises(InvalidOperation) as caught:
        Operation("no", validates=(lambda params: False, "not today")).quote({})
    assert str(caught.value) == "not today"
    assert caught.value.__cause__ is None


@pytest.mark.behaviour("OPS-07", "OPS-08", "DEC-22")
@pytest.mark.parametrize("name", ["steps", "mb", "size", "units"])
def test_rule_that_asks_for_a_missing_parameter_is_refused_with_its_cause(name: str) -> None:
    with pytest.raises(
        InvalidOperation, match=rf"'draw' crashed: the parameter '{name}' is missing"
    ) as caught:
        Operation("draw", validates=lambda params: params[name] < 5).quote({})
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.behaviour("SPD-05", "DEC-22")
def test_callable_that_asks_for_a_missing_parameter_is_refused_with_its_cause() -> None:
    with pytest.raises(InvalidOperation, match=r"the parameter 'mb' is missing") as caught:
        price_of(lambda params: params["mb"])
    assert isinstance(caught.value.__cause__, KeyError)


@pytest.mark.behaviour("SPD-05")
def test_callable_that_crashes_is_refused_with_its_cause() -> None:
    with pytest.raises(InvalidOperation, match=r"'any' could not be worked out") as caught:
        price_of(lambda params: 1 // 0)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_refusals_that_rules_and_callables_raise_themselves_pass_unchanged() -> None:
    refusal = InvalidOperation("the model is retired")

    def refuse(params: Mapping[str, Any]) -> int:
        raise refusal

    for operation in (Operation("rule", validates=refuse), Operation("price", costs=refuse)):
        with pytest.raises(InvalidOperation) as caught:
            operation.quote({})
        assert caught.value is refusal


@pytest.mark.behaviour("OPS-09")
def test_rules_run_before_the_price() -> None:
    reached: list[str] = []

    def price(params: Mapping[str, Any]) -> int:
        reached.append("price")
        return 100 // int(params["parts"])

    operation = Operation(
        "split", costs=price, validates=(lambda params: params["parts"] > 0, "parts above 0")
    )
    with pytest.raises(InvalidOperation, match=r"parts above 0"):
        operation.quote({"parts": 0})
    assert reached == []


@pytest.mark.parametrize(
    "validates",
    [
        (bool, "a message"),
        [(bool, "a message")],
        [bool, (bool, "a message")],
        [(bool, "a message"), (bool, "a message")],
        [[bool, "a message"], bool],
        iter([bool]),
    ],
)
def test_rules_may_be_one_or_many_with_or_without_message(validates: Any) -> None:
    rules = Operation("any", validates=validates).validates
    assert {rule for rule, _ in rules} == {bool}
    assert all(isinstance(message, str) for _, message in rules)


def test_rules_cannot_change_the_parameters() -> None:
    def cheat(params: Any) -> bool:
        params["mb"] = 0
        return True

    with pytest.raises(InvalidOperation, match=r"crashed"):
        Operation("cheat", costs=credits(1).per("mb"), validates=cheat).quote({"mb": 5})


@pytest.mark.parametrize(
    "validates", ["text", 5, {"a": bool}, [None], [(bool, 5)], [(bool, "")], [(bool, "a", "b")]]
)
def test_operation_refuses_what_is_no_rule(validates: Any) -> None:
    with pytest.raises(InvalidValue, match=r"^validates: got"):
        Operation("bad", costs=1, validates=validates)


@pytest.mark.behaviour("OPS-11")
def test_metadata_keys_become_text_and_values_are_copied() -> None:
    given_metadata = {1: "one", "nested": {"a": [1]}}
    operation = Operation("meta", metadata=given_metadata)  # type: ignore[arg-type]
    given_metadata["nested"]["a"].append(2)  # type: ignore[index]
    assert operation.metadata == {"1": "one", "nested": {"a": [1]}}


@pytest.mark.parametrize("metadata", ["text", [1], {"a": object()}, {"a": float("nan")}])
def test_operation_refuses_metadata_that_json_cannot_hold(metadata: Any) -> None:
    with pytest.raises(InvalidValue, match=r"^metadata: "):
        Operation("bad", metadata=metadata)


@pytest.mark.behaviour("OPS-12")
def test_audit_records_the_charge_as_it_was_asked_for() -> None:
    assert audit_of({"size_mb": 1, "label": "x"}, metadata={"team": "media"}) == {
        "operation": "upload",
        "cost": 5,
        "params": {"size_mb": 1, "label": "x"},
        "metadata": {"team": "media"},
        "executed_at": "2026-01-15T12:00:00+00:00",
        "version": "1.2.3",
    }


@pytest.mark.behaviour("OPS-13")
def test_audit_is_not_overwritten_by_the_metadata_of_the_operation() -> None:
    audit = audit_of({}, metadata={"cost": 999, "operation": "other", "version": "9", "executed_at": "never"})
    assert (audit["cost"], audit["operation"], audit["version"]) == (5, "upload", "1.2.3")
    assert audit["metadata"]["cost"] == 999


@pytest.mark.behaviour("OPS-14", "DEC-19")
def test_price_is_worked_out_once() -> None:
    prices = iter([5, 500])
    quote = Operation("volatile", costs=lambda params: next(prices)).quote({})
    assert quote.price == 5
    assert quote.audit(NOON, "1")["cost"] == 5
    assert next(prices) == 500


class Hostile:
    def __str__(self) -> str:
        raise RuntimeError("no text for you")


class Colour(Enum):
    RED = "red"


def _endless() -> list[Any]:
    endless: list[Any] = []
    endless.append(endless)
    return endless


@pytest.mark.behaviour("OPS-15")
@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (Decimal("1.50"), "1.50"),
        (date(2026, 1, 2), "2026-01-02"),
        (NOON, "2026-01-15T12:00:00+00:00"),
        (float("inf"), "inf"),
        (10**30, "1" + "0" * 30),
        (Colour.RED, "red"),
        ((1, 2.5), [1, 2.5]),
        ({"b", "a"}, ["a", "b"]),
        ({1: {"x": None}}, {"1": {"x": None}}),
        ("a\x00b\ud800", "a\\x00b\\ud800"),
        (b"raw", "b'raw'"),
        (Hostile(), "<Hostile>"),
        ({Hostile(): 1}, {"<Hostile>": 1}),
        pytest.param(10**5000, "<int>", id="huge"),
        (True, True),
    ],
)
def test_audit_reduces_to_json_what_json_cannot_hold(value: Any, kept: Any) -> None:
    assert audit_of({"value": value})["params"] == {"value": kept}


@pytest.mark.behaviour("OPS-15")
@pytest.mark.parametrize("value", [BytesIO(b"file"), _endless(), object(), sys, "x" * 10_000])
def test_audit_keeps_a_row_for_any_object(value: Any) -> None:
    json.dumps(audit_of({"value": value}), allow_nan=False)


@pytest.mark.behaviour("OPS-15")
@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text()
        | st.decimals()
        | st.binary()
        | st.dates(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
        max_leaves=20,
    )
)
def test_audit_reduces_any_value_to_storable_json(value: Any) -> None:
    text = json.dumps(json_safe(value), allow_nan=False, ensure_ascii=False)
    assert "\\u0000" not in text.replace("\\\\", "")
    text.encode()


@pytest.mark.behaviour("OPS-16")
def test_name_may_be_an_enum() -> None:
    class Use(StrEnum):
        SEND = "send"

    assert Operation(Use.SEND).name == "send"
    assert type(Operation(Use.SEND).name) is str
    assert Operation(Colour.RED).name == "red"
