"""The page in other languages than English."""

import json
import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "demo/browser/languages"
GERMAN = json.loads((FOLDER / "de.json").read_text(encoding="utf-8"))

#: All words and sentences that stand on the page, in elements or their attributes.
SHOWN = """() => [...document.querySelectorAll("body *, title")].flatMap((each) => [
  ...["alt", "aria-label", "placeholder", "title"].map((name) => each.getAttribute(name) ?? ""),
  ...[...each.childNodes].filter((node) => node.nodeType === 3).map((node) => node.data.trim()),
])"""


def translated(modules, table, *texts):
    script = "([table, texts]) => texts.map(m.translatorBy(table))"
    return modules("languages/language.js", script, [table, texts])


def test_what_varies_is_kept_or_translated_too_in_the_order_of_the_language(modules):
    table = {
        "Done": "Fertig",
        "{0} after {1} steps.{2}": "{1} Schritte, {0}.{2}",
        "{0} steps": "{0} Schritte",
        "There is no {0} image.": "Kein Bild: {0}.",
        "content": "Inhalt",
    }
    texts = {
        "Done": "Fertig",
        "Done after 12 steps.": "12 Schritte, Fertig.",
        "Done after 12 steps. There is no content image.": "12 Schritte, Fertig. Kein Bild: Inhalt.",
        "Gone after $& steps.": "$& Schritte, Gone.",
        "Something else. There is no content image.": "Something else. Kein Bild: Inhalt.",
        "  Done\n": "  Fertig\n",
        "12\n  steps": "12 Schritte",
        "nothing of it": "nothing of it",
        "constructor": "constructor",
        "": "",
    }
    assert translated(modules, table, *texts) == [*texts.values()]


def test_everything_on_the_page_is_in_the_tables(visit, facts):
    page = visit(locale="de-DE", table={key: f"⟦{key}⟧" for key in GERMAN})
    page.wait_for_function("() => document.querySelector('#paint').innerText === '⟦Paint⟧'")
    names = {each["name"] for each in facts["networks"]} | {"chelsea"}
    words = {text for text in page.evaluate(SHOWN) if re.search("[a-z]{2}", text)} - names
    # Of a sentence with elements in it, only its two ends are marked.
    missing = {text for text in words if "⟦" not in text and "⟧" not in text}
    assert missing <= {
        "Paint on the server instead",
        "Open Photopea with this page as a plugin",
        "python -m http.server",
    }
    assert len(words) > 40


@pytest.mark.parametrize(("locale", "words"), [("de-CH", GERMAN), ("sv", {key: key for key in GERMAN})])
def test_it_paints_in_the_visitors_language_or_in_english(visit, picture, expect, locale, words):
    page = visit(locale=locale)
    expect(page.locator("html")).to_have_attribute("lang", "de" if words is GERMAN else "en")
    expect(page.locator("#paint")).to_have_text(words["Paint"])
    added = "<p id=added>content <code>content</code> <span class=stem>content</span></p>"
    page.evaluate("html => document.body.insertAdjacentHTML('beforeend', html)", added)
    expect(page.locator("#added")).to_have_text(f"{words['content']} content content")  # names stay
    (page_file := picture().with_name("text.png")).write_text("no picture")
    page.set_input_files("[data-role=content] .picture input", page_file)
    sentence = words["The {0} is not a picture that this browser can read: use PNG, JPEG or WebP."]
    expect(page.locator("#status")).to_have_text(sentence.replace("{0}", words["photograph"]))
    for role in ("content", "style"):
        page.set_input_files(f"[data-role={role}] .picture input", picture(f"{role}.png"))
    for name, value in (("size", "64"), ("iterations", "3")):
        page.eval_on_selector(f"#{name}", "(f, v) => { f.value = v; f.dispatchEvent(new Event('input')); }", value)
    page.click("#paint")
    done = words["{0} after {1} iterations in {2} s.{3}"].replace("{0}", words["Done"]).replace("{1}", "3")
    pattern = re.escape(done.replace("{2}", "§").replace("{3}", "")).replace("§", r"\d+")
    expect(page.locator("#status")).to_have_text(re.compile(pattern))
