from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import CharField, F
from django.db.models.functions import Cast

from tests.app.models import Team
from tests.factories import TeamFactory, make_wallet
from usage_credits.models import Wallet

pytestmark = pytest.mark.django_db


@pytest.mark.behaviour("WAL-21")
@pytest.mark.parametrize("given", [None, [1, 2], "text", 5, True])
def test_metadata_that_is_no_mapping_is_stored_as_an_empty_one(given: Any) -> None:
    wallet = make_wallet()
    wallet.metadata = given
    wallet.save()
    wallet.refresh_from_db()
    assert wallet.metadata == {}
    row = wallet.transactions.create(
        amount=1, balance_before=0, balance_after=1, category="bonus", metadata=given
    )
    row.refresh_from_db()
    assert row.metadata == {}


@pytest.mark.behaviour("WAL-21")
@pytest.mark.parametrize(
    "given", [{}, {"a": {"b": [1, None, {"c": "ü🎈"}]}}, {"long": "x" * 10_000}], ids=repr
)
def test_metadata_round_trips(given: Any) -> None:
    wallet = make_wallet()
    wallet.metadata = given
    wallet.save()
    wallet.refresh_from_db()
    assert wallet.metadata == given


@pytest.mark.behaviour("WAL-22")
def test_metadata_changed_in_place_is_kept_once_it_is_saved() -> None:
    wallet = make_wallet()
    wallet.metadata["tier"] = "gold"
    wallet.refresh_from_db()
    assert wallet.metadata == {}
    wallet.metadata["tier"] = "gold"
    wallet.save()
    wallet.refresh_from_db()
    assert wallet.metadata == {"tier": "gold"}


def test_metadata_can_be_queried_by_key() -> None:
    wallet = make_wallet()
    wallet.metadata = {"tier": "gold"}
    wallet.save()
    Wallet.objects.filter(pk=wallet.pk).update(metadata=F("metadata"))
    assert Wallet.objects.get(metadata__tier="gold") == wallet


def test_owner_ids_are_spelled_as_the_database_casts_keys() -> None:
    team = TeamFactory.create()
    cast = Team.objects.annotate(text=Cast("pk", CharField(max_length=255))).get().text
    assert Wallet.objects.filter(owner_id=cast).count() == 1
    assert Wallet.objects.get(owner_id=team.pk) == team.wallet()
    assert not Wallet.objects.filter(owner_id=uuid4()).exists()
    assert len(cast) == (36 if connection.features.has_native_uuid_field else 32)
