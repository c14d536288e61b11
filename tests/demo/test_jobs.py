"""One job at a time on each slot, stopped by the session that started it and by no other."""

import json
import logging
import threading
import time

import pytest

from demo.jobs import Job, Jobs
from toolkit.errors import ToolkitError


def test_stopping_one_session_leaves_the_others_alone():
    jobs = Jobs(["cpu"] * 3)
    with jobs.run("a", "x") as a, jobs.run("b", "x") as b, jobs.run("a", "x") as again:
        jobs.stop("a")
        jobs.stop("nobody")
        assert (a.should_end, again.should_end, b.should_end) == (True, True, False)
        assert (a.ending, b.ending) == ("Stopped", "Done")


def test_a_session_that_starts_again_is_not_stopped():
    jobs = Jobs(["cpu"])
    with jobs.run("a", "x"):
        jobs.stop("a")
    with jobs.run("a", "x") as job:
        assert not job.should_end


def test_who_gives_up_while_waiting_is_not_served():
    jobs = Jobs(["cpu"])
    jobs.expect("a")
    jobs.stop("a", waiting=True)
    with jobs.run("b", "x") as other:
        assert not other.should_end
    with jobs.run("a", "x") as job:
        assert job.should_end
    with jobs.run("a", "x") as again:
        assert not again.should_end


def test_a_stop_that_came_too_late_does_not_stop_the_next_job():
    jobs = Jobs(["cpu"])
    jobs.expect("a")
    with jobs.run("a", "x"):
        pass
    jobs.stop("a", waiting=True)
    jobs.expect("a")
    with jobs.run("a", "x") as job:
        assert not job.should_end


def test_a_job_waits_for_a_place_and_gets_its_device():
    jobs = Jobs(["first", "second"])
    entered = threading.Event()

    def third():
        with jobs.run("c", "x") as job:
            assert job.device == "second"
            entered.set()

    with jobs.run("a", "x") as a:
        with jobs.run("b", "x") as b:
            assert (a.device, b.device, jobs.running) == ("first", "second", 2)
            waiting = threading.Thread(target=third)
            waiting.start()
            assert not entered.wait(0.1)
        waiting.join(10)
        assert entered.is_set()
    assert jobs.running == 0


def test_a_job_ends_when_its_time_is_up():
    with Jobs(["cpu"], max_seconds=0.01).run("a", "x") as job:
        time.sleep(0.02)
        assert job.should_end and job.ending == "Time is up"


def test_what_is_left_of_a_job_is_what_its_work_or_its_time_leaves_and_never_less_than_nothing():
    assert Job("cpu", float("inf")).left(7) == 7
    assert 0 < Job("cpu", 60).left(1000) <= 60
    assert Job("cpu", 0).left(7) == Job("cpu", 60).left(-1) == 0


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
        with jobs.run("a", "transfer") as job:
            job.notes["size"] = 64
            happens(job)
    except GeneratorExit:
        pass
    except ToolkitError as error:
        assert str(error) == f"Something went wrong on the server: see job {job.number} in its log."
        assert "it broke" in caplog.records[0].message
    entry = json.loads(caplog.records[-1].message)
    assert (entry["ending"], entry["job"]) == (ending, job.number)
    assert {"job", "what", "device", "size", "seconds"} <= entry.keys()
    with jobs.run("b", "x"):
        pass
