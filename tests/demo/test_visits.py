"""What jobs have shown is kept, watched by several, found by the tab's name, and forgotten in time."""

import threading
from pathlib import Path

import gradio as gr
import pytest

from demo.jobs import Jobs
from demo.visits import STAY, Visits, Work, watch
from toolkit.errors import ToolkitError


def no_buttons(running, shown):
    return {"running": running}


def begun(steps, stop=lambda: None, first=None):
    return Work((step for step in steps), stop, no_buttons, first or {})


def ended(work):
    """All that it has shown, once it has ended."""
    *_, last = watch([work])
    return last


@pytest.fixture
def visits():
    with gr.Blocks():
        return Visits(keep=3600)


def test_who_watches_sees_all_that_was_shown_so_far_and_then_what_is_new():
    proceed = threading.Event()

    def steps():
        yield {"image": 1}
        yield {"status": "a"}
        proceed.wait()
        yield {"status": "b"}

    work = begun(steps())
    watching = watch([work])
    while next(watching) != {"image": 1, "status": "a", "running": True}:
        pass
    again = watch([work])
    assert next(again) == {"image": 1, "status": "a", "running": True}
    proceed.set()
    for each in (watching, again):
        *_, last = each
        assert last == {"image": 1, "status": "b", "running": False}
    assert list(watch([work])) == [last]


def test_files_outlive_the_folder_that_the_job_wrote_them_to(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / ".."))
    preview = tmp_path / "preview.jpg"

    def steps():
        for text in ("old", "new"):
            preview.write_text(text)
            yield {"image": str(preview), "both": (str(preview), "words"), "strip": [(str(preview), "caption")]}
            preview.unlink()

    work = begun(steps())
    shown = ended(work)
    path = Path(shown["image"])
    assert (path.name, path.read_text()) == ("preview.jpg", "new")
    assert Path(shown["both"][0]).read_text() == Path(shown["strip"][0][0]).read_text() == "new"
    assert (shown["both"][1], shown["strip"][0][1]) == ("words", "caption")
    assert work.value("image") == str(path) and work.value("film") is None
    work.forget()
    assert not path.exists()


def test_files_that_others_replace_are_deleted_once_they_may_have_been_fetched(tmp_path):
    preview, look, shown = tmp_path / "preview.jpg", threading.Event(), []

    def steps():
        for number in range(STAY + 4):
            preview.write_text(str(number))
            yield {"image": str(preview), "strip": [(str(preview), "caption")], "status": f"{number}"}
            shown.append([work.value("image"), work.value("strip")[0][0]])
        yield {"film": str(preview)}

    def start():
        look.wait()
        yield from steps()

    work = begun(start())
    look.set()
    ended(work)
    kept = [[Path(path).read_text() if Path(path).exists() else "" for path in pair] for pair in shown]
    assert kept == [["", ""]] * 4 + [[str(number)] * 2 for number in range(4, STAY + 4)]
    assert len(list(Path(shown[-1][0]).parents[1].rglob("preview.jpg"))) == STAY  # one of each content


def test_a_file_stays_as_long_as_it_is_shown(tmp_path):
    finished, preview = tmp_path / "0.png", tmp_path / "1.png"
    finished.write_text("finished")

    def steps():
        for number in range(2 * STAY):
            preview.write_text(str(number))
            yield {"gallery": [(str(finished), "one"), (str(preview), "two")]}
            first.append(work.value("gallery")[0][0])

    first, begin = [], threading.Event()

    def start():
        begin.wait()
        yield from steps()

    work = begun(start())
    begin.set()
    ended(work)
    assert len(set(first)) == 1 and Path(first[0]).read_text() == "finished"


def test_a_job_whose_files_cannot_be_kept_gives_its_place_back(tmp_path, monkeypatch):
    def full(source, target):
        raise OSError("No space left on device")

    (tmp_path / "preview.jpg").touch()
    monkeypatch.setattr("shutil.copy", full)
    jobs = Jobs(["cpu"])

    def steps():
        with jobs.run("tab", "transfer"):
            yield {"image": str(tmp_path / "preview.jpg")}

    work = Work(steps(), lambda: None, no_buttons, {})
    assert ended(work) == {"running": False}
    assert isinstance(work.fault, OSError) and jobs.running == 0


