from __future__ import annotations

from enum import Enum

import pytest

from tests.factories import configured, make_wallet
from usage_credits import InvalidValue
from usage_credits.dsl.categories import DEFAULT_CATEGORIES

pytestmark = pytest.mark.django_db


@pytest.mark.behaviour("CAT-01")
@pytest.mark.parametrize(
    "category",
    [
        "signup_bonus",
        "referral_bonus",
        "bonus",
        "subscription_credits",
        "subscription_trial",
        "subscription_signup_bonus",
        "subscription_upgrade",
        "credit_pack",
        "credit_pack_purchase",
        "credit_pack_refund",
        "operation_charge",
        "manual_adjustment",
        "credit_added",
        "credit_deducted",
        "transfer_in",
        "transfer_out",
        "reversal",
    ],
)
def test_default_categories_are_accepted(category: str) -> None:
    row = make_wallet().credit(5, category=category)
    row.refresh_from_db()
    assert row.category == category


@pytest.mark.behaviour("CAT-03", "CAT-08")
def test_additional_categories_are_accepted_while_they_are_in_settings() -> None:
    wallet = make_wallet()
    with configured(ADDITIONAL_CATEGORIES=["network_usage"]):
        assert wallet.credit(5, category="network_usage").category == "network_usage"
        assert wallet.debit(5, category="network_usage").category == "network_usage"
        assert wallet.credit(5, category="bonus").category == "bonus"
    for verb in (wallet.credit, wallet.debit):
        with pytest.raises(InvalidValue, match="ADDITIONAL_CATEGORIES") as refusal:
            verb(5, category="network_usage")
        assert refusal.value.field == "category"


@pytest.mark.behaviour("CAT-06")
def test_configuration_leaves_the_default_categories_as_they_are() -> None:
    before = tuple(DEFAULT_CATEGORIES)
    with configured(ADDITIONAL_CATEGORIES=["network_usage", "bonus"]):
        make_wallet().credit(5, category="network_usage")
    assert before == DEFAULT_CATEGORIES
    with pytest.raises(InvalidValue):
        make_wallet().credit(5, category="network_usage")


def test_category_may_be_an_enum() -> None:
    class Category(Enum):
        BONUS = "bonus"

    assert make_wallet().credit(5, category=Category.BONUS).category == "bonus"  # type: ignore[arg-type]
