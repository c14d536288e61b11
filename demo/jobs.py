"""Jobs: one at a time in each slot of a device, each stopped only by the session that started it."""

import collections
import json
import logging
import queue
import threading
import time
import traceback
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from toolkit.errors import ToolkitError
from toolkit.process import return_freed_memory

LOG = logging.getLogger("demo")


def _new_number() -> str:
    return uuid.uuid4().hex[:8]


def log_fault(what: str, error: Exception, number: str | None = None) -> str:
    """Logs an unforeseen error; returns the number under which the log has it."""
    number = number or _new_number()
    LOG.error(json.dumps({"job": number, "what": what, "fault": traceback.format_exception(error)}))
    return number


@dataclass
class Job:
    """One running job. Its code checks ``should_end`` after each iteration."""

    device: str
    max_seconds: float
    stop: threading.Event = field(default_factory=threading.Event)
    began: float = field(default_factory=time.monotonic)
    number: str = field(default_factory=_new_number)
    #: More entries for the log.
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began

    @property
    def should_end(self) -> bool:
        """Whether it was stopped or its time is up."""
        return self.stop.is_set() or self.elapsed > self.max_seconds

    def left(self, seconds: float) -> float:
        """Seconds until it ends, where its work would take so many more."""
        return max(min(seconds, self.max_seconds - self.elapsed), 0)

    @property
    def ending(self) -> str:
        """How it ends, if it ends now: ``Done``, ``Stopped`` or ``Time is up``."""
        return "Stopped" if self.stop.is_set() else "Time is up" if self.elapsed > self.max_seconds else "Done"


class Jobs:
    """The running jobs by session.

    Args:
        devices: one for each slot; a device named twice runs two jobs at a time.
        max_seconds: time that a job may take.
    """

    def __init__(self, devices: Sequence[str], max_seconds: float = float("inf")) -> None:
        self.slots = len(devices)
        self._max_seconds = max_seconds
        self._free: queue.SimpleQueue[str] = queue.SimpleQueue()
        for device in devices:
            self._free.put(device)
        self._running: dict[str, list[Job]] = {}
        self._waiting: collections.Counter[str] = collections.Counter()
        self._cancelled: set[str] = set()
        self._lock = threading.Lock()

    @property
    def running(self) -> int:
        """Number of running jobs."""
        with self._lock:
            return sum(map(len, self._running.values()))

    @contextmanager
    def run(self, session: str, what: str) -> Iterator[Job]:
        """Holds a device while the block runs, and logs how it ended, but nothing of the images.

        Raises:
            ToolkitError: the block's own, or one that gives the job's number in the log.
        """
        device = self._free.get()
        job = Job(device, self._max_seconds)
        with self._lock:
            self._running.setdefault(session, []).append(job)
            self._waiting -= {session: 1}
            if session in self._cancelled:
                self._cancelled.remove(session)
                job.stop.set()
        ending = "Left"  # Python closes a generator whose visitor has left
        try:
            yield job
            ending = job.ending
        except ToolkitError as error:
            ending = f"Failed: {error}"
            raise
        except Exception as error:
            ending = "Failed"
            log_fault(what, error, job.number)
            raise ToolkitError(f"Something went wrong on the server: see job {job.number} in its log.") from error
        finally:
            with self._lock:
                self._running[session].remove(job)
                if not self._running[session]:
                    del self._running[session]
            return_freed_memory()  # the next visitor may come in hours
            entry = {"job": job.number, "what": what, "device": device, **job.notes}
            LOG.info(json.dumps({**entry, "seconds": round(job.elapsed, 2), "ending": ending}))
            self._free.put(device)

    def stop(self, session: str, *, waiting: bool = False) -> None:
        """Asks all jobs of a session to end after their current iteration.

        Args:
            session: whose jobs.
            waiting: also cancel the next job when none is running and one waits.
        """
        with self._lock:
            jobs = self._running.get(session, [])
            for job in jobs:
                job.stop.set()
            if not waiting:
                del self._waiting[session]
            if not jobs and session in self._waiting:
                self._cancelled.add(session)
            else:
                self._cancelled.discard(session)

    def expect_none(self, session: str) -> None:
        """Notes that no job of a session waits any more."""
        with self._lock:
            del self._waiting[session]
            self._cancelled.discard(session)

    def expect(self, session: str) -> None:
        """Notes that a job of a session waits from now on until it runs, and may be stopped meanwhile."""
        with self._lock:
            self._waiting[session] += 1
