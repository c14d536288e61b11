"""Curling waves cut in wood and printed in a few blues on handmade paper."""

import numpy as np

from demo.examples.canvas import LANDSCAPE, Array, coordinates, fractal, mix, noise, palette, paper, ramp, smoothstep

BLUES = palette("d7e3dc 9fc0cf 5b8fb5 2f5f95 1b3a6b 12264a")
SKY = palette("d98e5f eabf86 f1dcae e9dfc0 cdd6c2 8fb0b5")
INK = palette("14213f")[0]
FOAM = palette("f5efdc")[0]


def woodblock_waves(rng: np.random.Generator) -> Array:
    """Seven ranks of waves under a graded sky with a low red sun; each is cut with lines that follow its crest."""
    y, x = coordinates(LANDSCAPE)
    height, width = LANDSCAPE
    sheet = paper(LANDSCAPE, rng)
    wood = noise(LANDSCAPE, (3.2, 190), rng) + 0.5 * noise(LANDSCAPE, (1.8, 90), rng)
    picture = ramp(np.clip(1 - y / (height * 0.62) + 0.03 * wood, 0, 1), SKY)
    sun = np.hypot(x - width * 0.7, y - height * 0.24)
    picture = mix(picture, palette("c8402f")[0] + 0.05 * wood[..., None], smoothstep(122, 118, sun + 2 * wood))
    for line in range(9):
        stripe = np.abs(y - height * (0.07 + 0.045 * line) - 9 * np.sin(x / 130 + line * 2)) - 2.2 * (
            1 + np.sin(x / 210 + line * 1.7)
        )
        picture = mix(picture, FOAM, 0.75 * smoothstep(1.5, 0, stripe))
    for rank in range(7):
        picture = _wave(picture, rank, x, y, wood, rng)
    return np.clip(picture + 0.025 * sheet[..., None] + 0.018 * wood[..., None], 0, 1)


def _wave(picture: Array, rank: int, x: Array, y: Array, wood: Array, rng: np.random.Generator) -> Array:
    """Print one rank of waves over what lies behind it."""
    height, _ = LANDSCAPE
    length, swell = 170 + 62 * rank, 26 + 17 * rank
    phase = rng.uniform(0, 2 * np.pi)
    base = height * (0.40 + 0.085 * rank)
    # The crest leans over: its phase runs ahead where the wave is high.
    lean = x / length * 2 * np.pi + phase + 0.55 * np.sin(x / (2.7 * length) * 2 * np.pi)
    crest = np.abs(np.sin(lean / 2 + 0.35 * np.sin(lean))) ** 0.75
    ragged = 5 * noise(LANDSCAPE, (400, 16), rng) + 3 * noise(LANDSCAPE, (400, 7), rng)
    depth = y - base + swell * (crest * 2 - 1) * 1.4 + ragged * 0.5
    inside = smoothstep(-1.5, 1.5, depth)
    warp = depth + 12 * np.sin(x / 61 + depth / 37) + 5 * fractal(LANDSCAPE, 90, rng, 3)
    tone = np.clip(0.16 + depth / (150 + 40 * rank) + 0.06 * rank + 0.04 * wood, 0, 1)
    body = ramp(tone, BLUES)
    spacing = 13 + 2.2 * rank
    cut = np.abs((warp / spacing) % 1 - 0.5) * spacing
    body = mix(body, ramp(np.clip(tone - 0.35, 0, 1), BLUES), 0.8 * smoothstep(2.6, 1.2, cut))
    body = mix(body, INK, 0.85 * smoothstep(1.8, 0.6, np.abs((warp / (3 * spacing)) % 1 - 0.5) * 3 * spacing))
    fringe = 16 + 3 * rank + 10 * noise(LANDSCAPE, 17 + rank, rng)
    foam = smoothstep(2, -2, depth - fringe) * inside
    fingers = (
        smoothstep(0.35, 0.6, noise(LANDSCAPE, (26 + 3 * rank, 8), rng)) * smoothstep(70 + 6 * rank, 20, depth) * inside
    )
    spray = (
        smoothstep(1.75, 2.0, noise(LANDSCAPE, 6 + 0.6 * rank, rng))
        * smoothstep(-60 - 8 * rank, -6, depth)
        * smoothstep(0, -8, depth)
    )
    body = mix(body, FOAM, np.maximum(foam, 0.9 * fingers))
    outline = np.maximum(
        smoothstep(3.4, 1.4, np.abs(depth)), 0.8 * smoothstep(2.6, 0.8, np.abs(depth - fringe)) * inside
    )
    picture = mix(mix(picture, body, inside), FOAM, 0.95 * spray)
    return mix(picture, INK, outline)
