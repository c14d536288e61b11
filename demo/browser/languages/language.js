/**
 * Shows a page in the visitor's language. The page's own words are English, and a table of them lies beside this file
 * for each other language. What stands in no table stays English: so do all words in a language that has no table.
 *
 * A table's key is a sentence as it is shown: `{0}` stands for what varies, `<0>…</0>` for the first element in it.
 */

/** The languages that have a table. */
const TABLES = ["de", "es", "fr", "ja", "pt", "zh"];

/** Attributes that hold words. */
const ATTRIBUTES = ["alt", "aria-label", "placeholder", "title"];

/** What stands within a sentence. */
const INLINE = "a, b, code, em, strong";

/** What holds names and code: a word in it stays, whatever it looks like. */
const LEFT = "script, style, textarea, code, pre, .code, .api-docs, .stem, .filename";

/** Texts to remember, at most. */
const MOST = 2000;

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
  /** @type {Map<string, string>} What was looked up. What was written is in no need of it, even if it looks like a key. */
  const known = new Map();
  const translated = (/** @type {string} */ text) => {
    if (known.size > MOST) known.clear();
    const words = known.get(text) ?? translator(text);
    known.set(text, words).set(words, words);
    return words;
  };
  const change = (/** @type {Text} */ node) => {
    if (node.parentElement?.closest(LEFT)) return;
    const text = translated(node.data);
    if (text !== node.data) node.data = text;
  };

  const name = (/** @type {Element} */ element) => {
    for (const attribute of ATTRIBUTES) {
      const said = element.getAttribute(attribute), text = said && translated(said);
      if (text && text !== said) element.setAttribute(attribute, text);
    }
  };

  /** Words with elements in them: the elements stay, with other words, perhaps in another order. */
  const rearrange = (/** @type {Element} */ element) => {
    const inner = [...element.children];
    if (!inner.length || !inner.every((child) => child.matches(INLINE))) return;
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
      if (element.closest(LEFT)) continue;
      name(element);
      rearrange(element);
      for (const node of element.childNodes) if (node instanceof Text) change(node);
    }
  };

  visit(document.documentElement);
  dispatchEvent(new Event("resize")); // what was measured has another width now
  new MutationObserver((changes) => {
    for (const { type, target, addedNodes } of changes)
      if (type === "childList") addedNodes.forEach(visit);
      else if (target instanceof Text) change(target);
      else if (target instanceof Element) name(target);
  }).observe(document.documentElement, { subtree: true, childList: true, characterData: true, attributeFilter: ATTRIBUTES });
}

// The table of Chinese is in simplified characters.
const language = /^zh-(hant|tw|hk|mo)/i.test(navigator.language) ? "en" : navigator.language.split("-")[0];
if (TABLES.includes(language)) {
  const answer = fetch(new URL(`${language}.json`, import.meta.url)).then((found) => found.json());
  const table = await answer.catch(() => null);
  if (table) {
    show(table);
    document.documentElement.lang = language;
  }
}
