"""Two fish circling a star, set in small stones."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import distance_transform_edt

from demo.examples.canvas import (
    LANDSCAPE,
    Array,
    blur,
    coordinates,
    edges,
    fractal,
    jitter,
    noise,
    palette,
    ramp,
    relief,
)

STONE = 21
CENTRE = (768.0, 614.0)


def mosaic(rng: np.random.Generator) -> Array:
    """Square stones that follow the outlines of the design in rows, with sandy grout between."""
    part, colours = _cartoon(rng)
    distance = distance_transform_edt(~edges(part))
    down, right = np.gradient(blur(distance, 5))
    angles = np.arctan2(down, right)

    grout = palette("5d5346")[0] * (1 + 0.16 * fractal(LANDSCAPE, 14, rng)[..., None])
    stones = Image.fromarray((np.clip(grout, 0, 1) * 255).astype(np.uint8))
    height = Image.fromarray(np.zeros(LANDSCAPE, np.float32))
    taken = np.zeros(LANDSCAPE, bool)
    spots = _rows(distance)
    for size in (STONE, STONE * 0.66, STONE * 0.42):
        free = [(row, column) for row, column in spots.tolist() if _claim(taken, row, column, angles, size)]
        _set_stones(stones, height, np.array(free), size, colours, angles, rng)
        spots = rng.permutation(np.argwhere(distance_transform_edt(~taken) > size * 0.26))
    surface = blur(np.asarray(height), 1.5) + 0.09 * fractal(LANDSCAPE, 9, rng, 3)
    colour = np.asarray(stones, np.float32) / 255 * (1 + 0.05 * fractal(LANDSCAPE, 12, rng, 3)[..., None])
    return relief(colour, surface, 1.1, 0.3)


def _rows(distance: Array) -> Array:
    """List the pixels on which rows of stones are centred, in order round the picture."""
    row = np.floor(distance / STONE)
    spots = np.argwhere(np.abs(distance - (row + 0.5) * STONE) < 0.75)
    offset = spots - np.array(CENTRE[::-1])
    turn = np.round(np.arctan2(offset[:, 0], offset[:, 1]), 3)
    order = np.lexsort((np.hypot(*offset.T), turn, row[tuple(spots.T)]))
    return spots[order]


def _claim(taken: Array, row: int, column: int, angles: Array, size: float) -> bool:
    """Reserve the square for a stone, unless another stone lies there."""
    angle = angles[row, column]
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    probe = (np.array((row, column))[:, None] + turn @ _square(size * 0.86, 7)).astype(int)
    rows, columns = np.clip(probe, 0, np.array(taken.shape)[:, None] - 1)
    if taken[rows, columns].any():
        return False
    cover = (np.array((row, column))[:, None] + turn @ _square(size, int(size * 1.5))).astype(int)
    rows, columns = np.clip(cover, 0, np.array(taken.shape)[:, None] - 1)
    taken[rows, columns] = True
    return True


def _square(size: float, points: int) -> Array:
    """Return a grid of points over a square round the origin."""
    side = np.linspace(-size / 2, size / 2, points)
    return np.stack(np.meshgrid(side, side)).reshape(2, -1)


def _set_stones(
    stones: Image.Image,
    height: Image.Image,
    spots: Array,
    size: float,
    colours: Array,
    angles: Array,
    rng: np.random.Generator,
) -> None:
    """Draw hand-cut stones, each with uneven corners and a shade of its own."""
    paint, surface = ImageDraw.Draw(stones), ImageDraw.Draw(height)
    rows, columns = spots.T
    corners = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * size * 0.44
    corners = corners + rng.normal(0, size * 0.045, (len(spots), 4, 2))
    cos, sin = np.cos(angles[rows, columns])[:, None], np.sin(angles[rows, columns])[:, None]
    x = columns[:, None] + cos * corners[..., 0] - sin * corners[..., 1]
    y = rows[:, None] + sin * corners[..., 0] + cos * corners[..., 1]
    shades = (jitter(colours[rows, columns], 0.055, 0.028, rng) * 255).astype(int)
    levels = rng.uniform(0.7, 1.3, len(spots)) * 2.2
    outlines = np.stack([x, y], -1).reshape(len(spots), 8)
    for outline, shade, level in zip(outlines.tolist(), shades.tolist(), levels.tolist(), strict=True):
        paint.polygon(outline, tuple(shade))
        surface.polygon(outline, level)


def _cartoon(rng: np.random.Generator) -> tuple[Array, Array]:
    """Draw the design: numbered parts, which the rows of stones follow, and their colours."""
    y, x = coordinates(LANDSCAPE)
    dx, dy = (x - CENTRE[0]) / 1.22, y - CENTRE[1]
    radius, turn = np.hypot(dx, dy), np.arctan2(dy, dx)
    wave = radius + 26 * np.sin(5 * turn + radius / 60)
    part = np.floor(wave / 88)
    depth = np.clip(0.5 + 0.36 * np.sin(wave * 2 * np.pi / 176) + 0.1 * noise(LANDSCAPE, 80, rng), 0, 1)
    colours = ramp(depth, palette("0d2f4f 135a78 1f8a96 55b5ac a9d8c4 e6efd2"))

    def lay(where: Array, number: int, tones: Array, stones: str) -> None:
        part[where] = number
        colours[where] = ramp(np.clip(tones, 0, 1), palette(stones))[where]

    for index, start in enumerate((0.35, 0.35 + np.pi)):
        _fish(lay, radius, np.mod(turn - start, 2 * np.pi), 100 + 20 * index)
    star = 62 + 46 * np.abs(np.mod(turn * 8 / (2 * np.pi), 1) * 2 - 1)
    lay(radius < star + 26, 200, 0 * x, "0d2f4f 0d2f4f")
    lay(radius < star, 201, (star - radius) / 80, "c8502a e9a33a f8dc86")
    lay(radius < 34, 202, radius / 34, "fff3d0 a8281e")
    _frame(lay, x, y)
    return part, colours


def _fish(lay: Callable[..., None], radius: Array, turn: Array, number: int) -> None:
    """Bend one fish along a circle, nose first at `turn` 0."""
    along, across = turn / 2.05, radius - 335
    body = 112 * np.clip(np.sin(np.pi * np.clip(along, 0, 1) ** 0.62), 0, 1) ** 0.8 + 9 * (along < 1)
    tail_spread = 26 + 420 * np.clip(along - 0.9, 0, 1)
    fork = 1.2 + 0.0009 * np.abs(across)
    tail = (along > 0.9) & (along < fork) & (np.abs(across) < tail_spread)
    lay(tail, number, (np.sin(across / 9) + 1.4) / 3 + along - 0.9, "8f1f1a d9541e f0a030 fbe3a0")
    dorsal = (along > 0.3) & (along < 0.72) & (across > 0)
    crest = body + 70 * np.clip(np.sin(np.pi * (along - 0.3) / 0.42), 0, 1) ** 0.7
    lay(dorsal & (across < crest), number + 1, (np.sin(along * 110) + 1) / 2, "a8281e e2701f f6c860")
    belly = (along > 0.42) & (along < 0.6) & (across < 0)
    crest = body + 58 * np.sin(np.pi * np.clip((along - 0.42) / 0.18, 0, 1))
    lay(belly & (-across < crest), number + 2, (np.sin(along * 110) + 1) / 2, "a8281e e2701f f6c860")

    inside = (np.abs(across) < body) & (along < 1)
    scales = np.abs(np.sin(along * 46 + np.pi / 2 * np.floor(across / 30))) * 0.3
    lay(inside, number + 3, 0.62 - across / 210 - scales, "7a1418 c4321c ec7a22 f7b548 fdeebc")
    stripe = inside & (np.abs(across) < 0.17 * body)
    lay(stripe, number + 4, 0.5 + 0.4 * np.sin(along * 60), "12324f 2f7f88 c4e4cc")
    head = inside & (along < 0.25 + 0.00022 * np.abs(across))
    lay(head, number + 5, 0.75 - across / 190, "b5301c e88a2a f8d27a fff1cc")
    eye = np.hypot((along - 0.14) * 690, across - 22)
    lay(eye < 33, number + 6, eye * 0, "fff6dc fff6dc")
    lay(eye < 15, number + 7, eye * 0, "101a2c 101a2c")


def _frame(lay: Callable[..., None], x: Array, y: Array) -> None:
    """Run a wave pattern round the edge, between two lines of light stones."""
    edge = np.minimum(np.minimum(x, LANDSCAPE[1] - 1 - x), np.minimum(y, LANDSCAPE[0] - 1 - y))
    run = np.where(edge == np.minimum(x, LANDSCAPE[1] - 1 - x), y - CENTRE[1], x - CENTRE[0])
    lay(edge < 118, 210, edge * 0, "0d2f4f 0d2f4f")
    lay(edge < 97, 211, edge / 97, "f4e3b4 eecf8a")
    lay(edge < 76, 212, 0.5 + 0.5 * np.sin(run / 9), "9c2a1c c8502a")
    crest = 42 + 26 * np.sin(run * 2 * np.pi / 132)
    lay((edge < crest) & (edge < 76), 213, 0.5 + 0.5 * np.sin(run / 30), "e9b04a f8dc86")
    lay(edge < 21, 214, edge * 0, "12324f 1f5a78")
