"""Mountains in mist behind bamboo, in ink on fibrous paper."""

import numpy as np

from demo.examples.brushwork import Painting, arcs
from demo.examples.canvas import (
    PORTRAIT,
    Array,
    blur,
    coordinates,
    fractal,
    jitter,
    mix,
    noise,
    palette,
    paper,
    smoothstep,
)

# How much red, green and blue one layer of ink swallows; it leans to blue where it is thin.
ABSORPTION = np.array([1.12, 1.0, 0.84])


def ink_wash(rng: np.random.Generator) -> Array:
    """Wet washes for the mountains, dry strokes for rocks and bamboo, one red sun and a seal."""
    y, x = coordinates(PORTRAIT)
    ink = _mist(rng) + _mountains(x, y, rng)
    for paint in (_pines, _rocks, _bamboo):
        ink = ink + paint(rng) * (1 + 0.12 * fractal(PORTRAIT, 30, rng))
    grain = paper(PORTRAIT, rng)
    ink = ink * (1 + 0.13 * grain) + _splashes(rng)
    sheet = palette("efe3c8")[0] * (1 + 0.03 * grain)[..., None]
    sheet = mix(sheet, palette("c99a5a")[0], 0.28 * smoothstep(-0.3, 1.6, fractal(PORTRAIT, 420, rng)))
    sun = np.hypot(x - 360, y - 200) - 112 + 2.5 * noise(PORTRAIT, 60, rng)
    load = smoothstep(4, -4, sun) * (0.72 + 0.14 * fractal(PORTRAIT, 70, rng)) + 0.25 * np.exp(-((sun / 9) ** 2))
    sheet = mix(sheet, palette("cf4a2c")[0], np.clip(load, 0, 1) * smoothstep(400, 210, y))
    sheet = _seal(sheet, x, y, rng)
    return np.clip(sheet * np.exp(-np.clip(ink, 0, 4)[..., None] * ABSORPTION), 0, 1)


def _mist(rng: np.random.Generator) -> Array:
    """Flood the sheet with faint bands of wet wash, drawn from side to side with a wide brush."""
    cloud = fractal(PORTRAIT, 380, rng) + 0.7 * noise(PORTRAIT, (60, 700), rng)
    hairs = noise(PORTRAIT, (4, 260), rng) * smoothstep(0, 1.2, cloud)
    return np.clip(0.06 + 0.16 * smoothstep(-0.6, 1.8, cloud) + 0.025 * hairs, 0, 1)


def _mountains(x: Array, y: Array, rng: np.random.Generator) -> Array:
    """Stand ranges behind one another, each dark along its ridge and dissolving downwards."""
    total = np.zeros(PORTRAIT, np.float32)
    across = x[0] / PORTRAIT[1]
    ranges = ((480, 190, 0.35, 150), (640, 240, 0.62, 190), (820, 200, 0.9, 200), (1010, 130, 1.15, 150))
    for level, rise, load, depth in ranges:
        peaks = np.abs(np.sin(across * rng.uniform(4, 7) + rng.uniform(0, 6))) ** 1.6
        rough = fractal((8, PORTRAIT[1]), 130, rng, 7)[4]
        ridge = level - rise * peaks - 24 * rough
        below = y - ridge + 4 * noise(PORTRAIT, 18, rng)
        wet = 0.75 + 0.3 * fractal(PORTRAIT, 120, rng)
        body = smoothstep(-3, 4, below) * np.exp(-np.clip(below, 0, None) / depth) * wet
        pooled = 0.55 * np.exp(-((below - 4) ** 2) / 50) * smoothstep(-0.6, 0.8, noise(PORTRAIT, 60, rng))
        creases = _creases(ridge, depth, rng) * smoothstep(0, 20, below)
        total = total * (1 - 0.75 * smoothstep(0, 10, below)) + load * (body + pooled) + 0.5 * creases
    return total


