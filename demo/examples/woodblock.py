"""Curling waves under a red sun, printed from carved wooden blocks."""

import numpy as np
from PIL import Image, ImageDraw
from scipy.interpolate import CubicSpline

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
    ramp,
    smoothstep,
)

INK = palette("14224a")[0]
FOAM = (248, 243, 226)
# A wave of height 2, breaking to the right: its back, and its hollow face, each from the foot to the tip.
BACK = (
    (-4.2, -2.6),
    (-2.6, -0.3),
    (-1.25, 0.95),
    (-0.45, 1.75),
    (0.4, 2.1),
    (1.15, 1.9),
    (1.48, 1.35),
    (1.22, 0.98),
)
FACE = (
    (2.3, -2.6),
    (1.35, -0.75),
    (0.6, 0.2),
    (0.3, 0.95),
    (0.42, 1.4),
    (0.78, 1.56),
    (1.08, 1.36),
    (1.22, 0.98),
)
# Foot, size, direction and colours of each wave, from far to near.
WAVES = (
    (1010, 640, 105, -1, "3f6f9f 8fb3bf dfe3d0 5f8fae"),
    (560, 660, 120, 1, "3f6f9f 8fb3bf dfe3d0 5f8fae"),
    (1400, 700, 150, -1, "2f5f97 79a6bb dfe3d0 467fa6"),
    (130, 720, 170, 1, "2f5f97 79a6bb dfe3d0 467fa6"),
    (900, 800, 175, 1, "27508c 6a9cb6 e6e6d2 3b74a2"),
    (1270, 950, 262, -1, "1c3f7c 4f8aae c9dccf 2c6296"),
    (330, 1010, 318, 1, "17346f 3f7fa8 c9dccf 235690"),
    (880, 1150, 165, -1, "17346f 3f7fa8 c9dccf 235690"),
    (1480, 1190, 185, -1, "122a5f 336f9f eae8d4 1c4a86"),
    (600, 1230, 165, 1, "122a5f 336f9f eae8d4 1c4a86"),
)


def woodblock_waves(rng: np.random.Generator) -> Array:
    """Rows of curling waves in flat blues, with carved lines, foam and the grain of the block."""
    colour = Image.fromarray((np.clip(_sky(rng), 0, 1) * 255).astype(np.uint8))
    lines = Image.new("L", LANDSCAPE[::-1])
    for foot_x, foot_y, size, facing, tones in WAVES:
        _wave(colour, lines, (foot_x, foot_y), size, facing, palette(tones), rng)
    picture = _print(np.asarray(colour, np.float32) / 255, rng)
    carved = smoothstep(0.35, 0.75, blur(np.asarray(lines, np.float32) / 255, 0.9) + 0.06 * noise(LANDSCAPE, 5, rng))
    # The key block never sits exactly on the colours.
    carved = np.roll(carved, (2, -2), (0, 1)) * (0.88 + 0.06 * noise(LANDSCAPE, 12, rng))
    picture = mix(picture, INK, np.clip(carved, 0, 1))
    return np.clip(picture * (1 + 0.028 * paper(LANDSCAPE, rng))[..., None], 0, 1)


def _sky(rng: np.random.Generator) -> Array:
    """Grade the sky by hand, with a sun and drifting bars of cloud."""
    y, x = coordinates(LANDSCAPE)
    tone = y / 760 + 0.02 * fractal(LANDSCAPE, 200, rng)
    sky = ramp(np.clip(tone, 0, 1), palette("1f3f7a 5f8fb0 d9d9b8 f2dfb0 f3c893 eba27a"))
    sun = np.hypot(x - 800, y - 300) - 190
    sky = mix(sky, ramp(np.clip((y - 140) / 380, 0, 1), palette("c22a22 dd4a2c f08a4a")), smoothstep(2, -2, sun))
    for row, (level, low, high) in enumerate(
        (
            (105, 60, 690),
            (150, 300, 980),
            (250, 840, 1500),
            (300, 1010, 1536),
            (395, 40, 560),
            (440, 240, 880),
            (505, 700, 1330),
        )
    ):
        bar = np.hypot(np.maximum(np.maximum(low - x, x - high), 0), (y - level) * 1.0) - 21 - 5 * np.sin(x / 80 + row)
        cloud = ramp(np.clip((y - level + 24) / 48, 0, 1), palette("fbf0d2 f3d9b0 e0a98c"))
        sky = mix(sky, INK, smoothstep(4.5, 2.5, np.abs(bar)) * 0.75)
        sky = mix(sky, cloud, smoothstep(0, -3, bar))
        sky = mix(
            sky,
            INK,
            smoothstep(2, 1, np.abs(y - level - 5 * np.sin(x / 90))) * smoothstep(-9, -11, bar) * 0.4,
        )
    return sky


