"""Networks are published on a hub, with a card filled from their file, and read from there."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from toolkit.cli import main
from toolkit.network import save_network

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_letmein"


class Handler(BaseHTTPRequestHandler):
    """As much of the hub's interface as publishing and reading a network and a data set take."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        files, path = self.server.files, self.path.split("?")[0].lstrip("/")
        path = path.removeprefix("datasets/")
        if "/resolve/" in path:
            repository, _, rest = path.partition("/resolve/")
            content = files.get((repository, rest.partition("/")[2]))
            if content is None:
                return self.answer(404, {"error": "none"}, {"X-Error-Code": "EntryNotFound"})
            etag = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": COMMIT}
            if asked := self.headers.get("Range"):
                first, last = (int(number) for number in asked.removeprefix("bytes=").split("-"))
                return self.answer(206, content[first : last + 1], etag)
            return self.answer(200, content, etag)
        kind, _, rest = path.removeprefix("api/").partition("/")
        repository, _, _ = rest.partition("/tree/") if "/tree/" in rest else rest.partition("/revision/")
        known = [(name, content) for (owner, name), content in files.items() if owner == repository]
        if kind not in ("models", "datasets") or not known:
            return self.answer(404, {"error": "none"}, {"X-Error-Code": "RepoNotFound"})
        if "/tree/" in rest:
            listed = [{"type": "file", "path": n, "size": len(c), "oid": n, "lastCommit": None} for n, c in known]
            return self.answer(200, listed)
        return self.answer(200, {"id": repository, "sha": COMMIT, "siblings": [{"rfilename": n} for n, _ in known]})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/api/validate-yaml"):
            return self.answer(200, {"errors": [], "warnings": []})
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self.answer(401, {"error": "Invalid credentials"})
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            self.server.created.append(asked)
            return self.answer(200, {"url": f"{self.server.address}/{asked.get('organization', 'me')}/{asked['name']}"})
        repository = self.path.removeprefix("/api/models/").partition("/preupload")[0].partition("/commit")[0]
        if "/preupload/" in self.path:
            named = json.loads(body)["files"]
            modes = [{"path": f["path"], "uploadMode": "regular", "shouldIgnore": False} for f in named]
            return self.answer(200, {"files": modes})
        for line in body.splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                content = base64.b64decode(entry["value"]["content"])
                self.server.files[repository, entry["value"]["path"]] = content
        address = f"{self.server.address}/{repository}/commit/{COMMIT}"
        return self.answer(200, {"success": True, "commitOid": COMMIT, "commitUrl": address})

    def answer(self, status, content, headers=()):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**dict(headers), "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def hub():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.created = {}, []
    server.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory, tiny_network):
    """A folder with images and a network that was normalised over them for both poolings, made once and copied."""
    folder = tmp_path_factory.mktemp("laid-out")
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    for number in range(5):
        values = rng.integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(values).save(folder / "images" / f"{number}.png")
    save_network(tiny_network(), folder / "plain.safetensors")
    command = ["normalize", "plain.safetensors", "images", "--prepare", "native", "--workers", "0"]
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        assert main([*command, "--pooling", "both", "-o", "mine.safetensors"]) == 0
    return folder


@pytest.fixture
def desk(tmp_path, monkeypatch, laid_out):
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(laid_out, tmp_path, dirs_exist_ok=True)


PUBLISH = ["publish", "mine.safetensors", "me/mine", "--license", "cc-by-4.0"]

SCRIPT = """
import sys, torch, toolkit
from toolkit.cli import main
from toolkit.data.sources import list_images
assert main(sys.argv[1:]) == 0
for pooling in ("average", "max"):
    ours, theirs = (toolkit.load_network(s, pooling=pooling) for s in ("mine.safetensors", "hf://me/mine"))
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
assert not toolkit.load_network("hf://me/mine@main/model.safetensors", normalized=False).mean_activations
for source in ("hf://datasets/me/data/*.tar", "hf://datasets/me/data"):
    (entry,) = list_images(source)
    assert entry.picture().size == (40, 40)
for source in ("hf://me/none", "hf://mine"):
    try:
        toolkit.load_network(source)
    except toolkit.ToolkitError as error:
        print(error)
"""


