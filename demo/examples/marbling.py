"""Marbled paper: drops of ink on water, drawn out with combs and a stylus."""

import numpy as np

from demo.examples.canvas import (
    LANDSCAPE,
    Array,
    blur,
    coordinates,
    fractal,
    mix,
    noise,
    palette,
    paper,
    smoothstep,
)

INKS = palette("12233f 1f4f6b 8f1f2a d3652f e8b04a f6ebd0 2f7f78 f6ebd0 5a1526 c98f4a 274a7a")
# Centre, radius and angle of each turn of the stylus.
WHIRLS = ((420, 400, 330, 2.1), (1130, 760, 380, -2.4), (1180, 170, 210, 2.0), (330, 1010, 240, -2.1))


def marbled_paper(rng: np.random.Generator) -> Array:
    """Drops of ink, combed to and fro and turned in whirls, lifted off on handmade paper.

    Every move of the water can be undone exactly, so each pixel is traced back to the drop it came from.
    """
    y, x = coordinates(LANDSCAPE)
    x, y = x + 6 * noise(LANDSCAPE, 150, rng), y + 6 * noise(LANDSCAPE, 150, rng)
    for whirl in WHIRLS:
        x, y = _turn_back(x, y, *whirl)
    y = _comb_back(y, x, spacing=46, pull=70)
    x = _comb_back(x, y, spacing=190, pull=120)
    ink, depth = _drops(x, y, rng)
    inked = INKS[ink] * (1 + 0.05 * fractal(LANDSCAPE, 70, rng) + 0.05 * noise(LANDSCAPE, 7, rng))[..., None]
    inked *= (0.72 + 0.28 * smoothstep(0, 5, depth))[..., None]
    bare = smoothstep(1.9, 2.6, noise(LANDSCAPE, 4, rng)) * 0.6
    colour = mix(inked, palette("f6ebd0")[0], bare)
    return np.clip(blur(colour, 0.6) * (1 + 0.04 * paper(LANDSCAPE, rng))[..., None], 0, 1)


def _comb_back(along: Array, across: Array, spacing: float, pull: float) -> Array:
    """Undo a comb whose teeth, `spacing` apart, were drawn by turns forth and back."""
    stroke = np.sin(np.pi * across / spacing)
    return along - pull * stroke * np.abs(stroke)


def _turn_back(x: Array, y: Array, cx: float, cy: float, radius: float, turn: float) -> tuple[Array, Array]:
    """Undo a turn of the stylus about a centre."""
    dx, dy = x - cx, y - cy
    angle = -turn * np.exp(-2.2 * (np.hypot(dx, dy) / radius) ** 2)
    return cx + dx * np.cos(angle) - dy * np.sin(angle), cy + dx * np.sin(angle) + dy * np.cos(angle)


def _drops(x: Array, y: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Find which ink covers each pixel, and how deep inside its drop the pixel lies.

    A new drop pushes the older ones outwards; the drops are undone from the last to the first.
    """
    count = 520
    centres = rng.uniform((-150, -150), (1686, 1378), (count, 2)).astype(np.float32)
    radii = (np.linspace(105, 26, count) * rng.uniform(0.6, 1.15, count)).astype(np.float32)
    inks = rng.integers(0, len(INKS), count)
    points = np.stack([x.ravel(), y.ravel()])
    free, ink, depth = np.arange(x.size), np.full(x.size, 5), np.full(x.size, 9, np.float32)
    for centre, radius, colour in zip(centres[::-1], radii[::-1], inks[::-1], strict=True):
        points -= centre[:, None]
        square = points[0] ** 2 + points[1] ** 2
        hit = square < radius**2
        ink[free[hit]], depth[free[hit]] = colour, radius - np.sqrt(square[hit])
        free, points, square = free[~hit], points[:, ~hit], square[~hit]
        points = points * np.sqrt(1 - radius**2 / square) + centre[:, None]
    return ink.reshape(x.shape), depth.reshape(x.shape)
