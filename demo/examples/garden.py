"""A garden in warm colours, in heavy oil paint."""

import numpy as np

from demo.examples.brushwork import Painting, arcs
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

HORIZON = 400
# Each kind of blossom: its petals from the outside in, then its heart.
BLOSSOMS = (
    "7d0f22 b8162b dc3327 f0653a 2a0d1a",
    "b23a12 e2621c f58a1f fbb53c 5a1c12",
    "8e1f55 c43a6e e56f8a f6a9a0 f4c23c",
    "c98a1a eeb02c f8d05a fdeaa0 7a2f14",
    "c7765a eda882 f8d3b0 fff1dc e89a2c",
)
LEAVES = palette("1f3a24 35562a 57722c 8a9436 b9b04a")


def oil_garden(rng: np.random.Generator) -> Array:
    """A path through flower beds in evening light, painted wet and thick."""
    y, x = coordinates(LANDSCAPE)
    picture, angles = _sky_and_trees(x, y, rng)
    picture, angles = _beds_and_path(picture, angles, x, y, rng)

    painting = Painting(picture * 0.55, rng)
    for width, length, spacing in ((38, 120, 19), (24, 80, 15), (14, 46, 13)):
        middles = scatter(LANDSCAPE, spacing, rng)
        bend = rng.normal(0, 0.5, len(middles))
        paths = arcs(middles, at(angles, middles), length * rng.uniform(0.6, 1.3, len(middles)), bend)
        painting.lay(paths, jitter(at(picture, middles), 0.045, 0.035, rng), width)
    _grasses(painting, angles, rng)
    _blossoms(painting, rng)
    return painting.lit(strength=1.1, shine=0.3)


