"""Say in one line, for people, what a transaction was for."""

from __future__ import annotations

from django.utils.translation import gettext as _

from usage_credits import conf
from usage_credits.dsl.categories import OPERATION_CHARGE
from usage_credits.ledger.labels import label
from usage_credits.models import Transaction


def describe(row: Transaction) -> str:
    """Return "Process Video (-10 credits)" for a charge, else its category, "Signup Bonus", in the active language."""
    if row.category != OPERATION_CHARGE:
        return label(row.category)
    if not row.operation:
        return _("Operation charge")
    cost = row.metadata.get("cost")
    return f"{label(row.operation)} ({signed(-cost)})" if cost else label(row.operation)


def signed(amount: int) -> str:
    """Return "+100 credits" or "-10 credits", in the wording of the FORMATTER setting."""
    return f"{'+' if amount > 0 else '-'}{conf.format_credits(abs(amount))}"


def balance_after(row: Transaction) -> str | None:
    """Return the balance that a transaction left, in the wording of the FORMATTER setting; None if it is unknown."""
    left: int | None = row.balance_after
    return None if left is None else conf.format_credits(left)
