/** onnxruntime-web: which way to compute, its files, and a network's session. */

/** @import { Download, Network, Site } from "./types.d.ts" */
import { download } from "./download.js";
import { BrokenError, forbids, foreign } from "./errors.js";

/** More threads hardly help, and leave nothing for the page. */
const MOST_THREADS = 8;

/** A WebAssembly module with one SIMD instruction, which only a browser that knows SIMD accepts. */
const SIMD = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
);

/** The graphics processor cannot be used, or not any more. */
export class LostError extends Error {}

/**
 * How to compute: "webgpu" where a graphics processor can hold the largest tensor, else "wasm".
 *
 * One that is only software is slower than WebAssembly, and used only when it is asked for.
 *
 * @param {string | null} wanted  "webgpu" or "wasm", or null to choose
 * @param {number} largest  bytes of the largest tensor
 */
export async function chosenWay(wanted, largest) {
  if (!WebAssembly.validate(SIMD))
    throw new Error("This browser lacks WebAssembly SIMD, which painting needs: use a newer one.");
  await WebAssembly.compile(SIMD).catch(() => {
    throw new Error(forbids("wasm-eval", "script-src"));
  });
  if (wanted === "wasm") return "wasm";
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" }).catch(() => null);
  if (!adapter) return "wasm";
  const { maxBufferSize, maxStorageBufferBindingSize } = adapter.limits;
  const software = adapter.info?.isFallbackAdapter || adapter.info?.architecture === "swiftshader";
  const fits = Math.min(maxBufferSize, maxStorageBufferBindingSize) >= largest;
  return fits && (!software || wanted === "webgpu") ? "webgpu" : "wasm";
}

/** A network ready to run. `about` says, in words, what computes. */
export class Engine {
  /** By build, onnxruntime-web once it is loaded. */
  static #runtimes = new Map();
  /** @type {any} */ ort;
  /** @type {any} */ session;
  /** @type {Promise<any>} */ lost = new Promise(() => {});
  about = "";

  constructor(way) {
    this.way = way;
    this.build = way === "wasm" ? "wasm" : "Suspending" in WebAssembly ? "jspi" : "webgpu";
  }

  /**
   * Fetches what is needed, and starts.
   *
   * @param {"webgpu" | "wasm"} way
   * @param {Site} site  what the page offers
   * @param {Network} network  one of the site's
   * @param {AbortSignal} stop  ends the fetching
   * @param {(text: string, often?: boolean) => void} tell  is told what happens
   */
  static async start(way, site, network, stop, tell) {
    const engine = new Engine(way);
    const runtime = site.runtime.files[engine.build];
    const files = [network, ...runtime.map((file) => ({ ...file, address: site.runtime.address + file.name }))];
    const [model, script, binary] = await fetched(files, site.base, stop, tell);
    tell("Starting …");
    const several = way === "wasm" && globalThis.crossOriginIsolated;
    const threads = several ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
    if (!Engine.#runtimes.has(engine.build)) {
      // The threads are started from this address, too.
      const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
      const ort = await import(address);
      ort.env.logLevel = "error";
      Object.assign(ort.env.wasm, { wasmBinary: await binary.arrayBuffer(), numThreads: threads });
      Engine.#runtimes.set(engine.build, ort);
    }
    engine.ort = Engine.#runtimes.get(engine.build);
    // The targets, which the network computes and is fed with, stay where they are.
    const targets = [...network.content_layers, ...network.style_targets.map(({ own }) => own)];
    const place = way === "webgpu" ? "gpu-buffer" : "cpu";
    engine.session = await engine.#guarded(async () =>
      engine.ort.InferenceSession.create(new Uint8Array(await model.arrayBuffer()), {
        executionProviders: [way],
        preferredOutputLocation: Object.fromEntries(targets.map((name) => [name, place])),
      }),
    );
    const device = way === "webgpu" ? await engine.ort.env.webgpu.device : null;
    if (device) engine.lost = device.lost.then(() => Promise.reject(new LostError()));
    engine.lost.catch(() => {}); // whoever runs the network hears of it
    const counted = threads === 1 ? "1 thread" : `${threads} threads`;
    engine.about = device ? "your graphics processor (WebGPU)" : `your processor (WebAssembly, ${counted})`;
    return engine;
  }

  /** A tensor, float32, of numbers. */
  tensor(data, shape) {
    return new this.ort.Tensor("float32", data, shape);
  }

  /** Runs the network: named tensors in, the named outputs' tensors out. */
  run(feeds, outputs) {
    return this.#guarded(() => Promise.race([this.session.run(feeds, outputs), this.lost]));
  }

  /** Frees its memory. */
  async release() {
    await this.session.release().catch(() => {}); // what is lost has none
  }

  async #guarded(work) {
    try {
      return await work();
    } catch (/** @type {any} */ error) {
      Engine.#runtimes.delete(this.build);
      console.warn(error);
      if (this.way === "webgpu") throw new LostError(error.message);
      throw new BrokenError(foreign(error).message);
    }
  }
}

async function fetched(files, base, stop, tell) {
  const counts = files.map(() => 0);
  const megabytes = (counts) => (counts.reduce((sum, bytes) => sum + bytes, 0) / 1e6).toFixed(1);
  const total = megabytes(files.map(({ bytes }) => bytes));
  const halt = new AbortController();
  stop.addEventListener("abort", () => halt.abort(stop.reason));
  try {
    stop.throwIfAborted();
    return await Promise.all(
      files.map((file, i) =>
        download(new URL(file.address, base).href, file, halt.signal, (count) => {
          counts[i] = count;
          tell(`Fetching what is needed to paint: ${megabytes(counts)} of ${total} MB`, true);
        }),
      ),
    );
  } finally {
    halt.abort(); // when one fails, the others are not needed
  }
}
