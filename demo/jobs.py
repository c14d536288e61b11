"""Who computes where: one job at a time on each place of a device, each to be stopped by who started it."""

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

from toolkit.device import give_back_kept_memory
from toolkit.errors import ToolkitError

LOG = logging.getLogger("demo")


def _number() -> str:
    return uuid.uuid4().hex[:8]


def log_fault(what: str, error: Exception, number: str | None = None) -> str:
    """Logs an error that nobody foresaw, and gives the number that it has in the log."""
    number = number or _number()
    LOG.error(json.dumps({"job": number, "what": what, "fault": traceback.format_exception(error)}))
    return number


@dataclass
class Job:
    """One job under way on ``device``; whoever runs it asks ``over`` after each evaluation."""

    device: str
    seconds: float
    stop: threading.Event = field(default_factory=threading.Event)
    began: float = field(default_factory=time.monotonic)
    number: str = field(default_factory=_number)
    #: What the log is to tell of it.
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began

    @property
    def over(self) -> bool:
        """Whether it is to end before it is done."""
        return self.stop.is_set() or self.elapsed > self.seconds

    @property
    def ending(self) -> str:
        """How it ends, should it end now: ``Done``, ``Stopped`` or ``Time is up``."""
        return "Stopped" if self.stop.is_set() else "Time is up" if self.elapsed > self.seconds else "Done"


class Jobs:
    """The jobs under way, by session.

    Args:
        devices: where to compute; a device named twice runs two jobs at a time.
        seconds: how long a job may take.
    """

    def __init__(self, devices: Sequence[str], seconds: float = float("inf")) -> None:
        self.places = len(devices)
        self._seconds = seconds
        self._free: queue.SimpleQueue[str] = queue.SimpleQueue()
        for device in devices:
            self._free.put(device)
        self._under_way: dict[str, list[Job]] = {}
        self._given_up: set[str] = set()
        self._lock = threading.Lock()

    @property
    def running(self) -> int:
        """How many jobs are under way."""
        with self._lock:
            return sum(map(len, self._under_way.values()))

    @contextmanager
    def under_way(self, session: str, what: str) -> Iterator[Job]:
        """Takes a device for as long as the block runs, and logs how it went: never what was made.

        Raises:
            ToolkitError: the block's own, or one that says where in the log its fault is to be found.
        """
        device = self._free.get()
        job = Job(device, self._seconds)
        with self._lock:
            self._under_way.setdefault(session, []).append(job)
            if session in self._given_up:
                self._given_up.remove(session)
                job.stop.set()
        ending = "Left"  # a generator that nobody asks for more is closed
        try:
            yield job
            ending = job.ending
        except ToolkitError as error:
            ending = f"Failed: {error}"
            raise
        except Exception as error:
            ending = "Failed"
            log_fault(what, error, job.number)
            raise ToolkitError(f"Something went wrong here: it is in the log as job {job.number}.") from error
        finally:
            with self._lock:
                self._under_way[session].remove(job)
                if not self._under_way[session]:
                    del self._under_way[session]
            give_back_kept_memory()  # before the next visitor comes, which may be hours
            self._free.put(device)
            entry = {"job": job.number, "what": what, "device": device, **job.notes}
            LOG.info(json.dumps({**entry, "seconds": round(job.elapsed, 2), "ending": ending}))

    def stop(self, session: str, *, waiting: bool = False) -> None:
        """Asks all jobs of a session to end after their current evaluation.

        Args:
            session: whose.
            waiting: when there are none, the next one is not to begin.
        """
        with self._lock:
            jobs = self._under_way.get(session, [])
            for job in jobs:
                job.stop.set()
            if waiting and not jobs:
                self._given_up.add(session)
            else:
                self._given_up.discard(session)