def _sky_and_trees(x: Array, y: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return an evening sky with a wall of trees in front, and the direction of the strokes."""
    side = x.shape[1]
    glow = np.exp(-(((x - 0.6 * side) / 520) ** 2) - ((y - 330) / 240) ** 2)
    tone = np.clip(0.15 + 0.75 * glow + 0.12 * fractal(x.shape, 140, rng), 0, 1)
    sky = ramp(tone, palette("b5566b d9775f ee9a58 f6bd5e fbdc86 fff2c4"))
    angles = -0.35 + 0.5 * noise(x.shape, 240, rng)

    clumps = fractal(x.shape, 190, rng)
    crown = 250 - 230 * np.abs(x / side - 0.6) ** 1.1 * 1.6 + 60 * clumps
    light = noise(x.shape, 46, rng) * 0.18 + 0.42 + 0.2 * clumps + 0.25 * glow
    trees = ramp(np.clip(light, 0, 1), palette("2c1626 54222c 7d3a26 a65f2a cf9136 ecc25a"))
    weight = smoothstep(-12, 12, y - crown)
    return mix(sky, trees, weight), np.where(weight > 0.5, 1.2 + 1.1 * noise(x.shape, 70, rng), angles)


def _beds_and_path(picture: Array, angles: Array, x: Array, y: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Lay drifts of flowers below the horizon, and a pale path that winds between them."""
    depth = np.clip((y - HORIZON) / (x.shape[0] - HORIZON), 0, 1)
    drift = np.sin(9 * np.log(depth + 0.12) + x / 260 + 1.2 * noise(x.shape, 170, rng))
    beds = ramp(0.5 + 0.5 * drift, palette("31501f 6f7f2c a83228 d8572c e98a35 b23f63 5d2a4a"))
    shade = 0.85 + 0.22 * noise(x.shape, (22, 40), rng)
    middle = 0.6 * x.shape[1] - 330 * np.sin(depth * 2.4) * depth
    path_edge = np.abs(x - middle) / (26 + 215 * depth)
    sunlit = 0.55 + 0.3 * noise(x.shape, (26, 130), rng)
    path = ramp(np.clip(sunlit, 0, 1), palette("7a4a6e b5738a e0a08a f6cf9f fff0cd"))
    ground = mix(beds * shade[..., None], path, smoothstep(1.1, 0.8, path_edge))
    lean = np.where(path_edge < 1, 0.1, 1.4 + 0.5 * noise(x.shape, 80, rng))
    below = smoothstep(HORIZON - 8, HORIZON + 8, y + 10 * noise(x.shape, 50, rng))
    return mix(picture, ground, below), np.where(below > 0.5, lean, angles)


def _grasses(painting: Painting, angles: Array, rng: np.random.Generator) -> None:
    """Flick blades of grass up from the edges of the path and between the flowers."""
    count = 900
    feet = np.stack([rng.uniform(0, 1536, count), rng.uniform(HORIZON + 60, 1240, count)], 1)
    feet = feet[np.argsort(feet[:, 1])]
    depth = (feet[:, 1] - HORIZON) / 830
    off_path = np.abs(feet[:, 0] - (0.6 * 1536 - 330 * np.sin(depth * 2.4) * depth)) > 30 + 200 * depth
    feet, depth = feet[off_path], depth[off_path]
    lean = -np.pi / 2 + rng.normal(0, 0.35, len(feet))
    paths = arcs(feet, lean, 20 + 130 * depth, rng.normal(0, 0.7, len(feet)))
    colours = jitter(LEAVES[rng.integers(0, len(LEAVES), len(feet))], 0.05, 0.03, rng)
    painting.lay(paths, colours, 11, thickness=1.2, taper=0.9)


def _blossoms(painting: Painting, rng: np.random.Generator) -> None:
    """Plant the flowers from far to near, the near ones large."""
    spots = scatter(LANDSCAPE, 66, rng)
    spots = spots[spots[:, 1] > HORIZON + 30]
    depth = (spots[:, 1] - HORIZON) / 830
    middle = 0.6 * 1536 - 330 * np.sin(depth * 2.4) * depth
    keep = (np.abs(spots[:, 0] - middle) > 40 + 225 * depth) & (rng.random(len(spots)) < 1.15 - 0.75 * depth)
    for spot, near in sorted(zip(spots[keep], depth[keep], strict=True), key=lambda pair: pair[1]):
        radius = (13 + 92 * near**1.3) * rng.uniform(0.75, 1.2)
        patch = int(spot[0] / 330 + 3 * near + rng.uniform(0, 1.6))
        _blossom(painting, spot, radius, palette(BLOSSOMS[patch % len(BLOSSOMS)]), rng)


def _blossom(painting: Painting, centre: Array, radius: float, colours: Array, rng: np.random.Generator) -> None:
    """Build one flower from rings of single loaded strokes, dark outside and light within."""
    tilt = np.array([1.0, rng.uniform(0.62, 0.9)])
    for ring, colour in enumerate(colours[:-1]):
        reach = radius * (0.78 - 0.19 * ring)
        count = max(5, 11 - 2 * ring)
        turn = np.arange(count) * 2 * np.pi / count + rng.normal(0, 0.16, count) + ring
        rim = np.stack([np.cos(turn), np.sin(turn)], 1)
        middles = centre + rim * tilt * reach * rng.normal(1, 0.08, (count, 1))
        across = rng.random(count) < 0.45
        paths = arcs(middles, turn + across * np.pi / 2, np.full(count, radius * 0.72), 0.4 + 1.1 * across)
        shades = jitter(np.repeat(colour[None], count, 0), 0.06, 0.035, rng)
        painting.lay(paths, shades, max(7, radius * 0.36), thickness=1.5, streak=0.06, taper=0.6)
    heart = centre + rng.normal(0, radius * 0.09, (9, 2)) * tilt
    dabs = arcs(heart, rng.uniform(0, 3, 9), np.full(9, max(6, radius * 0.2)), np.full(9, 0.6))
    painting.lay(dabs, jitter(np.repeat(colours[-1:], 9, 0), 0.06, 0.04, rng), max(5, radius * 0.12))
