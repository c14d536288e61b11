/** The worker: opens pictures, computes, and tells the page how it goes. It alone knows onnxruntime-web. */

import { chosenWay, Engine, LostError } from "./engine.js";
import { finished, synthesis, withIngredients } from "./synthesis.js";
import { opened, toPixels } from "./image.js";
import { withRecipe } from "./png.js";

let stopped = false;
let running = Promise.resolve();
let kept = null; // the engine of the last painting, with what it was started for

onmessage = ({ data: { type, ...task } }) => {
  if (type === "stop") stopped = true;
  else running = running.then(() => paint(task));
};

async function paint({ site, networkName, wanted, recipe, files }) {
  stopped = false;
  try {
    const network = site.networks.find(({ name }) => name === networkName);
    const images = {};
    for (const [role, file] of Object.entries(files)) images[role] = await opened(file, role === "start" ? "last picture" : `${role} picture`);
    const result = await painted(site, network, wanted, recipe, images);
    postMessage({ type: "done", ...result });
  } catch (error) {
    postMessage({ type: "failed", sentence: error.message });
  }
}

async function painted(site, network, wanted, recipe, images) {
  const tell = (text) => postMessage({ type: "status", text });
  const largest = 4 * network.widest * recipe.size ** 2;
  const engineFor = async (lost) => {
    if (lost) kept = null;
    const way = lost ? "wasm" : await chosenWay(wanted, largest);
    if (kept?.network !== network.name || kept.way !== way)
      kept = { network: network.name, way, engine: await started(way, site, network, tell) };
    const { engine } = kept;
    postMessage({ type: "engine", about: engine.about, way: engine.way, lost });
    return engine;
  };
  let last = null, trouble = "";
  const began = performance.now();
  try {
    for await (const progress of synthesis(recipe, images, network, engineFor)) {
      last = progress;
      const { iteration, iterations, objective, losses, image } = progress;
      const pixels = toPixels(image);
      postMessage({ type: "progress", iteration, iterations, objective, losses, pixels, seconds: (performance.now() - began) / 1000 }, [pixels.data.buffer]);
      await new Promise((resolve) => setTimeout(resolve)); // lets messages in
      if (stopped) break;
    }
  } catch (error) {
    if (!last) throw error;
    trouble = error.message; // the best image so far is kept
  }
  const full = await withIngredients(recipe, images, site, network);
  const pixels = toPixels(finished(last.image, images.content, recipe.size));
  const canvas = new OffscreenCanvas(pixels.width, pixels.height);
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  const png = new Uint8Array(await (await canvas.convertToBlob({ type: "image/png" })).arrayBuffer());
  const blob = new Blob([withRecipe(png, JSON.stringify(full, null, 2))], { type: "image/png" });
  const ending = trouble ? "Ended" : stopped ? "Stopped" : "Done";
  return { blob, ending, trouble, iteration: last.iteration, seconds: (performance.now() - began) / 1000 };
}

/** The engine that was asked for; WebAssembly's when the graphics adapter cannot be used after all. */
async function started(way, site, network, tell) {
  try {
    return await Engine.start(way, site, network, tell);
  } catch (error) {
    if (!(error instanceof LostError)) throw error;
    return Engine.start("wasm", site, network, tell);
  }
}
