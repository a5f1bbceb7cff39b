"""Downloads as CSV: the statement of a wallet, and the transactions that a list shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBadRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from usage_credits.models import Transaction
from usage_credits.models.transaction import TransactionQuerySet
from usage_credits.statements.exports import csv_response
from usage_credits.statements.filters import StatementFilter

if TYPE_CHECKING:
    from usage_credits.admin.transactions import TransactionAdmin
    from usage_credits.admin.wallets import WalletAdmin


def wallet_export(wallets: WalletAdmin, request: HttpRequest, object_id: str) -> HttpResponseBase:
    """Stream a wallet's transactions, narrowed by the parameters of `StatementFilter`; 400 where these are not valid.

    Needs the permissions to view wallets and transactions.
    """
    wallet = wallets.get_object(request, unquote(object_id))
    if not (wallets.has_view_permission(request, wallet) and wallets.may_view(request, Transaction)):
        raise PermissionDenied
    if wallet is None:
        raise Http404
    asked = StatementFilter(request.GET)
    if not asked.is_valid():
        problems = [f"{name}: {' '.join(map(str, errors))}" for name, errors in asked.errors.items()]
        return _bad_request("\n".join(problems))
    shown = wallets.admin_site.get_model_admin(Transaction).get_queryset(request)
    rows = cast("TransactionQuerySet", shown).filter(wallet=wallet)
    return csv_response(request, asked.rows(rows), filename=f"statement-{wallet.pk}.csv")


def list_export(transactions: TransactionAdmin, request: HttpRequest) -> HttpResponseBase:
    """Stream the transactions that the list shows with the same parameters, all of its pages; with their wallets."""
    if not transactions.has_view_permission(request):
        raise PermissionDenied
    try:
        shown = transactions.get_changelist_instance(request).queryset
    except IncorrectLookupParameters:
        return _bad_request(_("There is no such filter, or it does not take this value."))
    rows = cast("TransactionQuerySet", shown)
    return csv_response(request, rows, filename="transactions.csv", with_wallet=True)


def _bad_request(problem: str) -> HttpResponseBadRequest:
    return HttpResponseBadRequest(problem, content_type="text/plain; charset=utf-8")
