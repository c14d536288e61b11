/** Files, fetched once: with progress, checked against their hash, kept in the browser's cache. */

/** @import { Download, Site } from "./types.d.ts" */

const CACHE = "paint-files";

/**
 * A file's content.
 *
 * @param {string} address
 * @param {Download} file
 * @param {AbortSignal} signal  ends it, with its reason
 * @param {(received: number) => void} progress  is told how many bytes came so far
 * @returns {Promise<Blob>}
 */
export async function download(address, { bytes, integrity }, signal, progress) {
  const name = address.split("/").pop();
  const cache = await globalThis.caches?.open(CACHE).catch(() => null); // there is none without https
  const key = `${address}?${encodeURIComponent(integrity)}`;
  const kept = await cache?.match(key);
  if (kept) {
    progress(bytes);
    return kept.blob();
  }
  const blob = await received(address, signal, progress).catch(() => {
    signal.throwIfAborted();
    throw new Error(`${name} could not be fetched: check the connection and try again.`);
  });
  if (!(await matches(blob, integrity)))
    throw new Error(`${name} does not match its hash, so it is not used: load the page again, or tell its host.`);
  await cache?.delete(key, { ignoreSearch: true }); // earlier versions at this address
  await cache?.put(key, new Response(blob)).catch(() => {}); // a full disk only costs the next visit time
  return blob;
}

/** Keeps the page's own files, as one version that takes the place of earlier ones: service.js serves them. */
export async function keepPage(/** @type {Site} */ { base, version, page, ...site }) {
  await navigator.serviceWorker.ready;
  const ours = `paint-page ${base} `, cache = await caches.open(ours + version);
  if (await cache.match("site.json")) return;
  await cache.addAll(Object.entries(page).map(([file, integrity]) => new Request(file, { integrity })));
  await cache.put("site.json", new Response(JSON.stringify({ ...site, version, page })));
  for (const name of await caches.keys())
    if (name.startsWith(ours) && name !== ours + version) await caches.delete(name);
}

async function received(address, signal, progress) {
  const { ok, body } = await fetch(address, { signal });
  if (!ok || !body) throw new Error();
  const parts = [], reader = body.getReader();
  for (let count = 0, next = await reader.read(); !next.done; next = await reader.read()) {
    parts.push(next.value);
    count += next.value.length;
    progress(count);
  }
  return new Blob(parts);
}

/** The browser checks the hash, as it does for scripts: that works on pages without https, too. */
async function matches(blob, integrity) {
  const address = URL.createObjectURL(blob);
  const checked = await fetch(address, { integrity }).catch(() => null);
  URL.revokeObjectURL(address);
  return checked !== null;
}
