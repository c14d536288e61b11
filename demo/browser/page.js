/** The page: controls in, pictures out. Everything that takes time happens in worker.js. */

/** @import { Recipe, Site } from "./types.d.ts" */
import { link, linked, pluginLink } from "./link.js";
import { restored } from "./recipe.js";
import { recipeIn } from "./png.js";
import { keepPage } from "./download.js";
import { give, inEditor, taken } from "./editor.js";
import { explained, forbids } from "./errors.js";
import { keepFile, keepValues, keptFile, keptValues, tidy } from "./memory.js";

const $ = (selector) => /** @type {any} */ (document.querySelector(selector));
const wanted = new URLSearchParams(location.search).get("engine");

const RESTORED =
  "The controls now show this picture's recipe. Choose the photograph and the style that it was made from. " +
  "Then Paint makes much the same picture: on another device its strokes fall differently. " +
  "Refine further goes on from it.";

const INTERRUPTED = "Painting was interrupted, and this is how far it had come. Refine further goes on from it.";

/** Milliseconds that the service worker may take to start. Where it takes longer, it serves the next visit. */
const PATIENCE = 2000;

/** @type {Site} What the page offers: site.json. */
let site;
/** @type {Recipe} What the controls show; some of its fields have no control and travel along. */
let recipe;
/** What the page calls a picture of each role. */
const NAMES = { content: "photograph", style: "style picture" };
/** The chosen pictures by role, and which role was touched last: a pasted picture goes there. */
const files = { content: null, style: null };
/** By role, the fetching of an example while it is the last choice: what comes later than another choice is dropped. */
const coming = { content: null, style: null };
let touched = "content";
/** @type {Blob | null} The last result: a PNG, to continue from and to download. */
let result = null;
/** @type {number[]} */
let objectives = [];
/** @type {Worker | null} What paints; there is none after it has broken down. */
let worker = null;
/** What was said last, in English. */
let status = "Press Paint to begin.";
/** What the host's content security policy forbade: the reason of the trouble that comes with it. */
let forbidden = "";

import("./languages/language.js").catch(() => {}); // in English otherwise
await start();

async function start() {
  site = await (await fetch("site.json")).json();
  if (await isolating()) return;
  site.base = new URL(".", location.href).href;
  recipe = { ...site.recipe };
  if (site.server) Object.assign($("#server"), { href: site.server, hidden: false });
  for (const [word, weight] of Object.entries(site.strengths)) {
    const input = made("input", { type: "radio", name: "strength", value: weight });
    $("#strengths").append(made("label", {}, input, word));
  }
  for (const { name, bytes } of site.networks)
    $("#network").append(new Option(`${name}, ${Math.round(bytes / 1e6)} MB to fetch once`, name));
  for (const name of ["size", "iterations", "seed"]) $(`#${name}`).max = site.limits[name].most;
  const asked = linked(location.search, site), values = keptValues();
  Object.assign(site.usual, asked?.examples);
  for (const role of Object.keys(files)) pictures(role);
  listen();
  if (asked && values?.address !== location.search) open(asked.recipe);
  else await remember(values).catch(() => keepFile("result", null)); // what cannot be shown is dropped
  show();
  worker = newWorker();
  $("#unstarted").remove();
  $("main").hidden = false;
  keepPage(site).catch(() => {}); // a full disk only costs the visit without a connection
  tidy();
}

/** Sets everything as it was when this tab left the page, with its last picture as far as it had come. */
async function remember(values) {
  const picture = await keptFile("result");
  for (const role of Object.keys(files)) {
    const file = await keptFile(role);
    if (file) choose(role, file);
  }
  if (!values) return;
  Object.assign(recipe, values.recipe);
  if (site.networks.some(({ name }) => name === values.network)) $("#network").value = values.network;
  if (values.unfinished) await hold(new Blob([Uint8Array.from(atob(values.unfinished), (byte) => byte.charCodeAt(0))]));
  else if (picture) await hold(picture);
  if (result) say(values.unfinished ? INTERRUPTED : values.status);
  busy(false);
}

