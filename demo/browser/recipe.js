/** Recipes, by the toolkit's words. What a field is and may be is said in toolkit/synthesis/recipe.py alone. */

/** What the page can do of these fields. The rest of a recipe it does as the toolkit does. */
const ONLY = {
  style_image_weights: [],
  style_statistic: "gram",
  colour: "style",
  formula: "mean",
  total_variation_weight: 0,
};

/** The weights above zero by layer, in the order of the network's own; those of layers that it lacks are left out. */
export function layerWeights(recipe, network) {
  const weights = (kind) =>
    Float32Array.from(network[`${kind}_layers`], (name) => recipe[`${kind}_weight`] * (recipe[`${kind}_layers`][name] ?? 0));
  return { content: weights("content"), style: weights("style") };
}

/**
 * A recipe out of a picture, as this page can make it.
 *
 * @param {string | null} text  JSON
 * @param {object} site  what the page offers
 * @returns {{recipe: object, network: string, notes: string[]}}  `notes` tell, in sentences, what it does differently
 */
export function restored(text, site) {
  if (text === null) throw new Error("This picture holds no recipe: only PNG files saved here or by the toolkit do.");
  let given;
  try {
    given = JSON.parse(text);
  } catch {
    given = null;
  }
  if (!given || typeof given !== "object" || typeof given.synthesis !== "string")
    throw new Error("The recipe in this picture is damaged.");
  if (given.synthesis !== "transfer")
    throw new Error(`This is the recipe of a ${given.synthesis}, not of a transfer.`);
  const recipe = { ...site.recipe }, notes = [];
  for (const [name, usual] of Object.entries(site.recipe)) {
    const value = given[name];
    if (value === undefined || JSON.stringify(value) === JSON.stringify(usual)) continue;
    const limits = site.limits[name];
    if (name in ONLY) notes.push(`${words(name)} is ${show(value)} in it; this page knows only ${show(usual)}.`);
    else if (name === "precision") continue; // the browser computes in float32
    else if (name.endsWith("_layers")) recipe[name] = known(name, value, site.networks[0], notes) ?? usual;
    else if (limits?.choices && !limits.choices.includes(value)) throw new Error(`${words(name)} cannot be ${show(value)}.`);
    else if (limits && !limits.choices && !(typeof value === "number" && Number.isFinite(value)))
      throw new Error(`${words(name)} cannot be ${show(value)}.`);
    else if (limits && !limits.choices) recipe[name] = Math.min(limits.most, Math.max(limits.least, value));
    else recipe[name] = value;
    if (typeof recipe[name] === "number" && recipe[name] !== value && !(name in ONLY))
      notes.push(`${words(name)} is ${value} in it; here it is ${recipe[name]}.`);
  }
  if (recipe.start === "image") recipe.start = site.recipe.start; // what Continue does
  const network = site.networks.find(({ fingerprint }) => fingerprint === given.made_from?.network);
  if (!network) notes.push("It was made with a network that is not offered here.");
  return { recipe, network: (network ?? site.networks[0]).name, notes };
}

/** The layers among those that the page compares; null, with a note, when a recipe compares others. */
function known(name, value, network, notes) {
  const unknown = Object.keys(value).filter((layer) => value[layer] > 0 && !network[name].includes(layer));
  if (!unknown.length) return value;
  notes.push(`It compares ${unknown.join(", ")}, which this page cannot: the usual layers are compared.`);
  return null;
}

function words(name) {
  const text = name.replaceAll("_", " ");
  return text[0].toUpperCase() + text.slice(1);
}

function show(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}