def test_a_fault_is_kept_with_what_was_shown_before():
    def steps():
        yield {"image": 1}
        raise ToolkitError("It is too large.")

    work = begun(steps())
    assert ended(work) == {"image": 1, "running": False}
    assert str(work.fault) == "It is too large."


def test_a_job_that_nobody_watches_is_asked_to_end_and_keeps_what_it_has(monkeypatch):
    stopped = threading.Event()

    def steps():
        while not stopped.wait(0.01):
            yield {"image": "unfinished"}
        yield {"image": "as far as it came"}

    work = begun(steps(), stopped.set)
    watching = watch([work])
    next(watching)
    monkeypatch.setattr("demo.visits.GRACE", 0.2)
    assert not stopped.wait(0.3)
    watching.close()
    assert stopped.wait(60)
    assert ended(work)["image"] == "as far as it came"


def test_a_job_that_cannot_be_asked_is_closed(monkeypatch):
    monkeypatch.setattr("demo.visits.GRACE", 0)
    closed = threading.Event()

    def steps():
        try:
            while True:
                yield {"image": "unfinished"}
        finally:
            closed.set()

    work = Work(steps(), lambda: None, no_buttons, {})
    assert closed.wait(60)
    assert ended(work)["image"] == "unfinished"


def test_the_last_job_is_shown_over_those_before_until_all_have_ended():
    first, second = begun([{"image": 1, "film": 1}]), begun([{"image": 2}])
    ended(first), ended(second)
    *_, shown = watch([second, first])
    assert shown == {"image": 2, "film": 1, "running": False}


def test_a_tab_finds_its_jobs_under_another_session_and_no_other_tab_does(visits):
    work = begun([{"image": 1}])
    visits.arrive("session", "tab")
    visits.add("session", work)
    visits.leave("session")
    visits.arrive("later", "tab")
    visits.arrive("stranger", "other tab")
    assert visits.works("later") == [work]
    assert visits.works("stranger") == visits.works("session") == visits.works("tab's name guessed") == []
    assert (visits.name("later"), visits.name("a script")) == ("tab", "a script")
    *_, shown = visits.show_again("later")
    assert shown["image"] == 1
    assert list(visits.show_again("stranger")) == [{}]


def test_a_visitor_forgets_what_has_ended_in_one_place_and_keeps_what_runs_and_what_is_elsewhere(visits):
    proceed = threading.Event()
    running = begun({"image": n} for n in range(2) if n == 0 or proceed.wait())
    next(watch([running]))
    done, elsewhere = begun([{"image": 1}]), begun([{"grid": 1}])
    ended(done), ended(elsewhere)
    visits.arrive("session", "tab")
    for work in (done, elsewhere, running):
        visits.add("session", work)
    visits.forget("session", "image")
    assert visits.works("session") == [running, elsewhere]
    proceed.set()
    ended(running)


def test_only_the_last_jobs_of_a_visitor_are_kept(visits, monkeypatch):
    monkeypatch.setattr("demo.visits.MOST", 2)
    works = [begun([{"image": number}]) for number in range(3)]
    for work in works:
        ended(work)
        visits.add("session", work)
    assert visits.works("session") == [works[2], works[1]]


def test_what_ended_long_ago_is_deleted_though_nobody_arrives_or_leaves(tmp_path, monkeypatch):
    with gr.Blocks():
        visits = Visits(keep=0.2)
    (tmp_path / "image.png").touch()
    proceed, deleted = threading.Event(), threading.Event()
    done = begun([{"image": str(tmp_path / "image.png")}])
    running = begun({"image": n} for n in range(2) if n == 0 or proceed.wait())
    ended(done)
    forget = done.forget
    monkeypatch.setattr(done, "forget", lambda: forget() or deleted.set())
    visits.arrive("session", "tab")
    for work in (done, running):
        visits.add("session", work)
    assert deleted.wait(60)
    assert visits.works("session") == [running] and not Path(done.value("image")).exists()
    proceed.set()
    ended(running)
