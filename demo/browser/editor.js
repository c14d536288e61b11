/** Photopea around this page, by the messages of photopea.com/api/live: scripts go to it, their answers come back. */

import { context2d, MOST_PIXELS } from "./image.js";

/** The editor's origin, which this page's address names: nobody else is told anything, or listened to. */
const NAMED = new URLSearchParams(location.search).get("editor")?.match(/^https?:\/\/[^/@]+/i);
const ORIGIN = NAMED ? new URL(NAMED[0]).origin : "";

export const inEditor = parent !== window && ORIGIN !== "";

/** Milliseconds that the editor may take: to answer at all, and to pass a large picture. */
const ANSWER = 5000, PICTURE = 120_000;

const SIZE = `var sides = app.documents.length && app.activeDocument.width + " " + app.activeDocument.height;
app.echoToOE("size " + sides);`;

/** The open picture as it is seen: for one layer, a script would hide the others, each a step in the user's history. */
export async function taken() {
  await size();
  const png = await asked(`app.activeDocument.saveToOE("png");`, (data) => data instanceof ArrayBuffer, PICTURE);
  return new Blob([png], { type: "image/png" });
}

/** Gives a painting as a new layer. It becomes as large as fits into the open picture, which the editor would not do. */
export async function give(painting) {
  const picture = await size(), bitmap = await createImageBitmap(painting), { width, height } = bitmap;
  const scale = Math.min(picture.width / width, picture.height / height, Math.sqrt(MOST_PIXELS / (width * height)));
  // A painting's sides are whole pixels: less than one of them that is missing is rounding.
  const side = (own, whole) => (Math.abs(own * scale - whole) < scale ? whole : Math.max(1, Math.round(own * scale)));
  const canvas = document.createElement("canvas"), context = context2d(canvas);
  [canvas.width, canvas.height] = [side(width, picture.width), side(height, picture.height)];
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const script = `app.open("${canvas.toDataURL()}", null, true); app.echoToOE("given");`;
  await asked(script, (data) => data === "given", PICTURE);
}

async function size() {
  const answer = await asked(SIZE, (data) => String(data).startsWith("size "), ANSWER);
  const [width, height] = answer.match(/[\d.]+/g)?.map(Number) ?? [];
  if (!height) throw new Error("No picture is open in the editor: open one there first.");
  return { width, height };
}

/** Has the editor run a script. Its "done" after each tells nothing: it also comes late, or of something else. */
function asked(script, answers, patience) {
  return new Promise((resolve, reject) => {
    const ending = new AbortController(), { signal } = ending;
    signal.onabort = () => reject(new Error("The editor does not answer: close this panel and open it again."));
    setTimeout(() => ending.abort(), patience);
    addEventListener("message", ({ source, origin, data }) => {
      if (source !== parent || origin !== ORIGIN || !answers(data)) return;
      resolve(data);
      ending.abort();
    }, { signal });
    parent.postMessage(script, ORIGIN);
  });
}
