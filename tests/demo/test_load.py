"""Many visitors at once, visitors who leave, and jobs that fail among them."""

import json
import logging
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from demo.app import page
from demo.context import Context
from demo.jobs import Jobs
from demo.settings import Settings

SMALL = {"size": 64, "iterations": 2, "api_name": "/transfer"}


@pytest.fixture
def hosted(context, tiny_network, tmp_path, monkeypatch):
    """Serves the page on a few places, with a queue of some length; gives its address and its jobs."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "files"))
    served = []

    def host(devices=("cpu",), max_queue=40):
        settings = Settings(max_size=512, max_iterations=1000, max_seconds=120)
        own = Context({"tiny": tiny_network()}, Jobs(devices, 120), settings, context.photographs, context.paintings)
        served.append(page(own))
        _, address, _ = (
            served[-1]
            .queue(max_size=max_queue)
            .launch(server_name="127.0.0.1", server_port=None, prevent_thread_lock=True, quiet=True)
        )
        return address, own.jobs

    yield host
    for blocks in served:
        blocks.close()


@pytest.fixture
def log(caplog):
    """What the jobs log, as it is by now."""
    caplog.set_level(logging.INFO, "demo")
    return lambda: [json.loads(record.message) for record in caplog.records if record.name == "demo"]


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never came about"
        time.sleep(0.05)


def visit(address, count, wishes):
    """What so many visitors are told at the same time: the status of what was made, or the sentence of a failure.

    They speak HTTP, as the page's own description of its endpoints says, which costs less than thirty clients.
    """
    together = threading.Barrier(count)

    def one(number):
        wanted = {name: value for name, value in (SMALL | wishes(number)).items() if value is not None}
        endpoint = f"{address}gradio_api/call/v2{wanted.pop('api_name')}"
        with httpx.Client(timeout=120) as visitor:
            together.wait()
            joined = visitor.post(endpoint, json=wanted)
            if joined.is_error:
                return joined.json()["detail"]
            events = visitor.get(f"{endpoint}/{joined.json()['event_id']}").text.split("\n\n")
        kind, data = next(event for event in reversed(events) if event).splitlines()
        told = json.loads(data.removeprefix("data: "))
        return told["error"] if kind == "event: error" else told[1]

    with ThreadPoolExecutor(count) as visitors:
        return list(visitors.map(one, range(count)))


def test_thirty_visitors_are_all_served_though_some_of_their_jobs_fail(hosted, log):
    address, jobs = hosted()
    told = visit(address, 30, lambda number: {"style_layers": "relu9_9"} if number % 10 == 3 else {})
    for number, words in enumerate(told):
        assert words.startswith("Unknown layer" if number % 10 == 3 else "Done after 2 iterations")
    assert jobs.running == 0
    assert [entry["ending"].split(":")[0] for entry in log()].count("Done") == 27
    assert len({entry["job"] for entry in log()}) == 30


def test_four_ways_and_whole_pictures_take_turns_and_all_are_served(hosted, log, smaller_ways):
    address, jobs = hosted()
    ways = {"api_name": "/four_ways", "size": None, "iterations": None}
    told = visit(
        address, 5, lambda number: {"style_layers": "relu9_9"} | ways if number == 3 else ways if number % 2 else {}
    )
    for number, words in enumerate(told):
        expected = "Done after 2 iterations" if number % 2 == 0 else "Done: 4 of 4 images"
        assert words.startswith("Unknown layer" if number == 3 else expected), words
    assert jobs.running == 0
    assert [entry["ending"].split(":")[0] for entry in log()].count("Done") == 4


def test_visitors_beyond_the_queue_are_told_so_and_the_others_served(hosted, unhurried):
    address, jobs = hosted(max_queue=3)
    told = visit(address, 10, lambda number: {"iterations": 20})
    full = [words for words in told if "Queue is full" in words]
    done = [words for words in told if words.startswith("Done after 20 iterations")]
    assert len(full) + len(done) == 10 and full and len(done) >= 3
    assert jobs.running == 0
    assert Client(address, verbose=False).predict(**SMALL)[1].startswith("Done")


def test_two_places_compute_two_jobs_at_once(hosted, unhurried):
    address, jobs = hosted(("cpu", "cpu"))
    clients = [Client(address, verbose=False) for _ in range(2)]
    running = [client.submit(**SMALL | {"iterations": 1000}) for client in clients]
    wait_until(lambda: jobs.running == 2)
    for client in clients:
        jobs.stop(client.session_hash)
    assert all(job.result()[1].startswith("Stopped after") for job in running)


def test_a_fault_is_told_in_a_sentence_logged_and_hurts_nobody(hosted, log, monkeypatch):
    address, jobs = hosted()
    client = Client(address, verbose=False)
    with monkeypatch.context() as broken:
        broken.setattr("demo.components.transfers.Synthesis", lambda *_, **__: 1 / 0)
        with pytest.raises(
            AppError, match=r"^Something went wrong on the server: see job [0-9a-f]{8} in its log\.$"
        ) as told:
            client.predict(**SMALL)
    fault, entry = log()
    assert fault["job"] == entry["job"] and fault["job"] in str(told.value)
    assert "ZeroDivisionError" in fault["fault"][-1] and entry["ending"] == "Failed"
    assert jobs.running == 0
    assert client.predict(**SMALL)[1].startswith("Done")


#: A visitor to be killed, asking for something long.
LONG = """
import sys, time
from gradio_client import Client
client = Client(sys.argv[1], verbose=False)
job = client.submit(size=64, iterations=1000, api_name="/transfer")
time.sleep(600)
"""


def test_whoever_leaves_frees_the_place_and_those_who_left_waiting_are_never_served(hosted, unhurried, log):
    address, jobs = hosted()

    def waiting():
        return httpx.get(f"{address}gradio_api/queue/status", timeout=60).json()["queue_size"]

    first = subprocess.Popen([sys.executable, "-c", LONG, address])
    wait_until(lambda: jobs.running == 1)
    second = subprocess.Popen([sys.executable, "-c", LONG, address])
    wait_until(lambda: waiting() == 1)
    second.kill()
    wait_until(lambda: waiting() == 0)
    first.kill()
    wait_until(lambda: jobs.running == 0)
    assert [visitor.wait() for visitor in (first, second)] == [-signal.SIGKILL] * 2
    assert Client(address, verbose=False).predict(**SMALL)[1].startswith("Done")
    assert [entry["ending"] for entry in log()][1:] == ["Done"]


def test_the_log_tells_of_a_job_and_of_no_picture(hosted, log, pictures):
    address, _ = hosted()
    Client(address, verbose=False).predict(content=handle_file(pictures[0]), **SMALL)
    (entry,) = log()
    assert entry.keys() == {"job", "what", "device", "size", "iterations", "seconds", "ending"}
    assert (entry["what"], entry["device"], entry["size"], entry["iterations"]) == ("transfer", "cpu", 64, 2)
    assert entry["ending"] == "Done" and "/" not in json.dumps(entry)
