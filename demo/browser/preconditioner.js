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

/** Fours first, then primes in ascending order. */
function factorised(length) {
  const factors = [];
  let rest = length;
  for (; rest % 4 === 0; rest /= 4) factors.push(4);
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
