"""Visits: what jobs have shown to a visitor, kept while the page is away, so that a page loaded again finds it."""

import contextvars
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from .endpoints import Updates
from .hosting import FOLDER

#: Seconds that a job runs on while nobody watches it: a phone is locked, a line is broken, a page is loaded again.
GRACE = 30.0

#: Most jobs of a visitor that are kept; older ones are forgotten.
MOST = 24

#: Wakes who watches: some job of some visitor has shown more.
_CHANGED = threading.Condition()


class Work:
    """A job in a thread of its own, and all that it has shown so far.

    Args:
        steps: runs the job, and yields what is new by component.
        stop: asks the job to end with what it has; called when nobody has watched for ``GRACE``.
        controls: updates of the job's buttons, by whether it is running and by what it has shown.
        first: what a page that begins to watch shows as well.
    """

    def __init__(
        self,
        steps: Generator[Updates],
        stop: Callable[[], None],
        controls: Callable[[bool, Updates], Updates],
        first: Updates,
    ) -> None:
        self.first = first
        self.running = True
        self.fault: Exception | None = None
        self.steps_shown = 0
        self._controls = controls
        self._shown: Updates = {}
        self._watchers, self._left = 0, time.monotonic()
        self._folder = tempfile.TemporaryDirectory(
            prefix="job-", dir=os.environ.get(FOLDER), ignore_cleanup_errors=True
        )
        context = contextvars.copy_context()  # a host that lends a GPU knows its visitor by it
        threading.Thread(target=context.run, args=(self._run, steps, stop), daemon=True).start()

    @property
    def shown(self) -> Updates:
        """All that it has shown, and its buttons as they are now."""
        return self._shown | self._controls(self.running, self._shown)

    def value(self, component: Any) -> Any:
        """What it has shown in a component; ``None`` if nothing."""
        return self._shown.get(component)

    def watched(self, more: int) -> None:
        """Counts who watches."""
        self._watchers, self._left = self._watchers + more, time.monotonic()

    def forget(self) -> None:
        """Deletes its files."""
        self._folder.cleanup()

    def _run(self, steps: Generator[Updates], stop: Callable[[], None]) -> None:
        try:
            end = stop
            for updates in steps:
                self._show({each: self._kept(value) for each, value in updates.items()})
                if not self._watchers and time.monotonic() - self._left > GRACE:
                    end()
                    end, self._left = steps.close, time.monotonic()  # where a GPU is lent, a job can't be asked
        except Exception as error:
            self.fault = error
        self.running = False
        self._show({})

    def _show(self, updates: Updates) -> None:
        with _CHANGED:
            self._shown = self._shown | updates
            self.steps_shown += 1
            _CHANGED.notify_all()

    def _kept(self, value: Any) -> Any:
        """The value with copies of its files: a job's own go with it, and it writes its previews over."""
        if type(value) in (list, tuple):
            return type(value)(map(self._kept, value))
        if isinstance(value, str) and (path := Path(value)).is_absolute() and path.is_file():
            return str(shutil.copy(path, Path(tempfile.mkdtemp(dir=self._folder.name), path.name)))
        return value


def watch(works: Sequence[Work]) -> Iterator[Updates]:
    """What jobs have shown, the first one's over the others', and again after each change until all have ended."""
    for work in works:
        work.watched(+1)
    try:
        seen, running = 0, True
        while running:
            with _CHANGED:
                while (steps := sum(work.steps_shown for work in works)) == seen:
                    _CHANGED.wait()
                seen = steps
                running = any(work.running for work in works)
                shown: Updates = {}
                for work in reversed(works):
                    shown |= work.shown
            yield shown
    finally:
        for work in works:
            work.watched(-1)


class Visits:
    """The visits to a page, by the name that a visitor's browser gives each of its tabs.

    Create it within the page's ``gr.Blocks``.

    Args:
        keep: seconds after which a visitor who does not come back is forgotten.
    """

    def __init__(self, keep: float) -> None:
        #: The components that jobs of the page may show something in.
        self._returns = gr.State(0)
        self.components: dict[Any, None] = {self._returns: None}
        self._keep = keep
        self._names: dict[str, str] = {}
        self._works: dict[str, list[Work]] = {}
        self._seen: dict[str, float] = {}
        self._lock = threading.Lock()

    @property
    def came_back(self) -> Callable[..., Any]:
        """The event of a visitor's coming back, once all that the visitor's jobs have shown is there again."""
        return self._returns.change

    def may_show(self, *components: Any) -> None:
        """Notes what a job may show something in."""
        self.components |= dict.fromkeys(components)

    def arrive(self, session: str, name: str) -> None:
        """A page was loaded, perhaps again, in the tab of that name."""
        with self._lock:
            self._names[session], self._seen[name] = name, time.monotonic()
            present = set(self._names.values())
            for other, seen in list(self._seen.items()):
                if other not in present and time.monotonic() - seen > self._keep:
                    self._forget(other)
                    del self._seen[other]

    def leave(self, session: str) -> None:
        """The page is gone; its tab may load it again."""
        with self._lock:
            if name := self._names.pop(session, None):
                self._seen[name] = time.monotonic()

    def name(self, session: str) -> str:
        """The visitor's name, which outlives the session; the session itself for whoever has no page."""
        return self._names.get(session, session)

    def add(self, session: str, work: Work) -> None:
        """Adds what a visitor has started."""
        with self._lock:
            name = self.name(session)
            self._seen.setdefault(name, time.monotonic())
            works = self._works.setdefault(name, [])
            works.insert(0, work)
            for old in works[MOST:]:
                old.forget()
            del works[MOST:]

    def works(self, session: str) -> list[Work]:
        """A visitor's jobs, the last one first."""
        with self._lock:
            return list(self._works.get(self.name(session), []))

    def show_again(self, session: str) -> Iterator[Updates]:
        """Shows what a visitor's jobs have shown, until they have ended; updates ``components``."""
        shown: Updates = {}
        yield shown  # Gradio empties the components of a generator that yields nothing
        if works := self.works(session):
            for shown in watch(works):
                yield shown
            yield shown | {self._returns: time.time()}

    def forget(self, session: str) -> None:
        """Forgets the ended jobs of a visitor, and deletes their files."""
        with self._lock:
            self._forget(self.name(session))

    def _forget(self, name: str) -> None:
        works = self._works.pop(name, [])
        for work in works:
            if not work.running:
                work.forget()
        if going_on := [work for work in works if work.running]:
            self._works[name] = going_on
