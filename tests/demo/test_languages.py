"""The pages in other languages than English: tables that lack nothing, and pages that show them."""

import ast
import json
import re
import unicodedata
from itertools import chain
from pathlib import Path

import gradio as gr
import pytest

from demo.app import LOGIN
from demo.app import page as page_of
from demo.languages import names
from toolkit.fields import described
from toolkit.studies import AXES
from toolkit.synthesis.recipe import Recipe

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "demo/browser/languages"
TABLES = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))}
KEYS = list(TABLES["de"])

#: Modules with sentences that a visitor of either page can meet, beside the toolkit's.
SAID = (
    *("demo/components/*.py", "demo/tabs/*.py", "demo/tours/*.py", "demo/validation.py", "demo/endpoints.py"),
    "demo/browser/*.js",
)

#: All code that words may come from, and all texts.
MODULES = sorted({*ROOT.glob("demo/**/*.py"), *ROOT.glob("toolkit/**/*.py"), *ROOT.glob("demo/browser/*.js")})
FILES = (*ROOT.glob("demo/tours/*.md"), *ROOT.glob("demo/browser/*.html"))
TEXTS = [path.read_text(encoding="utf-8") for path in FILES]
TEXTS += [path.stem.replace("_", " ") for path in ROOT.glob("demo/examples/*.jpg")]

#: What scripts call what the page has words for, too.
WORDS = {"content", "style", "transfer", "reconstruction", "texture"}

#: Words of Gradio's own for screen readers, which it has in English alone.
GRADIO = {
    "number input for {0}",
    "range slider for {0}",
    "Reset to default value",
    "Remove this file",
    "More tabs",
}

#: Formats without words.
FORMATS = ("PNG", "JPEG", "WebP")

HOLE, ELEMENT = re.compile(r"\{\d\}"), re.compile(r"</?\d>")


def width(text):
    """As a browser would show it, about, in letters."""
    return sum(2 if unicodedata.east_asian_width(letter) in "WF" else 1 for letter in text)


#: A table of the longest words of all languages.
LONGEST = {key: max([key, *(table[key] for table in TABLES.values())], key=width) for key in KEYS}

#: JavaScript: how far to the right a number, or the button beside it, reaches.
RIGHTMOST = """() => {
  const shown = [...document.querySelectorAll(".head input, .head button")].filter((each) => each.checkVisibility());
  return Math.max(0, ...shown.map((each) => each.getBoundingClientRect().right));
}"""

#: A table that shows what was translated.
MARKED = {key: f"⟦{key}⟧" for key in KEYS}


