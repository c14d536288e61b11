/** A guess of the inverse Hessian of any image objective: the coarser a structure, the further it may go. */

/**
 * Multiplies the frequencies f of an image by (4 f)^-0.7, between the coarsest and the finest.
 *
 * The factors are real and the same for f and -f, so two channels pass through one complex transform, one as its real
 * and one as its imaginary part, and never mix. Zeros pad the image to sides with fast transforms.
 *
 * @param {number} height
 * @param {number} width
 * @param {{POWER: number, FINEST: number, COARSEST: number}} constants  the toolkit's
 * @returns {(vector: Float32Array) => Float32Array}  for a vector of 3 channels, in place
 */
export function preconditioner(height, width, { POWER, FINEST, COARSEST }) {
  const tall = padded(height), wide = padded(width), area = tall * wide, pixels = height * width;
  const gains = new Float64Array(area); // by column, as the spectrum lies
  for (let x = 0; x < wide; x++)
    for (let y = 0; y < tall; y++) {
      const square = frequency(y, tall) ** 2 + frequency(x, wide) ** 2 + COARSEST ** 2;
      gains[x * tall + y] = (4 * (square ** -2 + FINEST ** -4) ** -0.25) ** -POWER / area;
    }
  const along = transform(wide), down = transform(tall);
  const [re, im, turnedRe, turnedIm] = Array.from({ length: 4 }, () => new Float64Array(area));
  return (vector) => {
    for (const first of [0, 2]) {
      const one = vector.subarray(first * pixels, (first + 1) * pixels);
      const two = vector.subarray((first + 1) * pixels, (first + 2) * pixels); // empty beyond the last channel
      re.fill(0);
      im.fill(0);
      for (let y = 0; y < height; y++) {
        re.set(one.subarray(y * width, (y + 1) * width), y * wide);
        im.set(two.subarray(y * width, (y + 1) * width), y * wide);
      }
      down(re, im, wide);
      turn(re, turnedRe, tall, wide);
      turn(im, turnedIm, tall, wide);
      along(turnedRe, turnedIm, tall);
      for (let i = 0; i < area; i++) {
        turnedRe[i] *= gains[i];
        turnedIm[i] *= gains[i];
      }
      // With the two parts swapped, a transform is its own inverse up to 1 / area.
      along(turnedIm, turnedRe, tall);
      turn(turnedRe, re, wide, tall);
      turn(turnedIm, im, wide, tall);
      down(im, re, wide);
      for (let y = 0; y < height; y++) {
        one.set(re.subarray(y * wide, y * wide + width), y * width);
        if (two.length) two.set(im.subarray(y * wide, y * wide + width), y * width);
      }
    }
    return vector;
  };
}

/** The least length from this one on whose only prime factors are 2, 3 and 5. */
function padded(length) {
  return Math.max(...factorised(length)) <= 5 ? length : padded(length + 1);
}

function turn(from, to, height, width) {
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) to[x * height + y] = from[y * width + x];
}

function frequency(index, length) {
  return (index < (length + 1) / 2 ? index : index - length) / length;
}

/** The primes that a length is the product of, in ascending order. */
function factorised(length) {
  const factors = [];
  let rest = length;
  for (let factor = 2; rest > 1; factor++) for (; rest % factor === 0; rest /= factor) factors.push(factor);
  return factors;
}

/**
 * The discrete Fourier transform of a length, by Stockham's algorithm, which needs no reordering.
 *
 * @param {number} length
 * @returns {(re: Float64Array, im: Float64Array, stride: number) => void}  transforms, in place, `stride` interleaved
 *   sequences at once
 */
function transform(length) {
  const factors = factorised(length);
  const cosines = new Float64Array(length), sines = new Float64Array(length);
  for (let k = 0; k < length; k++) {
    cosines[k] = Math.cos((2 * Math.PI * k) / length);
    sines[k] = -Math.sin((2 * Math.PI * k) / length);
  }
  /** @type {Float64Array[]} */ let spare = [new Float64Array(0), new Float64Array(0)];
  return (re, im, stride) => {
    const total = length * stride;
    if (spare[0].length !== total) spare = [new Float64Array(total), new Float64Array(total)];
    let from = [re, im], to = spare;
    let size = length, step = stride;
    for (const factor of factors) {
      const part = size / factor, pass = factor === 2 ? byTwo : byAny;
      for (let p = 0; p < part; p++) pass(from, to, p, part, step, factor, length / size);
      [from, to] = [to, from];
      [size, step] = [part, step * factor];
    }
    if (from[0] === re) return;
    re.set(from[0]);
    im.set(from[1]);
  };

  function byTwo(/** @type {any} */ [xr, xi], /** @type {any} */ [yr, yi], p, part, step, _, turns) {
    const c = cosines[turns * p], s = sines[turns * p];
    for (let q = 0; q < step; q++) {
      const a = step * p + q, b = a + step * part, at = 2 * step * p + q;
      const gapR = xr[a] - xr[b], gapI = xi[a] - xi[b];
      yr[at] = xr[a] + xr[b];
      yi[at] = xi[a] + xi[b];
      yr[at + step] = c * gapR - s * gapI;
      yi[at + step] = c * gapI + s * gapR;
    }
  }

  function byAny(/** @type {any} */ [xr, xi], /** @type {any} */ [yr, yi], p, part, step, factor, turns) {
    for (let k = 0; k < factor; k++) {
      const at = step * (factor * p + k);
      yr.fill(0, at, at + step);
      yi.fill(0, at, at + step);
      for (let j = 0; j < factor; j++) {
        const angle = (turns * k * (p + part * j)) % length, first = step * (p + part * j);
        const c = cosines[angle], s = sines[angle];
        for (let q = 0; q < step; q++) {
          yr[at + q] += c * xr[first + q] - s * xi[first + q];
          yi[at + q] += c * xi[first + q] + s * xr[first + q];
        }
      }
    }
  }
}
