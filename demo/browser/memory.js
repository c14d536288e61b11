/** What this tab has chosen and made: values until the tab is closed, files until a visit more than a day later. */

const CACHE = "paint-tabs", DAY = 24 * 3600 * 1000;

/** A browser may keep nothing: none of this is needed to paint. */
const tab = attempt(() => (sessionStorage.tab ??= crypto.getRandomValues(new Uint32Array(4)).join("-")));
const address = (name) => `kept/${tab}/${name}`;
const store = await globalThis.caches?.open(CACHE).catch(() => null); // there is none without https

/** Keeps a file under a name, or nothing under it. */
export async function keepFile(/** @type {string} */ name, /** @type {Blob | null} */ file) {
  const headers = { date: new Date().toUTCString(), "content-type": file?.type ?? "" };
  const kept = file ? store?.put(address(name), new Response(file, { headers })) : store?.delete(address(name));
  await kept?.catch(() => {}); // the disk may be full
}

/** The file of that name, if one is kept. @returns {Promise<Blob | undefined>} */
export const keptFile = async (/** @type {string} */ name) => (await store?.match(address(name)))?.blob();

/** Keeps plain values; unlike files, they can be kept in the moment in which the page goes. */
export const keepValues = (/** @type {object} */ values) =>
  attempt(() => (sessionStorage.values = JSON.stringify(values)));

/** The plain values, if any are kept. */
export const keptValues = () => attempt(() => JSON.parse(sessionStorage.values));

/** Deletes what tabs have left behind. */
export async function tidy() {
  for (const request of (await store?.keys()) ?? []) {
    const date = (await store?.match(request))?.headers.get("date");
    if (Date.now() - Date.parse(date ?? "") > DAY) await store?.delete(request);
  }
}

function attempt(/** @type {() => any} */ action) {
  try {
    return action();
  } catch {
    return null;
  }
}