def template(node):
    """A string's text with {0}, {1} … for what varies; nothing of anything else."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    parts = node.values if isinstance(node, ast.JoinedStr) else []
    holes = iter(range(len(parts)))
    return "".join(part.value if isinstance(part, ast.Constant) else f"{{{next(holes)}}}" for part in parts)


def said_in(path):
    """All strings of a module, except docstrings and parts of others."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".js":
        found = re.findall(r'"([^"\n]*)"|`([^`]*)`', text)
        return [re.sub(r"\$\{[^}]*\}", "{0}", one or other) for one, other in found]
    nodes = list(ast.walk(ast.parse(text)))
    aside = {part for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    aside |= {node.value for node in nodes if isinstance(node, ast.Expr)}
    return [template(node) for node in nodes if node not in aside and template(node)]


def sentences(path):
    """What a module tells in whole sentences."""
    return [text for text in said_in(path) if re.fullmatch(r"[A-Z{][^\n]* [^\n]*[a-z)}][.…]", text)]


def paragraphs(markdown):
    """A Markdown text's paragraphs, as keys name them."""
    for part in re.split(r"\n\s*\n|(?m:^)#+ (.*)\n", markdown):
        count = iter(range(9))

        def numbered(match, count=count):
            number = next(count)
            return f"<{number}>{next(filter(None, match.groups()))}</{number}>"

        if part and part.strip():
            text = re.sub(r"\*\*(.+?)\*\*|\*(.+?)\*|\[(.+?)\]\(.*?\)|`(.+?)`", numbered, part)
            yield re.sub(r"^<0>([^<]*)</0>$", r"\1", " ".join(text.split()))


def shown(blocks, context):
    """What the Gradio page shows before anybody has done anything, except names of layers, fields and formats."""
    layers = {layer.name for layer in context.networks[context.default].architecture.layers}
    choices = chain.from_iterable(field.choices for field in described(Recipe))
    known = {*layers, *AXES, *context.networks, *choices, *FORMATS} - WORDS
    for each in blocks.blocks.values():
        if type(each).__name__ == "Api" or getattr(each, "visible", True) is False:  # for scripts
            continue
        texts = [getattr(each, name, None) or "" for name in ("label", "info", "placeholder")]
        texts += [name for name, _ in getattr(each, "choices", [])]
        texts += [each.value] if isinstance(each, gr.Button) else []
        texts += paragraphs(each.value or "") if isinstance(each, gr.Markdown) else []
        yield from (text for text in texts if re.search("[a-z]{2}", text) and text not in known)


@pytest.fixture(scope="module")
def translated(visit_once):
    """Translates texts by the marked table, in a browser."""
    script = "async ([texts, table]) => texts.map((await import('/languages/language.js')).translatorBy(table))"
    return lambda texts: dict(zip(texts, visit_once.evaluate(script, [texts, MARKED]), strict=True))


@pytest.fixture(scope="module")
def visit_once(browser, address):
    page = browser.new_page()
    page.goto(f"{address}languages/language.js")
    yield page
    page.close()


@pytest.mark.parametrize("language", TABLES)
def test_a_table_has_what_the_others_have_in_the_same_order_and_nothing_twice(language):
    text = (FOLDER / f"{language}.json").read_text(encoding="utf-8")
    table = TABLES[language]
    assert list(table) == KEYS and len(json.loads(text, object_pairs_hook=list)) == len(KEYS)
    assert text == json.dumps(table, ensure_ascii=False, indent=2) + "\n"
    for key, said in table.items():
        assert said and said == said.strip()
        for what in (HOLE, ELEMENT):
            assert sorted(what.findall(said)) == sorted(what.findall(key)), key
        assert table.get(said, said) == said, f"{said} would be translated again"


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_minutes_are_no_seconds(table):
    for key in ("{0} min", "{0} after {1} iterations in {2} min.{3}"):
        assert table[key] != table[key.replace(" min", " s")]


def test_the_page_knows_the_tables():
    (listed,) = re.findall(r"const TABLES = (\[.*?\]);", (FOLDER / "language.js").read_text(encoding="utf-8"))
    assert json.loads(listed) == list(TABLES)


def test_everything_that_the_page_shows_is_in_the_tables(translated, context):
    texts = sorted(set(shown(page_of(context), context)))
    assert len(texts) > 150
    assert not [text for text, said in translated(texts).items() if not re.fullmatch("⟦.*⟧", said)]


def test_every_sentence_of_the_pages_code_is_in_the_tables(translated):
    files = sorted(chain.from_iterable(ROOT.glob(each) for each in SAID))
    texts = sorted({LOGIN, *(each for path in files for each in sentences(path))})
    filled = [HOLE.sub("7", " ".join(paragraphs(text)).replace("{}", "7")) for text in texts]
    assert len(filled) > 50
    alone = [text.removeprefix("7 ") for text in filled]  # what varies may be a sentence before it
    said = translated([*filled, *alone])
    assert not [text for text, rest in zip(filled, alone, strict=True) if said[text] == text and said[rest] == rest]


def test_no_table_has_what_nobody_says():
    templates = [text for path in MODULES for text in said_in(path)]
    patterns = [".*?".join(map(re.escape, HOLE.split(text))) for text in templates if HOLE.search(text)]
    made = re.compile("|".join(each for each in patterns if len(re.findall("[a-z]", each)) > 3), re.I)
    plain = " ".join(re.sub(r"\]\([^)]*\)|</?\w+|[*`\[\]>]", "", " ".join(templates + TEXTS)).split()).lower()

    def is_said(key):
        pieces = re.split(r"\{\d\}|</?\d>|(?<=[.…]) ", key.lower())
        return made.fullmatch(key) or all(piece.strip(" .") in plain for piece in pieces)

    assert not [key for key in KEYS if key not in GRADIO and not is_said(key)]


def test_names_in_text_fields_are_translated_by_gradio_and_nothing_that_a_control_is_set_to(context):
    blocks = page_of(context)
    tables = names(blocks).translations_dict
    values = {str(each.value) for each in blocks.blocks.values() if hasattr(each, "value")}
    assert set(tables) == set(TABLES)
    for language, table in tables.items():
        assert table.items() <= TABLES[language].items() and "From the style" in table
        assert not values & set(table)


@pytest.mark.parametrize("locale", ["de-AT", "nl", "en-GB"])
def test_the_page_speaks_the_visitors_language_or_english(visit, expect, locale):
    page = visit(locale=locale)
    table = TABLES.get(locale[:2], {key: key for key in KEYS})

    def said(key, *values):
        return HOLE.sub(lambda hole: values[int(hole[0][1])], table[key])

    expect(page.locator("#paint")).to_have_text(said("Paint"))
    expect(page.locator("html")).to_have_attribute("lang", locale[:2])
    expect(page).to_have_title(said("Paint with a normalised VGG"))
    page.get_by_text(said("Share and restore")).click()
    for name, value in (("Iterations", 2), ("Size", 64)):
        field = page.get_by_label(said("number input for {0}", said(name))).first
        field.fill(str(value))
        field.press("Enter")
    page.click("#paint")
    pattern = said("{0} after {1} iterations in {2} s.{3}", said("Done"), "2", "§", "")
    expect(page.locator("#transfer-status")).to_have_text(re.compile(re.escape(pattern).replace("§", r"\d+")))
    page.locator("#content .icon-button").last.click()  # removes the image
    page.click("#paint")
    sentence = said("There is no {0} image yet: choose one, or an example.", said("content"))
    expect(page.locator("#transfer-status")).to_have_text(sentence)
    expect(page.locator(".toast-body")).to_contain_text(sentence)


def test_in_no_language_is_the_page_wider_than_a_phone(visit, expect, settle, open_tab, unfold):
    page = visit(width=360, locale="de", table=LONGEST)
    expect(page.locator("#paint")).to_have_text(LONGEST["Paint"])
    for tab in ("Clip", "Reconstruct", "Amalgamate", "Study", "Network", "Transfer"):
        open_tab(page, LONGEST[tab])
        unfold(page)
        settle(page)
        if tab == "Network":
            page.wait_for_selector("#means svg")  # no thread may still compute when the tests end
        page.wait_for_function("() => document.documentElement.scrollWidth <= 360")
        assert page.evaluate(RIGHTMOST) <= 360
