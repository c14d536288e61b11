/** The losses of a transfer and their gradient, computed by an engine: toolkit.export's step. */

/** @import { Network, Picture, Recipe } from "./types.d.ts" */

/**
 * What a recipe asks to be minimised: its `evaluate` promises {objective, losses, gradient} at a point, the values of
 * an image of the content's size; `release` frees the targets' memory.
 *
 * @param {import("./engine.js").Engine} engine
 * @param {Network} network
 * @param {Recipe} recipe
 * @param {Picture} content  of the size to paint
 * @param {Picture} style
 */
export async function objectiveOf(engine, network, recipe, content, style) {
  const factors = { content: 1, style: network.style_factor };
  const weights = (kind) => {
    const layers = network[`${kind}_layers`], weight = factors[kind] * recipe[`${kind}_weight`];
    return engine.tensor(layers.map((layer) => weight * (recipe[`${kind}_layers`][layer] ?? 0)), [layers.length]);
  };
  const feeds = { content_weights: weights("content"), style_weights: weights("style") };
  const ofStyle = (value) => Object.fromEntries(network.style_targets.map((each) => [each.name, value(each)]));
  // The step of the content and of the style image gives their targets; before, zeros do.
  const none = ({ width, height }) => {
    const zeros = (...shape) => engine.tensor(new Float32Array(shape.reduce((a, b) => a * b)), shape);
    const side = (layer, length) => Math.floor(length / network.strides[layer]);
    const features = (layer) => zeros(1, network.channels[layer], side(layer, height), side(layer, width));
    return { ...named(network.content_layers, "content_", features), ...ofStyle(({ shape }) => zeros(...shape)) };
  };
  const asTensor = ({ width, height, data }) => engine.tensor(data, [1, 3, height, width]);
  const targets = (image, outputs) => engine.run({ ...feeds, ...none(image), image: asTensor(image) }, outputs);
  const contents = await targets(content, network.content_layers);
  const summaries = await targets(style, network.style_targets.map(({ own }) => own));
  const found = {
    ...named(network.content_layers, "content_", (layer) => contents[layer]),
    ...ofStyle(({ own }) => summaries[own]),
  };
  const losses = Object.entries(factors).flatMap(([kind, factor]) =>
    network[`${kind}_layers`].map((layer) => ({ name: `${kind} ${layer}`, output: `${kind}_loss_${layer}`, factor })),
  );
  return {
    async evaluate(point) {
      const image = asTensor({ ...content, data: point });
      const outputs = ["loss", "gradient", ...losses.map(({ output }) => output)];
      const values = await engine.run({ ...feeds, ...found, image }, outputs);
      const terms = losses.map(({ name, output, factor }) => [name, factor * values[output].data[0]]);
      return { objective: values.loss.data[0], losses: Object.fromEntries(terms), gradient: values.gradient.data };
    },
    release() {
      for (const tensor of Object.values(found)) tensor.dispose();
    },
  };
}

function named(layers, prefix, value) {
  return Object.fromEntries(layers.map((layer) => [prefix + layer, value(layer)]));
}
