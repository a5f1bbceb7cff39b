from __future__ import annotations

import datetime
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine

from tests import bad_values
from tests.app.models import User
from tests.billing.fulfilling import GRACE, START, amounts_awarded, at, fulfill, rows_of
from tests.factories import StudioFactory, TeamFactory, configured, days, make_user, names, stored
from usage_credits import IdempotencyConflict, InvalidValue, credits, start_grant, start_plan, stop_grant
from usage_credits.ledger.verification import verify
from usage_credits.models import Fulfillment
from usage_credits.testing import capture_events

pytestmark = pytest.mark.django_db

MONTHLY = credits(100).every("month")
NO_ALLOWANCES: list[Any] = [100, credits(100), "100", None, True, credits(5).every("hour")]
NO_USES: list[Any] = ["keep", None, True, []]


@pytest.fixture(autouse=True)
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel(START, tick=False) as clock:
        yield clock


@pytest.mark.parametrize("factory", [make_user, TeamFactory.create, StudioFactory.create])
def test_grant_awards_at_once_and_on_every_date(factory: Any, clock: time_machine.Traveller) -> None:
    owner = factory()
    with capture_events() as events:
        grant = start_grant(owner, MONTHLY, reason="sponsor", metadata={"team": "media"})
    assert names(events) == ["credits_added"]
    clock.move_to(at(2, 28))
    fulfill()
    first, second = rows_of(grant)
    for row, date, next_date in ((first, START, at(2, 28)), (second, at(2, 28), at(3, 31))):
        assert (row.amount, row.category) == (100, "credit_added")
        assert (row.grid_date, row.expires_at) == (date, next_date + GRACE)
        assert row.metadata == {
            "team": "media",
            "grant_reason": "sponsor",
            "credits": 100,
            "unused_credits": "expire",
            "fulfillment_id": grant.pk,
            "fulfillment_period": "P1M",
            "plan_name": "",
            "reason": "fulfillment_cycle",
        }
    grant.refresh_from_db()
    assert (grant.source, grant.source_id, grant.kind) == ("manual", None, "manual")
    assert (grant.period, grant.credits_last_awarded) == ("P1M", 100)
    clock.move_to(at(2, 28) + GRACE)
    assert owner.credits == 100
    assert list(verify()) == []


def test_grant_keeps_what_is_unused_where_it_says_so(clock: time_machine.Traveller) -> None:
    user = make_user()
    grant = start_grant(user, MONTHLY, unused_credits="rollover")
    clock.move_to(at(4, 1))
    assert fulfill().awarded == 2
    assert [row.expires_at for row in rows_of(grant)] == [None] * 3
    assert user.credits == 300


def test_grant_is_no_subscription() -> None:
    user = make_user()
    start_grant(user, MONTHLY)
    assert user.credit_subscriptions == []


def test_grants_run_side_by_side() -> None:
    user = make_user()
    first, second = start_grant(user, MONTHLY), start_grant(user, MONTHLY)
    assert first != second
    assert user.credits == 200


def test_grant_to_come_waits_and_ends_before_its_end(clock: time_machine.Traveller) -> None:
    grant = start_grant(make_user(), MONTHLY, starts_at=datetime.date(2026, 2, 10), ends_at=at(4, 10, 0))
    assert amounts_awarded(grant) == []
    for moment in (at(2, 10), at(3, 10), at(4, 10), at(5, 10)):
        clock.move_to(moment)
        fulfill()
    assert [row.grid_date for row in rows_of(grant)] == [at(2, 10, 0), at(3, 10, 0)]
    grant.refresh_from_db()
    assert grant.next_fulfillment_at is None


def test_stop_awards_what_was_due_and_nothing_after_it(clock: time_machine.Traveller) -> None:
    user = make_user()
    grant = start_grant(user, MONTHLY, unused_credits="rollover")
    other = start_grant(user, credits(5).every("week"))
    assert stop_grant(grant, at=at(12, 1)) == grant
    clock.move_to(at(3, 1))
    stopped = stop_grant(grant)
    assert stopped == grant
    assert (stopped.stops_at, stopped.stop_reason, stopped.next_fulfillment_at) == (at(3, 1), "stopped", None)
    before = stored()
    assert stop_grant(grant) is None
    assert stop_grant(stopped, at=at(6, 1)) is None
    assert stored() == before
    clock.move_to(at(6, 1))
    fulfill()
    assert amounts_awarded(grant) == [100, 100]
    assert amounts_awarded(other)[0] == 5
    assert user.credits == 205


def test_grant_under_one_key_is_one_grant(clock: time_machine.Traveller) -> None:
    user, other = make_user(), make_user()
    grant = start_grant(user, MONTHLY, idempotency_key="sponsor:1")
    before = stored()
    clock.move_to(at(2, 1))
    assert start_grant(user, MONTHLY, reason="again", idempotency_key="sponsor:1") == grant
    for gives, unused in ((credits(101).every("month"), "expire"), (credits(100).every("week"), "expire")):
        with pytest.raises(IdempotencyConflict):
            start_grant(user, gives, unused_credits=unused, idempotency_key="sponsor:1")  # type: ignore[arg-type]
    with pytest.raises(IdempotencyConflict):
        start_grant(user, MONTHLY, unused_credits="rollover", idempotency_key="sponsor:1")
    assert stored() == before
    assert start_grant(user, MONTHLY, idempotency_key="Sponsor:1") != grant
    assert start_grant(other, MONTHLY, idempotency_key="sponsor:1") != grant
    stop_grant(grant)
    assert start_grant(user, MONTHLY, idempotency_key="sponsor:1") == grant


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("gives", value) for value in NO_ALLOWANCES),
        *(("reason", value) for value in bad_values.KEYS),
        *(("unused_credits", value) for value in NO_USES),
        *(("idempotency_key", value) for value in bad_values.KEYS),
        *(("metadata", value) for value in bad_values.METADATA),
        *((field, datetime.datetime(2999, 1, 1)) for field in ("starts_at", "ends_at")),
        *(("ends_at", value) for value in (START, START - days(1), "2999-01-01")),
    ],
    ids=bad_values.named,
)
def test_refuse_what_is_no_grant(field: str, value: Any) -> None:
    studio = StudioFactory.create()
    before = stored()
    arguments: dict[str, Any] = {"gives": MONTHLY, field: value}
    with pytest.raises(InvalidValue) as refusal:
        start_grant(studio, arguments.pop("gives"), **arguments)
    assert refusal.value.field == field
    assert stored() == before


def test_refuse_a_grant_for_an_unsaved_owner() -> None:
    with pytest.raises(InvalidValue, match="unsaved") as refusal:
        start_grant(User(username="ada"), MONTHLY)
    assert refusal.value.field == "owner"


def test_refuse_a_period_below_the_shortest() -> None:
    with configured(MIN_FULFILLMENT_PERIOD=days(40)), pytest.raises(InvalidValue, match="40 days"):
        start_grant(make_user(), MONTHLY)


def test_refuse_to_stop_what_is_no_grant() -> None:
    user = make_user()
    bad: list[Any] = [start_plan(user, "pro"), Fulfillment(), None, 5, user, "manual"]
    before = stored()
    for fulfillment in bad:
        with pytest.raises(InvalidValue) as refusal:
            stop_grant(fulfillment)
        assert refusal.value.field == "fulfillment"
    with pytest.raises(InvalidValue) as refusal:
        stop_grant(start_grant(user, MONTHLY), at=datetime.datetime(2999, 1, 1))
    assert refusal.value.field == "at"
    assert len(stored()["usage_credits.Transaction"]) == len(before["usage_credits.Transaction"]) + 1
