"""Names: of files that come with the project, and of torchvision's, which are downloaded once."""

import http.server
import re
import threading
from types import SimpleNamespace

import pytest
import torch
from huggingface_hub.errors import HTTPError

from toolkit.files import sha256
from toolkit.network import DEFAULT_NETWORK, Architecture, find_network, fingerprint, load_network, save_network


@pytest.fixture
def hub(tmp_path, monkeypatch, tiny_network, state_of):
    """A local server in torchvision's place; yields its folder, and what to call to change the served file's name."""
    served = tmp_path / "served"
    served.mkdir()
    torch.save(state_of(tiny_network("vgg16"), "numbered"), served / "weights")
    handler = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *a: None})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), lambda *a: handler(*a, directory=str(served)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))

    def serve_as(name):
        (served / "weights").rename(served / name)
        url = f"http://127.0.0.1:{server.server_port}/{name}"
        monkeypatch.setattr("torchvision.models.get_weight", lambda _: SimpleNamespace(url=url))
        return url

    yield served, tmp_path / "hub" / "checkpoints", serve_as, server
    server.shutdown()
    server.server_close()


def test_a_name_is_downloaded_once_and_checked(hub, tiny_network):
    served, cache, serve_as, _ = hub
    name = f"vgg16-{sha256(served / 'weights')[:8]}.pth"
    serve_as(name)
    assert fingerprint(load_network("torchvision/vgg16", pooling="average")) == fingerprint(tiny_network("vgg16"))
    (served / name).unlink()
    assert load_network("Torchvision/VGG16").preprocessing == tiny_network().preprocessing
    assert [path.name for path in cache.iterdir()] == [name]


def test_a_download_that_is_something_else_is_discarded(hub, refused):
    _, cache, serve_as, _ = hub
    url = serve_as("vgg16-00000000.pth")
    sentence = refused("torchvision/vgg16")
    assert sentence.startswith("The download of vgg16 does not match its hash and was deleted: download")
    assert url in sentence and list(cache.iterdir()) == []


def test_without_a_network_the_sentence_says_what_to_fetch_and_where_to_put_it(hub, refused):
    _, cache, serve_as, server = hub
    url = serve_as("vgg16-00000000.pth")
    server.shutdown()
    server.server_close()
    sentence = refused("torchvision/vgg16")
    assert sentence.startswith("Could not download vgg16 (")
    assert sentence.endswith(f"download {url} yourself and save it as {cache / 'vgg16-00000000.pth'}.")


@pytest.mark.parametrize("name", ["vgg19-small", "VGG19-Small", "vgg19-small.safetensors", "models/vgg19-small"])
def test_names_are_found_in_any_case_with_or_without_their_ending(name):
    assert find_network(name).name == "vgg19-small.safetensors"


def test_a_file_goes_before_a_name(tiny_network, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_network(tiny_network("vgg11"), tmp_path / "vgg19")
    assert load_network("vgg19").architecture.name == "vgg11"


def test_own_networks_go_by_their_names_from_anywhere(tiny_network, tmp_path, monkeypatch):
    monkeypatch.setattr("platformdirs.user_data_path", lambda name, appauthor: tmp_path / name)
    for name in ("mine", "vgg19-small"):
        save_network(tiny_network("vgg11"), tmp_path / "normalized-vgg" / f"{name}.safetensors")
    assert load_network("Mine").architecture.name == "vgg11"
    assert load_network("vgg19-small").architecture.name == "vgg19"  # what comes along goes first


def test_a_network_may_be_called_like_somebodys_home(tiny_network, tmp_path, monkeypatch, refused):
    monkeypatch.chdir(tmp_path)
    assert refused("~old").startswith("There is no network file ~old, and none of that name in")
    save_network(tiny_network("vgg11"), tmp_path / "~old")
    assert load_network("~old").architecture.name == "vgg11"


@pytest.mark.parametrize("error", [HTTPError("the server hung up"), RuntimeError("a part is missing")])
def test_a_download_from_the_hub_that_breaks_off_is_told(monkeypatch, refused, error):
    def broken(*_, **options):
        raise error

    monkeypatch.setattr("huggingface_hub.hf_hub_download", broken)
    assert refused("hf://me/mine") == "hf://me/mine is not in the cache, and the hub can't be reached: try again later."


def test_unknown_names_are_refused_with_the_nearest(tmp_path, refused):
    assert refused(tmp_path) == f"{tmp_path} is a folder: name the file of weights in it."
    assert re.match(
        r"There is no network file torchvision/vgg17, and none of that name in .*\. If you meant a name: did",
        refused("torchvision/vgg17"),
    )
    assert "vgg19" in refused("vgg91")


def test_the_papers_network_comes_along():
    average, largest, trained = (
        load_network(DEFAULT_NETWORK, **options) for options in ({}, {"pooling": "max"}, {"normalized": False})
    )
    assert (average.pooling, largest.pooling) == ("average", "max")
    assert average.provenance["normalization"]["images"] == largest.provenance["normalization"]["images"] == 400
    assert find_network(DEFAULT_NETWORK).stat().st_size <= 21_000_000
    assert not trained.mean_activations and "normalization" not in trained.provenance
    assert average.architecture == Architecture("vgg19")
    for network in (average, largest):
        below = torch.ones(3)
        for name, mean in network.mean_activations.items():
            scale = mean.where(mean > 0, 1.0).float()
            expected = trained.convolution(name).weight * below.view(1, -1, 1, 1) / scale.view(-1, 1, 1, 1)
            torch.testing.assert_close(network.convolution(name).weight, expected, rtol=1e-6, atol=0)
            below = scale