/** Starts the service worker. Reloads once under it for threads, where the host's headers give the page none. */
async function isolating() {
  try {
    const registered = navigator.serviceWorker.register(`service.js?${new URLSearchParams(site.isolation)}`);
    if (crossOriginIsolated || sessionStorage.isolated) return false;
    sessionStorage.isolated = "tried";
    await registered;
    const late = new Promise((resolve) => setTimeout(resolve, PATIENCE));
    if (!(await Promise.race([navigator.serviceWorker.ready, late]))) return false;
  } catch {
    return false;
  }
  location.reload();
  return true;
}

function made(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function pictures(role) {
  const box = $(`[data-role=${role}]`), examples = $(`[data-examples=${role}]`);
  for (const name of site.examples[role]) {
    const title = name.replaceAll("_", " "), src = `examples/${role}/small/${name}.jpg`;
    const button = made("button", { type: "button", value: name, title }, made("img", { src, alt: title, loading: "lazy" }));
    button.onclick = () => {
      const fetched = fetch(`examples/${role}/${name}.jpg`).then((response) => (response.ok ? response.blob() : null));
      const arrived = fetched.catch(() => null).then((file) => {
        if (coming[role] !== arrived) return true;
        coming[role] = null;
        if (!file) return say(`The example ${title} could not be fetched: check the connection.`, true);
        choose(role, file);
        button.ariaPressed = "true";
        return true;
      });
      coming[role] = arrived;
    };
    examples.append(button);
    if (name === site.usual[role]) button.click();
  }
  const drop = box.querySelector(".picture");
  for (const input of box.querySelectorAll("input")) onFile(input, (file) => choose(role, file));
  for (const event of ["focusin", "pointerenter"]) box.addEventListener(event, () => (touched = role));
  for (const name of ["dragover", "dragleave", "drop"])
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", name === "dragover");
      if (name === "drop" && event.dataTransfer.files[0]) choose(role, event.dataTransfer.files[0]);
    });
}

/** Tells of each file that an input is given, even of the same one twice. */
function onFile(input, tell) {
  input.onchange = () => {
    const [file] = input.files;
    input.value = "";
    if (file) tell(file);
  };
}

/** Has a button talk with the editor, which may take a while. */
function onEditor(button, talk) {
  button.onclick = async () => {
    button.disabled = true;
    say("Waiting for the editor …");
    await talk().catch((error) => say(explained(error).message, true));
    $("#status").scrollIntoView({ block: "nearest" }); // a plugin's panel is narrow
    button.disabled = false;
  };
}

function choose(role, file) {
  coming[role] = null;
  files[role] = file;
  keepFile(role, file);
  const image = $(`[data-role=${role}] .picture img`);
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(file);
  image.alt = `The chosen ${NAMES[role]}`;
  image.onerror = () => {
    empty(role);
    say(`The ${NAMES[role]} is not a picture that this browser can read: use PNG, JPEG or WebP.`, true);
  };
  for (const button of document.querySelectorAll(`[data-examples=${role}] button`)) button.ariaPressed = "false";
}

const pressed = (role) => $(`[data-examples=${role}] [aria-pressed=true]`);

function empty(role) {
  const image = $(`[data-role=${role}] .picture img`);
  URL.revokeObjectURL(image.src);
  image.removeAttribute("src");
  if (pressed(role)) pressed(role).ariaPressed = "false";
  coming[role] = files[role] = null;
  keepFile(role, null);
}

