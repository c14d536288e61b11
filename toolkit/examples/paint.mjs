// Paints with step.onnx and ONNX Runtime, without Python. Pictures are read and written as PPM (P6, 8 bits a channel).
//
//   npm install onnxruntime-node
//   node paint.mjs step.onnx photo.ppm painting.ppm output.ppm [ITERATIONS] [STYLE_WEIGHT]

import { readFileSync, writeFileSync } from "node:fs";
import * as ort from "onnxruntime-node";

const [model, photo, painting, output, iterations = "200", styleWeight = "10"] = process.argv.slice(2);
if (!output || !(Number(iterations) >= 1)) {
  console.error("usage: node paint.mjs step.onnx photo.ppm painting.ppm output.ppm [ITERATIONS] [STYLE_WEIGHT]");
  process.exit(2);
}
const session = await ort.InferenceSession.create(model);
const shapes = Object.fromEntries(session.inputMetadata.map(({ name, shape }) => [name, shape]));
const names = Object.keys(shapes);

/** A picture as the step takes it: (1, 3, H, W), RGB in [0, 1]. */
function read(path) {
  const bytes = readFileSync(path);
  const found = /^P6\s+(?:#.*\s+)*(\d+)\s+(\d+)\s+255\s/.exec(bytes.toString("latin1", 0, 512));
  if (!found) throw new Error(`${path} is no PPM of the kind P6 with 8 bits a channel`);
  const [header, width, height] = found;
  const pixels = bytes.subarray(header.length);
  const area = width * height;
  const values = Float32Array.from({ length: 3 * area }, (_, i) => pixels[3 * (i % area) + Math.floor(i / area)] / 255);
  return new ort.Tensor("float32", values, [1, 3, Number(height), Number(width)]);
}

function write(path, { data, dims }) {
  const area = dims[2] * dims[3];
  const pixels = Uint8Array.from({ length: 3 * area }, (_, i) => Math.round(255 * data[(i % 3) * area + Math.floor(i / 3)]));
  writeFileSync(path, Buffer.concat([Buffer.from(`P6\n${dims[3]} ${dims[2]}\n255\n`), pixels]));
}

/** A tensor with one value everywhere; sizes that the step leaves open become 1. */
function filled(name, value) {
  const dims = shapes[name].map((size) => (typeof size === "number" && size > 0 ? size : 1));
  return new ort.Tensor("float32", new Float32Array(dims.reduce((a, b) => a * b, 1)).fill(value), dims);
}

/** The targets of one kind: what the step says of a picture is what it compares with as its input. */
async function targets(picture, kinds) {
  const outputs = {};
  for (const name of names) {
    const [kind, layer] = name.split(/_(.*)/);
    if (kinds.includes(kind) && layer !== "weights") outputs[name] = kind === "content" ? layer : `${layer}_${kind}`;
  }
  const nothing = Object.fromEntries(names.map((name) => [name, filled(name, 0)]));
  const found = await session.run({ ...nothing, image: picture }); // all outputs: 1.22 misnames a selection of them
  return Object.fromEntries(Object.entries(outputs).map(([name, given]) => [name, found[given]]));
}

const content = read(photo);
const layers = shapes.style_weights[0];
const fixed = {
  ...(await targets(content, ["content"])),
  ...(await targets(read(painting), ["gram", "mean"])),
  content_weights: filled("content_weights", 1),
  style_weights: filled("style_weights", Number(styleWeight) / layers),
};

// Adam (Kingma & Ba 2015) on the pixels, which stay within [0, 1].
const image = Float32Array.from(content.data);
const [mean, square] = [new Float32Array(image.length), new Float32Array(image.length)];
const [rate, beta, gamma] = [0.02, 0.9, 0.999];
for (let step = 1; ; step++) {
  const tensor = new ort.Tensor("float32", image, content.dims);
  const { loss, gradient } = await session.run({ ...fixed, image: tensor }, ["loss", "gradient"]);
  console.log(step, loss.data[0]);
  if (step >= Number(iterations)) break; // so that this is the loss of what is written
  for (let i = 0; i < image.length; i++) {
    mean[i] += (1 - beta) * (gradient.data[i] - mean[i]);
    square[i] += (1 - gamma) * (gradient.data[i] ** 2 - square[i]);
    const change = mean[i] / (1 - beta ** step) / (Math.sqrt(square[i] / (1 - gamma ** step)) + 1e-8);
    image[i] = Math.min(1, Math.max(0, image[i] - rate * change));
  }
}
write(output, { data: image, dims: content.dims });
