/** A guess of the inverse Hessian of any image objective: the coarser a structure, the further it may go. */

const POWER = 0.7;

/** Cycles per pixel: what is finer the network averages away; nothing coarser is seen by the deepest layers. */
const FINEST = 0.2, COARSEST = 0.004;

/** Prime factors above this are left to Bluestein's algorithm. */
const LARGEST_RADIX = 13;

/**
 * Multiplies the frequencies f of an image by (4 f)^-0.7, between the coarsest and the finest.
 *
 * The factors are real and the same for f and -f, so two channels pass through one complex transform, one as its real
 * and one as its imaginary part, and never mix.
 *
 * @param {number} height
 * @param {number} width
 * @returns {(vector: Float32Array) => Float32Array}  for a vector of 3 channels, in place
 */
export function preconditioner(height, width) {
  const pixels = height * width;
  const gains = new Float64Array(pixels); // by column, as the spectrum lies
  for (let x = 0; x < width; x++)
    for (let y = 0; y < height; y++) {
      const square = frequency(y, height) ** 2 + frequency(x, width) ** 2 + COARSEST ** 2;
      gains[x * height + y] = (4 * (square ** -2 + FINEST ** -4) ** -0.25) ** -POWER / pixels;
    }
  const along = transform(width), down = transform(height);
  const [re, im, turnedRe, turnedIm] = Array.from({ length: 4 }, () => new Float64Array(pixels));
  return (vector) => {
    for (const first of [0, 2]) {
      const one = vector.subarray(first * pixels, (first + 1) * pixels);
      const two = vector.subarray((first + 1) * pixels, (first + 2) * pixels); // empty beyond the last channel
      re.set(one);
      two.length ? im.set(two) : im.fill(0);
      down(re, im, width);
      turn(re, turnedRe, height, width);
      turn(im, turnedIm, height, width);
      along(turnedRe, turnedIm, height);
      for (let i = 0; i < pixels; i++) {
        turnedRe[i] *= gains[i];
        turnedIm[i] *= gains[i];
      }
      // With the two parts swapped, a transform is its own inverse up to 1 / pixels.
      along(turnedIm, turnedRe, height);
      turn(turnedRe, re, width, height);
      turn(turnedIm, im, width, height);
      down(im, re, width);
      one.set(re);
      if (two.length) two.set(im);
    }
    return vector;
  };
}

function turn(from, to, height, width) {
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) to[x * height + y] = from[y * width + x];
}

function frequency(index, length) {
  return (index < (length + 1) / 2 ? index : index - length) / length;
}

/**
 * The discrete Fourier transform of a length.
 *
 * @param {number} length
 * @returns {(re: Float64Array, im: Float64Array, stride: number) => void}  transforms, in place, `stride` interleaved
 *   sequences at once
 */
export function transform(length) {
  const factors = factorised(length);
  return Math.max(...factors) > LARGEST_RADIX ? bluestein(length) : stockham(length, factors);
}

/** Fours first, then primes in ascending order. */
function factorised(length) {
  const factors = [];
  let rest = length;
  for (; rest % 4 === 0; rest /= 4) factors.push(4);
  for (let factor = 2; rest > 1; factor++) for (; rest % factor === 0; rest /= factor) factors.push(factor);
  return factors;
}

