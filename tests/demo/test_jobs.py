"""One job at a time on each place, stopped by who started it and by nobody else."""

import json
import logging
import threading
import time

import pytest

from demo.jobs import Jobs
from toolkit.errors import ToolkitError


def test_stopping_one_session_leaves_the_others_alone():
    jobs = Jobs(["cpu"] * 3)
    with jobs.under_way("a", "x") as a, jobs.under_way("b", "x") as b, jobs.under_way("a", "x") as again:
        jobs.stop("a")
        jobs.stop("nobody")
        assert (a.over, again.over, b.over) == (True, True, False)
        assert (a.ending, b.ending) == ("Stopped", "Done")


def test_a_session_that_starts_again_is_not_stopped():
    jobs = Jobs(["cpu"])
    with jobs.under_way("a", "x"):
        jobs.stop("a")
    with jobs.under_way("a", "x") as job:
        assert not job.over


def test_who_gives_up_while_waiting_is_not_served():
    jobs = Jobs(["cpu"])
    jobs.stop("a", waiting=True)
    with jobs.under_way("b", "x") as other:
        assert not other.over
    with jobs.under_way("a", "x") as job:
        assert job.over
    with jobs.under_way("a", "x") as again:
        assert not again.over


def test_a_job_waits_for_a_place_and_gets_its_device():
    jobs = Jobs(["first", "second"])
    entered = threading.Event()

    def third():
        with jobs.under_way("c", "x") as job:
            assert job.device == "second"
            entered.set()

    with jobs.under_way("a", "x") as a:
        with jobs.under_way("b", "x") as b:
            assert (a.device, b.device, jobs.running) == ("first", "second", 2)
            waiting = threading.Thread(target=third)
            waiting.start()
            assert not entered.wait(0.1)
        waiting.join(10)
        assert entered.is_set()
    assert jobs.running == 0


def test_a_job_ends_when_its_time_is_up():
    with Jobs(["cpu"], seconds=0.01).under_way("a", "x") as job:
        time.sleep(0.02)
        assert job.over and job.ending == "Time is up"


def leave(job):
    raise GeneratorExit


def fail(job):
    raise ValueError("it broke")


@pytest.mark.parametrize(
    ("happens", "ending"),
    [(lambda job: None, "Done"), (lambda job: job.stop.set(), "Stopped"), (leave, "Left"), (fail, "Failed")],
)
def test_every_job_is_logged_and_frees_its_place(caplog, happens, ending):
    caplog.set_level(logging.INFO, "demo")
    jobs = Jobs(["cpu"])
    try:
        with jobs.under_way("a", "transfer") as job:
            job.notes["size"] = 64
            happens(job)
    except GeneratorExit:
        pass
    except ToolkitError as error:
        assert str(error) == f"Something went wrong here: it is in the log as job {job.number}."
        assert "it broke" in caplog.records[0].message
    entry = json.loads(caplog.records[-1].message)
    assert (entry["ending"], entry["job"]) == (ending, job.number)
    assert {"job", "what", "device", "size", "seconds"} <= entry.keys()
    with jobs.under_way("b", "x"):
        pass
