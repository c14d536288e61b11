"""Our files: what is written is read back, under both poolings and as it was trained."""

import errno
import json
from dataclasses import asdict
from typing import get_args

import pytest
import safetensors
import torch

from toolkit import files
from toolkit.choices import Storage
from toolkit.errors import DamagedFileError, ToolkitError
from toolkit.network import fingerprint, load_network, original, rescale, rounded, save_network
from toolkit.network.codebook import quantize
from toolkit.network.rescale import scales


@pytest.fixture
def means(tiny_network):
    """Mean activations for the small networks, one filter silent."""
    generator = torch.Generator().manual_seed(1)
    found = {
        name: torch.rand(filters, generator=generator, dtype=torch.float64) * 100
        for name, (_, filters) in tiny_network().architecture.convolutions.items()
    }
    found["conv2_1"][1] = 0
    return found


def test_our_file_gives_back_everything(tiny_network, tmp_path):
    network = tiny_network(pooling="max", convention="caffe")
    network.provenance = {"source": "a test"}
    save_network(network, tmp_path / "n.safetensors")
    again = load_network(tmp_path / "n.safetensors")
    assert fingerprint(again) == fingerprint(network)
    assert (again.architecture, again.preprocessing) == (network.architecture, network.preprocessing)
    assert (again.pooling, again.provenance) == ("max", network.provenance)
    assert again.mean_activations == {}


@pytest.mark.parametrize("precision", get_args(Storage))
def test_one_file_holds_both_poolings_and_the_original(tiny_network, tmp_path, means, precision):
    trained = rounded(tiny_network(widths=(7,) * 5, pooling="max"), precision)
    means = {name: mean.repeat(7)[:7] for name, mean in means.items()}
    larger = {name: 2 * mean for name, mean in means.items()}
    made = {"average": rescale(trained, means, {"images": 3}), "max": rescale(trained, larger, {"images": 4})}
    for pooling, network in made.items():
        network.pooling = pooling
    save_network(trained, tmp_path / "n.safetensors", precision, list(made.values()))
    for pooling, network in made.items():
        again = load_network(tmp_path / "n.safetensors", pooling=pooling)
        assert fingerprint(again) == fingerprint(network)
        assert again.provenance == network.provenance
        assert all(torch.equal(mean, network.mean_activations[name]) for name, mean in again.mean_activations.items())
    assert load_network(tmp_path / "n.safetensors").pooling == "average"
    original_again = load_network(tmp_path / "n.safetensors", pooling="max", normalized=False)
    assert fingerprint(original_again) == fingerprint(trained) and not original_again.mean_activations


