"""What starts and stops a job on a tab, and tells how it goes."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from toolkit.errors import ToolkitError

from ..context import Studio
from ..jobs import Job
from .inputs import session

try:
    import spaces
except ImportError:  # it is at hand in Hugging Face's Spaces only
    spaces = None

Updates = dict[Any, Any]

#: For events that take no time and are no part of the API.
QUICK: dict[str, Any] = {"queue": False, "api_visibility": "private", "show_progress": "hidden"}


class Stage:
    """Buttons, and a line of ``status``, which is laid out where its ``render`` is called.

    Args:
        studio: who computes.
        name: what is made here, for element ids and the log.
        run: the button that starts it.
        stop: the button that stops it.
        afterwards: buttons that start from what is finished.
    """

    def __init__(self, studio: Studio, name: str, run: gr.Button, stop: gr.Button, *afterwards: gr.Button) -> None:
        self.studio, self.name = studio, name
        self.run, self.stop, self.afterwards = run, stop, afterwards
        self.status = gr.Markdown(label="Status", elem_id=f"{name}-status", min_height=28, render=False)
        stop.click(self._halt, **QUICK)

    def play(self, request: gr.Request, show: Callable[[Job], Iterator[Updates]]) -> Iterator[Updates]:
        """Runs a job when there is a place for it.

        Args:
            request: who asks.
            show: does it, yielding what is to be seen.

        Raises:
            gr.Error: with the sentence of a ``ToolkitError``.
        """
        try:
            with self.studio.jobs.under_way(session(request), self.name) as job:
                if job.over:
                    raise ToolkitError("Stopped before it began.")
                yield {self.status: "Starting …"}
                yield from show(job)
        except ToolkitError as error:
            yield {self.status: str(error)}
            raise gr.Error(str(error), print_exception=False) from error

    def on(
        self,
        started: Callable[..., Any],
        play: Callable[..., Iterator[Updates]],
        outputs: list[Any],
        **event: Any,
    ) -> None:
        """Lets an event such as ``button.click`` start ``play``, the buttons locked meanwhile.

        Args:
            started: what listens to the event.
            play: see there.
            outputs: what it shows; the first one holds what was made.
            event: its inputs, and its name in the API.
        """
        downloads = [each for each in outputs if isinstance(each, gr.DownloadButton)]
        buttons: list[Any] = [self.run, *self.afterwards, *downloads, self.stop]

        @functools.wraps(play)
        def played(*wishes: Any, **named: Any) -> Iterator[list[Any]]:
            for updates in play(*wishes, **named):
                yield [updates.get(each, gr.skip()) for each in outputs]  # components don't go between processes

        def lock() -> list[Any]:
            return ["Waiting for a place …", *(gr.update(interactive=each is self.stop) for each in buttons)]

        def unlock(made: Any) -> list[Any]:
            ready = {self.run: True, self.stop: False}
            return [gr.update(interactive=ready.get(each, made is not None)) for each in buttons]

        ended = started(lock, None, [self.status, *buttons], **QUICK).then(
            spaces.GPU(duration=int(self.studio.limits.seconds))(played) if spaces else played,
            outputs=outputs,
            concurrency_id="device",
            concurrency_limit=self.studio.jobs.places,
            show_progress="minimal",
            show_progress_on=outputs[0],
            **event,
        )
        for listen in (ended.success, ended.failure):
            listen(unlock, outputs[0], buttons, **QUICK)

    def _halt(self, request: gr.Request) -> None:
        self.studio.jobs.stop(session(request), waiting=True)