def test_a_network_is_published_and_read_by_everybody(desk, hub):
    subprocess.run(["tar", "cf", "data.tar", "-C", "images", "0.png"], check=True)
    hub.files["me/data", "data.tar"] = (desk / "data.tar").read_bytes()
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.address,
        "HF_TOKEN": TOKEN,
        "HF_HOME": "home",
        "OMP_NUM_THREADS": "1",
    }
    command = [sys.executable, "-c", SCRIPT, *PUBLISH, "--private", "--base-model", "me/plain"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1:] == [
        f"published at {hub.address}/me/mine",
        "hf://me/none could not be downloaded (the hub answers 404): check the name; a private network takes a "
        "token in HF_TOKEN.",
        "hf://mine is no address of a network: write hf://owner/name.",
    ]
    assert hub.created[0]["name"] == "mine" and hub.created[0]["visibility"] == "private"
    names = {name for repository, name in hub.files if repository == "me/mine"}
    expected = {"README.md", "model.safetensors", "features.onnx", "step.onnx", "average.scales", "max.scales"}
    assert names == expected == {path.name for path in (desk / "mine").iterdir()}
    assert hub.files["me/mine", "model.safetensors"] == (desk / "mine.safetensors").read_bytes()


def test_a_refused_token_is_told_and_the_folder_is_kept(desk, hub, monkeypatch, capsys):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.address)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    capsys.readouterr()
    assert main(PUBLISH) == 2 and (desk / "mine" / "README.md").is_file()
    assert capsys.readouterr().err == (
        "error: The hub refuses me/mine (401): log in with `hf auth login`, or set HF_TOKEN to a token that may write; "
        "everything is ready in mine.\n"
    )


def test_a_hub_out_of_reach_is_told_and_the_folder_is_kept(desk, monkeypatch, capsys):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    capsys.readouterr()
    assert main(PUBLISH) == 2 and (desk / "mine" / "README.md").is_file()
    text = capsys.readouterr().err
    assert text.startswith("error: The hub can't be reached (") and text.endswith("everything is ready in mine.\n")


@pytest.mark.parametrize("error", [RuntimeError("Error while uploading"), ValueError("LFS refuses")])
def test_an_upload_that_breaks_off_is_told_and_the_folder_is_kept(desk, hub, monkeypatch, capsys, error):
    def broken(*_, **options):
        raise error

    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.address)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr("huggingface_hub.HfApi.upload_folder", broken)
    assert main(PUBLISH) == 2
    assert f"The hub can't be reached ({error}): try again later; everything is ready in" in capsys.readouterr().err


def test_what_an_earlier_run_left_is_not_published_again(desk, capsys):
    assert main([*PUBLISH, "--dry-run"]) == 0 and (desk / "mine" / "max.scales").exists()
    assert main(["normalize", "plain.safetensors", "mine/average.scales", "-o", "one.safetensors"]) == 0
    assert main(["publish", "one.safetensors", *PUBLISH[2:], "--dry-run"]) == 0
    assert "max.scales" not in (desk / "mine" / "README.md").read_text()
    assert sorted(path.name for path in (desk / "mine").glob("*.scales")) == ["average.scales"]


def test_the_card_is_filled_from_the_file(desk, capsys):
    assert main([*PUBLISH, "--dry-run", "-o", "folder"]) == 0
    assert "published" not in capsys.readouterr().out
    text = (desk / "folder" / "README.md").read_text()
    _, matter, body = text.split("---\n", 2)
    assert "license: cc-by-4.0\n" in matter and "- style-transfer\n" in matter and "base_model" not in matter
    assert 'toolkit.load_network("hf://me/mine", pooling="max")' in body
    assert "| images | 5 | 5 |" in body and "| preparation | as they are | as they are |" in body
    assert body.count("| relu5_4 | 7 | ") == 2 and "standard error of the median filter" in body
    assert "`step.onnx` is within" in body and "| None" not in text and "| nan" not in text


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (
            ["plain.safetensors", "me/x"],
            "plain.safetensors is not normalised: normalise it first.",
        ),
        (["mine.safetensors", "x"], "x is no name of a repository: write OWNER/NAME."),
        (["mine.safetensors", "me/my net"], "me/my net is no name of a repository: write OWNER/NAME."),
        (["mine.safetensors", "me/images"], "images holds other files (0.png): name an empty one. See --output."),
    ],
)
def test_mistakes_are_told_before_anything_is_published(desk, capsys, command, told):
    assert main(["publish", *command, "--license", "mit"]) == 2
    assert told in capsys.readouterr().err
