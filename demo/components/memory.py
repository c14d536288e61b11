"""What a visitor has set, kept by the browser for as long as its tab is open, and set again when the page is loaded."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import gradio as gr

from toolkit.errors import ToolkitError

from ..context import Context
from ..endpoints import Updates, listen, session
from ..validation import checked
from .sharing import Sharing

#: The types of controls whose values are kept. Painted regions are too large for a browser's memory of a tab.
KEPT = (gr.Slider, gr.Number, gr.Dropdown, gr.Radio, gr.CheckboxGroup, gr.Textbox, gr.Image, gr.Video, gr.Gallery)

#: What a page sends of itself when it is loaded, and the most characters of each.
LONGEST = {"name": 32, "address": 10_000, "values": 100_000}

#: JavaScript: the tab's own name, which no other visitor can guess, the page's address, and what was set at it. A page
#: that gets no answer goes on without.
REMEMBER = """() => {
  setTimeout(() => window.arrived = true, 10_000);
  const name = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0"));
  try {
    sessionStorage.visit ??= name.join("");
    const {at, values} = JSON.parse(sessionStorage.settings ?? "{}");
    return [sessionStorage.visit, location.search, at === location.search ? values : ""];
  } catch {  // a browser that keeps nothing
    return [name.join(""), location.search, ""];
  }
}"""

#: JavaScript: the server knows the tab, and what it had set is set again.
ARRIVED = "() => { window.arrived = window.remembers = true; return []; }"

#: JavaScript: keeps the values under their names, once those from before have been read.
KEEP = """(...values) => {
  const names = %s;
  const named = Object.fromEntries(names.map((name, place) => [name, values[place]]));
  const settings = {at: location.search, values: JSON.stringify(named)};
  try {
    if (window.remembers) sessionStorage.settings = JSON.stringify(settings);
  } catch {}
  return [];
}"""


class Memory:
    """Sets everything as it was when a tab loads the page again, and goes on showing the visitor's jobs.

    Args:
        context: what the host offers.
        page: the whole page, laid out.
        sharing: opens the page with the settings of its address where there is nothing to remember.
    """

    def __init__(self, context: Context, page: gr.Blocks, sharing: Sharing) -> None:
        self.context, self.sharing = context, sharing
        shown = [each for each in page.blocks.values() if isinstance(each, KEPT) and each.interactive is not False]
        self.controls = {f"{number} {each.label}": each for number, each in enumerate(shown) if each.visible}
        sent = {name: gr.Textbox(visible=False, max_length=most) for name, most in LONGEST.items()}
        jobs = list(context.visits.components)
        outputs = list(dict.fromkeys([*self.controls.values(), *sharing.settings, *jobs]))
        arrived = listen(page.load, self.arrive, sent, outputs, js=REMEMBER, show_progress="hidden")
        arrived.then(None, None, None, js=ARRIVED, api_visibility="private")
        listen(arrived.then, self.show_again, {}, jobs, show_progress="hidden", concurrency_limit=None)
        gr.on(
            [each.change for each in self.controls.values()],
            None,
            list(self.controls.values()),
            None,
            js=KEEP % json.dumps(list(self.controls)),
            api_visibility="private",
        )

    def arrive(self, request: gr.Request, name: str, address: str, values: str) -> Updates:
        """Sets what was set before, or else what the page's address says."""
        visits, visitor = self.context.visits, session(request)
        visits.arrive(visitor, name)
        self.context.jobs.expect_none(name)
        updates = self.read(json.loads(values)) if values else self.sharing.open_link(address)
        for work in reversed(visits.works(visitor)):
            updates |= work.first
        return updates

    def show_again(self, request: gr.Request) -> Iterator[Updates]:
        """Goes on showing what the visitor's jobs have shown."""
        yield from self.context.visits.show_again(session(request))

    def read(self, values: Mapping[str, Any]) -> Updates:
        """Updates of the controls to kept values, but for files that are gone and what the host no longer offers."""
        updates = {}
        for name, control in self.controls.items():
            with contextlib.suppress(ToolkitError, LookupError, TypeError, ValueError):
                value = None if values[name] is None else checked(control, values[name])
                if all(Path(path).exists() for path in _paths(control, value)):
                    updates[control] = value
        return updates


def _paths(control: Any, value: Any) -> list[str]:
    if isinstance(control, gr.Gallery):
        return value or []
    return [value] if isinstance(control, (gr.Image, gr.Video)) and value else []
