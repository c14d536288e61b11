"""Visits: what jobs have shown to a visitor, kept while the page is away, so that a page loaded again finds it."""

import collections
import contextvars
import math
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import gradio as gr

from toolkit.files import sha256

from .endpoints import Updates
from .hosting import FOLDER

#: Seconds that a job runs on while nobody watches it: a phone is locked, a line is broken, a page is loaded again.
GRACE = 30.0

#: Most jobs of a visitor that are kept; older ones are forgotten.
MOST = 24

#: Steps for which a file stays that is not shown any more: a browser may be fetching it.
STAY = 4

#: Longest time in seconds between two looks for what to delete.
CLEANING = 600

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
        self.ended = math.inf
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
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return math.isinf(self.ended)

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
        end, replaced = stop, collections.deque[list[Any]]()
        try:
            with closing(steps):  # a fault's traceback would keep it, and the device that it holds
                for updates in steps:
                    replaced.append([self.value(each) for each in updates])
                    self._show({each: self._kept(value) for each, value in updates.items()})
                    if len(replaced) > STAY:
                        self._delete(replaced.popleft())
                    if not self._watchers and time.monotonic() - self._left > GRACE:
                        end()
                        end, self._left = steps.close, time.monotonic()  # where a GPU is lent, a job can't be asked
        except Exception as error:
            self.fault = error
        self.ended = time.monotonic()
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
            copy = Path(self._folder.name, sha256(path), path.name)  # one of each content
            if not copy.exists():
                copy.parent.mkdir(exist_ok=True)
                shutil.copy(path, copy)
            return str(copy)
        return value

    def _delete(self, value: Any) -> None:
        """Deletes the copies of files in a value that are not shown any more."""
        for copy in self._copies(value) - self._copies([*self._shown.values()]):
            copy.unlink(missing_ok=True)

    def _copies(self, value: Any) -> set[Path]:
        if type(value) in (list, tuple):
            return {copy for each in value for copy in self._copies(each)}
        ours = isinstance(value, str) and Path(value).is_relative_to(self._folder.name)
        return {Path(value)} if ours else set()


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
        keep: seconds after its end for which a job is kept.
    """

    def __init__(self, keep: float) -> None:
        #: The components that jobs of the page may show something in.
        self._returns = gr.State(0)
        self.components: dict[Any, None] = {self._returns: None}
        self._keep = keep
        self._names: dict[str, str] = {}
        self._works: dict[str, list[Work]] = {}
        self._lock = threading.Lock()
        threading.Thread(target=self._clean, daemon=True).start()

    @property
    def came_back(self) -> Callable[..., Any]:
        """The event of a visitor's coming back, once all that the visitor's jobs have shown is there again."""
        return self._returns.change

    def may_show(self, *components: Any) -> None:
        """Notes what a job may show something in."""
        self.components |= dict.fromkeys(components)

    def arrive(self, session: str, name: str) -> None:
        """A page was loaded, perhaps again, in the tab of that name."""
        self._names[session] = name

    def leave(self, session: str) -> None:
        """The page is gone; its tab may load it again."""
        self._names.pop(session, None)

    def name(self, session: str) -> str:
        """The visitor's name, which outlives the session; the session itself for whoever has no page."""
        return self._names.get(session, session)

    def add(self, session: str, work: Work) -> None:
        """Adds what a visitor has started."""
        with self._lock:
            works = self._works.setdefault(self.name(session), [])
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

    def forget(self, session: str, component: Any) -> None:
        """Forgets a visitor's ended jobs that have shown something in a component, and deletes their files."""
        with self._lock:
            self._forget(self.name(session), lambda work: not work.running and work.value(component) is not None)

    def _clean(self) -> None:
        while True:
            time.sleep(min(self._keep, CLEANING))
            with self._lock:
                for name in list(self._works):
                    self._forget(name, lambda work: time.monotonic() - work.ended > self._keep)

    def _forget(self, name: str, chosen: Callable[[Work], bool]) -> None:
        works = self._works.pop(name, [])
        gone = list(filter(chosen, works))
        for work in gone:
            work.forget()
        if left := [work for work in works if work not in gone]:
            self._works[name] = left
