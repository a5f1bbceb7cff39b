from __future__ import annotations

import io
from decimal import Decimal

import pytest
from PIL import Image

from studio.rendering import Picture, Style, draw


@pytest.mark.parametrize("style", list(Style))
def test_draw_gives_the_same_picture_for_the_same_seed(style: Style) -> None:
    picture = Picture(style, 7, 120, 80)
    assert draw(picture) == draw(Picture(style, 7, 120, 80))
    assert draw(picture) != draw(Picture(style, 8, 120, 80))


@pytest.mark.parametrize("style", list(Style))
def test_draw_gives_a_png_of_the_size_asked_for(style: Style) -> None:
    with Image.open(io.BytesIO(draw(Picture(style, 7, 120, 80)))) as image:
        assert (image.format, image.size) == ("PNG", (120, 80))


def test_picture_is_measured_in_megapixels() -> None:
    assert Picture(Style.DUNES, 7, 1920, 1080).megapixels == Decimal("2.0736")
    assert Picture(Style.DUNES, 7, 1920, 1080).doubled().megapixels == Decimal("8.2944")


def test_fitted_keeps_the_shape() -> None:
    assert Picture(Style.ORBITS, 7, 1920, 1080).fitted(480) == Picture(Style.ORBITS, 7, 480, 270)
