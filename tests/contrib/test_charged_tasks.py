from __future__ import annotations

import datetime
from typing import Any

import pytest

from tests.app.models import User
from tests.contrib.charged import fulfill_order, render
from tests.contrib.project import app
from tests.factories import amounts_of, configured, make_user, names, stored
from usage_credits import InsufficientCredits, InvalidOperation, InvalidValue
from usage_credits.contrib.celery import charged_task
from usage_credits.ledger.verification import verify
from usage_credits.models import Hold
from usage_credits.testing import capture_events

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run what is sent at once, in this process; real workers are in test_celery_workers.py."""
    monkeypatch.setitem(app.conf, "task_always_eager", True)


def rendered(user: User) -> bool:
    return User.objects.get(pk=user.pk).first_name == "rendered"


@pytest.mark.behaviour("TOK-14", "DEC-14")
def test_task_is_charged_with_what_was_held_while_it_ran() -> None:
    user = make_user(100)
    with capture_events() as events:
        sent = render.delay(user.pk, mb=10)
    assert sent.get() == {"held": 20, "replayed": False}
    row = user.credit_history.last()
    assert row
    assert (row.amount, row.operation, row.idempotency_key) == (-20, "img", sent.id)
    assert names(events) == ["hold_placed", "credits_deducted", "hold_captured"]
    assert rendered(user)


def test_task_does_not_run_without_credits() -> None:
    user = make_user(14)
    before = stored()
    sent = render.delay(user.pk)
    with pytest.raises(InsufficientCredits) as refused:
        sent.get()
    assert (refused.value.available, refused.value.required) == (14, 15)
    assert not rendered(user)
    assert stored() == before


def test_failed_task_is_undone_and_not_charged() -> None:
    user = make_user(100)
    with pytest.raises(LookupError):
        render.delay(user.pk, fail=True).get()
    assert not rendered(user)
    assert (amounts_of(user.wallet()), user.wallet().held) == ([100], 0)
    assert not Hold.objects.filter(is_open=True).exists()


@pytest.mark.parametrize(("amount", "rows"), [(3, [100, -3]), (40, [100, -40]), (0, [100])])
def test_task_is_charged_what_it_says_it_used(amount: int, rows: list[int]) -> None:
    user = make_user(100)
    render.delay(user.pk, amount=amount).get()
    assert amounts_of(user.wallet()) == rows


def test_task_is_charged_the_price_of_what_it_used() -> None:
    user = make_user(100)
    render.delay(user.pk, mb=50, used=7).get()
    row = user.credit_history.last()
    assert row
    assert (row.amount, row.metadata["params"], user.wallet().held) == (-17, {"mb": 7}, 0)


def test_task_that_is_run_again_under_its_id_is_charged_once() -> None:
    user = make_user(15)
    with pytest.raises(LookupError):
        render.apply((user.pk,), {"fail": True}, task_id="task-1").get()
    replayed = [render.apply((user.pk,), task_id="task-1").get()["replayed"] for _ in range(3)]
    assert replayed == [False, True, True]
    assert (amounts_of(user.wallet()), user.wallet().held) == ([15, -15], 0)
    with pytest.raises(InsufficientCredits):
        render.apply((user.pk,), task_id="task-2").get()
    assert list(verify()) == []


def test_key_may_name_the_work() -> None:
    user = make_user(100)
    assert [fulfill_order.delay(user.pk, order).get() for order in (7, 7, 8)] == [7, 7, 8]
    assert [row.idempotency_key for row in user.credit_history] == [None, "order:7", "order:8"]


def test_body_that_is_called_as_a_function_is_charged_for_each_call() -> None:
    user = make_user(100)
    for _ in range(2):
        render(user.pk)
    assert [row.idempotency_key for row in user.credit_history] == [None] * 3


def test_task_is_refused_with_arguments_that_its_body_does_not_take() -> None:
    user = make_user(100)
    assert render.name == "tests.render"
    with pytest.raises(TypeError, match="colour"):
        render.apply_async((user.pk,), {"colour": "red"})


@pytest.mark.parametrize("mb", [-1, "5", None, True])
def test_refused_parameters_are_raised_before_the_body(mb: Any) -> None:
    user = make_user(100)
    with pytest.raises(InvalidOperation):
        render.delay(user.pk, mb=mb).get()
    assert not rendered(user)
    assert amounts_of(user.wallet()) == [100]


def test_parameters_cannot_be_options() -> None:
    user = make_user(100)

    @charged_task("report", owner=lambda: user, params={"idempotency_key": "x"})
    def work() -> None:
        pytest.fail("the body ran")

    with pytest.raises(InvalidOperation, match="idempotency_key"):
        work()


def test_unknown_operation_and_owners_without_wallets_are_refused() -> None:
    user = make_user(100)
    with configured(OPERATIONS=[]), pytest.raises(InvalidOperation, match="img"):
        render.delay(user.pk).get()

    @charged_task("report", owner=lambda: "ada")
    def work() -> None:
        pytest.fail("the body ran")

    with pytest.raises(InvalidValue, match="HasWallet"):
        work()


@pytest.mark.parametrize(
    ("field", "options"),
    [
        ("operation", {"operation": None}),
        ("owner", {"owner": "user"}),
        ("owner", {"owner": None}),
        ("idempotency_key", {"idempotency_key": "order-9"}),
        ("ttl", {"ttl": datetime.timedelta(0)}),
    ],
)
def test_bad_options_are_refused_at_once(field: str, options: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue) as refused:
        charged_task(**{"operation": "report", "owner": lambda: None, **options})
    assert refused.value.field == field