function listen() {
  $("#form").onsubmit = (event) => {
    event.preventDefault();
    paint({});
  };
  $("#stop").onclick = () => worker?.postMessage({ type: "stop" });
  $("#continue").onclick = () => goOn(recipe.size);
  $("#larger").onclick = () => goOn(Math.min(2 * recipe.size, site.limits.size.most));
  $("#strengths").onchange = ({ target }) => (recipe.style_weight = Number(target.value));
  for (const name of ["size", "iterations", "seed"])
    $(`#${name}`).oninput = ({ target }) => {
      if (!target.checkValidity() || target.value === "") return;
      recipe[name] = Number(target.value);
      showNumbers();
    };
  $("#start").onchange = ({ target }) => (recipe.start = target.value);
  onFile($("#recipe"), restore);
  $("#link").onclick = () => {
    const chosen = Object.keys(files).map((role) => [role, pressed(role)?.value]);
    const examples = Object.fromEntries(chosen.filter(([, name]) => name));
    $("#address").textContent = site.base + link(recipe, $("#network").value, examples, site);
  };
  $("#take").hidden = !inEditor;
  onEditor($("#take"), async () => {
    choose("content", await taken());
    say("The photograph is now what the editor shows.");
  });
  onEditor($("#give"), async () => {
    await give(result);
    say("The editor has the painting: it appears there as a new layer.");
  });
  $("#plugin").hidden = inEditor || !isSecureContext;
  $("#photopea").href = pluginLink(site.base, document.title);
  document.onpaste = ({ clipboardData }) => {
    const file = [...(clipboardData?.files ?? [])].find(({ type }) => type.startsWith("image/"));
    if (file) choose(touched, file);
  };
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    const file = event.dataTransfer?.files[0];
    if (event.defaultPrevented || !file) return;
    event.preventDefault(); // a browser would leave the page for it
    if (!$("#recipe").disabled) restore(file);
  });
  document.addEventListener("securitypolicyviolation", forbid);
  addEventListener("beforeunload", (event) => {
    if (painting()) event.preventDefault(); // asks
  });
  addEventListener("pagehide", () => {
    const unfinished = painting() && objectives.length ? $("#canvas").toDataURL().split(",")[1] : null;
    const address = location.search;
    keepValues({ recipe, network: $("#network").value, status, unfinished, address });
  });
}

const painting = () => !$("#stop").disabled;

/** Shows the recipe in the controls. */
function show() {
  for (const input of $("#form").elements.strength) input.checked = Number(input.value) === recipe.style_weight;
  for (const name of ["size", "iterations", "seed", "start"]) $(`#${name}`).value = recipe[name];
  showNumbers();
}

function showNumbers() {
  $("#size-value").value = `${recipe.size} pixels`;
  $("#iterations-value").value = recipe.iterations;
}

function goOn(size) {
  paint({ size, start: "image", levels: 1 }, result); // the coarse levels are behind it
}

async function paint(changes, start) {
  for (const role of Object.keys(files)) {
    while (coming[role]) if (!(await coming[role])) return; // its failure was said
    if (!files[role]) return say(`Choose a ${NAMES[role]} first.`, true);
  }
  if ($("#paint").disabled) return; // clicked twice meanwhile
  objectives = [];
  recipe.size = changes.size ?? recipe.size;
  show();
  busy(true);
  say("Starting …");
  $(".easel").scrollIntoView({ block: "nearest" });
  const task = { site, networkName: $("#network").value, wanted, recipe: { ...recipe, ...changes } };
  worker ??= newWorker();
  worker.postMessage({ type: "paint", ...task, files: start ? { ...files, start } : files });
}

function newWorker() {
  const started = new Worker("worker.js", { type: "module" });
  started.onmessage = ({ data }) => told[data.type](data);
  started.onerror = (event) => {
    event.preventDefault();
    dismiss();
    busy(false);
    say("Painting ended unexpectedly, perhaps for lack of memory: choose a smaller size, or reload.", true);
  };
  return started;
}

/** Ends a worker that has broken down. */
function dismiss() {
  worker?.terminate();
  worker = null;
}

/** Takes in a violation of the content security policy. */
function forbid({ effectiveDirective, blockedURI }) {
  forbidden = forbids(blockedURI, effectiveDirective);
  if ($("#status").classList.contains("trouble")) say(forbidden, true);
}

