"""Files of weights: ours, other people's, and broken ones."""

import errno
import http.server
import json
import pickle
import threading

import pytest
import safetensors
import torch

from toolkit import files
from toolkit.errors import ToolkitError
from toolkit.network import fingerprint, load_network, save_network, weights


def state_of(network, keys="named"):
    indices = [i for i, layer in enumerate(network.architecture.layers) if layer.kind == "conv"]
    stems = network.architecture.convolutions if keys == "named" else [f"features.{i}" for i in indices]
    return {
        f"{stem}.{part}": tensor.contiguous()
        for stem, name in zip(stems, network.architecture.convolutions, strict=True)
        for part, tensor in network.convolution(name).state_dict().items()
    }


def refused(path, **options):
    with pytest.raises(ToolkitError) as error:
        load_network(path, **options)
    return str(error.value)


def test_our_file_gives_back_everything(tiny_network, tmp_path):
    network = tiny_network(pooling="max", convention="caffe")
    network.provenance = {"source": "a test", "normalization": {"images": 3}}
    network.mean_activations = {"conv1_1": torch.tensor([1.0, 2.5, 1 / 3], dtype=torch.float64)}
    save_network(network, tmp_path / "n.safetensors")
    again = load_network(tmp_path / "n.safetensors")
    assert fingerprint(again) == fingerprint(network)
    assert (again.architecture, again.preprocessing) == (network.architecture, network.preprocessing)
    assert (again.pooling, again.provenance) == ("max", network.provenance)
    assert torch.equal(again.mean_activations["conv1_1"], network.mean_activations["conv1_1"])


def test_our_metadata_are_strings_that_anyone_can_read(tiny_network, tmp_path):
    save_network(tiny_network(), tmp_path / "n.safetensors")
    with safetensors.safe_open(tmp_path / "n.safetensors", "pt") as file:
        metadata = file.metadata()
    assert metadata["format"] == "normalized-vgg" and metadata["version"] == "1"
    assert json.loads(metadata["architecture"]) == {"name": "vgg19", "widths": [3, 4, 5, 6, 7]}
    assert json.loads(metadata["preprocessing"])["channels"] == "RGB"


def test_sixteen_bits_halve_the_file_and_keep_three_digits(tiny_network, tmp_path):
    network = tiny_network(widths=(16,) * 5)
    save_network(network, tmp_path / "full.safetensors")
    save_network(network, tmp_path / "half.safetensors", torch.float16)
    full, half = ((tmp_path / f"{name}.safetensors").stat().st_size for name in ("full", "half"))
    assert half < 0.6 * full
    again = load_network(tmp_path / "half.safetensors")
    assert again.dtype == torch.float32
    for found, expected in zip(again.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("widths", [(3, 4, 5, 6, 7), tuple(range(3, 16))])
@pytest.mark.parametrize("keys", ["named", "numbered"])
def test_files_from_elsewhere_are_known_by_their_keys(tiny_network, tmp_path, keys, widths):
    network = tiny_network("vgg16", convention="caffe", widths=widths)
    torch.save(state_of(network, keys), tmp_path / "w.pth")
    again = load_network(tmp_path / "w.pth", convention="caffe", pooling="average")
    assert fingerprint(again) == fingerprint(network)
    assert again.provenance["source"] == "w.pth" and len(again.provenance["sha256"]) == 64


def test_a_convention_is_stated_by_the_file_or_the_caller_never_guessed(tiny_network, tmp_path):
    network = tiny_network(convention="caffe")
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(state_of(network), path)
    assert "does not say which convention its weights follow: state how" in refused(path)
    assert refused(path, convention="cafe").startswith("Unknown convention 'cafe': did you mean caffe?")
    safetensors.torch.save_file(state_of(network), path, {"convention": "caffe"})
    assert load_network(path).preprocessing == network.preprocessing


def test_weights_as_trained_pool_by_maximum_unless_told_otherwise(tiny_network, tmp_path):
    torch.save(state_of(tiny_network()), tmp_path / "w.pth")
    assert load_network(tmp_path / "w.pth", convention="torchvision").pooling == "max"


def test_a_normalised_file_keeps_the_pooling_it_was_made_for(tiny_network, tmp_path):
    network = tiny_network(pooling="max")
    save_network(network, tmp_path / "n.safetensors")
    assert load_network(tmp_path / "n.safetensors", pooling="average").pooling == "average"
    for name, (_, filters) in network.architecture.convolutions.items():
        network.mean_activations[name] = torch.ones(filters, dtype=torch.float64)
    save_network(network, tmp_path / "n.safetensors")
    assert "was made for max pooling: normalise the original weights again with --pooling average." in refused(
        tmp_path / "n.safetensors", pooling="average"
    )


class Evil:
    def __reduce__(self):
        return (exec, ("import pathlib; pathlib.Path('ran').touch()",))


def test_code_in_a_pickle_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"conv1_1.weight": Evil()}, "new.pth")
    (tmp_path / "old.pth").write_bytes(pickle.dumps(Evil()))
    for name in ("new.pth", "old.pth"):
        assert "holds code, which is never run" in refused(name)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kept", [0, 5, 100, 2000])
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_file_cut_short_is_refused(tiny_network, tmp_path, kept, suffix):
    path = tmp_path / f"w.{suffix}"
    if suffix == "pth":
        torch.save(state_of(tiny_network()), path)
    else:
        save_network(tiny_network(), path)
    path.write_bytes(path.read_bytes()[:kept])
    assert refused(path).startswith(str(path))


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda s: s.pop("conv3_1.bias"), "conv3_1.bias is missing, (5,) is needed."),
        (
            lambda s: s.update({"conv2_1.weight": torch.zeros(4, 9, 3, 3)}),
            "shape (4, 9, 3, 3), (4, 3, 3, 3) is needed.",
        ),
        (lambda s: s["conv5_1.weight"].fill_(float("nan")), "conv5_1.weight holds numbers that are not finite."),
        (lambda s: s.pop("conv3_1.weight"), "does not hold a VGG's convolutions"),
        (lambda s: s.clear(), "does not hold a VGG's convolutions"),
        (lambda s: s.update({"epoch": 3}), "holds no state dict: save the network's state_dict(), not the network."),
    ],
)
def test_a_state_dict_that_is_not_a_whole_vgg_is_refused(tiny_network, tmp_path, spoil, sentence):
    state = {key: value.clone() for key, value in state_of(tiny_network()).items()}
    spoil(state)
    torch.save(state, tmp_path / "w.pth")
    assert sentence in refused(tmp_path / "w.pth", convention="caffe")


