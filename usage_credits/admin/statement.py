"""What makes a wallet's page its statement: the balance over time, what is to come, and what paid for what."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from usage_credits.admin.base import LedgerAdmin, signed
from usage_credits.admin.manual_postings import may_post
from usage_credits.admin.reversals import reversal_cells
from usage_credits.admin.tables import ExtraColumn, Table
from usage_credits.ledger.balance_history import balance_history
from usage_credits.ledger.descriptions import describe
from usage_credits.models import Allocation, Fulfillment, Hold, Lot, Transaction, Wallet
from usage_credits.statements.charts import BalanceChart, balance_chart
from usage_credits.statements.coming import coming_events
from usage_credits.statements.payers import Payers, payers_of

if TYPE_CHECKING:
    from usage_credits.admin.wallets import WalletAdmin

DAYS: Final = 90
"""How many days the chart shows."""

COLUMNS: Final = ("id", "created_at", "description", "signed_amount", "balance_after", "expires_at")


def chart_of(wallets: WalletAdmin, request: HttpRequest, wallet: Wallet) -> BalanceChart | None:
    """Return the chart of the last DAYS days, None for whom may not see what moved the balance."""
    if not wallets.may_view(request, Transaction):
        return None
    return balance_chart(balance_history(wallet, DAYS))


def coming_table(wallets: WalletAdmin, request: HttpRequest, wallet: Wallet) -> Table | None:
    """Return what is to come, None for whom may not see all that it comes from."""
    if not all(wallets.may_view(request, model) for model in (Lot, Hold, Fulfillment)):
        return None
    header = [_("when"), _("what"), _("credits"), _("plan, pack or operation")]
    rows = [
        [
            wallets.text(event.moment),
            event.kind.label,
            wallets.text(None) if event.credits is None else signed(event.credits),
            event.name or wallets.text(None),
        ]
        for event in coming_events(wallet)
    ]
    return Table(_("Events to come"), header, rows, more="")


def latest_transactions(wallets: WalletAdmin, request: HttpRequest, wallet: Wallet) -> Table | None:
    """Return the latest rows: what paid for each, and where it is reversed, for those who may see and do so."""
    extra = []
    if wallets.may_view(request, Allocation):
        extra.append(ExtraColumn(_("paid by"), partial(_payer_cells, wallets)))
    if may_post(wallets, request):
        extra.append(ExtraColumn(_("reversal"), partial(reversal_cells, wallets)))
    return wallets.table(
        request, _("Latest transactions"), Transaction, COLUMNS, extra=extra, wallet__id__exact=wallet.pk
    )


def _payer_cells(model_admin: LedgerAdmin[Any], rows: list[Transaction]) -> dict[int, SafeString]:
    paid = payers_of(rows)
    return {row.pk: _payer_cell(model_admin, row, paid[row.pk]) for row in rows if row.pk in paid}


def _payer_cell(model_admin: LedgerAdmin[Any], debit: Transaction, paid: Payers) -> SafeString:
    """Return how much came from which credit, a line each; the rest of many is on the debit's page."""
    parts = [
        format_html(
            _("{amount} of {credit}"),
            amount=number_format(part.amount),
            credit=_credit_link(model_admin, part.lot.transaction),
        )
        for part in paid.allocations
    ]
    if paid.has_more:
        parts.append(model_admin.link(debit, _("and more")))
    return format_html_join("", '<div class="usage-credits-payer">{}</div>', ((part,) for part in parts))


def _credit_link(model_admin: LedgerAdmin[Any], credit: Transaction) -> SafeString:
    return model_admin.link(credit, f"#{credit.pk} {describe(credit)}")
