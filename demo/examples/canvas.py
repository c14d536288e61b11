"""What every drawn style shares: noise, colour, light and paper.

Pictures are float arrays of shape (height, width, 3) with values in 0..1. Every style draws on a large
canvas, `LONG_SIDE` pixels on its longest side, and is reduced afterwards, so edges come out smooth.
"""

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter, gaussian_filter1d

Array = np.ndarray
Shape = tuple[int, int]

LONG_SIDE = 1536
LANDSCAPE: Shape = (1228, LONG_SIDE)
PORTRAIT: Shape = (LONG_SIDE, 1228)


def coordinates(shape: Shape) -> tuple[Array, Array]:
    """Return the row and the column of every pixel."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return y.astype(np.float32), x.astype(np.float32)


def noise(shape: Shape, scale: float | tuple[float, float], rng: np.random.Generator) -> Array:
    """Return smooth noise of unit variance; `scale` is the size of its blobs, or their (height, width)."""
    tall, wide = scale if isinstance(scale, tuple) else (scale, scale)
    cells = (int(shape[0] / tall) + 4, int(shape[1] / wide) + 4)
    coarse = Image.fromarray(rng.standard_normal(cells).astype(np.float32))
    box = (1.5, 1.5, 1.5 + shape[1] / wide, 1.5 + shape[0] / tall)
    fine = np.asarray(coarse.resize((shape[1], shape[0]), Image.Resampling.BICUBIC, box=box))
    return (fine - fine.mean()) / (fine.std() + 1e-6)


def fractal(shape: Shape, scale: float, rng: np.random.Generator, octaves: int = 5) -> Array:
    """Return noise with detail at `octaves` scales, each half as wide and half as strong as the last."""
    layers = [noise(shape, max(scale / 2**k, 1.5), rng) / 2**k for k in range(octaves)]
    total = np.sum(layers, axis=0)
    return total / total.std()


def smoothstep(low: float | Array, high: float | Array, values: Array) -> Array:
    """Rise gently from 0 at `low` to 1 at `high`."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def palette(colours: str) -> Array:
    """Turn colours written as hexadecimal words into an array with one row each."""
    return np.array([[int(word[i : i + 2], 16) / 255 for i in (0, 2, 4)] for word in colours.split()])


def ramp(values: Array, colours: Array) -> Array:
    """Look up values in 0..1 on a gradient through evenly spaced colours."""
    stops = np.linspace(0, 1, len(colours))
    channels = [np.interp(values, stops, colours[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def mix(below: Array, above: Array, weight: Array) -> Array:
    """Lay one picture or colour over another, with a weight for every pixel."""
    return below + (above - below) * weight[..., None]


def jitter(colours: Array, light: float, hue: float, rng: np.random.Generator) -> Array:
    """Vary a list of colours in brightness and, separately for each channel, in tint."""
    brightness = rng.normal(0, light, (*colours.shape[:-1], 1))
    return np.clip(colours + brightness + rng.normal(0, hue, colours.shape), 0, 1)


def at(field: Array, points: Array) -> Array:
    """Read a field at points given as (x, y); points outside read the border."""
    column = np.clip(points[..., 0].astype(int), 0, field.shape[1] - 1)
    row = np.clip(points[..., 1].astype(int), 0, field.shape[0] - 1)
    return field[row, column]


def scatter(shape: Shape, spacing: float, rng: np.random.Generator) -> Array:
    """Cover the canvas with loosely even (x, y) points, in random order."""
    rows, columns = np.arange(0, shape[0], spacing), np.arange(0, shape[1], spacing)
    x, y = np.meshgrid(columns, rows)
    points = np.stack([x.ravel(), y.ravel()], axis=1)
    points = points + rng.uniform(0, spacing, points.shape)
    return rng.permutation(points)


def relief(colour: Array, height: Array, strength: float, shine: float = 0.0) -> Array:
    """Light a picture from the upper left, its surface raised by `height`."""
    down, right = np.gradient(height.astype(np.float32))
    slope_y, slope_x = -down * strength, -right * strength
    length = np.sqrt(slope_x**2 + slope_y**2 + 1)
    diffuse = (1 - 0.55 * slope_x - 0.65 * slope_y) / (length * 1.0)
    # The half-way direction between the light and the eye.
    glint = np.clip((0.93 - 0.26 * slope_x - 0.31 * slope_y) / length, 0, 1) ** 40
    flat_glint = 0.93**40
    lit = colour * np.clip(diffuse, 0.35, 1.6)[..., None] + shine * (glint - flat_glint)[..., None]
    return np.clip(lit, 0, 1)


def blur(values: Array, sigma: float) -> Array:
    """Blur a field or a picture, leaving its channels apart."""
    sigmas = (sigma, sigma) + (0,) * (values.ndim - 2)
    return gaussian_filter(values, sigmas)


def edges(labels: Array) -> Array:
    """Mark the pixels where a label differs from its neighbour below or to the right."""
    marked = np.zeros(labels.shape, bool)
    marked[:-1] |= labels[:-1] != labels[1:]
    marked[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    return marked


def paper(shape: Shape, rng: np.random.Generator) -> Array:
    """Return the unevenness of handmade paper, around 0: cloudy patches, fine tooth and fibres."""
    fibres = np.zeros(shape, np.float32)
    for axis in (0, 1):
        specks = (rng.random(shape) > 0.9985).astype(np.float32)
        fibres += gaussian_filter1d(gaussian_filter1d(specks, 14, axis=axis), 1.0, axis=1 - axis)
    tooth = noise(shape, 2.5, rng) * 0.5 + noise(shape, 6, rng) * 0.5
    return 0.35 * fractal(shape, 220, rng, 4) + 0.5 * tooth + 0.8 * fibres / fibres.std()
