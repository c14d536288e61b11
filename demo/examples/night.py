"""A night sky in thick oil paint."""

import numpy as np

from demo.examples.brushwork import Painting, arcs, follow
from demo.examples.canvas import (
    LANDSCAPE,
    Array,
    at,
    coordinates,
    fractal,
    jitter,
    mix,
    noise,
    palette,
    ramp,
    scatter,
    smoothstep,
)

# Centre, radius and turn of the whirls in the night sky, in parts of the picture's width.
WHIRLS = (
    (0.36, 0.27, 0.15, 1.0),
    (0.63, 0.36, 0.11, -1.0),
    (0.12, 0.40, 0.08, -0.9),
    (0.88, 0.20, 0.10, 0.9),
    (0.16, 0.09, 0.06, 0.8),
    (0.60, 0.09, 0.06, -0.8),
)
# Centre and radius of the lights in the night sky.
LIGHTS = (
    (0.80, 0.37, 0.034),
    (0.20, 0.22, 0.026),
    (0.49, 0.10, 0.020),
    (0.73, 0.12, 0.026),
    (0.07, 0.17, 0.018),
    (0.50, 0.43, 0.018),
    (0.95, 0.37, 0.016),
    (0.30, 0.46, 0.014),
    (0.05, 0.51, 0.012),
    (0.31, 0.05, 0.013),
    (0.93, 0.05, 0.014),
)


def night_swirls(rng: np.random.Generator) -> Array:
    """A night sky in motion over hills and a lake, in thick curling strokes."""
    y, x = coordinates(LANDSCAPE)
    sky, angles = _night_sky(x, y, rng)
    shore = 930 + 8 * np.sin(x / 190)
    picture = mix(sky, _lake(x, y, shore, rng), y > shore)
    angles = np.where(y > shore, 0.06 * noise(LANDSCAPE, 60, rng), angles)
    picture, angles = _hills(picture, angles, x, y, shore, rng)

    painting = Painting(picture * 0.6, rng)
    for width, length, spacing in ((34, 190, 17), (22, 130, 13), (13, 85, 13)):
        middles = scatter(LANDSCAPE, spacing, rng)
        paths = follow(angles, middles, length)
        painting.lay(paths, jitter(at(picture, middles), 0.04, 0.025, rng), width)
    _starlight(painting, rng)
    return painting.lit(strength=1.0)


