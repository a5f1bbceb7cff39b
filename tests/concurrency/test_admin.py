from __future__ import annotations

import re
from collections import Counter

import pytest
from django.contrib.admin.models import LogEntry
from django.db import models
from django.test import Client

from tests.admin.browsing import page_url, token_on
from tests.app.models import User
from tests.concurrency.processes import run_in_threads
from tests.factories import amounts_of, make_wallet
from usage_credits.ledger.verification import verify

pytestmark = [pytest.mark.concurrency, pytest.mark.django_db(transaction=True)]

SENDERS = 6


def send_together(row: models.Model, page: str, user: User, **fields: object) -> Counter[str]:
    """Send one and the same form from several connections at once; return what each was told."""

    def client() -> Client:
        browser = Client()
        browser.force_login(user)
        return browser

    filled = {"reason": "mistake", "token": token_on(client(), page_url(row, page)), **fields}
    clients = [client() for _number in range(SENDERS)]

    def send(number: int) -> str:
        # Of the page itself: the contexts that test clients collect are those of all threads.
        shown = clients[number].post(page_url(row, page), filled, follow=True).content.decode()
        (told,) = re.findall(r'<ul class="messagelist">\s*<li[^>]*>([^<]*)</li>', shown)
        return str(told)

    return Counter(map(str, run_in_threads(SENDERS, send)))


@pytest.mark.behaviour("ADM-04")
@pytest.mark.parametrize("kind", ["debit", "spent credit", "transfer"])
def test_reversal_that_is_sent_several_times_at_once_is_booked_once(admin_user: User, kind: str) -> None:
    wallet, other = make_wallet(100), make_wallet()
    row, by = wallet.history().get(), "0, with a claim to 100 of the next credits"
    if kind == "transfer":
        row, by = wallet.transfer_to(other, 60).outbound_transaction, "+60"
    elif kind == "debit":
        row, by = wallet.debit(100), "+100"
    else:
        wallet.debit(100)
    before = len(amounts_of(wallet))

    told = send_together(row, "reverse", admin_user)

    assert told == {
        f"Reversed transaction {row.pk} by {by}: mistake": 1,
        "This reversal had been booked before; nothing was booked again.": SENDERS - 1,
    }
    assert len(amounts_of(wallet)) == before + (kind != "spent credit")
    wallet.refresh_from_db()
    assert (wallet.balance, wallet.claims) == ((0, 100) if kind == "spent credit" else (100, 0))
    assert LogEntry.objects.filter(object_id=str(wallet.pk)).count() == 1
    assert list(verify()) == []


@pytest.mark.behaviour("ADM-04")
def test_adjustment_that_is_sent_several_times_at_once_is_booked_once(admin_user: User) -> None:
    wallet = make_wallet(100)

    told = send_together(wallet, "adjust", admin_user, amount=-30)

    assert told == {
        "Adjusted by -30: mistake": 1,
        "This adjustment had been booked before; nothing was booked again.": SENDERS - 1,
    }
    assert amounts_of(wallet) == [100, -30]
    assert LogEntry.objects.count() == 1
