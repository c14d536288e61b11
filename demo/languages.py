"""The page in the visitor's language: English, or one that has a table in ``browser/languages``."""

import json
from pathlib import Path

import gradio as gr
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route

FOLDER = Path(__file__).parent / "browser" / "languages"


def _file(request: Request) -> FileResponse:
    path = FOLDER / request.path_params["name"]
    if path.parent != FOLDER or not path.is_file():
        raise HTTPException(404)
    return FileResponse(path, headers={"Cache-Control": "no-cache"})  # a newer version brings other words


#: Serves the tables, and the module that shows a page by them.
LANGUAGES = Route("/languages/{name}", _file)


def names(blocks: gr.Blocks) -> gr.I18n:
    """The names of dropdowns' choices: Gradio shows them in text fields, where it alone can translate them.

    It would translate what a control is set to at first as well: such names are left out.
    """
    controls = [each for each in blocks.blocks.values() if isinstance(each, gr.Dropdown | gr.Radio | gr.Textbox)]
    chosen = {str(each.value) for each in controls}
    shown = {name for each in controls if isinstance(each, gr.Dropdown) for name, _ in each.choices} - chosen
    tables: dict[str, dict[str, str]] = {}
    for path in FOLDER.glob("*.json"):
        table = json.loads(path.read_text(encoding="utf-8"))
        tables[path.stem] = {name: said for name, said in table.items() if name in shown}
    return gr.I18n(**tables)
