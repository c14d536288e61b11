"""Marbled paper: drops of ink on water, drawn out with combs and a stylus."""

import numpy as np

from demo.examples.canvas import LANDSCAPE, Array, blur, coordinates, fractal, noise, palette, paper

INKS = palette("12233f 1f4f6b 8f1f2a d3652f e8b04a f3e6c8 2f7f78 f3e6c8 5a1526 12233f")


def marbled_paper(rng: np.random.Generator) -> Array:
    """Drops of ink, combed to and fro and turned in whirls, lifted off on handmade paper.

    Every move of the water can be undone exactly, so each pixel is traced back to the drop it came from.
    """
    y, x = coordinates(LANDSCAPE)
    x, y = _shake(x, y, rng)
    for cx, cy, radius, turn in ((420, 400, 330, 2.6), (1130, 760, 380, -2.9), (1180, 190, 210, 2.2), (330, 1010, 240, -2.3)):
        x, y = _whirl(x, y, cx, cy, radius, turn)
    x, y = _comb(x, y, spacing=62, pull=95, angle=0.0, shift=11)
    y, x = _comb(y, x, spacing=250, pull=150, angle=0.0, shift=40)
    ink, rim = _drops(x, y, rng)
    colour = INKS[ink] * (1 + 0.05 * fractal(LANDSCAPE, 70, rng)[..., None])
    colour = colour * (0.86 + 0.14 * np.clip(rim, 0, 1))[..., None]
    grain = paper(LANDSCAPE, rng)
    speckle = np.clip(noise(LANDSCAPE, 3, rng) - 2.1, 0, 1) * 0.5
    colour = colour + (palette("f3e6c8")[0] - colour) * speckle[..., None]
    return np.clip(blur(colour, 0.6) * (1 + 0.035 * grain[..., None]), 0, 1)


def _shake(x: Array, y: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Let the hand and the water tremble a little."""
    return x + 7 * noise(x.shape, 150, rng), y + 7 * noise(x.shape, 150, rng)


def _comb(x: Array, y: Array, spacing: float, pull: float, angle: float, shift: float) -> tuple[Array, Array]:
    """Undo a comb drawn along y, its teeth going by turns forth and back."""
    return x, y - pull * np.sin(np.pi * (x + shift) / spacing) * np.abs(np.sin(np.pi * (x + shift) / spacing))


def _whirl(x: Array, y: Array, cx: float, cy: float, radius: float, turn: float) -> tuple[Array, Array]:
    """Undo a turn of the stylus about a centre."""
    dx, dy = x - cx, y - cy
    angle = -turn * np.exp(-((np.hypot(dx, dy) / radius) ** 2) * 2.2)
    return cx + dx * np.cos(angle) - dy * np.sin(angle), cy + dx * np.sin(angle) + dy * np.cos(angle)


def _drops(x: Array, y: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Find which ink covers each pixel, and how deep inside its drop the pixel lies.

    A new drop pushes the older ones outwards; the drops are undone from the last to the first.
    """
    count = 420
    centres = rng.uniform((-200, -200), (1736, 1428), (count, 2))
    radii = np.linspace(120, 16, count) * rng.uniform(0.5, 1.1, count)
    inks = rng.integers(0, len(INKS), count)
    points = np.stack([x.ravel(), y.ravel()])
    ink, rim = np.zeros(x.size, int), np.ones(x.size, np.float32)
    free = np.arange(x.size)
    for centre, radius, colour in zip(centres[::-1], radii[::-1], inks[::-1], strict=True):
        offset = points - centre[:, None]
        square = (offset**2).sum(0)
        hit = square < radius**2
        ink[free[hit]], rim[free[hit]] = colour, (radius - np.sqrt(square[hit])) / 5
        free, offset, square = free[~hit], offset[:, ~hit], square[~hit]
        points = centre[:, None] + offset * np.sqrt(1 - radius**2 / square)
    return ink.reshape(x.shape), rim.reshape(x.shape)
