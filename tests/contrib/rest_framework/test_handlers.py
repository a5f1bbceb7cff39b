from __future__ import annotations

from typing import Any

import pytest

from tests.contrib.rest_framework.asking import PROBLEM, Program, has_run
from tests.factories import amounts_of, configured, make_user
from usage_credits import InsufficientCredits, Operation

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.contrib.rest_framework.urls")]


@pytest.fixture(autouse=True)
def _handler(settings: Any) -> None:
    handler = "usage_credits.contrib.rest_framework.handlers.exception_handler"
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "EXCEPTION_HANDLER": handler}


@pytest.mark.parametrize(
    ("data", "status", "members"),
    [
        ({"spend_credits_on": ["report"]}, 402, {"available": 5, "required": 25}),
        ({"spend_credits_on": ["img"]}, 400, {"detail": "the parameter 'mb' is missing"}),
        ({"spend_credits_on": ["teleport"]}, 400, {"detail": "teleport"}),
        ({"give_credits": [-5]}, 400, {"field": "amount"}),
        ({"give_credits": ["5"]}, 400, {"field": "amount"}),
        ({"find_wallet": ["x" * 51]}, 400, {"field": "asset"}),
    ],
)
def test_what_is_refused_anywhere_is_answered(
    data: dict[str, Any], status: int, members: dict[str, Any]
) -> None:
    user = make_user(5)
    answer = Program(user).ask("/spend/", data)
    problem = answer.json()
    assert (answer.status_code, answer["Content-Type"], problem["status"]) == (status, PROBLEM, status)
    for name, value in members.items():
        assert value in problem[name] if name == "detail" else problem[name] == value
    assert (amounts_of(user.wallet()), has_run(user)) == ([5], False)


def test_caps_and_keys_are_answered() -> None:
    user = make_user(100)
    wallet, program = user.wallet(), Program(user)
    wallet.set_cap("key_1", 24, every="day")
    wallet.debit(5, idempotency_key="order-9")
    for options, status in (({"attributed_to": "key_1"}, 429), ({"idempotency_key": "order-9"}, 409)):
        answer = program.ask("/spend/", {"charge_report": options})
        assert (answer.status_code, answer["Content-Type"]) == (status, PROBLEM)
        assert answer.has_header("Retry-After") is (status == 429)
    assert amounts_of(wallet) == [100, -5]


def test_crash_of_a_price_is_logged_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    def price(params: Any) -> int:
        raise RuntimeError("a secret")

    with configured(OPERATIONS=[Operation("report", costs=price)]):
        answer = Program(make_user(5)).ask("/spend/", {"spend_credits_on": ["report"]})
    assert (answer.status_code, "secret" in answer.content.decode()) == (400, False)
    assert "a secret" in caplog.text


def test_settings_that_are_refused_are_no_fault_of_the_request() -> None:
    program = Program(make_user(5))
    with configured(OPERATIONS=5), pytest.raises(Exception, match="OPERATIONS"):
        program.ask("/spend/", {"spend_credits_on": ["report"]})


def test_answers_of_the_framework_stay_as_they_are() -> None:
    program = Program(make_user(100))
    answer = program.ask("/charge/report/", {"fail": "invalid"})
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/json")
    assert answer.json() == {"prompt": ["Too long."]}
    assert program.ask("/spend/", method="put").status_code == 405


def test_what_a_charged_method_itself_spends_is_answered_and_undone() -> None:
    user = make_user(49)
    answer = Program(user).ask("/charge/report/", {"spend": True})
    assert (answer.status_code, answer.json()["available"]) == (402, 24)
    assert (amounts_of(user.wallet()), user.wallet().held, has_run(user)) == ([49], 0, False)


def test_without_the_handler_it_is_the_projects_to_answer(settings: Any) -> None:
    del settings.REST_FRAMEWORK["EXCEPTION_HANDLER"]
    settings.REST_FRAMEWORK = dict(settings.REST_FRAMEWORK)
    with pytest.raises(InsufficientCredits):
        Program(make_user(5)).ask("/spend/", {"spend_credits_on": ["report"]})
