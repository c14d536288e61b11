/** Files, fetched once: with progress, checked against their hash, kept in the browser's cache. */

const CACHE = "paint-files";

/**
 * A file's content.
 *
 * @param {string} address
 * @param {{bytes: number, integrity: string}} file  its size and its hash, as in `<script integrity>`
 * @param {AbortSignal} signal  ends it, with its reason
 * @param {(received: number) => void} progress  is told how many bytes came so far
 * @returns {Promise<Blob>}
 */
export async function download(address, { bytes, integrity }, signal, progress) {
  const name = address.split("/").pop();
  const cache = await globalThis.caches?.open(CACHE).catch(() => undefined); // there is none without https
  const key = `${address}?${encodeURIComponent(integrity)}`;
  const kept = await cache?.match(key);
  if (kept) {
    progress(bytes);
    return kept.blob();
  }
  let blob;
  try {
    blob = await received(address, signal, progress);
  } catch {
    signal.throwIfAborted();
    throw new Error(`${name} could not be fetched: check the connection and try again.`);
  }
  if (!(await matches(blob, integrity)))
    throw new Error(`${name} does not match its hash, so it is not used: load the page again, or tell its host.`);
  await keep(cache, key, blob).catch(() => undefined); // a full disk only costs the next visit time
  return blob;
}

/** Puts a file into the cache, in place of its earlier versions. */
async function keep(cache, key, blob) {
  const address = ({ url }) => url.split("?")[0];
  for (const request of (await cache?.keys()) ?? [])
    if (address(request) === address(new Request(key))) await cache.delete(request);
  await cache?.put(key, new Response(blob));
}

/** Keeps the page's own files, as one version that takes the place of earlier ones: service.js serves them. */
export async function keepPage({ base, version, page, ...site }) {
  await navigator.serviceWorker.ready;
  const ours = `paint-page ${base} `, cache = await caches.open(ours + version);
  if (await cache.match("site.json")) return;
  await cache.addAll(Object.entries(page).map(([file, integrity]) => new Request(file, { integrity })));
  await cache.put("site.json", new Response(JSON.stringify({ ...site, version, page })));
  for (const name of await caches.keys())
    if (name.startsWith(ours) && name !== ours + version) await caches.delete(name);
}

async function received(address, signal, progress) {
  const response = await fetch(address, { signal });
  if (!response.ok) throw new Error(response.statusText);
  const parts = [];
  let count = 0;
  for (let reader = response.body.getReader(), next; !(next = await reader.read()).done; ) {
    parts.push(next.value);
    progress((count += next.value.length));
  }
  return new Blob(parts);
}

/** The browser checks the hash, as it does for scripts: that works on pages without https, too. */
async function matches(blob, integrity) {
  const address = URL.createObjectURL(blob);
  try {
    await fetch(address, { integrity });
    return true;
  } catch {
    return false;
  } finally {
    URL.revokeObjectURL(address);
  }
}
