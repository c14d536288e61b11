"""A leaded window: a sun over hills, a river and three flowers."""

from collections.abc import Callable

import numpy as np
from scipy.ndimage import distance_transform_edt

from demo.examples.canvas import (
    PORTRAIT,
    Array,
    blur,
    coordinates,
    edges,
    fractal,
    noise,
    palette,
    ramp,
    relief,
    smoothstep,
)

# The glass each part of the design is cut from, dark to light.
GLASS = {
    "sky": "101a5c 1b3fa0 2f6fd0 5b4bb0 7fb4e8",
    "halo": "b3244f d8432f e9752a f0a030 c23a6a",
    "rays": "f0a91e f7cf4a fbe48a f08a1c f9d97a",
    "sun": "f4571e fb9a1c ffd24a fff0b0 e8321c",
    "far": "3a2a7c 5a3fa0 7a4fb8 3f5fb0 8f7fd0",
    "near": "0e4a34 1d7a45 4fa03c 93bf3a 0f5f5a",
    "front": "123c1e 2f6b24 6f9a26 c0b832 1f5a3a",
    "river": "0f5f8f 1f93b8 5fc4d0 b0e8e0 1a4f9f",
    "leaf": "0f5a2a 2a8a3a 63b040 a5d050 1a6a4a",
    "petal": "8f0f2f c81e3a e8455a f58a8f d02a6f",
    "heart": "f7a51c fbd84a fff2a8 f08020 ffe070",
}
PARTS = {name: index for index, name in enumerate(GLASS)}
SUN = (770.0, 470.0)


def stained_glass(rng: np.random.Generator) -> Array:
    """Coloured panes in lead, bright in their middles, with streaks and bubbles in the glass."""
    y, x = coordinates(PORTRAIT)
    part, along, across = _design(x + 5 * noise(PORTRAIT, 90, rng), y + 5 * noise(PORTRAIT, 90, rng))
    names = (part * 1000 + along.astype(int) % 1000) * 1000 + across.astype(int) % 1000
    _, pane = np.unique(names, return_inverse=True)
    pane = pane.reshape(PORTRAIT)
    outline = distance_transform_edt(~edges(part))
    distance = np.minimum(distance_transform_edt(~edges(pane)), outline - 2.5)

    colour = _panes(part, pane, distance, rng)
    colour = np.clip(colour + 0.5 * blur(np.clip(colour - 0.4, 0, 1), 18), 0, 1)
    lead_width = 5.2 + 0.9 * noise(PORTRAIT, 40, rng)
    inside = np.clip(1 - (distance / lead_width) ** 2, 0, 1)
    lead = 0.13 + 0.03 * fractal(PORTRAIT, 20, rng)[..., None] * np.ones(3) + np.array([-0.01, 0, 0.02])
    weight = smoothstep(lead_width + 1, lead_width - 1, distance)[..., None]
    bumps = 0.8 * fractal(PORTRAIT, 26, rng, 4) * (1 - weight[..., 0])
    glass = relief(colour, blur(bumps, 1.0), 0.9, 0.2)
    metal = relief(lead, blur(6 * np.sqrt(inside), 1.2), 0.9, 0.75)
    return glass * (1 - weight) + metal * weight


