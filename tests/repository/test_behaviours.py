from __future__ import annotations

import pytest

from tests.repository.catalogue import LIST, read_catalogue
from tests.repository.evidence import Evidence

CATALOGUE = {"DEB-01": None, "DEB-02": "comes later"}


def test_read_catalogue_tells_waived_ids_with_their_reason() -> None:
    assert read_catalogue("DEB-01\nDEB-02 waived: comes later\n") == CATALOGUE


@pytest.mark.parametrize(
    "text", ["DEB-1", "DEB-01 waived:", "DEB-01 waived: ", "deb-01", "DEB-01\nDEB-01", """ \n"""]
)
def test_read_catalogue_refuses_other_lines(text: str) -> None:
    with pytest.raises(ValueError, match="line"):
        read_catalogue(text)


def test_list_covers_every_area() -> None:
    areas = {identifier[:3] for identifier in read_catalogue(LIST.read_text(encoding="utf-8"))}
    assert areas >= {
        "DEC",
        "WAL",
        "CRE",
        "GIV",
        "DEB",
        "ALO",
        "BAL",
        "SNP",
        "CAT",
        "CST",
        "OPS",
        "SPD",
        "EVT",
    }
    assert areas >= {
        "CFG",
        "PAC",
        "PFL",
        "SUL",
        "HLP",
        "ADM",
        "TRF",
        "RFD",
        "SUB",
        "REN",
        "CHG",
        "FUL",
        "STA",
        "TOK",
    }


def test_passed_test_proves_what_it_claims() -> None:
    evidence = Evidence(claims={"t": frozenset({"DEB-01"})})
    evidence.record("t", "setup", "passed")
    assert evidence.without_proof(CATALOGUE) == ["DEB-01"]
    evidence.record("t", "call", "passed")
    assert evidence.without_proof(CATALOGUE) == []


@pytest.mark.parametrize(
    ("when", "outcome"),
    [("setup", "skipped"), ("call", "failed"), ("teardown", "failed"), ("call", "skipped")],
)
def test_other_outcomes_prove_nothing(when: str, outcome: str) -> None:
    evidence = Evidence(claims={"t": frozenset({"DEB-01"})})
    if when == "teardown":
        evidence.record("t", "call", "passed")
    evidence.record("t", when, outcome)
    assert evidence.without_proof(CATALOGUE) == ["DEB-01"]


def test_claim_of_a_waived_line_is_reported() -> None:
    evidence = Evidence(claims={"t": frozenset({"DEB-02"})})
    assert evidence.waived_but_proved(CATALOGUE) == ["DEB-02"]


def test_skipped_tests_and_deselected_concurrency_tests_are_left_out() -> None:
    evidence = Evidence(concurrent={"race"}, deselected={"race", "other"})
    evidence.record("skipped", "setup", "skipped")
    assert evidence.left_out() == ["race", "skipped"]
    assert not evidence.ran_concurrently()
