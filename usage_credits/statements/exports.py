"""Hand out a statement as CSV, streamed, in memory that its length does not change."""

from __future__ import annotations

import csv
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

from usage_credits.ledger.descriptions import describe
from usage_credits.models import Transaction, Wallet
from usage_credits.models.transaction import TransactionQuerySet

COLUMNS: Final = (
    "id",
    "created_at",
    "category",
    "description",
    "amount",
    "balance_before",
    "balance_after",
    "expires_at",
    "operation",
    "attributed_to",
    "idempotency_key",
)
"""What a row has, by names that programs rely on: none of them is translated."""

WALLET_COLUMNS: Final = ("wallet", "asset", "owner_type", "owner_id")
"""What follows where the rows are of several wallets; a detached wallet has no owner."""

PAGE: Final = 1_000
"""How many rows are read at a time."""


def csv_response(
    request: HttpRequest,
    rows: TransactionQuerySet,
    *,
    filename: str = "statement.csv",
    with_wallet: bool = False,
) -> StreamingHttpResponse:
    """Return the rows as a download of UTF-8 text, the oldest first; `with_wallet` says of each whose it is.

    Each thousand rows are read when they are sent, by a statement of their own: what is posted meanwhile may be among
    the last. Streams under WSGI and ASGI.
    """
    pages = csv_pages(rows, with_wallet=with_wallet)
    content: Any = _in_thread(pages) if isinstance(request, ASGIRequest) else pages
    return StreamingHttpResponse(
        content,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{filename}"', "Cache-Control": "no-store"},
    )


def csv_pages(rows: TransactionQuerySet, *, with_wallet: bool = False) -> Iterator[str]:
    """Yield the header, then the rows, oldest first, so many at a time."""
    lines = csv.writer(_Echo())
    yield lines.writerow(COLUMNS + WALLET_COLUMNS if with_wallet else COLUMNS)
    rows = rows.order_by("pk").select_related(None).prefetch_related(None)
    if with_wallet:
        rows = rows.select_related("wallet__owner_type")
    last = 0
    while page := list(rows.filter(pk__gt=last)[:PAGE]):
        cells = ([*_cells(row), *(_wallet_cells(row.wallet) if with_wallet else ())] for row in page)
        yield "".join(map(lines.writerow, cells))
        last = page[-1].pk


def _cells(row: Transaction) -> list[Any]:
    return [
        row.pk,
        row.created_at.isoformat(),
        row.category,
        _text(describe(row)),
        row.amount,
        row.balance_before,
        row.balance_after,
        row.expires_at.isoformat() if row.expires_at else "",
        _text(row.operation),
        _text(row.attributed_to),
        _text(row.idempotency_key),
    ]


def _wallet_cells(wallet: Wallet) -> list[Any]:
    kind = wallet.owner_type
    owner_type = f"{kind.app_label}.{kind.model}" if kind else ""
    return [wallet.pk, _text(wallet.asset), owner_type, _text(wallet.owner_id)]


def _text(value: str | None) -> str:
    """Return a text as a cell that no spreadsheet takes for a formula.

    See OWASP, CSV Injection: what begins with one of these is calculated when the file is opened.
    """
    text = value or ""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


class _Echo:
    """Lets the writer of csv return its lines instead of keeping them."""

    def write(self, line: str) -> str:
        return line


async def _in_thread(pages: Iterator[str]) -> AsyncIterator[str]:
    next_page = sync_to_async(lambda: next(pages, None))
    while (page := await next_page()) is not None:
        yield page
