from __future__ import annotations

import os
import random
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.factories import configured
from tests.invariants.lives import (
    Act,
    Delays,
    Deliver,
    Ending,
    Plot,
    live,
    receive_directly,
    receive_over_http,
)
from tests.settings import USAGE_CREDITS
from usage_credits import SubscriptionPlan, credits
from usage_credits.dsl.categories import (
    SUBSCRIPTION_CREDITS,
    SUBSCRIPTION_SIGNUP_BONUS,
    SUBSCRIPTION_TRIAL,
    SUBSCRIPTION_UPGRADE,
)

IS_LONG = os.environ.get("HYPOTHESIS_PROFILE") == "ci"
# Lives take the same course on every database; the locks that differ are tested with real processes elsewhere.
LIVES = 500 if IS_LONG and os.environ.get("TEST_DATABASE", "sqlite") == "sqlite" else 25

CREDITS = {"pro": 500, "prem": 2_000, "roll": 1_000, "ultra": 5_000}
PREM = SubscriptionPlan(
    "prem",
    stripe_price={"month": "price_prem", "year": "price_prem_year"},
    gives=credits(2_000).every("month"),
    signup_bonus=200,
)
PLANS = [PREM if plan.name == "prem" else plan for plan in USAGE_CREDITS["SUBSCRIPTION_PLANS"]]  # type: ignore[attr-defined]

ACTS = st.builds(
    Act,
    after=st.integers(1, 24 * 25),
    name=st.sampled_from(
        ["change"] * 5
        + ["cancel_later", "uncancel", "cancel", "end_trial"]
        + ["fail_card", "mend_card", "mend_card", "pause", "resume", "resume"]
    ),
    argument=st.sampled_from(
        ["price_pro", "price_prem", "price_roll", "price_ultra", "price_prem_year", "price_other"]
    ),
)
PLOTS = st.builds(
    Plot,
    price=st.sampled_from(["price_pro", "price_prem", "price_roll", "price_ultra"]),
    trial_days=st.sampled_from([0, 0, 7, 14]),
    acts=st.lists(ACTS, min_size=1, max_size=6).map(tuple),
)


def in_time(number: int) -> list[float]:
    return [0]


def late(seed: int) -> Delays:
    """Deliver each notice up to three times and up to three days late, so that they overtake each other."""

    def delays(number: int) -> list[float]:
        chance = random.Random(f"{seed}:{number}")
        hours = [0, chance.uniform(0, 6), chance.uniform(0, 72)]
        return [chance.choice(hours) for _delivery in range(chance.randint(1, 3))]

    return delays


@pytest.mark.django_db
@settings(max_examples=LIVES, suppress_health_check=list(HealthCheck))
@given(plot=PLOTS, seed=st.integers(0, 10**6))
def test_late_repeated_and_shuffled_notices_end_as_ordered_ones_do(plot: Plot, seed: int) -> None:
    check_life(plot, seed, receive_directly)


@pytest.mark.django_db
@settings(max_examples=20 if IS_LONG else 5, suppress_health_check=list(HealthCheck))
@given(plot=PLOTS, seed=st.integers(0, 10**6))
def test_late_repeated_and_shuffled_events_over_http_end_as_ordered_ones_do(plot: Plot, seed: int) -> None:
    check_life(plot, seed, receive_over_http)


def check_life(plot: Plot, seed: int, deliver: Deliver) -> None:
    with configured(SUBSCRIPTION_PLANS=PLANS):
        ordered = live(plot, in_time, deliver)
        shuffled = live(plot, late(seed), deliver)
    note("\n".join(["ordered:", *map(str, ordered.awards), "shuffled:", *map(str, shuffled.awards)]))
    assert shuffled == ordered
    for ending in (ordered, shuffled):
        assert excess(ending) == []


def excess(ending: Ending) -> list[object]:
    """Return the awards beyond one cycle a grid date, one upgrade a plan and paid period, one bonus, one trial."""
    cycles = [award for award in ending.awards if award.category == SUBSCRIPTION_CREDITS]
    upgrades = [award for award in ending.awards if award.category == SUBSCRIPTION_UPGRADE]
    dates = Counter(award.grid_date for award in cycles)
    keys = Counter(award.key for award in upgrades)
    once = Counter(award.category for award in ending.awards)
    return [
        *[award for award in cycles + upgrades if award.amount != CREDITS[award.plan]],
        *[date for date, count in dates.items() if count > 1 or date is None],
        *[key for key, count in keys.items() if count > 1 or key is None],
        *[name for name in (SUBSCRIPTION_SIGNUP_BONUS, SUBSCRIPTION_TRIAL) if once[name] > 1],
    ]
