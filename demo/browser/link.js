/** Links that open the page with settings, in the words of the server's page: what differs from the usual, by name. */

/** @import { Recipe, Site } from "./types.d.ts" */

/**
 * What a link says; `null` if it says nothing of settings. Pictures of one's own are in no link.
 *
 * @param {string} search  its part from `?` on
 * @param {Site} site  what the page offers
 * @returns {{recipe: string, examples: Record<string, string>} | null}  `recipe` as a picture would hold it
 */
export function linked(search, site) {
  const said = new URLSearchParams(search), examples = {}, recipe = {};
  for (const role of Object.keys(site.examples))
    if (site.examples[role].includes(said.get(role) ?? "")) examples[role] = said.get(role);
  for (const name of Object.keys(site.recipe)) {
    const text = said.get(name);
    if (text !== null) recipe[name] = name.endsWith("_layers") ? weights(text) : plain(text);
  }
  if (!said.has("network") && !Object.keys({ ...examples, ...recipe }).length) return null;
  const asked = said.get("network") ?? site.networks[0].name;
  const made_from = { network: site.networks.find(({ name }) => name === asked)?.fingerprint };
  return { recipe: JSON.stringify({ ...site.recipe, ...recipe, made_from }), examples };
}

/** The part of a link from `?` on. @returns {string} */
export function link(
  /** @type {Recipe} */ recipe,
  /** @type {string} */ network,
  /** @type {Record<string, string>} by role, those that are in use */ examples,
  /** @type {Site} */ site,
) {
  const said = new URLSearchParams(examples);
  if (network !== site.networks[0].name) said.set("network", network);
  for (const [name, usual] of Object.entries(site.recipe)) {
    const value = recipe[name];
    if (JSON.stringify(value) === JSON.stringify(usual)) continue;
    said.set(name, name.endsWith("_layers") ? Object.entries(value).map((pair) => pair.join("=")).join(",") : value);
  }
  return `?${said}`;
}

/** A link that opens Photopea with this page as a plugin (photopea.com/api/plugins). */
export function pluginLink(/** @type {string} */ base, /** @type {string} */ name) {
  const editor = "https://www.photopea.com";
  const plugin = { name, url: `${base}?editor=${editor}`, icon: `${base}icon.webp` };
  return `${editor}#${encodeURIComponent(JSON.stringify({ environment: { plugins: [plugin] } }))}`;
}

function weights(text) {
  return Object.fromEntries(text.split(",").map((each) => {
    const [layer, weight = "1"] = each.split("=");
    return [layer.trim(), Number(weight)];
  }));
}

/** A number, a truth value or a word. */
function plain(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
