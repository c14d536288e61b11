/** The page: controls in, pictures out. Everything that takes time happens in worker.js. */

import { restored } from "./recipe.js";
import { recipeIn } from "./png.js";

const $ = (selector) => document.querySelector(selector);
const wanted = new URLSearchParams(location.search).get("engine");

const RESTORED =
  "The controls now show this picture's recipe. Choose the photograph and the style that it was made from. " +
  "Then Paint makes it again, and Continue goes on from it.";

/** Milliseconds that the service worker may take to start. Where it takes longer, it serves the next visit. */
const PATIENCE = 2000;

/** What the page offers: site.json. */
let site;
/** The recipe that the controls show; some of its fields have no control and travel along. */
let recipe;
/** The examples that are chosen at first. */
const USUAL = { content: "chelsea", style: "stained_glass" };
/** What the page calls a picture of each role. */
const NAMES = { content: "photograph", style: "style picture" };
/** The chosen pictures by role, and which role was touched last: a pasted picture goes there. */
const files = { content: null, style: null };
/** By role, the fetching of the example that was chosen last. */
const coming = {};
/** By role, how often a picture was chosen: what comes late counts only while it is the last choice. */
const choices = { content: 0, style: 0 };
let touched = "content";
/** The last result: a PNG, to continue from and to download. */
let result = null;
let objectives = [];
let worker;

await start();

async function start() {
  try {
    site = await (await fetch("site.json")).json();
  } catch {
    $("#incomplete").hidden = false;
    return;
  }
  if (await isolating()) return;
  site.base = new URL(".", location.href).href;
  recipe = { ...site.recipe };
  if (site.server) Object.assign($("#server"), { href: site.server, hidden: false });
  for (const [word, weight] of Object.entries(site.strengths)) $("#strengths").append(radio(word, weight));
  for (const { name, bytes } of site.networks)
    $("#network").append(new Option(`${name}, ${Math.round(bytes / 1e6)} MB to fetch once`, name));
  for (const name of ["size", "iterations"]) $(`#${name}`).max = site.limits[name].most;
  for (const role of Object.keys(files)) pictures(role);
  listen();
  show();
  worker = newWorker();
  $("main").hidden = false;
}

/** Reloads once under a service worker that gives the page threads, where the host's headers do not. */
async function isolating() {
  if (crossOriginIsolated || !navigator.serviceWorker) return false;
  try {
    if (sessionStorage.isolated) return false;
    sessionStorage.isolated = "tried";
    await navigator.serviceWorker.register(`service.js?${new URLSearchParams(site.isolation)}`);
    const late = new Promise((resolve) => setTimeout(resolve, PATIENCE));
    if (!(await Promise.race([navigator.serviceWorker.ready, late]))) return false;
  } catch {
    return false;
  }
  location.reload();
  return true;
}

function radio(word, weight) {
  const label = document.createElement("label");
  const input = Object.assign(document.createElement("input"), { type: "radio", name: "strength", value: weight });
  label.append(input, word);
  return label;
}

function pictures(role) {
  const box = $(`[data-role=${role}]`), examples = box.querySelector(".examples");
  for (const name of site.examples[role]) {
    const button = document.createElement("button"), image = new Image(), title = name.replaceAll("_", " ");
    Object.assign(image, { src: `examples/${role}/small/${name}.jpg`, alt: title, loading: "lazy" });
    Object.assign(button, { type: "button", title }).append(image);
    const fetched = async () => {
      const choice = ++choices[role];
      const address = `examples/${role}/${name}.jpg`;
      const file = await fetch(address).then((response) => response.ok && response.blob()).catch(() => null);
      if (choices[role] !== choice) return;
      if (!file) return say(`The example ${title} could not be fetched: check the connection.`, true);
      choose(role, file);
      button.ariaPressed = "true";
    };
    button.onclick = () => (coming[role] = fetched());
    examples.append(button);
    if (name === USUAL[role]) button.click();
  }
  const drop = box.querySelector(".picture");
  for (const input of box.querySelectorAll("input"))
    input.onchange = () => input.files[0] && choose(role, input.files[0]);
  box.addEventListener("focusin", () => (touched = role));
  box.addEventListener("pointerenter", () => (touched = role));
  drop.ondragover = (event) => {
    event.preventDefault();
    drop.classList.add("over");
  };
  drop.ondragleave = () => drop.classList.remove("over");
  drop.ondrop = (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    if (event.dataTransfer.files[0]) choose(role, event.dataTransfer.files[0]);
  };
}

function choose(role, file) {
  choices[role]++;
  files[role] = file;
  const image = $(`[data-role=${role}] .picture img`);
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(file);
  image.alt = `The chosen ${NAMES[role]}`;
  image.onerror = () => {
    image.removeAttribute("src");
    files[role] = null;
    say(`The ${NAMES[role]} is not a picture that this browser can read: use PNG, JPEG or WebP.`, true);
  };
  for (const button of document.querySelectorAll(`[data-role=${role}] .examples button`)) button.ariaPressed = "false";
}

