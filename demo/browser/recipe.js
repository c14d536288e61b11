/** Recipes, by the toolkit's words. What a field is and may be is said in toolkit/synthesis/recipe.py alone. */

/** @import { Recipe, Site } from "./types.d.ts" */

/** What the page does as the toolkit does. Of a recipe's other fields it knows only the usual value. */
const KNOWN = new Set([
  "content_layers", "content_weight", "style_layers", "style_weight", "style_scale", "size", "start", "seed",
  "iterations", "early_stop", "levels", "coarsest",
]);

/** The browser computes in float32, and fingerprints tell of what is past. */
const ASIDE = new Set(["precision", "made_from"]);

/**
 * A recipe out of a picture, as this page can make it.
 *
 * @param {string | null} text  JSON
 * @param {Site} site  what the page offers
 * @returns {{recipe: Recipe, network: string, notes: string[]}}  `notes` tell, in sentences, what it does differently
 */
export function restored(text, site) {
  if (text === null) throw new Error("This picture holds no recipe: only PNG files saved here or by the toolkit do.");
  /** @type {any} */ let given = null;
  try {
    given = JSON.parse(text);
  } catch {} // it is none
  if (!given || typeof given !== "object" || typeof given.synthesis !== "string")
    throw new Error("The recipe in this picture is damaged.");
  if (given.synthesis !== "transfer")
    throw new Error(`This is the recipe of a ${given.synthesis}, not of a transfer.`);
  given.iterations ??= given.evaluations; // as version 0.1 called them
  given.coarsest ??= 256; // as it was before it could be chosen
  /** @type {string[]} */ const notes = [];
  const recipe = { ...site.recipe };
  for (const [name, usual] of Object.entries(site.recipe)) {
    const value = given[name];
    if (value === undefined || ASIDE.has(name) || show(value) === show(usual)) continue;
    if (!KNOWN.has(name)) notes.push(`${words(name)} is ${show(value)} in it; this page knows only ${show(usual)}.`);
    else recipe[name] = (name.endsWith("_layers") ? layers : checked)(name, value, usual, site.limits, notes);
  }
  if (recipe.start === "image") {
    for (const name of ["start", "levels", "coarsest"]) recipe[name] = site.recipe[name]; // Refine further changed them
    notes.push("This picture went on from another painting: Paint begins anew.");
  }
  const network = site.networks.find(({ fingerprint }) => fingerprint === given.made_from?.network);
  if (!network) notes.push("It was made with a network that is not offered here.");
  return { recipe, network: (network ?? site.networks[0]).name, notes };
}

/** A field's value within its limits, with a note when it had to be changed. */
function checked(name, value, usual, limits, notes) {
  const { choices, whole, least = -Infinity, most = Infinity } = limits[name] ?? {};
  const right = choices?.includes(value) ?? (typeof value === typeof usual && (!whole || Number.isInteger(value)));
  if (!right) throw new Error(`The recipe in this picture is damaged: ${words(name)} cannot be ${show(value)}.`);
  if (typeof value !== "number") return value;
  const within = Math.min(most, Math.max(least, value));
  if (within !== value) notes.push(`${words(name)} is ${value} in it; here it is ${within}.`);
  return within;
}

/** Weights of layers that the page compares; the usual ones, with a note, when a recipe compares others. */
function layers(name, value, usual, _, notes) {
  const isWeight = (weight) => Number.isFinite(weight) && weight >= 0;
  if (value?.constructor !== Object || !Object.values(value).every(isWeight))
    throw new Error(`The recipe in this picture is damaged: ${words(name)} cannot be ${show(value)}.`);
  const unknown = Object.keys(value).filter((layer) => value[layer] > 0 && !(layer in usual));
  if (!unknown.length) return value;
  notes.push(`It compares ${unknown.join(", ")}, which this page cannot: the usual layers are compared instead.`);
  return usual;
}

function words(name) {
  const text = name.replaceAll("_", " ");
  return text[0].toUpperCase() + text.slice(1);
}

function show(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}
