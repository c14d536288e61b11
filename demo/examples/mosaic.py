"""A mosaic of suns over a river, in tesserae that run along the contours."""

import numpy as np
from scipy.spatial import cKDTree

from demo.examples.canvas import LANDSCAPE, Array, blur, coordinates, jitter, noise, palette, ramp, relief, smoothstep

TILE = 19.0
SUNS = ((330.0, 360.0, 250.0), (1010.0, 300.0, 320.0), (640.0, 640.0, 170.0), (1420.0, 700.0, 190.0))
FIRE = palette("fff3c4 fbd05a f2972e d94f2b 9c2433 5a1c3f")
SKY = palette("123a5e 1f6f8b 4bb3b0 bfe0c4 f6e7b8")
RIVER = palette("0e2a4d 15507d 2b8fae 8fd0c7 f0e3b0")


def mosaic(rng: np.random.Generator) -> Array:
    """Rings of warm stones around four suns, rows of blue ones for sky and river, gold lines between."""
    y, x = coordinates(LANDSCAPE)
    seeds, colours = _stones(rng)
    distances, cells = cKDTree(seeds).query(np.stack([x, y], -1), k=2, workers=1)
    edge = distances[..., 1] - distances[..., 0] + 0.5 * noise(LANDSCAPE, 5, rng)
    stone = smoothstep(1.2, 4.2, edge)
    face = (
        colours[cells[..., 0]]
        + 0.035 * noise(LANDSCAPE, 3.5, rng)[..., None]
        + 0.03 * noise(LANDSCAPE, 11, rng)[..., None]
    )
    grout = palette("b7a88c")[0] * 0.62 + 0.04 * noise(LANDSCAPE, 3, rng)[..., None]
    level = rng.normal(0, 1.1, len(seeds))[cells[..., 0]]
    lean = (rng.normal(0, 0.10, (len(seeds), 2))[cells[..., 0]] * (np.stack([x, y], -1) - seeds[cells[..., 0]])).sum(-1)
    surface = stone * (4 + level + lean)
    return relief(np.clip(grout + (face - grout) * stone[..., None], 0, 1), blur(surface, 1.2), 0.32, 0.3)


def _stones(rng: np.random.Generator) -> tuple[Array, Array]:
    """Where each stone lies, (x, y), and its colour."""
    points, colours = [], []
    for cx, cy, size in SUNS:
        for ring in range(int(size / TILE)):
            radius = (ring + 0.5) * TILE
            angles = np.arange(max(4, round(2 * np.pi * radius / TILE))) * TILE / radius + ring * 0.37
            place = np.stack([cx + radius * np.cos(angles), cy + radius * np.sin(angles)], -1)
            rays = 0.10 * np.cos(9 * angles + ring * 0.2)
            points.append(place)
            colours.append(ramp(np.clip(radius / size + rays + (0.2 if ring % 4 == 3 else 0), 0, 1), FIRE))
    rows = np.arange(-3, LANDSCAPE[0] / TILE + 3)
    along = np.arange(0, LANDSCAPE[1], TILE)
    for row in rows:
        swell = 34 * np.sin(along / 150 + row * 0.13) + 14 * np.sin(along / 53 + row * 0.4)
        place = np.stack([along + (row % 2) * TILE / 2, row * TILE + swell], -1)
        depth = np.clip(place[:, 1] / LANDSCAPE[0] + 0.05 * np.sin(along / 40 + row), 0, 1)
        band = np.where((depth > 0.62)[:, None], ramp((depth - 0.62) / 0.38, RIVER[::-1]), ramp(depth / 0.62, SKY))
        gold = (rng.random(len(along)) < np.where(depth > 0.62, 0.16, 0.05))[:, None]
        points.append(place)
        colours.append(np.where(gold, FIRE[1], band))
    free = [np.ones(len(part), bool) for part in points]
    rings = sum(int(size / TILE) for _, _, size in SUNS)
    for keep, part in zip(free[rings:], points[rings:], strict=True):
        for cx, cy, size in SUNS:
            keep &= np.hypot(part[:, 0] - cx, part[:, 1] - cy) > size
    place = np.concatenate([part[keep] for keep, part in zip(free, points, strict=True)])
    colour = np.concatenate([part[keep] for keep, part in zip(free, colours, strict=True)])
    return place + rng.normal(0, 1.0, place.shape), jitter(colour, 0.075, 0.035, rng)
