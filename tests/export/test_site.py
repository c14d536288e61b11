"""The static site, as the command writes it."""

import json
from pathlib import Path

import onnx

from toolkit.cli import main
from toolkit.export.site import NOT_SERVED, integrity, write_site
from toolkit.network import fingerprint, save_network
from toolkit.normalize import load_normalized
from toolkit.optimize import EarlyStop
from toolkit.synthesis import Recipe, pyramid

DEMO = Path(__file__).resolve().parents[2] / "demo"


def test_a_site_is_complete_and_says_what_is_in_it(tiny_network, tmp_path, capsys):
    save_network(tiny_network(), tmp_path / "tiny.safetensors")
    used = load_normalized(tmp_path / "tiny.safetensors")
    site = tmp_path / "site"
    assert main(["site", str(site), "--network", str(tmp_path / "tiny.safetensors")]) == 0
    assert f"try it: python -m http.server --directory {site}" in capsys.readouterr().out
    facts = json.loads((site / "site.json").read_text())
    (network,) = facts["networks"]
    file = site / network["address"]
    assert (network["name"], network["bytes"]) == ("tiny", file.stat().st_size)
    assert (network["integrity"], network["fingerprint"]) == (integrity(file), fingerprint(used))
    outputs = {value.name for value in onnx.load(file).graph.output}
    assert outputs >= {"loss", "gradient", "relu4_2", "relu5_1_gram", "content_loss_relu4_2", "style_loss_relu1_1"}
    assert Recipe.checked(facts["recipe"]) == Recipe.preset(
        "transfer", precision="float32", finish=0.0, total_variation_weight=0.0, size=384
    )
    constants = facts["constants"]
    assert constants["LBFGS"].keys() >= {"FIRST_STEP", "LARGEST_STEP", "RISE", "SMALLEST_STEP"}
    assert constants["Preconditioner"].keys() == {"POWER", "FINEST", "COARSEST"}
    assert constants["EarlyStop"] == {"ITERATIONS": EarlyStop.ITERATIONS, "GAIN": EarlyStop.GAIN}
    assert constants["pyramid"]["ITERATION_SHARES"]["2"] == list(pyramid.ITERATION_SHARES[2])
    assert constants["pyramid"]["MIN_SHORT_SIDE"] == pyramid.MIN_SHORT_SIDE
    for role, names in facts["examples"].items():
        for name in names:
            assert (site / f"examples/{role}/{name}.jpg").is_file()
            assert (site / f"examples/{role}/small/{name}.jpg").stat().st_size < 30_000
    for file in (DEMO / "browser").glob("*.*s*"):
        assert (site / file.name).is_file() != (file.name in NOT_SERVED)
    assert facts["page"].keys() >= {"./", "page.js", "service.js", "examples/content/chelsea.jpg"}
    for name, kept in facts["page"].items():
        assert integrity(site / name.replace("./", "index.html")) == kept
    readme = (site / "README.md").read_text()
    assert readme.startswith("---\ntitle: ") and "  cross-origin-opener-policy: same-origin\n" in readme
    assert "connect-src 'self' blob: https://cdn.jsdelivr.net; " in readme


def test_a_runtime_that_is_not_the_pinned_one_is_refused(tmp_path, capsys):
    command = ["site", str(tmp_path / "site"), "--network", "vgg19-small", "--runtime", str(tmp_path / "runtime")]
    (tmp_path / "runtime").mkdir()
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "There is no ort.wasm.bundle.min.mjs in " in error and "npm pack onnxruntime-web@1." in error
    (tmp_path / "runtime" / "ort.wasm.bundle.min.mjs").write_text("alert(1)")
    assert main(command) == 2
    assert "ort.wasm.bundle.min.mjs is not that of onnxruntime-web 1." in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_told_in_a_sentence(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert main(["site", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'file'} is a file: name a folder.\n"
    (tmp_path / "index.html").write_text("of somebody else")
    assert main(["site", str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path} holds another page: name an empty folder.\n"
    assert main(["site", str(tmp_path / "new"), "--network", "vgg19", "torchvision/vgg19"]) == 2
    assert "Two of the networks have the same name" in capsys.readouterr().err


def test_the_pinned_hashes_are_of_the_runtimes_files(runtime, tmp_path):
    write_site(tmp_path, DEMO / "browser", [], {}, runtime)
    pinned = json.loads((tmp_path / "site.json").read_text())["runtime"]
    assert pinned["address"] == "runtime/"
    assert f"npm pack onnxruntime-web@{pinned['version']}" in (DEMO / "README.md").read_text()
    for build in pinned["files"].values():
        for file in build:
            assert (tmp_path / "runtime" / file["name"]).stat().st_size == file["bytes"]
