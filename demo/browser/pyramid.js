/** Coarse to fine, as toolkit/synthesis/pyramid.py: a recipe's levels, and the image that each begins with. */

/** @import { Constants, Picture, Recipe, Size } from "./types.d.ts" */
import { cover, frameOf, resize, round } from "./image.js";

/** The levels of a recipe for an image's proportions: [{width, height, iterations}, …]. */
export function levels(/** @type {Recipe} */ recipe, image, /** @type {Constants} */ { pyramid }) {
  const { ITERATION_SHARES, MIN_SHORT_SIDE } = pyramid;
  const frames = Array.from({ length: recipe.levels }, (_, n) => frameOf(image, recipe.size >> n)).reverse();
  const tooSmall = ({ width, height }) =>
    Math.max(width, height) < recipe.coarsest || Math.min(width, height) < MIN_SHORT_SIDE;
  while (frames.length > 1 && (tooSmall(frames[0]) || recipe.iterations < 2 * frames.length)) frames.shift();
  const counts = ITERATION_SHARES[frames.length].map((share) => Math.max(1, round(recipe.iterations * share)));
  counts[counts.length - 1] = recipe.iterations - counts.slice(0, -1).reduce((sum, count) => sum + count, 0);
  return frames.map((frame, n) => ({ ...frame, iterations: counts[n] }));
}

/** The image that an optimisation of that size begins with. */
export function startImage(recipe, /** @type {Size} */ frame, /** @type {any} */ images, { pyramid: { NOISE } }) {
  const { width, height } = frame, length = 3 * width * height;
  if (recipe.start === "grey") return { width, height, data: new Float32Array(length).fill(0.5) };
  if (recipe.start === "noise") {
    const next = twister(recipe.seed);
    return { width, height, data: Float32Array.from({ length }, () => 0.5 + NOISE * (next() - 0.5)) };
  }
  return cover({ ...images, image: images.start }[recipe.start], frame);
}

/** A coarser level's image, enlarged, with the detail of another image: up(image) + detailed - up(down(detailed)). */
export function enlarged(/** @type {Picture} */ image, /** @type {Picture} */ detailed) {
  const large = resize(image, detailed), blurred = resize(resize(detailed, image), detailed);
  const data = large.data.map((value, i) => Math.min(1, Math.max(0, value + detailed.data[i] - blurred.data[i])));
  return { width: detailed.width, height: detailed.height, data };
}

/**
 * Random numbers in [0, 1), the same as PyTorch's for a seed: the Mersenne Twister's lower 24 bits.
 * (Matsumoto & Nishimura 1998.)
 */
export function twister(seed) {
  const state = new Uint32Array(624);
  state[0] = Number(BigInt(seed) & 0xffffffffn);
  for (let i = 1; i < 624; i++) state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
  let at = 624;
  return () => {
    if (at === 624) {
      for (let i = 0; i < 624; i++) {
        const mixed = (state[i] & 0x80000000) | (state[(i + 1) % 624] & 0x7fffffff);
        state[i] = state[(i + 397) % 624] ^ (mixed >>> 1) ^ (mixed & 1 ? 0x9908b0df : 0);
      }
      at = 0;
    }
    let value = state[at++];
    value ^= value >>> 11;
    value ^= (value << 7) & 0x9d2c5680;
    value ^= (value << 15) & 0xefc60000;
    value ^= value >>> 18;
    return (value & 0xffffff) / 2 ** 24;
  };
}