def test_a_normalised_network_is_written_as_its_original(tiny_network, tmp_path, means):
    normalized = rescale(tiny_network(), means, {"images": 3})
    save_network(normalized, tmp_path / "n.safetensors")
    again = load_network(tmp_path / "n.safetensors")
    assert again.provenance == normalized.provenance
    for found, expected in zip(again.parameters(), normalized.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
    trained = load_network(tmp_path / "n.safetensors", normalized=False)
    for found, expected in zip(trained.parameters(), tiny_network().parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


def test_eight_bits_quarter_the_file_and_keep_their_codebooks(tiny_network, tmp_path, means):
    network = tiny_network(widths=(48,) * 5)
    save_network(network, tmp_path / "full.safetensors")
    save_network(network, tmp_path / "8bit.safetensors", "8bit")
    full, small = ((tmp_path / f"{name}.safetensors").stat().st_size for name in ("full", "8bit"))
    assert small < 0.3 * full
    again = load_network(tmp_path / "8bit.safetensors")
    for name, codebook in again.codebooks.items():
        weight = network.convolution(name).weight
        assert torch.equal(codebook.decode(), quantize(weight).decode())
        assert torch.equal(again.convolution(name).weight, codebook.decode())
        assert (codebook.decode() - weight).norm() < 0.02 * weight.norm()


def test_normalised_weights_are_codebook_times_scales_to_the_bit(tiny_network, means):
    network = rescale(rounded(tiny_network(), "8bit"), means, {})
    for name, scale in scales(network.mean_activations).items():
        indices, values = network.codebooks[name]
        expected = (
            values[indices.int()] * scale.output.float().view(-1, 1, 1, 1) * scale.input.float().view(1, -1, 1, 1)
        )
        assert torch.equal(network.convolution(name).weight, expected)
        assert torch.equal(original(network).convolution(name).weight, values[indices.int()])


@pytest.mark.parametrize("normalized", [True, False])
def test_files_of_version_1_are_read(tiny_network, tmp_path, means, normalized):
    """They hold normalised weights, and the mean activations of one pooling."""
    trained = tiny_network(pooling="max")
    network = rescale(trained, means, {"images": 3})
    tensors = {f"{name}.mean_activation": mean for name, mean in means.items()}
    for name in means:
        tensors |= {
            f"{name}.{key}": value.contiguous() for key, value in network.convolution(name).state_dict().items()
        }
    metadata = {
        "format": "normalized-vgg",
        "version": "1",
        "architecture": json.dumps({"name": "vgg19", "widths": [3, 4, 5, 6, 7]}),
        "pooling": "max",
        "preprocessing": json.dumps(asdict(network.preprocessing)),
        "provenance": json.dumps(network.provenance),
    }
    safetensors.torch.save_file(tensors, tmp_path / "old.safetensors", metadata)
    again = load_network(tmp_path / "old.safetensors", normalized=normalized)
    expected = network if normalized else trained
    assert (again.pooling, again.provenance) == ("max", expected.provenance)
    assert bool(again.mean_activations) == normalized
    for found, given in zip(again.parameters(), expected.parameters(), strict=True):
        torch.testing.assert_close(found, given, rtol=1e-6, atol=0)


def test_our_metadata_are_strings_that_anyone_can_read(tiny_network, tmp_path):
    save_network(tiny_network(), tmp_path / "n.safetensors")
    with safetensors.safe_open(tmp_path / "n.safetensors", "pt") as file:
        metadata = file.metadata()
    assert metadata["format"] == "normalized-vgg" and metadata["version"] == "2"
    assert json.loads(metadata["architecture"]) == {"name": "vgg19", "widths": [3, 4, 5, 6, 7], "last": ""}
    assert json.loads(metadata["preprocessing"])["channels"] == "RGB"


def test_sixteen_bits_halve_the_file_and_keep_three_digits(tiny_network, tmp_path):
    network = tiny_network(widths=(16,) * 5)
    save_network(network, tmp_path / "full.safetensors")
    save_network(network, tmp_path / "half.safetensors", "float16")
    full, half = ((tmp_path / f"{name}.safetensors").stat().st_size for name in ("full", "half"))
    assert half < 0.6 * full
    again = load_network(tmp_path / "half.safetensors")
    assert again.dtype == torch.float32
    for found, expected in zip(again.parameters(), network.parameters(), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-6)


def test_a_normalised_file_keeps_the_pooling_it_was_made_for(tiny_network, tmp_path, means, refused):
    network = tiny_network(pooling="max")
    save_network(network, tmp_path / "n.safetensors")
    assert load_network(tmp_path / "n.safetensors", pooling="average").pooling == "average"
    save_network(rescale(network, means, {}), tmp_path / "n.safetensors")
    assert "is normalised for max pooling only: normalise the original weights again with average pooling." in refused(
        tmp_path / "n.safetensors", pooling="average"
    )


def test_our_file_with_foreign_metadata_is_refused(tiny_network, tmp_path, state_of, refused):
    path = tmp_path / "n.safetensors"
    metadata = {"format": "normalized-vgg", "version": "1", "architecture": "[]", "preprocessing": "{}"}
    safetensors.torch.save_file(state_of(tiny_network()), path, metadata)
    assert "does not describe its network as it should" in refused(path)
    safetensors.torch.save_file(state_of(tiny_network()), path, {**metadata, "version": "3"})
    assert "was written by a newer toolkit" in refused(path)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda t: t.pop("conv3_1.codebook"), "the codebook of conv3_1 is not 256 values with 8-bit indices"),
        (lambda t: t.update({"conv3_1.codebook": torch.zeros(255)}), "the codebook of conv3_1 is not 256 values"),
        (lambda t: t.pop("conv3_1.index"), "conv3_1.weight is missing"),
        (lambda t: t.pop("conv5_4.mean_activation.max"), "it has mean activations for some convolutions only"),
        (
            lambda t: t.update({"conv1_1.mean_activation.max": torch.ones(9)}),
            "has 9 mean activations for the 3",
        ),
    ],
)
def test_a_damaged_file_is_refused(tiny_network, tmp_path, means, spoil, sentence):
    path = tmp_path / "n.safetensors"
    save_network(rescale(tiny_network(pooling="max"), means, {}), path, "8bit")
    tensors, metadata = files.load_tensors(path)
    spoil(tensors)
    safetensors.torch.save_file(tensors, path, metadata)
    with pytest.raises(DamagedFileError, match=sentence):
        load_network(path)


def test_a_write_that_fails_leaves_nothing(tiny_network, tmp_path, monkeypatch):
    def disk_full(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files, "save_file", disk_full)
    with pytest.raises(ToolkitError, match=r"Could not write .*: No space left on device\."):
        save_network(tiny_network(), tmp_path / "n.safetensors")
    assert list(tmp_path.iterdir()) == []
