/** The losses of a transfer and their gradient, computed by an engine: toolkit.export's step. */

import { layerWeights } from "./recipe.js";

export class Objective {
  /**
   * What a recipe asks to be minimised.
   *
   * @param {import("./engine.js").Engine} engine
   * @param {object} network  one of the site's
   * @param {object} recipe
   * @param {object} content  image, of the size to paint
   * @param {object} style  image
   */
  static async of(engine, network, recipe, content, style) {
    const objective = new Objective();
    const weights = layerWeights(recipe, network);
    const feeds = {
      content_weights: engine.tensor(weights.content, [weights.content.length]),
      style_weights: engine.tensor(weights.style, [weights.style.length]),
    };
    const ofStyle = (value) => Object.fromEntries(network.style_targets.map((each) => [each.name, value(each)]));
    // The step of the content and of the style image gives their targets; before, zeros do.
    const none = ({ width, height }) => {
      const zeros = (...shape) => engine.tensor(new Float32Array(shape.reduce((a, b) => a * b)), shape);
      const side = (layer, length) => Math.floor(length / network.strides[layer]);
      const features = (layer) => zeros(1, network.channels[layer], side(layer, height), side(layer, width));
      return {
        ...named(network.content_layers, "content_", features),
        ...ofStyle(({ shape }) => zeros(...shape)),
      };
    };
    const targets = (image, outputs) =>
      engine.run({ ...feeds, ...none(image), image: asTensor(engine, image) }, outputs);
    const contents = await targets(content, network.content_layers);
    const summaries = await targets(style, network.style_targets.map(({ own }) => own));
    const found = {
      ...named(network.content_layers, "content_", (layer) => contents[layer]),
      ...ofStyle(({ own }) => summaries[own]),
    };
    const kinds = { content: network.content_layers, style: network.style_layers };
    const factors = { content: 1, style: network.style_factor };
    const losses = Object.entries(kinds).flatMap(([kind, layers]) =>
      layers.map((layer) => ({ name: `${kind} ${layer}`, output: `${kind}_loss_${layer}`, factor: factors[kind] })),
    );
    return Object.assign(objective, { engine, frame: content, feeds: { ...feeds, ...found }, targets: found, losses });
  }

  /** At a point, the values of an image of the content's size: {objective, losses, gradient}. */
  async evaluate(point) {
    const image = asTensor(this.engine, { ...this.frame, data: point });
    const outputs = ["loss", "gradient", ...this.losses.map(({ output }) => output)];
    const found = await this.engine.run({ ...this.feeds, image }, outputs);
    const losses = Object.fromEntries(
      this.losses.map(({ name, output, factor }) => [name, factor * found[output].data[0]]),
    );
    return { objective: found.loss.data[0], losses, gradient: found.gradient.data };
  }

  /** Frees the targets' memory. */
  release() {
    for (const tensor of Object.values(this.targets)) tensor.dispose();
  }
}

function asTensor(engine, { width, height, data }) {
  return engine.tensor(data, [1, 3, height, width]);
}

function named(layers, prefix, value) {
  return Object.fromEntries(layers.map((layer) => [prefix + layer, value(layer)]));
}