/** What the worker tells. */
const told = {
  status: ({ text, often }) => say(text, false, often),

  engine: ({ about, lost }) => {
    const alone = about.endsWith("1 thread)") && !crossOriginIsolated;
    const why = inEditor ? " An editor allows no more threads." : " This page's host allows no more threads.";
    const what = lost ? "The graphics processor stopped answering. Going on" : "Computing";
    $("#engine").textContent = `${what} with ${about}.${alone ? why : ""}`;
  },

  progress: ({ iteration, iterations, objective, pixels, seconds }) => {
    const left = duration((seconds / iteration) * (iterations - iteration));
    say(`Iteration ${iteration} of ${iterations}, loss ${objective.toPrecision(3)}, ${left} left`, false, true);
    objectives.push(objective);
    plot();
    if (!pixels) return;
    const canvas = $("#canvas");
    for (const side of ["width", "height"]) if (canvas[side] !== pixels[side]) canvas[side] = pixels[side];
    canvas.getContext("2d").putImageData(pixels, 0, 0);
  },

  // A thread that may not start is waited for in vain, so painting ends here.
  forbidden: (violation) => {
    forbid(violation);
    told.failed({ sentence: forbidden, restart: true });
  },

  done: async ({ blob, ending, trouble, iteration, seconds, restart }) => {
    if (restart) dismiss();
    await hold(blob);
    busy(false);
    say(`${ending} after ${iteration} iterations in ${duration(seconds)}.${trouble && ` ${trouble}`}`, Boolean(trouble));
  },

  failed: ({ sentence, restart }) => {
    if (restart) dismiss();
    busy(false);
    say(sentence, true);
  },
};

/** Keeps a picture as the result: shown, to download, to continue from. */
async function hold(blob) {
  const canvas = $("#canvas"), link = $("#download");
  const bitmap = await createImageBitmap(blob).catch(() => {
    throw new Error("This picture is damaged: use the file as it was saved.");
  });
  result = blob;
  keepFile("result", blob);
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  URL.revokeObjectURL(link.href);
  Object.assign(link, { href: URL.createObjectURL(blob), download: "painting.png", hidden: false });
}

/** Sets the controls to a recipe, as far as this page can make it; tells what it can't. */
function open(text) {
  try {
    const { recipe: found, network, notes } = restored(text, site);
    recipe = found;
    $("#network").value = network;
    if (notes.length) say(notes.join(" "));
  } catch {
    say("This link can't be used: copy it whole.", true);
  }
}

async function restore(file) {
  $("#paint").disabled = true;
  try {
    const text = await recipeIn(new Uint8Array(await file.arrayBuffer()));
    const { recipe: found, network, notes } = restored(text, site);
    await hold(file);
    recipe = found;
    $("#network").value = network;
    show();
    // Refine further would paint examples into it that it was not made from.
    for (const role of Object.keys(files)) if (coming[role] || pressed(role)) empty(role);
    say([RESTORED, ...notes].join(" "));
  } catch (/** @type {any} */ error) {
    say(error.message, true);
  }
  busy(false);
}

function busy(yes) {
  const focused = /** @type {any} */ (document.activeElement);
  $("#paint").disabled = yes;
  $("#stop").disabled = !yes;
  $("#continue").disabled = yes || !result;
  $("#larger").disabled = yes || !result || recipe.size >= site.limits.size.most;
  $("#recipe").disabled = yes;
  $("#download").hidden = yes || !result;
  $("#give").hidden = yes || !result || !inEditor;
  if (focused?.disabled) $(yes ? "#stop" : "#paint").focus({ preventScroll: true }); // it would be lost
}

/** Says a sentence; one of many that follow each other `often` is not read out. */
function say(text, trouble = false, often = false) {
  status = (trouble && forbidden) || text;
  $("#status").ariaLive = often ? "off" : "polite";
  $("#status").textContent = status;
  $("#status").classList.toggle("trouble", trouble);
  if (trouble) $("#status").scrollIntoView({ block: "nearest" });
}

function plot() {
  const logs = objectives.map((value) => Math.log(Math.max(value, 1e-9)));
  const least = Math.min(...logs), range = Math.max(...logs) - least || 1;
  const across = (i) => (300 * i) / Math.max(1, logs.length - 1), down = (log) => 57 - (54 * (log - least)) / range;
  const points = logs.map((log, i) => `${across(i).toFixed(1)},${down(log).toFixed(1)}`);
  $("#curve polyline").setAttribute("points", points.join(" "));
  $("#curve").hidden = logs.length < 2;
}

function duration(seconds) {
  return seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
}
