/** The losses of a transfer and their gradient, computed by an engine: toolkit.export's step. */

import { layerWeights } from "./recipe.js";

/**
 * What a recipe asks to be minimised.
 *
 * @param {import("./engine.js").Engine} engine
 * @param {object} network  one of the site's
 * @param {object} recipe
 * @param {object} content  image, of the size to paint
 * @param {object} style  image
 * @returns {Promise<(point: Float32Array) => Promise<{objective, losses, gradient}>>}
 */
export async function makeObjective(engine, network, recipe, content, style) {
  const weights = layerWeights(recipe, network);
  const contentNames = network.content_layers.map((name) => `content_${name}`);
  const gramNames = network.style_layers.map((name) => `gram_${name}`);
  const feeds = {
    content_weights: engine.tensor(weights.content, [weights.content.length]),
    style_weights: engine.tensor(weights.style, [weights.style.length]),
  };
  // The step of the content and of the style image gives their targets; before, zeros do.
  const targetsOf = (image, outputs) => {
    const zeros = (shape) => engine.tensor(new Float32Array(shape.reduce((product, length) => product * length)), shape);
    const none = {};
    network.content_layers.forEach((layer, n) => {
      const side = (length) => Math.floor(length / network.strides[layer]);
      none[contentNames[n]] = zeros([1, network.channels[layer], side(image.height), side(image.width)]);
    });
    network.style_layers.forEach((layer, n) => {
      none[gramNames[n]] = zeros([network.channels[layer], network.channels[layer]]);
    });
    return engine.run({ ...feeds, ...none, image: asTensor(image) }, outputs);
  };
  const asTensor = ({ width, height, data }) => engine.tensor(data, [1, 3, height, width]);
  const grams = network.style_layers.map((layer) => `${layer}_gram`);
  const ofStyle = await targetsOf(style, grams);
  const ofContent = await targetsOf(content, network.content_layers);
  network.content_layers.forEach((layer, n) => (feeds[contentNames[n]] = ofContent[layer]));
  grams.forEach((gram, n) => (feeds[gramNames[n]] = ofStyle[gram]));

  const lossNames = [
    ...network.content_layers.map((layer) => `content_loss_${layer}`),
    ...network.style_layers.map((layer) => `style_loss_${layer}`),
  ];
  return async (point) => {
    const found = await engine.run({ ...feeds, image: asTensor({ ...content, data: point }) }, ["loss", "gradient", ...lossNames]);
    const losses = Object.fromEntries(lossNames.map((name) => [name.replace("_loss_", " "), found[name].data[0]]));
    return { objective: found.loss.data[0], losses, gradient: found.gradient.data };
  };
}
