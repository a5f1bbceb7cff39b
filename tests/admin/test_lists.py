from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.contrib import admin
from django.db import models
from django.test import Client
from django.utils import timezone

from tests.admin import rows
from tests.admin.browsing import list_url, page_url, rows_listed, staff_client, statements_for
from tests.factories import TeamFactory, days, lot_of, make_user, make_wallet, stored
from usage_credits import detach_owner
from usage_credits.admin import base
from usage_credits.models import (
    Debt,
    Fulfillment,
    Hold,
    Lot,
    PaymentNotice,
    SpendingCap,
    Transaction,
    Wallet,
)

pytestmark = pytest.mark.django_db

changeable = {SpendingCap}
every_model = pytest.mark.parametrize("model", list(rows.MAKERS), ids=lambda model: model.__name__)
every_read_only_model = pytest.mark.parametrize(
    "model", [model for model in rows.MAKERS if model not in changeable], ids=lambda model: model.__name__
)


@pytest.mark.behaviour("ADM-04")
def test_admin_shows_every_model() -> None:
    own = set(apps.get_app_config("usage_credits").get_models())
    assert own == set(rows.MAKERS)
    assert all(admin.site.is_registered(model) for model in own)


@pytest.mark.behaviour("ADM-04")
@every_read_only_model
def test_admin_refuses_to_add_change_or_delete(admin_client: Client, model: type[models.Model]) -> None:
    row = rows.MAKERS[model]()
    fields = {field.name: "1" for field in model._meta.concrete_fields}
    before = stored()
    add = page_url(row).replace(f"{row.pk}/change/", "add/")
    assert admin_client.get(add).status_code == 403
    assert admin_client.post(add, fields).status_code == 403
    assert admin_client.post(page_url(row), fields).status_code == 403
    assert admin_client.get(page_url(row, "delete")).status_code == 403
    assert admin_client.post(page_url(row, "delete"), {"post": "yes"}).status_code == 403
    selected = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    admin_client.post(list_url(model), selected)
    assert stored() == before


@every_read_only_model
def test_admin_page_has_no_inputs_to_save(admin_client: Client, model: type[models.Model]) -> None:
    answer = admin_client.get(page_url(rows.MAKERS[model]()))
    assert answer.status_code == 200
    assert 'name="_save"' not in answer.content.decode()


@every_model
def test_admin_list_takes_as_many_statements_for_fifty_rows_as_for_one(
    admin_client: Client, model: type[models.Model]
) -> None:
    rows.MAKERS[model]()
    for_one = statements_for(admin_client, list_url(model))
    for _ in range(49):
        rows.MAKERS[model]()
    assert len(rows_listed(admin_client, model)) >= 50 - 1
    assert statements_for(admin_client, list_url(model)) == for_one


@every_model
def test_admin_list_is_closed_to_staff_without_permission(db: None, model: type[models.Model]) -> None:
    row = rows.MAKERS[model]()
    client = staff_client()
    assert client.get(list_url(model)).status_code == 403
    assert client.get(page_url(row)).status_code == 403


def found(client: Client, row: models.Model, term: str) -> bool:
    """Tell whether the search finds `row`, and nothing else."""
    return rows_listed(client, type(row), q=term) == [row]


@pytest.mark.behaviour("ADM-04")
def test_search_finds_wallets_by_owner_and_asset(admin_client: Client) -> None:
    user = make_user()
    gems = user.wallet("gems")
    user.wallet()
    assert found(admin_client, gems, "gems")
    assert found(admin_client, gems, f"{user.pk} gems")
    assert rows_listed(admin_client, Wallet, q="nobody") == []


def test_search_has_a_label_and_keeps_the_filters(admin_client: Client) -> None:
    make_user().wallet("gems")
    page = admin_client.get(list_url(Wallet), {"q": "nobody", "asset": "gems"}).content.decode()
    assert '<label for="searchbar">Search</label>' in page
    assert '<input type="hidden" name="asset" value="gems">' in page
    assert 'name="q" value="nobody" id="searchbar" aria-describedby="searchbar_helptext"' in page
    assert '<a href="?">Show all</a>' in page


