"""A brush loaded with thick paint: strokes made of bristles that follow paths over a canvas."""

import numpy as np
from PIL import Image, ImageDraw

from demo.examples.canvas import Array, at, blur, jitter, noise, relief


def follow(angles: Array, middles: Array, length: float, steps: int = 12) -> Array:
    """Trace one path of (x, y) points through each middle along a field of angles."""
    halves = []
    for sign in (-1, 1):
        here, half = middles.astype(float), []
        for _ in range(steps // 2):
            angle = at(angles, here)
            heading = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
            here = here + sign * heading * length / steps
            half.append(here)
        halves.append(half)
    return np.stack([*halves[0][::-1], middles, *halves[1]], axis=1)


def arcs(middles: Array, angles: Array, length: Array, bend: Array, steps: int = 10) -> Array:
    """Trace one bent path through each middle; `bend` is the turn in radians from end to end."""
    along = np.linspace(-0.5, 0.5, steps + 1)
    headings = angles[:, None] + bend[:, None] * along
    moves = np.stack([np.cos(headings), np.sin(headings)], axis=-1) * (length / steps)[:, None, None]
    path = np.cumsum(moves, axis=1)
    return path - path[:, steps // 2, None] + middles[:, None]


def normals(paths: Array) -> Array:
    """Return the unit vectors across each path."""
    along = np.gradient(paths, axis=1)
    across = np.stack([-along[..., 1], along[..., 0]], axis=-1)
    return across / (np.linalg.norm(across, axis=-1, keepdims=True) + 1e-6)


class Painting:
    """A canvas that takes strokes and remembers how thick the paint lies."""

    def __init__(self, ground: Array, rng: np.random.Generator) -> None:
        pixels = (np.clip(ground, 0, 1) * 255).astype(np.uint8)
        self.rng = rng
        self.colour = Image.fromarray(pixels)
        self.height = Image.fromarray(np.zeros(pixels.shape[:2], np.float32))

    def lay(
        self,
        paths: Array,
        colours: Array,
        width: float,
        *,
        thickness: float = 1.0,
        streak: float = 0.045,
        dryness: float = 0.0,
        taper: float = 0.45,
    ) -> None:
        """Paint one stroke along each path.

        `streak` is how much the colour varies between bristles, `dryness` how much of the paint skips,
        and `taper` how much the stroke narrows towards its ends.
        """
        bristles = max(4, round(width / 2.4))
        across, starts, ends = self._bristles(len(paths), bristles, paths.shape[1], dryness)
        tints = jitter(np.repeat(colours[:, None], bristles, axis=1), streak, streak * 0.4, self.rng)
        levels = self._levels(across, thickness)
        profile = 1 - taper * np.abs(np.linspace(-1, 1, paths.shape[1])) ** 2.5
        sideways = across[..., None] * profile * width / 2
        lines = paths[:, None] + normals(paths)[:, None] * sideways[..., None]
        self._draw(lines, starts, ends, (tints * 255).astype(int), levels, max(2, round(width / bristles + 1)))

    def _bristles(self, strokes: int, bristles: int, points: int, dryness: float) -> tuple[Array, Array, Array]:
        """Choose where each bristle runs: across the stroke, and from which point to which."""
        shape = (strokes, bristles)
        across = np.linspace(-1, 1, bristles) + self.rng.normal(0, 0.7 / bristles, shape)
        ragged = self.rng.random((2, *shape)) * points
        starts = (ragged[0] * (0.12 + 0.5 * dryness)).astype(int)
        ends = points - (ragged[1] * (0.22 + 0.9 * dryness)).astype(int)
        return across, starts, ends

    def _levels(self, across: Array, thickness: float) -> Array:
        """Give each bristle its own thickness of paint; paint is pushed up at the edges of a stroke."""
        whole = self.rng.uniform(0.3, 1.0, (len(across), 1))
        groove = self.rng.normal(0, 0.22, across.shape)
        return thickness * (whole + groove + 0.35 * across**2)

    def _draw(self, lines: Array, starts: Array, ends: Array, tints: Array, levels: Array, width: int) -> None:
        """Draw all bristles, stroke by stroke, on the colour and on the height."""
        colour, height = ImageDraw.Draw(self.colour), ImageDraw.Draw(self.height)
        for stroke in range(len(lines)):
            for bristle in self.rng.permutation(lines.shape[1]):
                run = lines[stroke, bristle, starts[stroke, bristle] : ends[stroke, bristle]]
                if len(run) > 1:
                    points = run.ravel().tolist()
                    colour.line(points, tuple(tints[stroke, bristle].tolist()), width)
                    height.line(points, float(levels[stroke, bristle]), width)

    def pixels(self) -> Array:
        """Return the colours alone."""
        return np.asarray(self.colour, np.float32) / 255

    def lit(self, strength: float = 0.9, shine: float = 0.25) -> Array:
        """Return the painting with light raking over the paint."""
        height = np.asarray(self.height)
        weave = 0.06 * noise(height.shape, 3, self.rng)
        return relief(self.pixels(), blur(height, 1.1) + weave, strength, shine)
