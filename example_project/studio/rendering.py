"""Draw pictures: the same style, seed and size always give the same one. Nothing here knows of credits."""

from __future__ import annotations

import colorsys
import io
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum

from PIL import Image, ImageDraw

MAX_SEED = 999_999
OVERSAMPLING = 2
"""Everything is drawn this much larger and then reduced: Pillow's shapes have hard edges."""

Colour = tuple[int, int, int]
Point = tuple[float, float]


class Style(Enum):
    DUNES = "dunes"
    ORBITS = "orbits"
    FACETS = "facets"


@dataclass(frozen=True)
class Picture:
    """What to draw; width and height are in pixels."""

    style: Style
    seed: int
    width: int
    height: int

    @property
    def megapixels(self) -> Decimal:
        return Decimal(self.width * self.height) / 1_000_000

    def doubled(self) -> Picture:
        return replace(self, width=2 * self.width, height=2 * self.height)

    def fitted(self, longest: int) -> Picture:
        """Return the same picture in small: its longer side has `longest` pixels."""
        scale = longest / max(self.width, self.height)
        return replace(
            self, width=max(1, round(self.width * scale)), height=max(1, round(self.height * scale))
        )


def draw(picture: Picture) -> bytes:
    """Return the picture as a PNG file."""
    size = (picture.width * OVERSAMPLING, picture.height * OVERSAMPLING)
    chance = random.Random(f"{picture.style.value}:{picture.seed}")  # noqa: S311 - art, not secrets
    image = _PAINTERS[picture.style](size, chance).reduce(OVERSAMPLING)
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=3)
    return file.getvalue()


def _dunes(size: tuple[int, int], chance: random.Random) -> Image.Image:
    """Paint ridges in the light of a low sun, paler with distance."""
    width, height = size
    hue = chance.random()
    image = _sky(size, _colour(hue + 0.08, 0.35, 0.98), _colour(hue, 0.55, 0.80))
    canvas = ImageDraw.Draw(image)
    sun = (chance.uniform(0.2, 0.8) * width, chance.uniform(0.18, 0.38) * height)
    _disc(canvas, sun, chance.uniform(0.06, 0.12) * min(size), _colour(hue + 0.12, 0.12, 1.0))
    ridges = 7
    for ridge in range(ridges):
        nearness = ridge / (ridges - 1)
        base = height * (0.42 + 0.48 * nearness)
        waves = [
            (
                chance.uniform(0.6, 1.6) * (1 + octave * 1.7),
                chance.uniform(0, math.tau),
                0.07 * height / (1 + octave * 1.9),
            )
            for octave in range(4)
        ]
        line = [(x, base + _sum_of(waves, x / width)) for x in range(0, width + 4, 4)]
        shade = _colour(hue + 0.06 * (1 - nearness), 0.30 + 0.45 * nearness, 0.86 - 0.70 * nearness)
        canvas.polygon([*line, (width + 4, height), (0, height)], fill=shade)
    return image


def _orbits(size: tuple[int, int], chance: random.Random) -> Image.Image:
    """Paint planets on the rings that they follow around a centre."""
    width, height = size
    unit = min(size)
    hue = chance.random()
    image = _sky(size, _colour(hue, 0.75, 0.10), _colour(hue + 0.12, 0.65, 0.28))
    canvas = ImageDraw.Draw(image)
    centre = (width * chance.uniform(0.38, 0.62), height * chance.uniform(0.38, 0.62))
    for _star in range(160):
        _disc(
            canvas,
            (chance.random() * width, chance.random() * height),
            unit * chance.uniform(0.0006, 0.0022),
            _colour(hue, 0.1, chance.uniform(0.5, 1.0)),
        )
    radius = 0.09 * unit
    _disc(canvas, centre, 0.6 * radius, _colour(hue + 0.5, 0.45, 1.0))
    while radius < 0.75 * max(size):
        ring = _colour(hue + chance.uniform(-0.05, 0.15), 0.45, chance.uniform(0.45, 0.75))
        canvas.circle(centre, radius, outline=ring, width=max(1, round(unit * chance.uniform(0.001, 0.004))))
        for _planet in range(chance.choice((1, 1, 2))):
            angle = chance.uniform(0, math.tau)
            at = (centre[0] + radius * math.cos(angle), centre[1] + radius * math.sin(angle))
            planet = unit * chance.uniform(0.008, 0.032)
            _disc(
                canvas, at, planet, _colour(hue + chance.uniform(0.35, 0.65), chance.uniform(0.4, 0.8), 0.98)
            )
            glint = (at[0] - 0.3 * planet, at[1] - 0.3 * planet)
            _disc(canvas, glint, 0.35 * planet, _colour(hue + 0.5, 0.12, 1.0))
        radius += unit * chance.uniform(0.045, 0.085)
    return image


def _facets(size: tuple[int, int], chance: random.Random) -> Image.Image:
    """Paint a folded sheet: a mesh of triangles, each lit by how it happens to lie."""
    width, height = size
    hue = chance.random()
    image = Image.new("RGB", size)
    canvas = ImageDraw.Draw(image)
    # As many triangles in every size of a shape: the mesh is part of the picture, not of its resolution.
    columns = max(3, round(11 * math.sqrt(width / height)))
    rows = max(3, round(11 * math.sqrt(height / width)))
    jitter = 0.36

    def corner(column: int, row: int) -> Point:
        inside = 0 < column < columns and 0 < row < rows
        shift_x, shift_y = (
            (chance.uniform(-jitter, jitter), chance.uniform(-jitter, jitter)) if inside else (0, 0)
        )
        return (column + shift_x) / columns * width, (row + shift_y) / rows * height

    mesh = [[corner(column, row) for column in range(columns + 1)] for row in range(rows + 1)]
    for row in range(rows):
        for column in range(columns):
            a, b = mesh[row][column], mesh[row][column + 1]
            c, d = mesh[row + 1][column], mesh[row + 1][column + 1]
            halves = ((a, b, c), (b, d, c)) if chance.random() < 0.5 else ((a, b, d), (a, d, c))
            for triangle in halves:
                across = sum(x for x, _y in triangle) / 3 / width
                down = sum(y for _x, y in triangle) / 3 / height
                light = 0.95 - 0.55 * down + chance.uniform(-0.10, 0.10)
                canvas.polygon(triangle, fill=_colour(hue + 0.28 * across, 0.35 + 0.35 * down, light))
    return image


_PAINTERS: dict[Style, Callable[[tuple[int, int], random.Random], Image.Image]] = {
    Style.DUNES: _dunes,
    Style.ORBITS: _orbits,
    Style.FACETS: _facets,
}


def _sky(size: tuple[int, int], top: Colour, bottom: Colour) -> Image.Image:
    """Return a vertical blend of two colours."""
    blend = Image.linear_gradient("L").resize(size, Image.Resampling.BILINEAR)
    return Image.composite(Image.new("RGB", size, bottom), Image.new("RGB", size, top), blend)


def _disc(canvas: ImageDraw.ImageDraw, centre: Point, radius: float, colour: Colour) -> None:
    canvas.circle(centre, radius, fill=colour)


def _sum_of(waves: list[tuple[float, float, float]], x: float) -> float:
    return sum(height * math.sin(math.tau * frequency * x + phase) for frequency, phase, height in waves)


def _colour(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, min(max(saturation, 0), 1), min(max(value, 0), 1))
    return round(red * 255), round(green * 255), round(blue * 255)
