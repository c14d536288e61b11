/** Images, as toolkit/pictures/io.py. */

/** @import { Picture, Size } from "./types.d.ts" */

/** More pixels than a canvas holds everywhere; a larger picture is scaled down as it is opened. */
export const MOST_PIXELS = 2 ** 24;

/** Opens a picture file: turned upright, transparency on white, its colours those of sRGB. */
export async function opened(file, role) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    throw new Error(`The ${role} is not a picture that this browser can read: use PNG, JPEG or WebP.`);
  }
  const scale = Math.min(1, Math.sqrt(MOST_PIXELS / (bitmap.width * bitmap.height)));
  const width = Math.max(1, Math.floor(bitmap.width * scale)), height = Math.max(1, Math.floor(bitmap.height * scale));
  const context = context2d(new OffscreenCanvas(width, height));
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  bitmap.close();
  const pixels = width * height, bytes = context.getImageData(0, 0, width, height).data;
  const data = new Float32Array(3 * pixels);
  for (let i = 0; i < data.length; i++) data[i] = bytes[4 * (i % pixels) + Math.floor(i / pixels)] / 255;
  return { width, height, data };
}

/** A canvas' means to draw, for pixels that are read again. */
export function context2d(/** @type {HTMLCanvasElement | OffscreenCanvas} */ canvas) {
  return /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
}

/** To ImageData, in eight bits. */
export function toPixels(/** @type {Picture} */ { width, height, data }) {
  const pixels = width * height, bytes = new Uint8ClampedArray(4 * pixels).fill(255);
  for (let channel = 0; channel < 3; channel++)
    for (let i = 0; i < pixels; i++) bytes[4 * i + channel] = 255 * data[channel * pixels + i]; // it rounds and clamps
  return new ImageData(bytes, width, height);
}

/** The SHA-256 of an image as float32; null where there is none, or the browser computes none (without https). */
export async function fingerprint(/** @type {Picture | undefined} */ image) {
  if (!image || !globalThis.crypto?.subtle) return null;
  const digest = await crypto.subtle.digest("SHA-256", image.data);
  return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** {width, height} in an image's proportions with that longest side. */
export function frameOf(/** @type {Size} */ { width, height }, /** @type {number} */ longest) {
  const side = Math.max(width, height);
  const scaled = (length) => Math.max(1, round((length * longest) / side));
  return { width: scaled(width), height: scaled(height) };
}

/** Resized in its proportions, so that its longest side has that length. */
export function fit(/** @type {Picture} */ image, /** @type {number} */ longest) {
  return resize(image, frameOf(image, longest));
}

/** Resized in its proportions to cover a frame, and cropped to it. */
export function cover(/** @type {Picture} */ image, /** @type {Size} */ frame) {
  const scale = Math.max(frame.height / image.height, frame.width / image.width);
  const larger = resize(image, {
    width: Math.max(frame.width, round(image.width * scale)),
    height: Math.max(frame.height, round(image.height * scale)),
  });
  const left = Math.floor((larger.width - frame.width) / 2), top = Math.floor((larger.height - frame.height) / 2);
  const data = new Float32Array(3 * frame.width * frame.height);
  for (let row = 0; row < 3 * frame.height; row++) {
    const channel = Math.floor(row / frame.height), y = row % frame.height;
    const first = (channel * larger.height + top + y) * larger.width + left;
    data.set(larger.data.subarray(first, first + frame.width), row * frame.width);
  }
  return { ...frame, data };
}

/** Resized to {width, height}: bicubic, antialiased, clamped to [0, 1]. */
export function resize(/** @type {Picture} */ image, /** @type {Size} */ { width, height }) {
  if (image.width === width && image.height === height) return image;
  const across = along(image.data, image.width, width, 3 * image.height, true);
  const data = new Float32Array(3 * width * height);
  for (let channel = 0; channel < 3; channel++) {
    const plane = across.subarray(channel * image.height * width, (channel + 1) * image.height * width);
    data.set(along(plane, image.height, height, width, false), channel * width * height);
  }
  for (let i = 0; i < data.length; i++) data[i] = Math.min(1, Math.max(0, data[i]));
  return { width, height, data };
}

/** One direction of a resize: of `lines` lines, which lie one after another (rows) or side by side (columns). */
function along(data, before, after, lines, rows) {
  const result = new Float32Array(after * lines);
  const scale = before / after, wide = Math.max(1, scale), support = 2 * wide;
  for (let to = 0; to < after; to++) {
    const centre = scale * (to + 0.5);
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const count = Math.min(before, Math.trunc(centre + support + 0.5)) - first;
    const weights = Array.from({ length: count }, (_, i) => cubic((first + i - centre + 0.5) / wide));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (let line = 0; line < lines; line++) {
      let sum = 0;
      for (let i = 0; i < count; i++)
        sum += weights[i] * (rows ? data[line * before + first + i] : data[(first + i) * lines + line]);
      result[rows ? line * after + to : to * lines + line] = sum / total;
    }
  }
  return result;
}

/** Keys' cubic with a = -0.5. */
function cubic(x) {
  const at = Math.abs(x);
  if (at < 1) return (1.5 * at - 2.5) * at * at + 1;
  return at < 2 ? ((-0.5 * at + 2.5) * at - 4) * at + 2 : 0;
}

/** To the nearest whole number, and halves to the even one, as Python rounds. */
export function round(value) {
  const below = Math.floor(value), rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2) ? below + 1 : below;
}