def test_other_things_than_weights_are_refused(tmp_path):
    (tmp_path / "text.pth").write_text("hello, I am no network")
    assert refused(tmp_path / "text.pth").startswith(str(tmp_path / "text.pth"))
    assert refused(tmp_path) == f"{tmp_path} is a folder: name the weights file in it."
    assert "There is no network file vgg91; if a name was meant, did you mean vgg19" in refused("vgg91")


def test_our_file_with_foreign_metadata_is_refused(tiny_network, tmp_path):
    path = tmp_path / "n.safetensors"
    metadata = {"format": "normalized-vgg", "version": "1", "architecture": "[]", "preprocessing": "{}"}
    safetensors.torch.save_file(state_of(tiny_network()), path, metadata)
    assert "does not describe its network as it should" in refused(path)
    safetensors.torch.save_file(state_of(tiny_network()), path, {**metadata, "version": "2"})
    assert "was written by a newer toolkit" in refused(path)


def test_a_write_that_fails_leaves_nothing(tiny_network, tmp_path, monkeypatch):
    def disk_full(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "save_file", disk_full)
    with pytest.raises(ToolkitError, match=r"Could not write .*: No space left on device. Choose another place"):
        save_network(tiny_network(), tmp_path / "n.safetensors")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def hub(tmp_path, monkeypatch, tiny_network):
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
        monkeypatch.setattr(weights, "_torchvision_url", lambda _: url)
        return url

    yield served, tmp_path / "hub" / "checkpoints", serve_as, server
    server.shutdown()
    server.server_close()


def test_a_name_is_downloaded_once_and_checked(hub, tiny_network):
    served, cache, serve_as, _ = hub
    name = f"vgg16-{weights.sha256(served / 'weights')[:8]}.pth"
    serve_as(name)
    assert fingerprint(load_network("vgg16", pooling="average")) == fingerprint(tiny_network("vgg16"))
    (served / name).unlink()
    assert load_network("vgg16").preprocessing == tiny_network().preprocessing
    assert [path.name for path in cache.iterdir()] == [name]


def test_a_download_that_is_something_else_is_discarded(hub):
    _, cache, serve_as, _ = hub
    url = serve_as("vgg16-00000000.pth")
    sentence = refused("vgg16")
    assert sentence.startswith("The download of vgg16 does not match its hash and was discarded: fetch")
    assert url in sentence and list(cache.iterdir()) == []


def test_without_a_network_the_sentence_says_what_to_fetch_and_where_to_put_it(hub):
    _, cache, serve_as, server = hub
    url = serve_as("vgg16-00000000.pth")
    server.shutdown()
    server.server_close()
    sentence = refused("vgg16")
    assert sentence.startswith("Could not download vgg16 (")
    assert sentence.endswith(f"fetch {url} by hand and put it at {cache / 'vgg16-00000000.pth'}.")


def test_torchvisions_address_carries_the_hash_that_is_checked():
    assert weights._torchvision_url("vgg19").endswith("/vgg19-dcbb9e9d.pth")
