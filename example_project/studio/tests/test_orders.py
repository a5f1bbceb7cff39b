from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from studio.models import Render, User
from studio.orders import order
from studio.rendering import Picture, Style
from usage_credits import InsufficientCredits, InvalidOperation

SMALL = Picture(Style.FACETS, 7, 512, 512)
LARGE = Picture(Style.FACETS, 7, 2000, 2000)


def test_order_charges_the_estimate_and_keeps_the_picture(user: User) -> None:
    render = order(user, "render", SMALL, title="Paper", key=uuid.uuid4())
    assert render.cost == user.estimate_credits_to("render", megapixels=SMALL.megapixels) == 6
    assert user.credits == 14
    assert render.charge.metadata["metadata"] == {"title": "Paper"}
    with render.image.open() as file:
        assert file.read(4) == b"\x89PNG"


def test_order_sent_twice_is_charged_once(user: User) -> None:
    key = uuid.uuid4()
    first = order(user, "render", SMALL, title="Paper", key=key)
    assert order(user, "render", SMALL, title="Paper", key=key) == first
    assert user.credits == 14


def test_order_by_the_key_of_somebody_else_is_refused(user: User) -> None:
    other = User.objects.create_user("bea")
    other.give_credits(10)
    theirs = order(other, "render", SMALL, title="Paper", key=uuid.uuid4())
    with pytest.raises(InvalidOperation, match="somebody else's"):
        order(user, "render", SMALL, title="Paper", key=theirs.pk)
    assert user.credits == 20


def test_order_that_cannot_be_kept_charges_nothing(user: User, media: Path) -> None:
    media.write_text("where the folder should be")
    with pytest.raises(OSError, match="media"):
        order(user, "render", SMALL, title="Paper", key=uuid.uuid4())
    assert user.credits == 20
    assert user.credit_history.operation_charges().count() == 0
    assert not Render.objects.exists()


def test_order_without_enough_credits_draws_nothing(user: User) -> None:
    order(user, "render", LARGE, title="Paper", key=uuid.uuid4())
    with pytest.raises(InsufficientCredits) as refused:
        order(user, "render", LARGE, title="Paper", key=uuid.uuid4())
    assert (refused.value.available, refused.value.required) == (7, 13)
    assert user.renders.count() == 1


def test_order_larger_than_the_operation_allows_is_refused(user: User) -> None:
    with pytest.raises(InvalidOperation, match="at most 4 megapixels"):
        order(user, "render", LARGE.doubled(), title="Paper", key=uuid.uuid4())


def test_order_of_a_free_operation_is_refused(user: User) -> None:
    with pytest.raises(ValueError, match="preview is free"):
        order(user, "preview", SMALL, title="Paper", key=uuid.uuid4())