@pytest.mark.behaviour("ADM-04")
@pytest.mark.parametrize("spelling", [str, lambda key: key.hex], ids=["dashes", "digits"])
def test_search_finds_wallets_by_a_uuid_however_it_is_spelt(
    admin_client: Client, spelling: Callable[[uuid.UUID], str]
) -> None:
    team = TeamFactory.create()
    TeamFactory.create()
    assert found(admin_client, team.wallet(), spelling(team.pk))


@pytest.mark.behaviour("ADM-04")
def test_search_finds_transactions_by_key_user_and_source(admin_client: Client) -> None:
    keyed = rows.make_transaction()
    spent = make_wallet(credits=5).debit(5, attributed_to="member 7")
    fulfillment = rows.make_fulfillment()
    awarded = fulfillment.wallet.credit(3, fulfillment=fulfillment)
    assert found(admin_client, keyed, f'"{keyed.idempotency_key}"')
    assert found(admin_client, spent, "'member 7'")
    assert found(admin_client, awarded, str(fulfillment.source_id))
    assert spent in rows_listed(admin_client, Transaction, q=str(spent.wallet.owner_id))


def test_transactions_and_holds_are_found_by_operation(admin_client: Client) -> None:
    wallet = make_wallet(credits=50)
    report, mail = wallet.debit(5, operation="report"), wallet.debit(5, operation="mail")
    gone, hold = wallet.debit(5, operation="gone"), wallet.hold(5, operation="mail")
    wallet.hold(5)
    assert found(admin_client, gone, "gone")
    assert found(admin_client, hold, "mail")
    assert rows_listed(admin_client, Transaction, operation="report") == [report]
    assert rows_listed(admin_client, Transaction, operation="mail") == [mail]
    assert rows_listed(admin_client, Hold, operation="mail") == [hold]


@pytest.mark.behaviour("ADM-04")
@pytest.mark.parametrize(
    ("make", "term"),
    [
        (rows.make_allocation, lambda row: row.wallet.owner_id),
        (rows.make_transfer, lambda row: row.to_wallet.owner_id),
        (rows.make_fulfillment, lambda row: row.source_id),
        (rows.make_hold, lambda row: f'"{row.idempotency_key}"'),
        (rows.make_held_lot, lambda row: f'"{row.hold.idempotency_key}"'),
        (rows.make_notice, lambda row: row.customer_id),
        (rows.make_key_alias, lambda row: f'"{row.key}"'),
        (rows.make_cap, lambda row: f'"{row.attributed_to}"'),
        (rows.make_debt, lambda row: row.fulfillment.source_id),
        (rows.make_lot, lambda row: f'"{row.transaction.idempotency_key}"'),
    ],
)
def test_search_finds_a_row_by_what_names_it(
    admin_client: Client, make: Callable[[], models.Model], term: Callable[[Any], str]
) -> None:
    make()
    row = make()
    assert row in rows_listed(admin_client, type(row), q=term(row))
    assert rows_listed(admin_client, type(row), q="nobody") == []


def test_search_compares_keys_exactly(admin_client: Client) -> None:
    make_wallet().credit(5, idempotency_key="Spring")
    assert rows_listed(admin_client, Transaction, q="spring") == []
    assert rows_listed(admin_client, Transaction, q="Spr") == []
    assert len(rows_listed(admin_client, Transaction, q="Spring")) == 1


@pytest.mark.parametrize("term", ["9" * 30, "'", '"', "٣", "%", "1 or 1=1"])
def test_search_takes_any_text(admin_client: Client, term: str) -> None:
    rows.make_transaction()
    assert rows_listed(admin_client, Transaction, q=term) == []


