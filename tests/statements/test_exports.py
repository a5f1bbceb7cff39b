from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from tests.factories import TeamFactory, add_history, make_user, make_wallet
from usage_credits import detach_owner
from usage_credits.models import Transaction
from usage_credits.statements.exports import COLUMNS, WALLET_COLUMNS, csv_pages, csv_response

pytestmark = pytest.mark.django_db


def read(pages: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(pages))))


def test_csv_holds_each_row_oldest_first_as_programs_read_it() -> None:
    wallet = make_wallet()
    wallet.credit(100, category="signup_bonus", idempotency_key="welcome")
    wallet.debit(30, attributed_to="key_1", operation="report")
    first, second = read(csv_pages(wallet.history().newest_first()))
    assert tuple(first) == COLUMNS
    assert (first["amount"], first["balance_before"], first["balance_after"]) == ("100", "0", "100")
    assert (first["category"], first["description"], first["idempotency_key"]) == (
        "signup_bonus",
        "Signup Bonus",
        "welcome",
    )
    assert first["created_at"].endswith("+00:00")
    assert (second["amount"], second["attributed_to"], second["operation"]) == ("-30", "key_1", "report")


def test_csv_of_no_rows_has_its_header() -> None:
    assert list(csv_pages(make_wallet().history())) == [",".join(COLUMNS) + "\r\n"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_csv_has_no_cell_that_a_spreadsheet_calculates(start: str) -> None:
    wallet = make_wallet()
    wallet.credit(1, idempotency_key=f'{start}HYPERLINK("//evil")')
    [row] = read(csv_pages(wallet.history()))
    assert row["idempotency_key"] == f'\'{start}HYPERLINK("//evil")'
    assert row["amount"] == "1"


def test_csv_is_read_a_page_at_a_time() -> None:
    wallet = make_wallet()
    add_history(wallet, 2_500)
    pages = csv_pages(wallet.history())
    with CaptureQueriesContext(connection) as statements:
        assert next(pages).startswith("id,")
        assert next(pages).count("\r\n") == 1_000
    assert len(statements) == 1
    assert sum(page.count("\r\n") for page in pages) == 1_500


def test_csv_of_several_wallets_says_whose_each_row_is() -> None:
    parted, team = make_user(5), TeamFactory.create()
    team.wallet("gems").credit(7)
    detach_owner(parted)
    first, second = read(csv_pages(Transaction.objects.all(), with_wallet=True))
    assert tuple(first) == COLUMNS + WALLET_COLUMNS
    assert (first["asset"], first["owner_type"], first["owner_id"]) == ("credits", "", "")
    owner_id = team.wallet("gems").owner_id
    assert (second["asset"], second["owner_type"], second["owner_id"]) == ("gems", "app.team", owner_id)
    assert second["wallet"] == str(team.wallet("gems").pk)


def test_csv_of_several_wallets_is_read_by_one_statement_a_page() -> None:
    for _number in range(5):
        make_wallet(5)
    rows = Transaction.objects.select_related("transfer").prefetch_related("wallet__owner")
    with CaptureQueriesContext(connection) as statements:
        assert len(list(csv_pages(rows, with_wallet=True))) == 2
    assert len(statements) == 2  # the second finds that there are no more


def test_csv_is_a_download_that_nobody_keeps() -> None:
    wallet = make_wallet(5)
    answer: Any = csv_response(RequestFactory().get("/"), wallet.history(), filename="credits.csv")
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="credits.csv"'
    assert answer["Cache-Control"] == "no-store"
    assert b"manual_adjustment" in b"".join(answer.streaming_content)