def _design(x: Array, y: Array) -> tuple[Array, Array, Array]:
    """Cut the window into parts, and every part into panes numbered along and across it."""
    dx, dy = x - SUN[0], y - SUN[1]
    radius, turn = np.hypot(dx, dy), np.arctan2(dy, dx) / (2 * np.pi) + 0.5
    part = np.full(x.shape, PARTS["sky"])
    ring = np.floor((radius - 470 + 60 * np.sin(turn * 2 * np.pi * 3) + 26 * np.sin(turn * 2 * np.pi * 7)) / 74)
    along, across = ring + 20, np.floor(turn * (26 + 4 * ring))

    def cut(name: str, where: Array, new_along: Array, new_across: Array) -> None:
        part[where] = PARTS[name]
        along[where], across[where] = np.floor(new_along)[where], np.floor(new_across)[where]

    rays = 380 + 75 * np.abs(((turn * 18) % 1) * 2 - 1)
    cut("halo", radius < rays, radius / 1000, turn * 36)
    cut("rays", radius < 345 - 60 * np.abs(((turn * 18 + 0.5) % 1) * 2 - 1), radius / 220, turn * 18)
    for count, limit in ((16, 205), (12, 150), (8, 92), (1, 38)):
        cut("sun", radius < limit, np.full(x.shape, count), turn * count)

    far = 800 + 70 * np.sin(x / 210 + 0.6)
    cut("far", y > far, (y - far + 0.3 * x) / 78, (x - 0.7 * (y - far)) / 128)
    near = 950 - 90 * np.sin(x / 300 + 0.3)
    cut("near", y > near, (y - near) / 66, (x + 0.9 * (y - near)) / 118)
    front = 1150 + 80 * np.sin(x / 260 + 2.2)
    cut("front", y > front, (y - front) / 74, (x - 0.5 * (y - front)) / 105)

    fall = np.clip((y - near) / 600, 0, 1.2)
    middle = 700 + 210 * np.sin(fall * 5.2 + 0.4) * (0.25 + fall)
    half = 18 + 135 * fall
    lanes = (x - middle) / half
    cut("river", (np.abs(lanes) < 1) & (y > near), (y + 46 * np.sin(lanes * 3)) / 92, (lanes + 1) * 1.99)
    for cx, cy, size, petals in ((240, 1225, 190, 7), (985, 1290, 165, 6), (590, 1395, 120, 6)):
        _flower(cut, x, y, cx, cy, size, petals)
    return part, along, across


def _flower(cut: Callable[..., None], x: Array, y: Array, cx: float, cy: float, size: float, petals: int) -> None:
    """Cut one flower: a ring of pointed leaves, two rows of petals and a heart."""
    radius, turn = np.hypot(x - cx, y - cy), np.arctan2(y - cy, x - cx) / (2 * np.pi) + 0.5
    leaf = size * (0.72 + 0.55 * np.abs(np.cos(np.pi * (turn * petals + 0.5))) ** 3)
    cut("leaf", radius < leaf, np.full(x.shape, cx), turn * 2 * petals)
    outer = size * (0.62 + 0.38 * np.abs(np.sin(np.pi * turn * petals)) ** 0.6)
    cut("petal", radius < outer, np.full(x.shape, cx % 500), turn * petals + 0 * x)
    inner = size * (0.36 + 0.22 * np.abs(np.cos(np.pi * turn * petals)) ** 0.6)
    cut("petal", radius < inner, np.full(x.shape, cx % 500 + 400), turn * petals + 0.5)
    cut("heart", radius < size * 0.25, np.full(x.shape, cx), turn * 4)


def _panes(part: Array, pane: Array, distance: Array, rng: np.random.Generator) -> Array:
    """Colour each pane with its own shade, a gradient towards one side, streaks and bubbles."""
    y, x = coordinates(PORTRAIT)
    count = pane.max() + 1
    shade = rng.uniform(0.08, 0.92, count)[pane]
    slant = rng.uniform(0, 2 * np.pi, count)
    lean = (np.cos(slant)[pane] * (x - _centre(x, pane)) + np.sin(slant)[pane] * (y - _centre(y, pane))) / 260
    swirl = noise(PORTRAIT, (150, 22), rng) * 0.11 + fractal(PORTRAIT, 60, rng) * 0.12
    tone = np.clip(shade + lean + swirl, 0, 1)
    colour = np.zeros((*PORTRAIT, 3), np.float32)
    for name, index in PARTS.items():
        where = part == index
        colour[where] = ramp(tone[where], palette(GLASS[name]))
    glow = 0.86 + 0.5 * smoothstep(0, 46, distance) + 0.22 * lean + 0.05 * fractal(PORTRAIT, 14, rng, 3)
    bubbles = blur((rng.random(PORTRAIT) > 0.9990).astype(np.float32), 1.8) * 9
    return np.clip(colour * glow[..., None] + 0.3 * bubbles[..., None], 0, 1)


def _centre(coordinate: Array, pane: Array) -> Array:
    """Return, at each pixel, the mean of a coordinate over its pane."""
    labels = pane.ravel()
    return (np.bincount(labels, coordinate.ravel()) / np.bincount(labels))[pane]
