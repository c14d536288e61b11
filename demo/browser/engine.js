/** onnxruntime-web: which way to compute, its files, and a network's session. */

import { download } from "./download.js";

/** More threads hardly help, and leave nothing for the page. */
const MOST_THREADS = 8;

/** An empty WebAssembly module with one SIMD instruction, which only a browser that knows SIMD accepts. */
const SIMD = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
);

/** The graphics adapter failed in the middle. */
export class LostError extends Error {}

/**
 * How to compute: "webgpu" where an adapter holds the largest tensor of that size, else "wasm".
 *
 * A software adapter is slower than WebAssembly and is used only when it is asked for.
 *
 * @param {string | null} wanted  "webgpu" or "wasm", or null to choose
 * @param {number} largest  bytes of the largest tensor
 */
export async function chosenWay(wanted, largest) {
  if (!WebAssembly.validate(SIMD))
    throw new Error("This browser lacks WebAssembly SIMD, which painting needs: use a newer one.");
  if (wanted === "wasm") return "wasm";
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" }).catch(() => null);
  if (!adapter) return "wasm";
  const holds = Math.min(adapter.limits.maxBufferSize, adapter.limits.maxStorageBufferBindingSize) >= largest;
  const software = (adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter) || /swiftshader/i.test(adapter.info?.architecture);
  return holds && (!software || wanted === "webgpu") ? "webgpu" : "wasm";
}

/** A network ready to run. `about` says, in words, what computes. */
export class Engine {
  /**
   * Fetches what is needed, and starts.
   *
   * @param {"webgpu" | "wasm"} way
   * @param {object} site  what the page offers
   * @param {object} network  one of the site's
   * @param {(text: string) => void} tell  is told what happens
   */
  static async start(way, site, network, tell) {
    const engine = new Engine();
    engine.way = way;
    const build = way === "wasm" ? "wasm" : "Suspending" in WebAssembly ? "jspi" : "webgpu";
    const files = [...site.runtime.files[build].map((file) => ({ ...file, address: site.runtime.address + file.name })), network];
    const total = files.reduce((sum, file) => sum + file.bytes, 0), counts = files.map(() => 0);
    const contents = await Promise.all(
      files.map((file, i) =>
        download(new URL(file.address, site.base).href, file, (count) => {
          counts[i] = count;
          const sum = counts.reduce((all, each) => all + each, 0);
          tell(`Fetching what is needed to paint: ${megabytes(sum)} of ${megabytes(total)} MB`);
        }),
      ),
    );
    const [script, binary, model] = contents;
    tell("Starting …");
    const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
    const ort = (engine.ort = await import(address)); // its threads are started from this address, too
    const threads = globalThis.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency || 1) : 1;
    ort.env.logLevel = "error";
    Object.assign(ort.env.wasm, { wasmBinary: await binary.arrayBuffer(), numThreads: threads });
    const options = { executionProviders: [way] };
    if (way === "webgpu") {
      const targets = [...network.content_layers, ...network.style_layers.map((layer) => `${layer}_gram`)];
      options.preferredOutputLocation = Object.fromEntries(targets.map((name) => [name, "gpu-buffer"]));
    }
    try {
      engine.session = await ort.InferenceSession.create(new Uint8Array(await model.arrayBuffer()), options);
    } catch (error) {
      throw way === "webgpu" ? new LostError(error.message) : memoryOr(error);
    }
    if (way === "webgpu") (await ort.env.webgpu.device)?.lost.then(() => (engine.lost = true));
    engine.about =
      way === "webgpu" ? "your graphics processor (WebGPU)" : `your processor (WebAssembly, ${threads} ${threads === 1 ? "thread" : "threads"})`;
    return engine;
  }

  /** A tensor, float32. */
  tensor(data, shape) {
    return new this.ort.Tensor("float32", data, shape);
  }

  /** Runs the network: named tensors in, the named outputs' tensors out. */
  async run(feeds, outputs) {
    let found;
    try {
      found = await this.session.run(feeds, outputs);
    } catch (error) {
      throw this.way === "webgpu" ? new LostError(error.message) : memoryOr(error);
    }
    if (this.lost) throw new LostError("device lost");
    return found;
  }
}

function megabytes(bytes) {
  return (bytes / 1e6).toFixed(1);
}

function memoryOr(error) {
  return /memory|alloc|out of bounds|\b\d{6,}\b/i.test(String(error?.message ?? error))
    ? new Error("There is not enough memory for this size: choose a smaller one.")
    : error;
}
