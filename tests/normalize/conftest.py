"""A web server that gives parts of files, counts what it sends, and fails when told to."""

import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_HEAD(self):
        self.answer(head=True)

    def do_GET(self):
        self.answer()

    def answer(self, head=False):
        web: Web = self.server.web
        path = self.path.split("?")[0]
        web.requests.append((self.command, path))
        fault = web.fault(path, len(web.requests))
        file = web.root / path.lstrip("/")
        if isinstance(fault, int) or not file.is_file():
            self.send_response(fault if isinstance(fault, int) else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        content = file.read_bytes()
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        part = content
        if asked and web.ranges:
            first, last = int(asked[1]), min(int(asked[2]), len(content) - 1)
            part = content[first : last + 1]
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(part)))
        self.end_headers()
        if head:
            return
        if fault == "drop":
            self.wfile.write(part[: len(part) // 2])
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)
            return
        web.sent += len(part)
        self.wfile.write(part)

    def log_message(self, *_):
        pass


class Web:
    """What a server has been asked, and what is to go wrong: ``fault(path, number)`` gives a status or "drop"."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ranges = True
        self.fault: Callable[[str, int], int | str | None] = lambda path, number: None
        self.requests: list[tuple[str, str]] = []
        self.sent = 0
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # connections that were dropped on purpose
        self.server.web = self
        self.address = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def web(tmp_path):
    web = Web(tmp_path)
    thread = threading.Thread(target=web.server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield web
    web.server.shutdown()
    web.server.server_close()
    thread.join()
