/** Errors as sentences that say what to do. */

/** What computes has failed, and may not be used again. */
export class BrokenError extends Error {}

/** That the host's content security policy forbids something. */
export function forbids(what, directive) {
  const sentence = `The content security policy of this page's host forbids ${what} as ${directive}.`;
  return `${sentence} README.md beside this page names a policy that works.`;
}

/** An error whose message a visitor understands. Plain ones are our own and such already: a browser's have classes. */
export function explained(error) {
  return [Error, BrokenError].includes(error?.constructor) ? error : foreign(error);
}

/** The same of what is never our own: onnxruntime-web throws plain errors, too. */
export function foreign(error) {
  const message = String(error?.message ?? error);
  // onnxruntime-web throws the number of a C++ exception when its memory cannot grow.
  if (error instanceof RangeError || typeof error === "number" || /memory|alloc|\b\d{5,}\b/i.test(message))
    return new Error("There is not enough memory for this size: choose a smaller one.");
  return new Error(`Something went wrong: ${message}`);
}
