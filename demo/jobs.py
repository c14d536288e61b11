"""Who has asked to stop: one flag for each visitor's session."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Jobs:
    """The jobs under way, by session; stopping one leaves the others alone."""

    def __init__(self) -> None:
        self._flags: dict[str, threading.Event] = {}

    @contextmanager
    def under_way(self, session: str) -> Iterator[threading.Event]:
        """Registers a job for as long as the block runs; the event is set when it is to stop."""
        flag = self._flags[session] = threading.Event()
        try:
            yield flag
        finally:
            if self._flags.get(session) is flag:
                del self._flags[session]

    def stop(self, session: str) -> None:
        """Asks the session's job, if it has one, to stop after its current evaluation."""
        if flag := self._flags.get(session):
            flag.set()