function listen() {
  $("#form").onsubmit = (event) => {
    event.preventDefault();
    paint({});
  };
  $("#stop").onclick = () => worker.postMessage({ type: "stop" });
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
  $("#recipe").onchange = ({ target }) => target.files[0] && restore(target.files[0]);
  document.onpaste = ({ clipboardData }) => {
    const file = [...clipboardData.files].find(({ type }) => type.startsWith("image/"));
    if (file) choose(touched, file);
  };
  document.ondragover = document.ondrop = (event) => event.preventDefault(); // a miss must not leave the page
}

/** Shows the recipe in the controls. */
function show() {
  for (const input of document.getElementsByName("strength"))
    input.checked = Number(input.value) === recipe.style_weight;
  for (const name of ["size", "iterations", "seed", "start"]) $(`#${name}`).value = recipe[name];
  showNumbers();
}

function showNumbers() {
  $("#size-value").value = `${recipe.size} pixels`;
  $("#iterations-value").value = recipe.iterations;
}

function goOn(size) {
  recipe.size = size;
  show();
  paint({ start: "image", levels: 1 }, result); // the coarse levels are behind it
}

async function paint(changes, start) {
  for (const role of Object.keys(files)) {
    if (!files[role]) await coming[role];
    if (!files[role]) return say(`Choose a ${NAMES[role]} first.`, true);
  }
  if ($("#paint").disabled) return; // clicked twice meanwhile
  objectives = [];
  busy(true);
  say("Starting …");
  $(".easel").scrollIntoView({ block: "nearest", behavior: "smooth" });
  const task = { site, networkName: $("#network").value, wanted, recipe: { ...recipe, ...changes } };
  worker.postMessage({ type: "paint", ...task, files: start ? { ...files, start } : files });
}

function newWorker() {
  const made = new Worker("worker.js", { type: "module" });
  made.onmessage = ({ data }) => told[data.type](data);
  made.onerror = (event) => {
    event.preventDefault();
    restarted();
    busy(false);
    say("Painting ended unexpectedly, perhaps for lack of memory: choose a smaller size, or reload.", true);
  };
  return made;
}

/** A new worker in place of one that has run out of memory. */
function restarted() {
  worker.terminate();
  worker = newWorker();
}

/** What the worker tells. */
const told = {
  status: ({ text }) => say(text),

  engine: ({ about, lost }) => {
    const alone = about.endsWith("1 thread)") && !crossOriginIsolated;
    const why = alone ? " This page's host allows no more threads." : "";
    $("#engine").textContent = lost
      ? `The graphics processor stopped answering. Going on with ${about}.${why}`
      : `Computing with ${about}.${why}`;
  },

  progress: ({ iteration, iterations, objective, pixels, seconds }) => {
    const left = (seconds / iteration) * (iterations - iteration);
    say(`Iteration ${iteration} of ${iterations}, loss ${objective.toPrecision(3)}, ${duration(left)} left`);
    objectives.push(objective);
    plot();
    if (!pixels) return;
    const canvas = $("#canvas");
    if (canvas.width !== pixels.width || canvas.height !== pixels.height)
      [canvas.width, canvas.height] = [pixels.width, pixels.height];
    canvas.getContext("2d").putImageData(pixels, 0, 0);
  },

  done: async ({ blob, ending, trouble, iteration, seconds, restart }) => {
    if (restart) restarted();
    await hold(blob);
    busy(false);
    say(`${ending} after ${iteration} iterations in ${duration(seconds)}. ${trouble}`, Boolean(trouble));
  },

  failed: ({ sentence, restart }) => {
    if (restart) restarted();
    busy(false);
    say(sentence, true);
  },
};

/** Keeps a picture as the result: shown, to download, to continue from. */
async function hold(blob) {
  result = blob;
  const bitmap = await createImageBitmap(blob), canvas = $("#canvas"), link = $("#download");
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  URL.revokeObjectURL(link.href);
  Object.assign(link, { href: URL.createObjectURL(blob), download: "painting.png", hidden: false });
}

async function restore(file) {
  $("#paint").disabled = true;
  try {
    const text = await recipeIn(new Uint8Array(await file.arrayBuffer()));
    const { recipe: found, network, notes } = restored(text, site);
    recipe = found;
    $("#network").value = network;
    show();
    await hold(file);
    say([RESTORED, ...notes].join(" "));
  } catch (error) {
    say(error.message, true);
  }
  busy(false);
}

function busy(yes) {
  $("#paint").disabled = yes;
  $("#stop").disabled = !yes;
  $("#continue").disabled = yes || !result;
  $("#larger").disabled = yes || !result || recipe.size >= site.limits.size.most;
  $("#recipe").disabled = yes;
  if (yes) $("#download").hidden = true;
  else $("#download").hidden = !result;
}

function say(text, trouble = false) {
  $("#status").textContent = text;
  $("#status").classList.toggle("trouble", trouble);
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