def test_transactions_are_filtered_by_what_they_are(admin_client: Client) -> None:
    with time_machine.travel(timezone.now() - days(3)):
        credit = make_wallet().credit(5, expires_at=timezone.now() + days(1))
        gem = make_user().wallet("gems").credit(5, category="bonus", expires_at=timezone.now() + days(10))
    debit = make_wallet(credits=5).debit(5)

    def listed(**query: str) -> set[int]:
        return {row.pk for row in rows_listed(admin_client, Transaction, **query)}

    assert listed(category="bonus") == {gem.pk}
    assert listed(asset="gems") == {gem.pk}
    assert listed(direction="debit") == {debit.pk}
    assert listed(expiry="expired") == {credit.pk}
    assert listed(expiry="ahead") == {gem.pk}
    assert listed(owner="app.team") == set()
    assert debit.pk in listed(created_at__gte=(timezone.now() - days(1)).isoformat())
    assert credit.pk not in listed(created_at__gte=(timezone.now() - days(1)).isoformat())


def test_rows_are_filtered_by_their_state(admin_client: Client) -> None:
    open_lot, used = (
        rows.make_lot(),
        lot_of(make_wallet(credits=1).debit(1).wallet.transactions.earliest("pk")),
    )
    waiting = rows.make_notice()
    resolved = rows.make_notice()
    PaymentNotice.objects.filter(pk=resolved.pk).update(resolved_at=timezone.now())
    running, stopped = rows.make_fulfillment(), rows.make_fulfillment()
    Fulfillment.objects.filter(pk=stopped.pk).update(stops_at=timezone.now())
    debt = rows.make_debt(running)
    hold = rows.make_hold()
    assert used not in rows_listed(admin_client, Lot, is_open__exact="1")
    assert open_lot in rows_listed(admin_client, Lot, is_open__exact="1")
    assert rows_listed(admin_client, PaymentNotice, state="open") == [waiting]
    assert rows_listed(admin_client, PaymentNotice, reason__exact="mismatch") == []
    assert rows_listed(admin_client, Fulfillment, state="stopped") == [stopped]
    assert rows_listed(admin_client, Fulfillment, state="active", kind__exact="credit_pack") == [running]
    assert rows_listed(admin_client, Debt, state="open") == [debt]
    assert rows_listed(admin_client, Debt, state="settled") == []
    assert rows_listed(admin_client, Hold, is_open__exact="1") == [hold]


def test_wallets_are_filtered_by_their_owners(admin_client: Client) -> None:
    team = TeamFactory.create()
    user = make_user()
    wallet, parted = team.wallet(), user.wallet()
    detach_owner(user)
    assert rows_listed(admin_client, Wallet, owner="app.team") == [wallet]
    assert rows_listed(admin_client, Wallet, owner="detached") == [parted]
    assert rows_listed(admin_client, Wallet, owes="yes") == []


def test_wallets_show_expired_credits_no_more(admin_client: Client) -> None:
    with time_machine.travel(timezone.now() - days(3)):
        wallet = make_wallet(credits=7)
        wallet.credit(5, expires_at=timezone.now() + days(1))
    (listed,) = rows_listed(admin_client, Wallet, q=str(wallet.owner_id))
    assert vars(listed)["balance_now"] == 7


def test_wallets_of_owners_that_are_gone_are_listed(admin_client: Client) -> None:
    parted, lost = make_user(), make_user(credits=5)
    detach_owner(parted)
    type(lost).objects.filter(pk=lost.pk)._raw_delete("default")
    shown = admin_client.get(list_url(Wallet)).content.decode()
    assert "(detached)" in shown
    assert f"(app.user {lost.pk})" in shown


def test_lists_count_no_further_than_they_show(admin_client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "COUNTED", 3)
    for _ in range(5):
        rows.make_transaction()
    answer = admin_client.get(list_url(Transaction))
    assert answer.context["cl"].result_count == 3
