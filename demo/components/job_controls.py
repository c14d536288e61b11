"""The buttons that start and stop a tab's job, its status line, and its endpoint for scripts."""

import functools
import json
from collections.abc import Callable, Generator, Iterator
from typing import Any

import gradio as gr

from toolkit.errors import ToolkitError

from .. import lent_gpu
from ..context import Context
from ..endpoints import QUICK, Controls, Updates, listen, offer, session
from ..jobs import Job
from ..visits import Work, watch

#: JavaScript: brings an element and the status into view, where they are not.
INTO_VIEW = """() => {
  for (const id of %s) document.getElementById(id)?.scrollIntoView({behavior: "smooth", block: "nearest"});
  return [];
}"""

#: JavaScript: a job is found again by its tab's name, so it begins once the server knows that.
ONCE_ARRIVED = """async () => {
  while (!window.arrived) await new Promise((done) => setTimeout(done, 20));
  return [];
}"""

#: JavaScript: a job whose picture is still on its way here waits for that, and not for a place.
UPLOADING = "status => document.querySelector('.uploading') ? 'Waiting until your picture is here …' : status"


def start_and_stop(label: str, start_id: str, stop_id: str, **options: Any) -> tuple[gr.Button, gr.Button]:
    """The two buttons, in a row of their own.

    Args:
        label: on the first.
        start_id: its element id.
        stop_id: that of the other.
        options: of both.
    """
    with gr.Row():
        start = gr.Button(label, variant="primary", elem_id=start_id, scale=2, min_width=120, **options)
        stop = gr.Button(
            "Stop", interactive=False, visible=lent_gpu.spaces is None, elem_id=stop_id, min_width=80, **options
        )
    return start, stop


class JobControls:
    """The buttons and the ``status`` line, which appears where its ``render`` is called.

    Args:
        context: what the host offers.
        name: of the job, for element ids and the log.
        run: the button that starts it.
        stop: the button that stops it.
        others: further buttons that start it, or another job of the tab.
        status: shown at first.
    """

    #: How many images a job makes; ``None`` where that depends on what the visitor chooses.
    images: int | None = None

    def __init__(
        self, context: Context, name: str, run: gr.Button, stop: gr.Button, *others: gr.Button, status: str = ""
    ) -> None:
        self.context, self.name = context, name
        self.starts, self.stop_button = [run, *others], stop
        self.status = gr.Markdown(status, label="Status", elem_id=f"{name}-status", min_height=28, render=False)
        listen(stop.click, self._stop, {}, [], **QUICK)

    def run(self, request: gr.Request, work: Callable[[Job], Iterator[Updates]]) -> Iterator[Updates]:
        """Runs a job as soon as a slot is free.

        Args:
            request: the visitor's.
            work: does the job, and yields what to show.

        Raises:
            ToolkitError: the job's own, or one that gives its number in the log.
        """
        with self.context.jobs.run(self.context.visits.name(session(request)), self.name) as job:
            if job.should_end:
                raise ToolkitError("Stopped before it began.")
            yield {self.status: "Starting …"}
            yield from work(job)

    def offer(self, function: Callable[..., Iterator[Updates]], controls: Controls, picture: Any, *files: Any) -> None:
        """Offers a job to scripts and assistants: as ``endpoints.offer``; the sentence is the status."""
        offer(function, controls, picture, self.status, *files, wrap=self._lent, **self.context.computing)

    def connect(
        self,
        event: Callable[..., Any],
        function: Callable[..., Iterator[Updates]],
        controls: Controls,
        outputs: list[Any],
        first: Updates | None = None,
    ) -> Any:
        """Has an event such as ``button.click`` start a job, and disables the buttons while it runs.

        A page that is loaded again goes on showing the job.

        Args:
            event: the event to listen to.
            function: takes a request and the controls' values by name; yields updates.
            controls: the inputs by name.
            outputs: what the function updates; the first one shows the result.
            first: what else is shown as soon as it starts.

        Returns:
            The event of the job's end, to which more can be added.
        """
        first = first or {}
        visits = self.context.visits
        downloads = [each for each in outputs if isinstance(each, gr.DownloadButton)]
        buttons: list[Any] = [*self.starts, *downloads, self.stop_button]
        visits.may_show(*outputs, *buttons, *first)

        def states(running: bool, shown: Updates) -> Updates:
            always = dict.fromkeys(self.starts, not running) | {self.stop_button: running}
            made = not running and bool(shown.get(outputs[0]))
            files = {each: {"value": shown[each]} for each in downloads if each in shown}
            return {each: gr.update(interactive=always.get(each, made), **files.get(each, {})) for each in buttons}

        def places(request: gr.Request, **values: Any) -> Iterator[list[tuple[int, Any]]]:
            # ZeroGPU computes in another process, and components cannot be sent there and back.
            for updates in function(request, **values):
                yield [(place, updates[each]) for place, each in enumerate(outputs) if each in updates]

        places.__name__ = function.__name__
        lent = self._lent(places)

        def steps(request: gr.Request, values: dict[str, Any]) -> Generator[Updates]:
            try:
                for step in lent(request, **values):
                    yield {outputs[place]: value for place, value in step}
            except ToolkitError as error:
                yield {self.status: str(error)}
                raise

        def show(request: gr.Request, **values: Any) -> Iterator[Updates]:
            stop = functools.partial(self.context.jobs.stop, visits.name(session(request)))
            work = Work(steps(request, values), stop, states, first)
            visits.add(session(request), work)
            yield from watch([work])
            if work.fault:
                raise work.fault

        show.__name__ = function.__name__
        page = self.context.device_page
        meanwhile = f" There is none [on your own device]({page})." if page else ""

        def wait(request: gr.Request) -> Updates:
            self.context.jobs.expect(visits.name(session(request)))
            return {self.status: f"Waiting in the queue …{meanwhile}"} | states(True, {}) | first

        def give_up(result: Any) -> Updates:
            return states(False, {outputs[0]: result})

        into_view = INTO_VIEW % json.dumps([outputs[0].elem_id, self.status.elem_id])
        event(None, None, None, js=into_view, api_visibility="private")
        waits = listen(event, wait, {}, [self.status, *buttons, *first], js=ONCE_ARRIVED, **QUICK)
        ended = listen(
            waits.then(None, self.status, self.status, js=UPLOADING, api_visibility="private").then,
            show,
            controls,
            [*outputs, *buttons],
            show_progress="minimal",
            show_progress_on=outputs[0],
            **self.context.computing,
        )
        listen(ended.failure, give_up, {"result": outputs[0]}, buttons, **QUICK)
        return ended

    def _lent(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return lent_gpu.lent(function, self.context, self.images)

    def _stop(self, request: gr.Request) -> None:
        self.context.jobs.stop(self.context.visits.name(session(request)), waiting=True)