/** Stockham's algorithm, which needs no reordering, for small factors. */
function stockham(length, factors) {
  const cosines = new Float64Array(length), sines = new Float64Array(length);
  for (let k = 0; k < length; k++) {
    cosines[k] = Math.cos((2 * Math.PI * k) / length);
    sines[k] = -Math.sin((2 * Math.PI * k) / length);
  }
  let spare = [new Float64Array(0), new Float64Array(0)];
  return (re, im, stride) => {
    const total = length * stride;
    if (spare[0].length !== total) spare = [new Float64Array(total), new Float64Array(total)];
    let [from, to] = [[re, im], spare];
    let size = length, step = stride;
    for (const factor of factors) {
      const part = size / factor;
      for (let p = 0; p < part; p++) (factor === 4 ? byFour : byAny)(from, to, p, part, step, factor, length / size);
      [from, to] = [to, from];
      [size, step] = [part, step * factor];
    }
    if (from[0] === re) return;
    re.set(from[0]);
    im.set(from[1]);
  };

  function byFour([xr, xi], [yr, yi], p, part, step, _, turns) {
    const [c1, c2, c3] = [1, 2, 3].map((k) => cosines[turns * p * k]);
    const [s1, s2, s3] = [1, 2, 3].map((k) => sines[turns * p * k]);
    const apart = step * part, near = step * 4 * p;
    for (let q = 0; q < step; q++) {
      const a = step * p + q, b = a + apart, c = b + apart, d = c + apart, at = near + q;
      const sumR = xr[a] + xr[c], sumI = xi[a] + xi[c], gapR = xr[a] - xr[c], gapI = xi[a] - xi[c];
      const oddR = xr[b] + xr[d], oddI = xi[b] + xi[d], turnR = xi[b] - xi[d], turnI = xr[d] - xr[b];
      yr[at] = sumR + oddR;
      yi[at] = sumI + oddI;
      const r1 = gapR + turnR, r2 = sumR - oddR, r3 = gapR - turnR;
      const i1 = gapI + turnI, i2 = sumI - oddI, i3 = gapI - turnI;
      yr[at + step] = c1 * r1 - s1 * i1;
      yi[at + step] = c1 * i1 + s1 * r1;
      yr[at + 2 * step] = c2 * r2 - s2 * i2;
      yi[at + 2 * step] = c2 * i2 + s2 * r2;
      yr[at + 3 * step] = c3 * r3 - s3 * i3;
      yi[at + 3 * step] = c3 * i3 + s3 * r3;
    }
  }

  function byAny([xr, xi], [yr, yi], p, part, step, factor, turns) {
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

/** Bluestein's algorithm: any length, as a convolution of a power of two. */
function bluestein(length) {
  const padded = 2 ** Math.ceil(Math.log2(2 * length - 1));
  const inner = transform(padded);
  const cosines = new Float64Array(length), sines = new Float64Array(length);
  const chirpRe = new Float64Array(padded), chirpIm = new Float64Array(padded);
  for (let k = 0; k < length; k++) {
    const angle = (Math.PI * ((k * k) % (2 * length))) / length;
    cosines[k] = chirpRe[k] = chirpRe[(padded - k) % padded] = Math.cos(angle);
    sines[k] = chirpIm[k] = chirpIm[(padded - k) % padded] = Math.sin(angle);
  }
  inner(chirpRe, chirpIm, 1);
  let [ar, ai] = [new Float64Array(0), new Float64Array(0)];
  return (re, im, stride) => {
    const total = padded * stride;
    if (ar.length !== total) [ar, ai] = [new Float64Array(total), new Float64Array(total)];
    ar.fill(0, length * stride);
    ai.fill(0, length * stride);
    for (let k = 0; k < length; k++) rotated(re, im, ar, ai, k * stride, stride, cosines[k], -sines[k]);
    inner(ar, ai, stride);
    for (let k = 0; k < padded; k++)
      rotated(ar, ai, ar, ai, k * stride, stride, chirpRe[k] / padded, chirpIm[k] / padded);
    inner(ai, ar, stride);
    for (let k = 0; k < length; k++) rotated(ar, ai, re, im, k * stride, stride, cosines[k], -sines[k]);
  };
}

/** Multiplies complex numbers by c + s i, from one pair of arrays into another. */
function rotated(fromRe, fromIm, re, im, first, count, c, s) {
  for (let i = first; i < first + count; i++) {
    const product = fromRe[i] * c - fromIm[i] * s;
    im[i] = fromRe[i] * s + fromIm[i] * c;
    re[i] = product;
  }
}
