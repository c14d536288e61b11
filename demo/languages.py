"""The page in the visitor's language: English, or one that has a table in ``browser/languages``."""

import json
from pathlib import Path

import gradio as gr
from starlette.routing import Route
from starlette.staticfiles import StaticFiles

_BROWSER = Path(__file__).parent / "browser"

#: Serves the tables, and the module that shows a page by them.
LANGUAGES = Route("/languages/{path:path}", StaticFiles(directory=_BROWSER))


def names(blocks: gr.Blocks) -> gr.I18n:
    """The names of dropdowns' choices: Gradio shows them in text fields, where it alone can translate them.

    It would translate what a control is set to at first as well: such names are left out.
    """
    controls = [each for each in blocks.blocks.values() if isinstance(each, gr.Dropdown | gr.Radio | gr.Textbox)]
    chosen = {str(each.value) for each in controls}
    shown = {name for each in controls if isinstance(each, gr.Dropdown) for name, _ in each.choices} - chosen
    tables: dict[str, dict[str, str]] = {}
    for path in _BROWSER.glob("languages/*.json"):
        table = json.loads(path.read_text(encoding="utf-8"))
        tables[path.stem] = {name: said for name, said in table.items() if name in shown}
    return gr.I18n(**tables)
