"""A stained-glass window: a rose over hills, in panes of coloured light held by lead."""

import numpy as np
from scipy.spatial import cKDTree

from demo.examples.canvas import (
    PORTRAIT,
    Array,
    blur,
    coordinates,
    fractal,
    jitter,
    noise,
    palette,
    ramp,
    relief,
    scatter,
)

ROSE = palette("fff1b0 ffd34d f59a23 d8332e a3123f 5e1a78 2b2a8f 1c57b8 2fa0c9")
HILLS = palette("0f3d3e 1f7a4d 6fb04a d9c24a")


def stained_glass(rng: np.random.Generator) -> Array:
    """Light through a rose of petals above hills; panes are the cells of scattered seeds."""
    y, x = coordinates(PORTRAIT)
    seeds = scatter(PORTRAIT, 58, rng)
    distances, cells = cKDTree(seeds).query(np.stack([x, y], -1), k=2, workers=1)
    pane = jitter(_design(seeds, rng), 0.07, 0.05, rng)[cells[..., 0]]
    tilt = rng.normal(0, 1, (len(seeds), 2))[cells[..., 0]]
    offset = np.stack([x, y], -1) - seeds[cells[..., 0]]
    sheen = (
        0.10 * (tilt * offset).sum(-1) / 58 + 0.07 * fractal(PORTRAIT, 40, rng) + 0.05 * noise(PORTRAIT, (5, 26), rng)
    )
    glass = np.clip(pane * (1.05 + sheen[..., None]) + 0.04 * noise(PORTRAIT, 3, rng)[..., None], 0, 1)
    lead = np.clip((distances[..., 1] - distances[..., 0]) / 9.0, 0, 1)
    came = np.exp(-((distances[..., 1] - distances[..., 0]) ** 2) / 60)
    glow = blur(glass, 14) * 0.22
    lit = np.clip(glass * 0.9 + glow, 0, 1)
    dark = 0.10 + 0.05 * noise(PORTRAIT, 4, rng)[..., None]
    return relief(dark + (lit - dark) * (lead**2)[..., None], 3.0 * came + 0.12 * noise(PORTRAIT, 7, rng), 0.8, 0.18)


def _design(points: Array, rng: np.random.Generator) -> Array:
    """The colour that the window's cartoon gives to each pane."""
    height, width = PORTRAIT
    dx, dy = points[:, 0] - width / 2, points[:, 1] - height * 0.38
    radius, angle = np.hypot(dx, dy) / (width * 0.46), np.arctan2(dy, dx)
    petals = radius * (1 + 0.22 * np.cos(8 * angle)) + 0.05 * np.cos(16 * angle)
    colours = ramp(np.clip(petals * 0.75, 0, 1) ** 1.1, ROSE)
    alternate = (np.floor(8 * angle / np.pi) + np.floor(petals * 5)) % 2
    colours = colours * np.where(alternate, 1.0, 0.72)[:, None]
    horizon = height * (0.78 + 0.05 * np.sin(points[:, 0] / 170) + 0.03 * np.sin(points[:, 0] / 61))
    hill = ramp(
        np.clip((points[:, 1] - horizon) / (height * 0.2) + rng.normal(0, 0.15, len(points)), 0, 1), HILLS[::-1]
    )
    return np.where((points[:, 1] > horizon)[:, None], hill, colours)