def _curve(points: tuple[tuple[float, float], ...], steps: int = 90) -> Array:
    """Draw a smooth curve through points; it is followed from 0 to 1."""
    corners = np.array(points)
    return CubicSpline(np.linspace(0, 1, len(corners)), corners)(np.linspace(0, 1, steps))


def _wave(
    colour: Image.Image,
    lines: Image.Image,
    foot: tuple[float, float],
    size: float,
    facing: int,
    tones: Array,
    rng: np.random.Generator,
) -> None:
    """Carve one wave: bands that sweep up to the tip, lines between them, foam along the crest."""
    back, face = (np.array(foot) + _curve(side) * size * np.array([facing, -1]) for side in (BACK, FACE))
    paint, carve = ImageDraw.Draw(colour), ImageDraw.Draw(lines)
    shades = (tones * 255).astype(int)
    deep = np.array([0, 2.2 * size])
    bands = 15
    bounds = np.linspace(0, 1, bands + 1) ** 0.85
    sweep = [back + (face - back) * bound for bound in bounds]
    carve.polygon(_flat(np.concatenate([back[:1] + deep, back, face[::-1], face[:1] + deep])), 0)
    for band in range(bands):
        shade = tuple(shades[(0, 3, 0, 1, 0, 3, 2)[band % 7]].tolist())
        edge, other = sweep[band], sweep[band + 1]
        paint.polygon(_flat(np.concatenate([edge[:1] + deep, edge, other[::-1], other[:1] + deep])), shade)
    width = max(3, round(size / 62))
    for bound, curve in zip(bounds, sweep, strict=True):
        outer = bound in (0.0, 1.0)
        last = len(curve) if outer else int(len(curve) * rng.uniform(0.72, 0.97))
        carve.line(
            _flat(np.concatenate([curve[:1] + deep, curve[:last]])),
            255,
            width + 2 if outer else width,
            "curve",
        )
    _foam(paint, carve, back, face, size, facing, rng)


def _flat(points: Array) -> list[float]:
    """Return points as the plain list that the drawing calls take."""
    return points.ravel().tolist()


def _foam(
    paint: ImageDraw.ImageDraw,
    carve: ImageDraw.ImageDraw,
    back: Array,
    face: Array,
    size: float,
    facing: int,
    rng: np.random.Generator,
) -> None:
    """Hang fingers of foam from the crest, and throw drops ahead of it."""
    crest = np.concatenate([back[44:], face[-2:-26:-1]])
    puffs = []
    for root in crest[:: 2 if size > 140 else 3]:
        heading = np.arctan2(1.0, facing * rng.uniform(-0.2, 1.4))
        reach, here = rng.uniform(0.05, 0.11) * size, root + rng.normal(0, 0.02 * size, 2)
        for _ in range(rng.integers(2, 5)):
            puffs.append((*here, reach))
            here = here + np.array([np.cos(heading), np.sin(heading)]) * reach * 1.25
            reach, heading = reach * 0.74, heading + facing * rng.normal(-0.35, 0.3)
    count = int(26 + size / 4)
    spray = crest[rng.integers(0, len(crest), count)] + rng.normal((0.25 * facing, -0.12), 0.24, (count, 2)) * size
    puffs += [(*drop, abs(rng.normal(0, 0.014)) * size + 2.5) for drop in spray]
    rim = max(2, size / 90)
    for grow, target, ink in ((rim, carve, 255), (0, carve, 0), (rim, paint, FOAM)):
        for x, y, reach in puffs:
            radius = reach + grow
            target.ellipse((x - radius, y - radius, x + radius, y + radius), ink)
    for x, y, reach in puffs:
        if reach > 9:
            box = (x - reach * 0.6, y - reach * 0.6, x + reach * 0.6, y + reach * 0.6)
            start = 20 if facing > 0 else 70
            paint.arc(box, start, start + 100, (150, 190, 200), max(2, round(reach / 5)))


def _print(colour: Array, rng: np.random.Generator) -> Array:
    """Wipe the ink unevenly over the block, so that the grain of the wood and the paper come through."""
    y, _ = coordinates(LANDSCAPE)
    bend = y + 26 * noise(LANDSCAPE, (180, 700), rng) + 10 * noise(LANDSCAPE, (60, 400), rng)
    grain = np.sin(bend / 3.4 + 3 * noise(LANDSCAPE, (30, 500), rng)) * 0.5 + noise(LANDSCAPE, (2.5, 90), rng) * 0.5
    wiped = 0.075 * grain + 0.035 * fractal(LANDSCAPE, 90, rng)
    speckle = smoothstep(1.5, 2.4, noise(LANDSCAPE, 3.2, rng)) * 0.5
    sheet = palette("f4e8cb")[0]
    ink_load = np.clip(0.1 - wiped + speckle, 0, 0.6)
    # Deep water is wiped darker towards the bottom of the sheet.
    shaded = colour * (1.04 - 0.22 * smoothstep(700, 1228, y))[..., None]
    return mix(shaded, sheet, ink_load)