def _creases(ridge: Array, depth: float, rng: np.random.Generator) -> Array:
    """Brush the folds of a mountain: dry strokes that run down from the ridge to either side."""
    sheet = _stroke_layer(rng)
    count = 190
    feet = rng.uniform(-20, PORTRAIT[1] + 20, count)
    column = np.clip(feet, 0, PORTRAIT[1] - 1).astype(int)
    fall = np.abs(rng.normal(0, 0.55, count)) * depth
    slope = np.arctan(np.gradient(blur(ridge[None], 25)[0]))[column]
    angle = np.pi / 2 - np.sign(slope + rng.normal(0, 0.15, count)) * rng.uniform(0.25, 0.75, count)
    middles = np.stack([feet, ridge[column] + 18 + fall], 1)
    tones = np.repeat(np.clip(0.34 + 0.5 * fall / depth + rng.normal(0, 0.1, count), 0.2, 0.9)[:, None], 3, 1)
    paths = arcs(middles, angle, rng.uniform(30, 105, count), rng.normal(0, 0.7, count))
    sheet.lay(paths, tones, 15, dryness=0.6, streak=0.1, taper=0.85)
    return _ink_of(sheet, 7)


def _stroke_layer(rng: np.random.Generator) -> Painting:
    """Start a clean sheet for strokes; how dark it becomes is how much ink it holds."""
    return Painting(np.ones((*PORTRAIT, 3), np.float32), rng)


def _ink_of(strokes: Painting, spread: float) -> Array:
    """Read the ink off a sheet of strokes, soaking into the paper by `spread`."""
    lightness = strokes.pixels().mean(-1)
    density = -np.log(np.clip(lightness, 0.06, 1))
    return 0.65 * density + 0.35 * blur(density, spread)


def _pines(rng: np.random.Generator) -> Array:
    """Dot far trees along the foot of the mountains."""
    sheet = _stroke_layer(rng)
    for cx, cy, count, size in (
        (900, 770, 15, 60),
        (300, 905, 18, 70),
        (700, 980, 12, 54),
        (1080, 960, 14, 64),
    ):
        roots = np.array([cx, cy]) + rng.normal(0, 1, (count, 2)) * (75, 16)
        for root in roots:
            tall = size * rng.uniform(0.6, 1.3)
            tone = np.full((1, 3), rng.uniform(0.22, 0.6))
            trunk = arcs(root[None] - (0, tall / 2), np.array([-1.57]), np.array([tall]), rng.normal(0, 0.4, 1))
            sheet.lay(trunk, tone, 6)
            height = rng.uniform(0.15, 1, 16)
            spread = (1.05 - height) * tall * 0.42
            middles = root - np.stack([rng.normal(0, 1, 16) * spread * 0.7, height * tall], 1)
            needles = arcs(middles, rng.normal(0, 0.25, 16), spread + 9, rng.normal(0, 0.8, 16))
            sheet.lay(needles, jitter(np.repeat(tone, 16, 0), 0.08, 0, rng), 8, dryness=0.3)
    return _ink_of(sheet, 5)


def _rocks(rng: np.random.Generator) -> Array:
    """Drag a half-dry brush over the rocks at the bottom."""
    sheet = _stroke_layer(rng)
    count = 380
    middles = np.stack([rng.uniform(-60, 1290, count), 1560 - np.abs(rng.normal(0, 78, count))], 1)
    hump = 90 * np.sin(middles[:, 0] / 230 + 0.5)
    middles[:, 1] -= np.clip(hump, -30, None)
    slope = 0.55 * np.cos(middles[:, 0] / 230 + 0.5) + rng.normal(0, 0.16, count)
    tones = jitter(np.full((count, 3), 0.5), 0.15, 0, rng)
    sheet.lay(
        arcs(middles, -slope, rng.uniform(90, 240, count), rng.normal(0.5, 0.5, count)),
        tones,
        46,
        dryness=0.5,
        streak=0.12,
    )
    moss = middles[rng.integers(0, count, 130)] - (0, 40) + rng.normal(0, 24, (130, 2))
    dabs = arcs(moss, rng.normal(-0.4, 0.4, 130), rng.uniform(8, 26, 130), np.full(130, 0.6))
    sheet.lay(dabs, jitter(np.full((130, 3), 0.2), 0.08, 0, rng), 12, taper=0.8)
    return _ink_of(sheet, 6)


