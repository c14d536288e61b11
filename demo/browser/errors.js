/** Errors as sentences that say what to do. */

import { DivergedError } from "./optimizer.js";

export class StoppedError extends Error {
  constructor() {
    super("Stopped before the first iteration.");
  }
}

/** The host's content security policy forbids something. */
export class ForbiddenError extends Error {
  constructor(what, directive) {
    super(
      `The content security policy of this page's host forbids ${what} as ${directive}. ` +
        "README.md beside this page names a policy that works.",
    );
  }
}

/** What computes has failed, and may not be used again. */
export class BrokenError extends Error {}

/** An error whose message a visitor understands: our own are such already. */
export function explained(error) {
  if ([Error, StoppedError, ForbiddenError, BrokenError, DivergedError].includes(error?.constructor)) return error;
  const message = String(error?.message ?? error);
  // onnxruntime-web throws the number of a C++ exception when its memory cannot grow.
  if (error instanceof RangeError || typeof error === "number" || /memory|alloc|\b\d{5,}\b/i.test(message))
    return new Error("There is not enough memory for this size: choose a smaller one.");
  return new Error(`Something went wrong: ${message}`);
}