def _night_sky(x: Array, y: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return the colours of the sky and the direction in which it streams."""
    side = x.shape[1]
    drift_x, drift_y = np.ones_like(x), 0.45 * np.cos(x / 210 + y / 330)
    tone = 0.36 + 0.09 * fractal(x.shape, 160, rng)
    tone += 0.07 * np.sin((y + 60 * np.sin(x / 210 + y / 330)) / 24)
    for cx, cy, radius, turn in WHIRLS:
        dx, dy = x - cx * side, y - cy * side
        distance = np.hypot(dx, dy) + 1e-3
        pull = np.exp(-((distance / (radius * side)) ** 2))
        drift_x += -6 * turn * pull * dy / distance + 1.2 * pull * dx / distance
        drift_y += 6 * turn * pull * dx / distance + 1.2 * pull * dy / distance
        arms = np.sin(2 * turn * np.arctan2(dy, dx) - 9 * np.log(distance / (radius * side)) * 0.8)
        tone += pull * (0.24 * arms + 0.12)
    colours = palette("0a1238 13246b 1d3f98 2f67b8 5f9fce a9d0cf e9e6b0")
    sky = ramp(np.clip(tone, 0, 1), colours)
    for cx, cy, radius in LIGHTS:
        dx, dy = x - cx * side, y - cy * side
        distance = np.hypot(dx, dy) / (radius * side)
        pull = np.exp(-((distance / 2.4) ** 2))
        drift_x, drift_y = drift_x - 9 * pull * dy / radius / side, drift_y + 9 * pull * dx / radius / side
        rings = np.clip(1 - distance / 2.7 + 0.13 * np.sin(distance * 5.5), 0, 1)
        glow = ramp(rings, palette("2f67b8 6fa8b8 c9c763 f2c530 f6a821 fff3b8"))
        sky = mix(sky, glow, smoothstep(0.02, 0.3, rings))
    return sky, np.arctan2(drift_y, drift_x)


def _lake(x: Array, y: Array, shore: Array, rng: np.random.Generator) -> Array:
    """Return dark water that carries trembling reflections of the lights."""
    depth = (y - shore) / (x.shape[0] - 930)
    ripples = noise(x.shape, (9, 90), rng)
    tone = 0.22 + 0.12 * ripples + 0.28 * (1 - depth)
    water = ramp(np.clip(tone, 0, 1), palette("081030 10235e 1b478f 3b7fb0 7fb8b4"))
    for cx, _, radius in LIGHTS:
        reach = radius * x.shape[1] * (0.5 + 0.7 * np.clip(depth, 0, 1))
        offset = np.abs(x - cx * x.shape[1] + 9 * ripples) / reach
        gleam = np.exp(-(offset**2)) * smoothstep(-0.5, 0.7, noise(x.shape, (13, 60), rng)) * (radius / 0.03)
        water = mix(water, palette("f4c542")[0], np.clip(gleam, 0, 1) * 0.95)
    return water


def _hills(
    picture: Array, angles: Array, x: Array, y: Array, shore: Array, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Stand two ranges of dark hills on the shore, with lit windows at their feet."""
    across = np.arange(x.shape[1])
    ranges = (
        (760 + 55 * np.sin(across / 170 + 2.2) + 22 * np.sin(across / 61), "12184a 24367f 3f5fa0 6f86b0"),
        (850 + 45 * np.sin(across / 240 + 0.4) + 14 * np.sin(across / 47), "060d26 0f2338 1f4450 3f6a58"),
    )
    for ridge, colours in ranges:
        inside = (y > ridge) & (y < shore)
        stripes = np.sin((y - ridge) / 9 + 2 * noise(x.shape, 120, rng))
        tone = 0.45 + 0.3 * stripes + 0.12 * noise(x.shape, 30, rng)
        picture = mix(picture, ramp(np.clip(tone, 0, 1), palette(colours)), inside)
        slope = np.arctan(np.gradient(ridge))[None] + 0.5 * noise(x.shape, 90, rng)
        angles = np.where(inside, slope, angles)
    return picture, angles


def _starlight(painting: Painting, rng: np.random.Generator) -> None:
    """Set the brightest paint last: rings of short strokes round the lights, and windows on the shore."""
    for cx, cy, radius in LIGHTS:
        for reach, colour in ((2.1, "b9d3b0"), (1.55, "f0d04a"), (1.05, "f7b52c"), (0.6, "fde88a"), (0.2, "fffbe0")):
            distance = reach * radius * LANDSCAPE[1]
            count = int(5 + distance * 0.32)
            turn = np.linspace(0, 2 * np.pi, count, endpoint=False) + rng.normal(0, 0.09, count)
            spread = distance * rng.normal(1, 0.07, count)
            middles = np.stack([np.cos(turn), np.sin(turn)], 1) * spread[:, None] + np.array([cx, cy]) * LANDSCAPE[1]
            length = np.full(count, 22 + distance * 0.45)
            paths = arcs(middles, turn + np.pi / 2, length, np.full(count, 0.5))
            colours = jitter(np.repeat(palette(colour), count, 0), 0.05, 0.03, rng)
            painting.lay(paths, colours, 10 + distance * 0.05, thickness=1.6)
    windows = np.stack([rng.uniform(30, 1500, 46), rng.normal(905, 14, 46)], 1)
    paths = arcs(windows, rng.normal(1.57, 0.2, 46), rng.uniform(9, 22, 46), np.zeros(46))
    painting.lay(paths, jitter(np.repeat(palette("f6b93c"), 46, 0), 0.08, 0.05, rng), 9, thickness=1.6)