def _bamboo(rng: np.random.Generator) -> Array:
    """Raise bamboo on the right: stems joint by joint, then twigs, then leaves in clusters."""
    total = np.zeros(PORTRAIT, np.float32)
    stems = (
        (1120, 1600, -0.07, 30, 0.66),
        (985, 1600, -0.02, 40, 0.5),
        (840, 1620, 0.07, 24, 0.72),
        (1190, 1500, 0.05, 46, 0.34),
    )
    for foot_x, foot_y, lean, width, tone in stems:
        sheet = _stroke_layer(rng)
        here, joint = np.array([foot_x, foot_y], float), 150.0
        while here[1] > -60:
            angle = -np.pi / 2 + lean + rng.normal(0, 0.015)
            heading = np.array([np.cos(angle), np.sin(angle)])
            middle = here + heading * joint / 2
            segment = arcs(middle[None], np.array([angle]), np.array([joint - 9]), np.zeros(1))
            for offset, shade in ((0, tone + 0.12), (-0.32, tone - 0.1), (0.36, tone - 0.2)):
                across = np.array([-heading[1], heading[0]]) * offset * width
                shades = np.full((1, 3), np.clip(shade, 0.05, 1))
                sheet.lay(
                    segment + across,
                    shades,
                    width if offset == 0 else width * 0.34,
                    streak=0.09,
                    taper=-0.12,
                    dryness=0.12,
                )
            here = here + heading * joint
            knot = arcs(
                here[None] + heading * -4,
                np.array([angle + np.pi / 2]),
                np.array([width * 1.15]),
                np.array([0.5]),
            )
            sheet.lay(knot, np.full((1, 3), 0.1), 7)
            joint = min(joint * 1.06, 235)
            if rng.random() < 0.85:
                _leaves(sheet, here, rng.choice((-1, 1)), tone - 0.3, rng)
        total = np.maximum(total, _ink_of(sheet, 4))
    return total


def _leaves(sheet: Painting, root: Array, side: int, tone: float, rng: np.random.Generator) -> None:
    """Grow a twig from a joint and hang pointed leaves from it, some fresh and dark, some pale."""
    reach = rng.uniform(110, 230)
    angle = -np.pi / 2 + side * rng.uniform(0.5, 1.1)
    middle = root + np.array([np.cos(angle), np.sin(angle)]) * reach / 2
    twig = arcs(middle[None], np.array([angle]), np.array([reach]), np.array([side * 0.6]))
    sheet.lay(twig, np.full((1, 3), 0.25), 6)
    count = int(rng.integers(6, 11))
    roots = twig[0][rng.integers(3, twig.shape[1], count)]
    fall = np.pi / 2 - side * rng.normal(0.5, 0.5, count)
    length = rng.uniform(95, 190, count)
    middles = roots + np.stack([np.cos(fall), np.sin(fall)], 1) * length[:, None] / 2
    tones = np.repeat(np.clip(tone + rng.normal(0.05, 0.16, (count, 1)), 0.06, 0.75), 3, 1)
    sheet.lay(
        arcs(middles, fall, length, rng.normal(0, 0.35, count)),
        tones,
        25,
        streak=0.07,
        taper=1.0,
        dryness=0.08,
    )


def _splashes(rng: np.random.Generator) -> Array:
    """Let a few drops fall from the brush."""
    drops = np.zeros(PORTRAIT, np.float32)
    for sigma, count in ((1.3, 70), (2.6, 14)):
        layer = np.zeros(PORTRAIT, np.float32)
        layer[rng.integers(0, PORTRAIT[0], count), rng.integers(0, PORTRAIT[1], count)] = 9 * sigma**2
        drops += blur(layer, sigma) * 0.7
    return np.clip(drops, 0, 0.9)


def _seal(sheet: Array, x: Array, y: Array, rng: np.random.Generator) -> Array:
    """Press a small red seal into the sheet, worn where the paste did not take."""
    u, v = (x - 92) / 92, (y - 1020) / 118
    inside = (np.abs(u - 0.5) < 0.5) & (np.abs(v - 0.5) < 0.5)
    strokes = (np.abs(np.mod(v * 4, 1) - 0.5) < 0.16) & (np.abs(u - 0.5) < 0.34) | (np.abs(u - 0.5) < 0.06)
    frame = (np.abs(u - 0.5) > 0.4) | (np.abs(v - 0.5) > 0.42)
    worn = smoothstep(-1.5, -0.9, noise(sheet.shape[:2], 7, rng))
    return mix(sheet, palette("b8281e")[0], blur((inside & (~strokes | frame)) * worn, 1.2) * 0.92)
