/**
 * A service worker. It adds the headers with which a browser gives a page threads, where the host does not send them:
 * they stand in its own address. (What the page loads from elsewhere must then allow it, as the runtime's CDN does.)
 * Without a connection it serves what the page has kept.
 */

const HEADERS = new URL(location.href).searchParams;

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));

worker.addEventListener("install", () => worker.skipWaiting());
worker.addEventListener("activate", (event) => event.waitUntil(worker.clients.claim()));
worker.addEventListener("fetch", (event) => {
  if (event.request.url.startsWith(worker.registration.scope)) event.respondWith(isolated(event.request));
});

async function isolated(/** @type {Request} */ request) {
  const response = await fetch(request).catch(async (error) => {
    const kept = await caches.match(request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  });
  if (!response.status) return response; // nobody may look into it: a redirect, say
  const headers = new Headers(response.headers);
  for (const [name, value] of HEADERS) headers.set(name, value);
  const { status, statusText } = response;
  return new Response([204, 304].includes(status) ? null : response.body, { status, statusText, headers });
}
