/**
 * A service worker that adds the headers with which a browser gives a page threads, where the host does not send them.
 * They stand in its own address. What the page loads from elsewhere must then allow it, as the CDN of the runtime does.
 */

const HEADERS = new URL(location.href).searchParams;

addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(clients.claim()));
addEventListener("fetch", (event) => {
  if (new URL(event.request.url).origin === location.origin) event.respondWith(isolated(event.request));
});

async function isolated(request) {
  const response = await fetch(request);
  const headers = new Headers(response.headers);
  for (const [name, value] of HEADERS) headers.set(name, value);
  const { status, statusText } = response;
  return new Response([204, 304].includes(status) ? null : response.body, { status, statusText, headers });
}
