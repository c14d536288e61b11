/** The worker: opens pictures, computes, and tells the page how it goes. It alone knows onnxruntime-web. */

/** @import { Pictures, Site } from "./types.d.ts" */
import { chosenWay, Engine, LostError } from "./engine.js";
import { BrokenError, explained } from "./errors.js";
import { synthesis, withIngredients } from "./synthesis.js";
import { context2d, frameOf, opened, resize, toPixels } from "./image.js";
import { withRecipe } from "./png.js";

const NAMES = { content: "photograph", style: "style picture", start: "last painting" };

/** Milliseconds between two pictures that the page is sent. */
const BETWEEN = 100;

let stopping = new AbortController();
let running = Promise.resolve();
/** @type {{engine: Engine, network: string} | null} The engine of the last painting, and the name of its network. */
let kept = null;
/** Whether WebGPU could not start: each further try would leave a runtime behind. */
let failed = false;

addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI }) =>
  postMessage({ type: "forbidden", effectiveDirective, blockedURI }),
);

addEventListener("message", ({ data: { type, ...task } }) => {
  if (type === "stop") stopping.abort(new Error("Stopped before the first iteration."));
  else running = running.then(() => paint(task));
});

async function paint({ site, networkName, wanted, recipe, files }) {
  stopping = new AbortController();
  try {
    const network = site.networks.find(({ name }) => name === networkName);
    /** @type {any} */ const images = {};
    for (const [role, file] of Object.entries(files)) images[role] = await opened(file, NAMES[role]);
    postMessage({ type: "done", ...(await painted(site, network, wanted, recipe, images)) });
  } catch (error) {
    postMessage({ type: "failed", sentence: explained(error).message, restart: error instanceof BrokenError });
  }
}

async function painted(/** @type {Site} */ site, network, wanted, recipe, /** @type {Pictures} */ images) {
  const [full] = Object.values(network.channels);
  const way = await chosenWay(failed ? "wasm" : wanted, 4 * full * recipe.size ** 2);
  let began = 0;
  const seconds = () => (performance.now() - began) / 1000;
  const engineFor = async (lost) => {
    const engine = await ready(lost ? "wasm" : way, site, network);
    if (!lost) began = performance.now(); // fetching is no painting
    postMessage({ type: "engine", about: engine.about, lost });
    return engine;
  };
  /** @type {any} */ let last = null;
  let shown = -Infinity, trouble = "", restart = false;
  try {
    for await (const progress of synthesis(recipe, images, network, site.constants, engineFor)) {
      last = progress;
      const { image, ...rest } = progress;
      const due = performance.now() - shown > BETWEEN;
      if (due) shown = performance.now();
      postMessage({ type: "progress", ...rest, seconds: seconds(), pixels: due ? toPixels(image) : null });
      await new Promise((resolve) => setTimeout(resolve)); // lets messages in
      if (stopping.signal.aborted) break;
    }
  } catch (error) {
    if (!last) throw error;
    trouble = explained(error).message; // the best image so far is kept
    restart = error instanceof BrokenError;
  }
  const ending = trouble ? "Ended" : stopping.signal.aborted ? "Stopped" : "Done";
  const image = resize(last.image, frameOf(images.content, recipe.size));
  const blob = await asPng(image, await withIngredients(recipe, images, site, network));
  return { blob, ending, trouble, iteration: last.iteration, seconds: seconds(), restart };
}

/** The engine for a network: the one at hand, else a new one. WebAssembly's when WebGPU's cannot start. */
async function ready(way, site, network) {
  if (kept && kept.network === network.name && kept.engine.way === way) return kept.engine;
  await kept?.engine.release();
  kept = null;
  const tell = (text, often = false) => postMessage({ type: "status", text, often });
  try {
    const engine = await Engine.start(way, site, network, stopping.signal, tell);
    kept = { network: network.name, engine };
    return engine;
  } catch (error) {
    if (!(error instanceof LostError)) throw error;
    failed = true;
    return ready("wasm", site, network);
  }
}

async function asPng(image, recipe) {
  const pixels = toPixels(image), canvas = new OffscreenCanvas(pixels.width, pixels.height);
  context2d(canvas).putImageData(pixels, 0, 0);
  const png = await canvas.convertToBlob({ type: "image/png" });
  return withRecipe(new Uint8Array(await png.arrayBuffer()), JSON.stringify(recipe, null, 2));
}
