"""A page that is loaded again, or whose line breaks, finds the visitor's pictures, settings and job."""

import contextlib
import json
import socket
import threading
import time

import pytest
from PIL import Image

from toolkit.pictures.formats import read_recipe


class Relay:
    """Passes bytes on to a page, but for as long as its line is cut."""

    def __init__(self, port):
        self.port, self.is_cut, self.lines = port, False, set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.listener.getsockname()[1]}/"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while self.listener.fileno() >= 0:
            with contextlib.suppress(OSError):  # who called may have hung up
                visitor, _ = self.listener.accept()
                page = socket.create_connection(("127.0.0.1", self.port))
                self.lines |= {visitor, page}
                if self.is_cut:
                    self.hang_up()
                for ends in ((visitor, page), (page, visitor)):
                    threading.Thread(target=self.pass_on, args=ends, daemon=True).start()

    def pass_on(self, source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for end in (source, target):
            self.lines.discard(end)
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)  # a socket that another thread waits for would stay open

    def cut(self, seconds):
        self.is_cut = True
        self.hang_up()
        time.sleep(seconds)
        self.is_cut = False

    def hang_up(self):
        for end in list(self.lines):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def relay(address):
    relay = Relay(int(address.rstrip("/").rpartition(":")[2]))
    yield relay
    relay.listener.close()
    relay.hang_up()


def wait_for_status(page, words, name="transfer"):
    page.wait_for_function(
        "([id, words]) => document.querySelector(id)?.innerText.includes(words)",
        arg=[f"#{name}-status", words],
        timeout=120_000,
    )


def number(page, label):
    return page.get_by_role("tabpanel").get_by_label(f"number input for {label}").locator("visible=true")


def set_number(page, label, value):
    page.wait_for_timeout(100)  # Gradio sets what it has just shown once more, a frame later
    number(page, label).fill(str(value))
    number(page, label).press("Enter")


def source(page, selector):
    return page.locator(f"{selector} img").first.get_attribute("src")


def remembers(page):
    page.wait_for_function("() => window.remembers")


@pytest.fixture
def begun(browser, settle, unhurried):
    """Opens a page at an address and starts something long with a photograph of one's own."""
    contexts = []

    def begin(address, photograph, iterations=1000):
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 1000}))
        contexts[-1].set_default_timeout(120_000)
        page = contexts[-1].new_page()
        page.goto(address)
        page.wait_for_selector("#paint")
        remembers(page)
        settle(page)
        old = source(page, "#content")
        page.locator("#content").get_by_label("Remove Image").click()
        page.set_input_files("#content input[type=file]", photograph)
        page.wait_for_function("old => (document.querySelector('#content img')?.src ?? old) !== old", arg=old)
        set_number(page, "Size", 64)
        set_number(page, "Iterations", iterations)
        page.locator("#strength").get_by_label("gentle").click()
        page.click("#paint")
        wait_for_status(page, "Iteration ")
        page.wait_for_selector("#transfer-losses svg, #transfer-losses canvas")  # whose code has come by then
        return page

    yield begin
    for context in contexts:
        context.close()


def holds_what_was_set(page, expect, iterations=1000):
    expect(number(page, "Size")).to_have_value("64")
    expect(number(page, "Iterations")).to_have_value(str(iterations))
    expect(page.locator("#strength").get_by_label("gentle")).to_be_checked()
    page.wait_for_function("() => document.querySelector('#content img').src.endsWith('/content.png')")


def test_a_page_loaded_again_shows_the_job_and_stops_it(begun, expect, address, pictures, context, tmp_path):
    page = begun(address, pictures[0])
    page.reload()
    page.wait_for_selector("#paint")
    wait_for_status(page, "Iteration ")
    holds_what_was_set(page, expect)
    expect(page.locator("#paint")).to_be_disabled()
    page.click("#stop")
    wait_for_status(page, "Stopped after ")
    expect(page.locator("#own img")).to_have_count(1)
    expect(page.locator("#paint")).to_be_enabled()
    page.wait_for_function("() => !document.querySelector('#transfer-download').disabled")
    with page.expect_download() as download:
        page.click("#transfer-download")
    download.value.save_as(tmp_path / "saved.png")
    assert json.loads(read_recipe(tmp_path / "saved.png"))["size"] == 64
    assert Image.open(tmp_path / "saved.png").size == (64, 51)
    assert context.jobs.running == 0


