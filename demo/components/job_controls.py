"""The buttons that start and stop a tab's job, and its status line."""

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import gradio as gr

from toolkit.errors import ToolkitError

from .. import lent_gpu
from ..context import Context
from ..jobs import Job

#: New values by component.
Updates = dict[Any, Any]

#: Options of events that take no time and are not part of the API.
QUICK: dict[str, Any] = {"queue": False, "api_visibility": "private", "show_progress": "hidden"}


class JobControls:
    """The buttons and the ``status`` line, which appears where its ``render`` is called.

    Args:
        context: what the host offers.
        name: of the job, for element ids and the log.
        run: the button that starts it; ``starts`` may get more.
        stop: the button that stops it.
        afterwards: buttons that start from a finished result.
    """

    #: How many images a job makes; ``None`` where that depends on what the visitor chooses.
    images: int | None = None

    def __init__(self, context: Context, name: str, run: gr.Button, stop: gr.Button, *afterwards: gr.Button) -> None:
        self.context, self.name = context, name
        self.starts, self.stop_button, self.afterwards = [run], stop, afterwards
        self.status = gr.Markdown(label="Status", elem_id=f"{name}-status", min_height=28, render=False)
        stop.visible = lent_gpu.spaces is None
        stop.click(self._stop, **QUICK)

    def run(self, request: gr.Request, work: Callable[[Job], Iterator[Updates]]) -> Iterator[Updates]:
        """Runs a job as soon as a slot is free.

        Args:
            request: the visitor's.
            work: does the job, and yields what to show.

        Raises:
            gr.Error: with the sentence of a ``ToolkitError``.
        """
        try:
            with self.context.jobs.run(session(request), self.name) as job:
                if job.should_end:
                    raise ToolkitError("Stopped before it began.")
                yield {self.status: "Starting …"}
                yield from work(job)
        except ToolkitError as error:
            raise gr.Error(str(error), print_exception=False) from error

    def connect(
        self,
        event: Callable[..., Any],
        function: Callable[..., Iterator[Updates]],
        controls: Mapping[str, Any],
        outputs: list[Any],
        **options: Any,
    ) -> Any:
        """Has an event such as ``button.click`` start a function, and disables the buttons while it runs.

        Args:
            event: the event to listen to.
            function: takes a request and the controls' values by name; yields updates.
            controls: the inputs by name.
            outputs: what the function updates; the first one shows the result.
            options: of the event, such as its name in the API.

        Returns:
            The event of the job's end, to which more can be added.
        """
        downloads = [each for each in outputs if isinstance(each, gr.DownloadButton)]
        buttons: list[Any] = [*self.starts, *self.afterwards, *downloads, self.stop_button]

        @functools.wraps(function)
        def as_list(request: gr.Request, **values: Any) -> Iterator[list[Any]]:
            shown: Updates = {}

            def row() -> list[Any]:
                # ZeroGPU computes in another process, and components cannot be sent there and back.
                return [shown.get(each, gr.skip()) for each in outputs]

            try:
                for updates in function(request, **values):
                    shown.update(updates)  # all of it again: Gradio loses a value that a later step of the job skips
                    yield row()
            except gr.Error as error:
                shown.update(dict.fromkeys(shown) | {self.status: error.message})  # what was shown went with its files
                yield row()
                raise

        page = self.context.device_page
        meanwhile = f" There is none [on your own device]({page})." if page else ""

        def disable(request: gr.Request) -> list[Any]:
            self.context.jobs.expect(session(request))
            return [
                f"Waiting in the queue …{meanwhile}",
                *(gr.update(interactive=each is self.stop_button) for each in buttons),
            ]

        def enable(result: Any) -> list[Any]:
            always = {**dict.fromkeys(self.starts, True), self.stop_button: False}
            return [gr.update(interactive=always.get(each, result is not None)) for each in buttons]

        described = endpoint(as_list, controls)
        ended = event(disable, None, [self.status, *buttons], **QUICK).then(
            lent_gpu.lent(described, self.context, self.images),
            inputs_kwargs=controls,
            outputs=outputs,
            concurrency_id="device",
            concurrency_limit=self.context.jobs.slots,
            show_progress="minimal",
            show_progress_on=outputs[0],
            **options,
        )
        for listen in (ended.success, ended.failure):
            listen(enable, outputs[0], buttons, **QUICK)
        return ended

    def _stop(self, request: gr.Request) -> None:
        self.context.jobs.stop(session(request), waiting=True)


def endpoint(function: Callable[..., Any], controls: Mapping[str, Any]) -> Callable[..., Any]:
    """Describes a function for the API: its parameters are the controls, explained as on the page."""
    explained = [
        f"    {name}: {getattr(control, 'info', None) or getattr(control, 'placeholder', None) or control.label}"
        for name, control in controls.items()
    ]
    request = [p for p in inspect.signature(function).parameters.values() if p.name == "request"]
    parameters = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in controls]
    function.__doc__ = "\n".join([inspect.getdoc(function) or "", "", "Args:", *explained])
    function.__signature__ = inspect.Signature([*request, *parameters])  # type: ignore[attr-defined]
    return function


def session(request: gr.Request) -> str:
    """The name of the visitor's session."""
    return str(request.session_hash)
