"""Reverse a transaction by hand, with the other side where it is one of a transfer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from django.contrib import messages
from django.contrib.admin.utils import quote
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from usage_credits.admin.base import LedgerAdmin, owner_name, signed
from usage_credits.admin.manual_postings import (
    ManualPostingForm,
    back_to_wallet,
    find_to_post,
    may_post,
    new_token,
    posting_page,
)
from usage_credits.dsl.categories import EXPIRATION, REFUNDS, REVERSAL
from usage_credits.exceptions import InvalidValue
from usage_credits.ledger.reversals import Reversal, post_reversal, post_transfer_reversal, reversed_among
from usage_credits.models import Transaction, Wallet

if TYPE_CHECKING:
    from usage_credits.admin.transactions import TransactionAdmin

STAYS: Final[dict[str, str | Promise]] = {
    EXPIRATION: gettext_lazy("What expired is gone; add credits to the wallet instead."),
    REVERSAL: gettext_lazy("A reversal stays; adjust the wallet instead."),
    **dict.fromkeys(REFUNDS, gettext_lazy("A refund follows its payment and cannot be reversed.")),
}
"""Why rows of these categories are not reversed."""


def reversal_cells(model_admin: LedgerAdmin[Any], rows: list[Transaction]) -> dict[int, Any]:
    """Return for each of the rows that are not to stay where to reverse it, or that it was reversed."""
    done = reversed_among(rows)
    return {
        row.pk: _("reversed") if row.pk in done else _link(model_admin, row)
        for row in rows
        if row.category not in STAYS
    }


def reversal_url(model_admin: LedgerAdmin[Any], request: HttpRequest, row: Transaction) -> str:
    """Return where to reverse a row; empty where it cannot be, or the user may not."""
    return "" if not may_post(model_admin, request) or _refusal(row) else _url(model_admin, row)


def reversal_view(transactions: TransactionAdmin, request: HttpRequest, object_id: str) -> HttpResponse:
    """Show the form and reverse the row, or all of its transfer; needs the permissions to view it and to adjust."""
    row = find_to_post(transactions, request, object_id)
    form = ManualPostingForm(initial=new_token())
    if request.method == "POST":
        form = ManualPostingForm(request.POST)
        if row.category not in STAYS and form.is_valid() and _reverse(transactions, request, row, form):
            return back_to_wallet(transactions, row.wallet)
    return posting_page(
        transactions,
        request,
        "transaction/reverse.html",
        form,
        title=_("Reverse transaction"),
        subtitle=str(row),
        row=row,
        button=_("Reverse"),
        owner=owner_name(row.wallet),
        owners=[owner_name(wallet) for wallet in _wallets_of(row)],
        refusal=_refusal(row),
    )


def _reverse(
    transactions: TransactionAdmin, request: HttpRequest, row: Transaction, form: ManualPostingForm
) -> bool:
    """Reverse the row and tell whether this form did it, now or before; if not, say why on the form."""
    token = str(form.cleaned_data["token"])
    metadata = {**form.facts(request.user), "token": token}
    try:
        if row.transfer is None:
            reversal = post_reversal(row, metadata=metadata)
        else:
            reversal = post_transfer_reversal(row.transfer, metadata=metadata)
    except InvalidValue as refusal:
        form.add_error(None, str(refusal.args[1]))
        return False
    if reversal.replayed:
        if reversal.metadata.get("token") != token:
            return False
        text = _("This reversal had been booked before; nothing was booked again.")
        transactions.message_user(request, text, messages.WARNING)
        return True
    if not reversal.rows and not reversal.claims:
        form.add_error(None, _("Nothing is left of these credits: they expired, or went with a refund."))
        return False
    wallets = transactions.admin_site.get_model_admin(Wallet)
    for wallet in _wallets_of(row):
        wallets.log_change(request, wallet, _deed(row, wallet, reversal))
    transactions.message_user(request, _deed(row, row.wallet, reversal), messages.SUCCESS)
    return True


def _deed(row: Transaction, wallet: Wallet, reversal: Reversal) -> str:
    """Say what was booked in one of the wallets."""
    facts = {
        "id": row.pk,
        "amount": signed(sum(one.amount for one in reversal.rows if one.wallet_id == wallet.pk)),
        "reason": reversal.metadata["reason"],
    }
    claimed = sum(claim.amount for claim in reversal.claims if claim.wallet_id == wallet.pk)
    if not claimed:
        return _("Reversed transaction %(id)s by %(amount)s: %(reason)s") % facts
    facts["claimed"] = number_format(claimed)
    return (
        _(
            "Reversed transaction %(id)s by %(amount)s, with a claim to %(claimed)s of the next credits: %(reason)s"
        )
        % facts
    )


def _refusal(row: Transaction) -> str:
    """Return why a row cannot be reversed; empty where nothing speaks against it."""
    if row.category in STAYS:
        return str(STAYS[row.category])
    return _("This transaction has been reversed.") if reversed_among([row]) else ""


def _wallets_of(row: Transaction) -> list[Wallet]:
    transfer = row.transfer
    return [row.wallet] if transfer is None else [transfer.from_wallet, transfer.to_wallet]


def _link(model_admin: LedgerAdmin[Any], row: Transaction) -> SafeString:
    label = _("Reverse transaction %d") % row.pk
    return format_html('<a href="{}" aria-label="{}">{}</a>', _url(model_admin, row), label, _("Reverse"))


def _url(model_admin: LedgerAdmin[Any], row: Transaction) -> str:
    site = model_admin.admin_site
    return reverse("admin:usage_credits_transaction_reverse", args=[quote(row.pk)], current_app=site.name)
