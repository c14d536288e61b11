/** The recipe inside a PNG: a text chunk, written and found. (PNG specification, third edition, section 11.3.3.) */

const KEY = "recipe";
const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];

/** A PNG with a text in it, from its bytes. */
export function withRecipe(png, text) {
  const [encoded, key] = [new TextEncoder().encode(text), new TextEncoder().encode(KEY)];
  // Keyword, then: not compressed, by no method, in no language, with no translated keyword.
  const body = Uint8Array.from([...new TextEncoder().encode("iTXt"), ...key, 0, 0, 0, 0, 0, ...encoded]);
  const chunk = new Uint8Array(body.length + 8), view = new DataView(chunk.buffer);
  view.setUint32(0, body.length - 4);
  chunk.set(body, 4);
  view.setUint32(4 + body.length, checksum(body));
  const [header] = chunks(png); // always the first
  return new Blob([png.subarray(0, header.end), chunk, png.subarray(header.end)], { type: "image/png" });
}

/** The text that `withRecipe` or the toolkit put into a PNG, or null. */
export async function recipeIn(png) {
  if (!SIGNATURE.every((byte, i) => png[i] === byte)) return null;
  for (const { type, data } of chunks(png)) {
    if (!["tEXt", "zTXt", "iTXt"].includes(type) || text(data.subarray(0, KEY.length + 1)) !== `${KEY}\0`) continue;
    let rest = data.subarray(KEY.length + 1), compressed = type === "zTXt";
    if (compressed) rest = rest.subarray(1);
    if (type === "iTXt") {
      compressed = rest[0] === 1;
      rest = rest.subarray(2);
      for (const _ of ["language", "translated keyword"]) rest = rest.subarray(rest.indexOf(0) + 1);
    }
    if (compressed) rest = await inflated(rest);
    return type === "iTXt" ? new TextDecoder().decode(rest) : text(rest);
  }
  return null;
}

function* chunks(png) {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength);
  for (let at = SIGNATURE.length; at + 12 <= png.length; ) {
    const length = view.getUint32(at), end = at + 12 + length;
    yield { type: text(png.subarray(at + 4, at + 8)), data: png.subarray(at + 8, end - 4), end };
    at = end;
  }
}

function text(bytes) {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
}

async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function checksum(bytes) {
  let sum = ~0;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
}
