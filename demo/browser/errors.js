/** Errors as sentences that say what to do. */

export class StoppedError extends Error {
  constructor() {
    super("Stopped before the first iteration.");
  }
}

/** An error whose message a visitor understands: our own are such already. */
export function explained(error) {
  if (error?.constructor === Error || error instanceof StoppedError) return error;
  const message = String(error?.message ?? error);
  // onnxruntime-web throws the number of a C++ exception when its memory cannot grow.
  if (error instanceof RangeError || typeof error === "number" || /memory|alloc|\b\d{5,}\b/i.test(message))
    return new Error("There is not enough memory for this size: choose a smaller one.");
  return new Error(`Something went wrong: ${message}`);
}
