"""A bright river landscape in dots of pure colour."""

import numpy as np
from PIL import Image, ImageDraw

from demo.examples.canvas import (
    LANDSCAPE,
    Array,
    at,
    blur,
    coordinates,
    fractal,
    mix,
    noise,
    palette,
    ramp,
    relief,
    scatter,
    smoothstep,
)

# The pure colours on the palette; every mixed tone is divided into these.
PIGMENTS = palette(
    "fff8e4 fde9a2 fbd23c f7a428 ee6f2d d93a32 b3254f f2a7b5 d86fa6 8a4fa3 4a3f9e 2a2f74 "
    "2f62b8 5a9fdc a9d6ee 1f8f8a 6cc3a0 2e7d3c 7fb53a c8d84a 1d4a3a 8a3f24"
)


def pointillism(rng: np.random.Generator) -> Array:
    """A river at midday between poplars, in dots of divided colour."""
    scene = _scene(rng)
    ground = np.broadcast_to(palette("efdcb4")[0], scene.shape) + 0.03 * noise(LANDSCAPE, 4, rng)[..., None]
    colour = Image.fromarray((np.clip(ground, 0, 1) * 255).astype(np.uint8))
    height = Image.fromarray(np.zeros(LANDSCAPE, np.float32))
    for radius, spacing, contrast in ((10.5, 12.5, 0.10), (7.5, 11.5, 0.14), (5.2, 14, 0.2)):
        spots = scatter(LANDSCAPE, spacing, rng)
        _dot(colour, height, spots, radius, _divide(at(scene, spots), contrast, rng), rng)
    surface = np.asarray(height) + 0.1 * noise(LANDSCAPE, 3, rng)
    return relief(np.asarray(colour, np.float32) / 255, blur(surface, 1.4), 0.9, 0.12)


def _divide(tones: Array, contrast: float, rng: np.random.Generator) -> Array:
    """Replace each tone by one pure pigment, chosen at random among those near it."""
    wanted = tones + rng.normal(0, contrast, tones.shape)
    weights = np.array([1.0, 1.2, 0.8])
    distance = (((wanted[:, None] - PIGMENTS) * weights) ** 2).sum(-1)
    chances = -distance / 0.035 + rng.gumbel(size=distance.shape)
    return PIGMENTS[chances.argmax(1)] + rng.normal(0, 0.02, tones.shape)


def _dot(
    colour: Image.Image,
    height: Image.Image,
    spots: Array,
    radius: float,
    pigments: Array,
    rng: np.random.Generator,
) -> None:
    """Set slightly oval dots, each with a paler top where the paint stands up."""
    paint, surface = ImageDraw.Draw(colour), ImageDraw.Draw(height)
    shades = (np.clip(pigments, 0, 1) * 255).astype(int)
    sizes = radius * rng.uniform(0.72, 1.2, (len(spots), 2))
    for (x, y), (wide, tall), shade in zip(spots.tolist(), sizes.tolist(), shades.tolist(), strict=True):
        box = (x - wide, y - tall, x + wide, y + tall)
        paint.ellipse(box, tuple(shade))
        surface.ellipse(box, 1.0)
        surface.ellipse((x - wide * 0.6, y - tall * 0.6, x + wide * 0.6, y + tall * 0.6), 1.5)


def _scene(rng: np.random.Generator) -> Array:
    """Compose the landscape in smooth tones: sky, far hills, river, banks and trees."""
    y, x = coordinates(LANDSCAPE)
    side = x.shape[1]
    clouds = smoothstep(0.1, 1.3, fractal(x.shape, 330, rng, 4) + 0.4 * np.sin(y / 60 + x / 500))
    sky = ramp(np.clip(y / 560, 0, 1), palette("3f7fd0 74b4e6 b5dcec f6e3c0 fbcf9a"))
    scene = mix(sky, palette("fff3dc")[0], clouds * 0.85)

    hills = 520 + 50 * np.sin(x / 230 + 1) + 25 * np.sin(x / 90)
    scene = mix(scene, ramp(np.clip((y - hills) / 110, 0, 1), palette("8a7fc8 a99ad0 d8b0b8")), y > hills)
    bank = 590 + 12 * np.sin(x / 140)
    scene = mix(scene, ramp(np.clip((y - bank) / 110, 0, 1), palette("e0d060 b0c850 7fb04a")), y > bank)

    water_top = 640 + 9 * np.sin(x / 260)
    ripples = noise(x.shape, (11, 70), rng)
    mirror = np.clip(2 * water_top - y + 16 * ripples, 0, x.shape[0] - 1)
    trees = (
        (0.10, 95, 620, 600),
        (0.21, 62, 640, 430),
        (0.83, 78, 625, 520),
        (0.92, 70, 645, 400),
        (0.66, 40, 610, 210),
    )
    for cx, half_width, foot, tall in trees:
        scene = _poplar(scene, x, y, cx * side, half_width, foot, tall, rng)
    reflected = at(scene, np.stack([x + 10 * ripples, mirror], -1))
    water = mix(reflected * np.array([0.82, 0.92, 1.0]), palette("4f8fd0")[0], 0.25 + 0 * x)
    water = mix(water, palette("fff0c0")[0], smoothstep(1.0, 1.9, ripples) * 0.8)
    scene = mix(scene, water, y > water_top)

    meadow = 1010 - 0.19 * x + 40 * np.sin(x / 170) + 0.00018 * (x - 500) ** 2
    grass = ramp(
        np.clip(0.5 + 0.3 * noise(x.shape, (30, 80), rng) - (y - meadow) / 900, 0, 1),
        palette("1d4a3a 2e7d3c 7fb53a c8d84a f5e36a"),
    )
    scene = mix(scene, grass, smoothstep(-5, 5, y - meadow))
    poppies = smoothstep(0.9, 1.4, noise(x.shape, 34, rng) + 0.5 * noise(x.shape, 160, rng)) * (y > meadow + 30)
    scene = mix(scene, palette("e2402e")[0], poppies * 0.9)
    shadow = smoothstep(0.2, 1.0, noise(x.shape, (70, 260), rng)) * (y > meadow + 60)
    return mix(scene, palette("3a3f8e")[0], shadow * 0.45)


def _poplar(
    scene: Array,
    x: Array,
    y: Array,
    middle: float,
    half_width: float,
    foot: float,
    tall: float,
    rng: np.random.Generator,
) -> Array:
    """Grow a tall tree, sunlit from the left and violet in the shade."""
    rise = np.clip((foot - y) / tall, 0, 1)
    edge = half_width * np.sqrt(np.clip(np.sin(np.pi * rise**0.75), 0, 1)) * (1 + 0.18 * noise(x.shape, 45, rng))
    offset = (x - middle) / (edge + 1)
    lit = np.clip(0.5 - 0.42 * offset + 0.2 * noise(x.shape, 34, rng), 0, 1)
    leaves = ramp(lit, palette("2a2f74 1d4a3a 2e7d3c 7fb53a e8e070"))
    return mix(scene, leaves, smoothstep(1.05, 0.9, np.abs(offset)) * (rise > 0) * (rise < 1))
