/** A transfer, as a stream of progress that can be left at any point with the best image in hand. */

/** @import { Constants, Network, Picture, Pictures, Recipe } from "./types.d.ts" */
import { EarlyStop, LBFGS } from "./optimizer.js";
import { fingerprint, fit, round } from "./image.js";
import { enlarged, levels, startImage } from "./pyramid.js";
import { preconditioner } from "./preconditioner.js";
import { LostError } from "./engine.js";
import { objectiveOf } from "./objective.js";

/**
 * Paints; yields {iteration, iterations, objective, losses, image} after each iteration. `image` is the best so far.
 *
 * @param {Recipe} recipe
 * @param {Pictures} images  `start` only when the recipe starts from an image
 * @param {Network} network  one of the site's
 * @param {Constants} constants
 * @param {(lost: boolean) => Promise<import("./engine.js").Engine>} engineFor  another one when the present was lost
 */
export async function* synthesis(recipe, images, network, constants, engineFor) {
  const stages = levels(recipe, images.content, constants);
  const { width, height } = stages[0], least = Math.max(...Object.values(network.strides)); // less is pooled away
  if (Math.min(width, height) < least)
    throw new Error(`A picture of ${width} x ${height} pixels is too small for the network: choose a larger size.`);
  let engine = await engineFor(false);
  let done = 0, total = recipe.iterations;
  /** @type {Picture | null} */ let best = null;
  for (const stage of stages) {
    const longest = Math.max(stage.width, stage.height);
    const content = fit(images.content, longest);
    const style = fit(images.style, Math.max(1, round(longest * recipe.style_scale)));
    if (Math.min(style.width, style.height) < least)
      throw new Error("The style picture is too small for the network: choose a larger size or another picture.");
    const start = startImage(recipe, stage, { ...images, content, style }, constants);
    const { data } = best ? enlarged(best, start) : start;
    // The last pairs would hardly be used.
    const pairs = Math.max(1, Math.min(constants.pairs, Math.ceil(stage.iterations / 2)));
    const precondition = preconditioner(stage.height, stage.width, constants.Preconditioner);
    const optimizer = new LBFGS(data, pairs, precondition, constants), earlyStop = new EarlyStop(constants);
    const image = { width: stage.width, height: stage.height, data: optimizer.best };
    best = image;
    /** @type {any} */ let objective = null;
    // What was lost is made again by another engine; the optimiser goes on where it was.
    const evaluate = async (point) => {
      for (;;)
        try {
          objective ??= await objectiveOf(engine, network, recipe, content, style);
          return await objective.evaluate(point);
        } catch (error) {
          if (!(error instanceof LostError)) throw error;
          engine = await engineFor(true);
          objective = null;
        }
    };
    try {
      for (let made = 0; made < stage.iterations; ) {
        const { objective: value, losses } = await optimizer.step(evaluate);
        made += 1;
        done += 1;
        if (recipe.early_stop && earlyStop.ends(value)) {
          total -= stage.iterations - made;
          made = stage.iterations;
        }
        yield { iteration: done, iterations: total, objective: value, losses, image };
      }
    } finally {
      objective?.release();
    }
  }
}

/** The recipe of a result, with the fingerprints of what it was made from. */
export async function withIngredients(recipe, /** @type {Pictures} */ { content, style, start }, { toolkit }, network) {
  const [contents, styles, starts] = await Promise.all([content, style, start].map(fingerprint));
  const images = { content: contents, styles: styles ? [styles] : [], start: starts, masks: [] };
  return { ...recipe, made_from: { toolkit, network: network.fingerprint, ...images } };
}
