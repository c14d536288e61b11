/**
 * Shows a page in the visitor's language. The page's own words are English, and a table of them lies beside this file
 * for each other language. What stands in no table stays English: so do all words in a language that has no table.
 *
 * A table's key is a sentence as it is shown: `{0}` stands for what varies, `<0>…</0>` for the first element in it.
 */

/** The languages that have a table. */
const TABLES = ["de", "es", "fr", "ja", "pt", "zh"];

/** Attributes that hold words. */
const WORDS = ["alt", "aria-label", "placeholder", "title"];

/** What stands within a sentence. */
const INLINE = "a, b, code, em, strong";

/** A line break and the blanks around it are one blank, as on the page. */
const plain = (/** @type {string} */ text) => text.trim().replace(/\s+/g, " ");

/** Translates sentences by a table. */
export function translatorBy(/** @type {Record<string, string>} */ table) {
  const literal = (/** @type {string} */ text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const patterns = Object.keys(table)
    .filter((key) => key.includes("{0}"))
    .sort((a, b) => b.length - a.length) // the one that says most
    .map((key) => ({ key, pattern: new RegExp(`^${key.split(/\{\d\}/).map(literal).join("(.*?)")}$`) }));

  const whole = (/** @type {string} */ said) => {
    if (Object.hasOwn(table, said)) return table[said];
    for (const { key, pattern } of patterns) {
      const parts = said.match(pattern)?.slice(1);
      // What varies may itself be words, or a sentence.
      if (parts) return table[key].replace(/\{(\d)\}/g, (_, number) => translated(parts[number]));
    }
    return null;
  };

  /** @type {(text: string) => string} */
  const translated = (text) => {
    const said = plain(text);
    const sentences = () => said.split(/(?<=[.…]) /).map((sentence) => whole(sentence) ?? sentence);
    const words = whole(said) ?? sentences().join(" ").replaceAll("。 ", "。");
    return words === said ? text : text.replace(text.trim(), () => words);
  };
  return translated;
}

/** Translates what a page shows, now and whenever it changes. */
function show(/** @type {Record<string, string>} */ table) {
  const translator = translatorBy(table);
  /** @type {Set<string>} What has been written here: another key's sentence may look like it. */
  const written = new Set();
  const translated = (/** @type {string} */ text) => {
    if (written.has(text)) return text;
    const words = translator(text);
    if (words !== text) written.add(words);
    return words;
  };

  const change = (/** @type {{data: string}} */ node) => {
    const text = translated(node.data);
    if (text !== node.data) node.data = text;
  };

  /** Words with elements in them: the elements stay, with other words, perhaps in another order. */
  const rearrange = (/** @type {Element} */ element) => {
    const inner = [...element.children];
    const key = [...element.childNodes].map((node) => {
      const number = inner.indexOf(/** @type {Element} */ (node));
      return number < 0 ? node.textContent : `<${number}>${node.textContent}</${number}>`;
    });
    const said = plain(key.join("")), text = translated(said);
    if (text === said) return;
    const parts = text.split(/<(\d)>(.*?)<\/\1>/); // words, number, words within, …
    element.replaceChildren(...parts.flatMap((part, index) => {
      if (index % 3 === 2) return [];
      if (index % 3 === 0) return part;
      inner[part].textContent = parts[index + 1];
      return inner[part];
    }));
  };

  const visit = (/** @type {Node} */ root) => {
    if (root instanceof Text) change(root);
    if (!(root instanceof Element)) return;
    for (const element of [root, ...root.querySelectorAll("*")]) {
      if (element.matches("script, style, textarea")) continue;
      for (const name of WORDS) {
        const said = element.getAttribute(name);
        if (said && translated(said) !== said) element.setAttribute(name, translated(said));
      }
      if (element.children.length && [...element.children].every((child) => child.matches(INLINE))) rearrange(element);
      for (const node of element.childNodes) if (node instanceof Text) change(node);
    }
  };

  visit(document.documentElement);
  new MutationObserver((changes) => {
    for (const { target, addedNodes } of changes) for (const node of addedNodes.length ? addedNodes : [target]) visit(node);
  }).observe(document.documentElement, { subtree: true, childList: true, characterData: true, attributeFilter: WORDS });
}

const language = navigator.language.split("-")[0];
if (TABLES.includes(language)) {
  const answer = await fetch(new URL(`${language}.json`, import.meta.url)).catch(() => null);
  if (answer?.ok) {
    show(await answer.json());
    document.documentElement.lang = language;
  }
}
