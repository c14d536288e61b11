/**
 * The toolkit's optimiser in JavaScript: projected L-BFGS, on plain Float32Arrays.
 *
 * It has `best`, the best point so far, and `step(evaluate)`, which evaluates at the present point and moves on.
 * `evaluate` takes the point and promises {objective, gradient, …}. When it fails, nothing has changed: the step
 * can be made again. Where the method comes from, and what the constants are for: toolkit/optimize.
 */

/** @import { Constants } from "./types.d.ts" */

const LEAST = 0, LARGEST = 1;
const DIVERGED = "The optimisation diverged: choose a lower strength.";

export class LBFGS {
  /**
   * @param {Float32Array} start  where to begin
   * @param {number} pairs  steps, with the gradient's change over each, that the inverse Hessian is made from
   * @param {(vector: Float32Array) => Float32Array} precondition  multiplies by a guess of that matrix, in place
   * @param {Constants} constants
   */
  constructor(start, pairs, precondition, constants) {
    this.constants = constants.LBFGS;
    this.point = clamped(start.slice());
    this.best = this.point.slice();
    this.precondition = precondition;
    this.pairs = new CurvaturePairs(pairs, precondition, constants.CurvaturePairs);
    this.least = this.objective = Infinity;
    this.gradient = this.move = null;
  }

  async step(evaluate) {
    const evaluation = await evaluate(this.point);
    const { objective, gradient } = evaluation;
    if (objective < this.least) {
      this.least = objective;
      this.best.set(this.point);
    }
    const step = this.gradient ? this.#next(gradient, objective) : this.#first(gradient, objective);
    const before = this.point.slice();
    this.move = add(clamped(add(this.point, 1, step)).slice(), -1, before);
    return evaluation;
  }

  #first(gradient, objective) {
    if (!Number.isFinite(objective)) throw new Error(DIVERGED);
    this.objective = objective;
    // Pairs are passed over by the size of their product, so the objective's scale is fixed.
    this.scale = 1 / (meanSize(gradient) || 1);
    this.gradient = scaled(gradient.slice(), this.scale);
    const step = this.#free(this.precondition(scaled(this.#free(this.gradient.slice()), -1)));
    return scaled(step, this.constants.FIRST_STEP / (meanSize(step) || 1));
  }

  #next(found, objective) {
    const gradient = scaled(found.slice(), this.scale), change = add(gradient.slice(), -1, this.gradient);
    const { LARGEST_STEP, RISE, SMALLEST_STEP } = this.constants;
    let limit = LARGEST_STEP;
    if (objective <= RISE * this.objective) {
      this.objective = objective;
      this.gradient = gradient;
    } else {
      add(this.point, -1, this.move);
      limit = meanSize(this.move) / 2;
      if (limit < SMALLEST_STEP && !Number.isFinite(objective)) throw new Error(DIVERGED);
    }
    if (Number.isFinite(objective)) this.pairs.add(this.move, change);
    const step = this.#free(this.pairs.direction(this.#free(this.gradient.slice())));
    return scaled(step, Math.min(1, limit / (meanSize(step) || 1)));
  }

  /** Sets to zero what belongs to a value at a bound that would leave it. */
  #free(vector) {
    const { point, gradient } = this;
    for (let i = 0; i < vector.length; i++)
      if ((point[i] <= LEAST && gradient[i] > 0) || (point[i] >= LARGEST && gradient[i] < 0)) vector[i] = 0;
    return vector;
  }
}

/** The latest steps s with the gradient's change y over each, and the inverse Hessian that they make. */
export class CurvaturePairs {
  constructor(capacity, precondition, { LEAST_PRODUCT }) {
    this.capacity = capacity;
    this.leastProduct = LEAST_PRODUCT;
    this.precondition = precondition;
    this.steps = [];
    this.changes = [];
    this.triangle = []; // triangle[i][j] is s_i · y_j for i <= j
    this.scale = 1;
  }

  /** Takes in a pair, unless the objective did not curve upwards along it. */
  add(step, change) {
    const product = dot(change, step);
    if (!(product > this.leastProduct)) return;
    const full = this.steps.length === this.capacity, rows = this.triangle.slice(1);
    if (full) for (const list of [this.steps, this.changes, this.triangle, ...rows]) list.shift();
    this.triangle = [
      ...this.triangle.map((row, i) => [...row, dot(this.steps[i], change)]),
      [...new Array(this.steps.length).fill(0), product],
    ];
    this.steps.push(step);
    this.changes.push(change);
    this.scale = product / dot(change, change);
  }

  /** Minus the inverse Hessian times a gradient, in place: where to go. */
  direction(gradient) {
    const { steps, changes, triangle } = this;
    if (!steps.length) return this.precondition(scaled(gradient, -1));
    const alphas = steps.map((step) => dot(step, gradient));
    for (let i = alphas.length - 1; i >= 0; i--) {
      for (let j = i + 1; j < alphas.length; j++) alphas[i] -= triangle[i][j] * alphas[j];
      alphas[i] /= triangle[i][i];
    }
    for (const [i, change] of changes.entries()) add(gradient, -alphas[i], change);
    const found = scaled(this.precondition(gradient), this.scale);
    const rest = changes.map((change, i) => triangle[i][i] * alphas[i] - dot(change, found));
    for (let i = 0; i < rest.length; i++) {
      for (let j = 0; j < i; j++) rest[i] -= triangle[j][i] * rest[j];
      rest[i] /= triangle[i][i];
    }
    for (const [i, step] of steps.entries()) add(found, rest[i], step);
    return scaled(found, -1);
  }
}

/** Ends an optimisation when its least objective fell by less than GAIN over the last ITERATIONS. */
export class EarlyStop {
  #least = [];

  /** @param {Constants} constants */
  constructor({ EarlyStop: constants }) {
    this.constants = constants;
  }

  /** Takes in an iteration's objective; whether it is time to end. */
  ends(objective) {
    const least = this.#least.at(-1) ?? Infinity;
    const { ITERATIONS, GAIN } = this.constants;
    this.#least.push(objective < least ? objective : least);
    return this.#least.length > ITERATIONS && this.#least.at(-1) > (1 - GAIN) * this.#least.at(-1 - ITERATIONS);
  }
}

function add(vector, factor, other) {
  for (let i = 0; i < vector.length; i++) vector[i] += factor * other[i];
  return vector;
}

function scaled(vector, factor) {
  for (let i = 0; i < vector.length; i++) vector[i] *= factor;
  return vector;
}

function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function meanSize(vector) {
  let sum = 0;
  for (let i = 0; i < vector.length; i++) sum += Math.abs(vector[i]);
  return sum / vector.length;
}

function clamped(vector) {
  for (let i = 0; i < vector.length; i++) vector[i] = Math.min(LARGEST, Math.max(LEAST, vector[i]));
  return vector;
}
