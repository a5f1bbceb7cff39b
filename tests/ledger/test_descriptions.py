from __future__ import annotations

from typing import Any

import pytest
from django.test import override_settings
from django.utils import translation

from tests.factories import configured, make_user, make_wallet
from usage_credits import Money, Operation, cents
from usage_credits.conf import format_credits
from usage_credits.dsl.categories import DEFAULT_CATEGORIES
from usage_credits.ledger.labels import LABELS, label
from usage_credits.models import Transaction

pytestmark = pytest.mark.django_db


def as_tokens(amount: int) -> str:
    return f"{amount} tokens"


@pytest.mark.behaviour("HLP-01", "HLP-07")
def test_formatter_words_amounts_and_falls_back_to_credits() -> None:
    assert format_credits(100) == "100 credits"
    with configured(FORMATTER=as_tokens):
        assert format_credits(100) == "100 tokens"
    with configured(FORMATTER=None):
        assert format_credits(1) == "1 credits"


@pytest.mark.behaviour("HLP-03")
@pytest.mark.parametrize(
    ("category", "operation", "metadata", "description"),
    [
        ("operation_charge", "process_video", {"cost": 10}, "Process Video (-10 credits)"),
        ("operation_charge", "process_video", {"operation": "other"}, "Process Video"),
        ("operation_charge", None, {"operation": "other", "cost": 10}, "Operation charge"),
        ("signup_bonus", "process_video", {"cost": 10}, "Signup Bonus"),
        ("credit_pack_purchase", None, {}, "Credit Pack Purchase"),
    ],
)
def test_description_says_what_a_row_was_for(
    category: str, operation: str | None, metadata: dict[str, Any], description: str
) -> None:
    row = make_wallet(100).debit(10, category=category, operation=operation, metadata=metadata)
    assert Transaction.objects.get(pk=row.pk).description == description


@pytest.mark.behaviour("HLP-03", "HLP-04", "HLP-07")
def test_description_of_a_charge_uses_the_formatter() -> None:
    user = make_user(100)
    with configured(OPERATIONS=[Operation("process_video", costs=10)]):
        row = user.spend_credits_on("process_video")
    assert row is not None
    assert row.description == "Process Video (-10 credits)"
    with configured(FORMATTER=as_tokens):
        assert row.description == "Process Video (-10 tokens)"
    with configured(FORMATTER=None):
        assert row.description == "Process Video (-10 credits)"


@pytest.mark.behaviour("HLP-05")
def test_price_text_names_amount_and_currency() -> None:
    assert str(cents(4_999)) == "49.99 USD"
    assert str(Money(4_999, "eur")) == "49.99 EUR"


@pytest.mark.behaviour("HLP-02")
def test_amounts_and_balances_are_worded_with_their_sign() -> None:
    wallet = make_wallet(100)
    debit = wallet.debit(10)
    (credit, _) = wallet.history()
    assert (credit.formatted_amount, credit.formatted_balance_after) == ("+100 credits", "100 credits")
    with configured(FORMATTER=as_tokens):
        assert (debit.formatted_amount, debit.formatted_balance_after) == ("-10 tokens", "90 tokens")
    assert Transaction(amount=5).formatted_balance_after is None


@pytest.mark.behaviour("HLP-01")
@override_settings(USE_THOUSAND_SEPARATOR=True)
def test_amounts_have_the_digits_of_the_locale() -> None:
    assert format_credits(1_234_567) == "1,234,567 credits"
    with translation.override("de"):
        assert format_credits(-1_234) == "-1.234 credits"


@pytest.mark.behaviour("HLP-03")
def test_every_category_has_a_label_that_is_its_name_in_title_case() -> None:
    assert list(LABELS) == list(DEFAULT_CATEGORIES)
    for category in DEFAULT_CATEGORIES:
        assert label(category) == category.replace("_", " ").title()


@pytest.mark.parametrize(
    ("name", "text"), [("process_video", "Process Video"), ("pro", "Pro"), ("", ""), ("50%_off", "50% Off")]
)
def test_names_of_the_project_are_in_title_case(name: str, text: str) -> None:
    assert label(name) == text


def test_names_of_the_project_are_looked_up_in_its_translations() -> None:
    with translation.override("es"):
        assert label("password") == "Contraseña"
