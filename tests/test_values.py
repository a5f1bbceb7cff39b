from __future__ import annotations

import contextlib
import datetime
from enum import Enum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import bad_values
from usage_credits import InvalidAmount, InvalidValue
from usage_credits.values import check_amount, check_metadata, check_moment, check_text, is_finite_number

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


@given(st.integers(1, 2**63 - 1))
def test_amounts_in_range_pass_unchanged(amount: int) -> None:
    assert check_amount(amount) == amount


@pytest.mark.behaviour("DEC-22", "CRE-09")
@pytest.mark.parametrize("value", bad_values.AMOUNTS, ids=bad_values.named)
def test_amounts_are_int_and_nothing_else(value: Any) -> None:
    with pytest.raises(InvalidAmount) as refusal:
        check_amount(value, "price")
    assert refusal.value.field == "price"


def test_amounts_of_int_subclasses_are_refused() -> None:
    class Flag(int):
        pass

    with pytest.raises(InvalidAmount):
        check_amount(Flag(5))
    assert check_amount(0, minimum=0) == 0


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_metadata_is_copied_whole_or_refused(given_mapping: dict[str, Any]) -> None:
    if any(sign in repr(given_mapping) for sign in ("\\x00", "\\ud")):
        with contextlib.suppress(InvalidValue):
            assert check_metadata(given_mapping) == given_mapping
        return
    copy = check_metadata(given_mapping)
    assert copy == given_mapping
    assert copy is not given_mapping


def test_metadata_may_nest_thirty_levels() -> None:
    deepest: Any = 1
    for _ in range(29):
        deepest = [deepest]
    assert check_metadata({"a": deepest}) == {"a": deepest}
    with pytest.raises(InvalidValue):
        check_metadata({"a": [deepest]})
    assert check_metadata(None) == {}


def test_text_that_looks_like_an_escape_is_no_nul() -> None:
    assert check_metadata({"path": "C:\\u0000", "\\\\u0000": 1}) == {"path": "C:\\u0000", "\\\\u0000": 1}


@pytest.mark.parametrize("value", bad_values.KEYS, ids=bad_values.named)
def test_texts_are_stored_whole_or_refused(value: Any) -> None:
    with pytest.raises(InvalidValue) as refusal:
        check_text(value, "key")
    assert refusal.value.field == "key"


def test_text_of_an_enum_is_its_value() -> None:
    class Name(Enum):
        ADA = "ada"
        SEVEN = 7

    assert check_text(Name.ADA, "name") == "ada"
    with pytest.raises(InvalidValue):
        check_text(Name.SEVEN, "name")


def test_moments_are_aware() -> None:
    moment = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
    assert check_moment(moment, "at") is moment
    assert check_moment(None, "at") is None
    for bad in bad_values.EXPIRIES[:5]:
        with pytest.raises(InvalidValue) as refusal:
            check_moment(bad, "at")
        assert refusal.value.field == "at"


@pytest.mark.parametrize(
    ("value", "finite"),
    [(1, True), (1.5, True), (True, False), (float("nan"), False), ("1", False), (None, False)],
)
def test_finite_numbers(value: Any, finite: bool) -> None:
    assert is_finite_number(value) is finite
