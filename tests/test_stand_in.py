"""A device without float64, such as Apple's: a stand-in for one, on which everything that computes has to work.

It bears the name of PyTorch's ``meta``, which is there everywhere, and computes nothing itself.
"""

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from demo.devices import slots
from toolkit import device
from toolkit.data.sources import list_images
from toolkit.data.stream import ImageStream
from toolkit.network.vgg import affine
from toolkit.normalize import Pass, normalize
from toolkit.pictures.io import to_picture
from toolkit.synthesis import Recipe, Synthesis, suggest_regions

CPU = torch.device("cpu")


class OnDevice(torch.Tensor):
    """A tensor that says it is on that device, and lies on the CPU."""

    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(
            cls, inner.shape, inner.stride(), inner.storage_offset(), dtype=inner.dtype, device="meta"
        )

    def __init__(self, inner):
        self.inner = inner

    def tolist(self):
        return self.inner.tolist()

    @classmethod
    def __torch_dispatch__(cls, function, types, arguments=(), named=None):
        return run(function, arguments, named or {})


class StandIn(TorchDispatchMode):
    """While it is active, tensors can be made on that device, or moved there."""

    def __torch_dispatch__(self, function, types, arguments=(), named=None):
        return run(function, arguments, named or {})


class FromData(TorchFunctionMode):
    """Lists become tensors on the device before a dispatch mode sees it: they are made here, and moved."""

    def __torch_function__(self, function, types, arguments=(), named=None):
        named = dict(named or {})
        if function is torch.tensor:
            where = named.pop("device", None)
            return function(*arguments, **named).to(where or CPU)
        if function in (torch.Tensor.__getitem__, torch.Tensor.__setitem__) and isinstance(arguments[1], list):
            arguments = (arguments[0], torch.tensor(arguments[1]), *arguments[2:])
        return function(*arguments, **named)


def run(function, arguments, named):
    given = [each for each in tree_leaves((arguments, named)) if isinstance(each, torch.Tensor)]
    there = [each for each in given if isinstance(each, OnDevice)]
    wanted = named.get("device")
    copies = function in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
    goes = torch.device(wanted).type == "meta" if wanted is not None else bool(there)
    if function is torch.ops.aten.copy_.default:
        goes = isinstance(arguments[0], OnDevice)
    if there and not copies:
        strangers = [each for each in given if each.ndim and each.is_floating_point() and each.device == CPU]
        if strangers:
            raise RuntimeError(f"{function}: tensors on two devices")
    if there and copies and not goes and named.get("dtype") == torch.float64:
        raise TypeError("a tensor is converted where it lies, and float64 is not there")

    def inner(each):
        if isinstance(each, OnDevice):
            return each.inner
        return CPU if isinstance(each, torch.device) else each

    owners = {id(each.inner): each for each in there}

    def outer(each):
        if not (goes and isinstance(each, torch.Tensor)):
            return each
        if each.dtype == torch.float64:
            raise TypeError(f"{function}: there is no float64 on this device")
        return owners[id(each)] if id(each) in owners else OnDevice(each)

    result = function(*tree_map(inner, arguments), **tree_map(inner, named))
    return tree_map(outer, result)


@pytest.fixture(autouse=True)
def no_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture
def stand_in(monkeypatch):
    monkeypatch.setattr(device, "WITHOUT_FLOAT64", {"meta"})
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: torch.device("meta"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 1)
    affine.cache_clear()  # of tensors that lie on the meta device itself
    with StandIn(), FromData():
        yield device.find_device("auto")
    affine.cache_clear()


def test_it_has_no_float64(stand_in):
    assert torch.zeros(3, device=stand_in).device == stand_in
    for work in (torch.Tensor.double, lambda tensor: tensor.to("cpu", torch.float64)):
        with pytest.raises(TypeError, match="float64"):
            work(torch.zeros(3, device=stand_in))
    with pytest.raises(RuntimeError, match="two devices"):
        torch.zeros(3, device=stand_in) + torch.zeros(3)


def test_it_is_found_and_its_float64_is_computed_on_the_cpu(stand_in):
    assert stand_in == torch.device("meta") and slots(["auto"], 1) == ["meta"]
    assert (device.exact(stand_in), device.exact(CPU)) == (CPU, CPU) and not device.native_bfloat16(stand_in)


@pytest.mark.parametrize(("kind", "count", "found"), [("xpu", 2, ["xpu:0", "xpu:1"]), ("mps", 1, ["mps:0"])])
def test_gpus_of_every_make_are_picked(monkeypatch, kind, count, found):
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available=False: torch.device(kind))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: count)
    monkeypatch.setattr(torch, "empty", lambda size, device: None)
    assert str(device.find_device("auto")) == found[0] and slots(["auto"], 1) == found


def test_its_memory_is_what_it_recommends_less_what_is_taken(monkeypatch):
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 9_000)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 2_000)
    assert device.available(torch.device("mps:0")) == 7_000


@pytest.mark.parametrize(
    "fields",
    [
        *({"style_statistic": statistic} for statistic in ("gram", "wasserstein", "sliced")),
        *({"colour": colour} for colour in ("covariance", "histogram")),
        {"optimizer": "adam", "total_variation_weight": 1.0},
    ],
    ids=lambda fields: next(iter(fields.values())),
)
def test_a_transfer_is_the_same_there(tiny_network, random_image, stand_in, fields):
    content, style = random_image(40, 40), random_image(40, 40, seed=1)
    mask = torch.zeros(1, 1, 40, 40)
    mask[..., :20] = 1
    recipe = Recipe.preset("transfer", size=40, iterations=3, precision="float32", **fields)
    results = []
    for where in (CPU, stand_in):
        given = {"content": content, "styles": [style] * 2, "masks": [mask, 1 - mask], "style_masks": [mask, mask]}
        synthesis = Synthesis(tiny_network(), recipe, **given, device=where)
        for _ in synthesis:
            pass
        results.append(synthesis.image)
    assert results[1].device == CPU
    torch.testing.assert_close(*results, atol=1e-3, rtol=0)


def test_a_network_is_normalised_there(tiny_network, random_image, stand_in, tmp_path):
    for number in range(3):
        to_picture(random_image(40, 50, seed=number)).save(tmp_path / f"{number}.png")
    found = []
    for where in (CPU, stand_in):
        network = tiny_network().at(where, torch.float32)
        held_out = [random_image(40, 44, seed=9).to(where)]
        (result,), _ = normalize([network], Pass(ImageStream(list_images(tmp_path), "native")), held_out)
        found.append(result)
    for name, mean in found[0].network.mean_activations.items():
        assert found[1].network.mean_activations[name].device == CPU
        torch.testing.assert_close(found[1].network.mean_activations[name], mean, rtol=1e-6, atol=0)
    assert found[1].relative_error < 1e-5


def test_a_seamless_texture_and_regions_are_made_there(tiny_network, random_image, stand_in):
    image = random_image(32, 32)
    recipe = Recipe.preset("texture", size=32, iterations=2, seamless=True)
    synthesis = Synthesis(tiny_network(), recipe, styles=[image], device=stand_in)
    assert len(list(synthesis)) == 2 and synthesis.image.device == CPU
    regions = suggest_regions(tiny_network().at(stand_in, torch.float32), image, [image])
    assert {tensor.device for region in regions for tensor in (region.mask, region.part)} == {CPU}