@pytest.mark.parametrize("seconds", [1, 6])
def test_a_job_whose_line_breaks_is_found_again(begun, expect, relay, pictures, context, seconds):
    page = begun(relay.address, pictures[0])
    with page.expect_navigation(wait_until="commit"):
        relay.cut(seconds)
    page.wait_for_selector("#paint")
    wait_for_status(page, "Iteration ")
    holds_what_was_set(page, expect)
    page.click("#stop")
    wait_for_status(page, "Stopped after ")
    expect(page.locator("#own img")).to_have_count(1)
    assert context.jobs.running == 0


def test_a_finished_picture_is_there_after_every_reload_until_it_is_cleared(begun, expect, address, pictures):
    page = begun(address, pictures[0], iterations=9)
    wait_for_status(page, "Done after 9 ")
    expect(page.locator("#own img")).to_have_count(1)
    for _ in range(2):
        page.reload()
        wait_for_status(page, "Done after 9 ")
        expect(page.locator("#own img")).to_have_count(1)
        holds_what_was_set(page, expect, iterations=9)
    page.evaluate(
        """() => {
          const settings = JSON.parse(sessionStorage.settings), values = JSON.parse(settings.values);
          for (const name in values) if (name.endsWith(" Start") || name.endsWith(" Seed")) values[name] = "nowhere";
          sessionStorage.settings = JSON.stringify({...settings, values: JSON.stringify(values)});
        }"""
    )
    page.reload()  # what is not offered here is left as it is
    wait_for_status(page, "Done after 9 ")
    holds_what_was_set(page, expect, iterations=9)
    page.click("#forget")
    expect(page.locator("#own")).to_be_hidden()
    page.reload()
    remembers(page)
    expect(page.locator("#own")).to_be_hidden()
    holds_what_was_set(page, expect, iterations=9)
    page.get_by_text("Share and restore").click()
    with page.expect_navigation():
        page.click("#reset")
    remembers(page)
    expect(number(page, "Size")).to_have_value("384")
    page.wait_for_function("() => document.querySelector('#content img').src.endsWith('/chelsea.jpg')")


def test_a_line_that_breaks_while_the_page_is_still_fetched_is_mended_too(browser, relay):
    with browser.new_context() as context:
        context.set_default_timeout(120_000)
        page = context.new_page()
        page.goto(relay.address)
        remembers(page)
        with page.expect_navigation():
            threading.Thread(target=relay.cut, args=(1.5,)).start()
            page.evaluate("() => { dispatchEvent(new Event('vite:preloadError')); }")  # as when a part can't be fetched
        remembers(page)


def test_whoever_stays_away_holds_no_place_but_finds_what_there_is(
    begun, expect, address, pictures, context, monkeypatch
):
    monkeypatch.setattr("demo.visits.GRACE", 1)
    page = begun(address, pictures[0])
    page.goto("about:blank")
    deadline = time.monotonic() + 60
    while context.jobs.running:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    page.go_back()
    page.wait_for_selector("#paint")
    wait_for_status(page, "Stopped after ")
    holds_what_was_set(page, expect)
    expect(page.locator("#paint")).to_be_enabled()
    expect(page.locator("#own img")).to_have_count(1)


def test_a_tab_of_its_own_remembers_nothing_of_another(begun, expect, address, pictures, visit):
    page = begun(address, pictures[0], iterations=9)
    wait_for_status(page, "Done after 9 ")
    other = visit()
    remembers(other)
    expect(other.locator("#own")).to_be_hidden()
    expect(number(other, "Size")).to_have_value("384")
