"""The page from a script."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from demo.notes import notes_passed_on
from toolkit.errors import ToolkitError, WriteError
from toolkit.jobs.clip import ClipPainting
from toolkit.pictures.clips import open_clip, save_clip
from toolkit.pictures.formats import read_recipe

SMALL = {"size": 64, "iterations": 10}

NETWORK = {"network": "Literal[vgg19-small]"}
LIMITS = {"size": "int", "iterations": "int"}
TRANSFER = {
    "content": "filepath",
    "style": "filepath",
    "more_styles": "list[filepath]",
    "regions": "dict(background: None | filepath",
    "style_parts": "list[filepath]",
    "style_weight": "float",
    "style_image_weights": "str",
    **LIMITS,
    "colour": "Literal['style', 'luminance', 'covariance', 'histogram']",
    "style_scale": "float",
    "style_statistic": "Literal['moments', 'gram', 'wasserstein', 'sliced']",
    "finish": "float",
    "content_layers": "str",
    "style_layers": "str",
    "start": "Literal['content', 'style', 'noise', 'grey']",
    "optimizer": "Literal['lbfgs', 'adam']",
    "total_variation_weight": "float",
    "seed": "int",
    **NETWORK,
}

#: What each endpoint takes: its parameters' Python types, as a client is told them.
PARAMETERS = {
    "/transfer": TRANSFER,
    "/four_ways": {
        "by": "Literal['strength and stroke size', 'finish', 'style statistic', 'seed, from noise']",
        **{name: kind for name, kind in TRANSFER.items() if name not in LIMITS},
    },
    "/paint_clip": {
        "clip": "filepath",
        "style": "filepath",
        "strength": "Literal['hint'",
        "begin": "float",
        "seconds": "float",
        "fps": "float",
        **LIMITS,
        **NETWORK,
    },
    "/reconstruct": {
        "image": "filepath",
        "what": "Literal['content', 'style']",
        "layers": "list[Literal['relu1_1'",
        **LIMITS,
        **NETWORK,
    },
    "/amalgamate": {"content": "filepath", "start": "filepath", "layer": "Literal['relu1_1'", **LIMITS, **NETWORK},
    "/study": {
        "content": "filepath",
        "style": "filepath",
        "synthesis": "Literal['transfer', 'reconstruction', 'texture']",
        "rows": "Literal['content-layers'",
        "row_values": "str",
        "columns": "Literal['nothing', 'content-layers'",
        "column_values": "str",
        **LIMITS,
        **NETWORK,
    },
    "/network": NETWORK,
    "/atlas": {"layer": "Literal['relu1_1', 'relu2_1'", "channel": "int", **NETWORK},
}

#: A picture, a sentence and further files.
ANSWER = ["filepath", "str", "list[filepath]"]


@pytest.fixture(scope="module")
def endpoints(address):
    return Client(address, verbose=False).view_api(return_format="dict", print_info=False)["named_endpoints"]


def test_the_endpoints_are_those_of_the_tabs_and_no_others(endpoints):
    assert endpoints.keys() == PARAMETERS.keys()


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_has_a_name_a_type_and_a_default(endpoints, name):
    parameters = endpoints[name]["parameters"]
    assert [parameter["parameter_name"] for parameter in parameters] == list(PARAMETERS[name])
    for parameter in parameters:
        assert parameter["python_type"]["type"].startswith(PARAMETERS[name][parameter["parameter_name"]])
        assert parameter["parameter_has_default"]


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_endpoint_answers_with_a_picture_a_sentence_and_files(endpoints, name):
    returned = [each["python_type"]["type"] for each in endpoints[name]["returns"]]
    assert returned == ANSWER


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_endpoint_tells_what_it_does_and_what_each_parameter_is(endpoints, name):
    assert endpoints[name].get("description")


def test_a_transfer_gives_a_picture_with_its_recipe_the_same_in_16_bits_and_a_film(address, pictures):
    photo, painting = pictures
    saved, _, (whole, film) = Client(address, verbose=False).predict(
        content=handle_file(photo), style=handle_file(painting), size=384, iterations=10, api_name="/transfer"
    )
    assert Image.open(film).n_frames > 1
    recipe = json.loads(read_recipe(saved))
    assert (recipe["synthesis"], recipe["size"], recipe["iterations"]) == ("transfer", 384, 10)
    assert Image.open(saved).size == (384, 307)
    pixels = tifffile.imread(whole)
    assert (pixels.shape, pixels.dtype) == ((307, 384, 3), np.uint16) and read_recipe(whole) == read_recipe(saved)


def test_a_clip_that_breaks_in_the_middle_keeps_the_frames_that_are_done(client, monkeypatch):
    whole = ClipPainting.__iter__

    def broken(painting):
        for step in whole(painting):
            if step.frame == 3:
                raise ToolkitError(f"{painting.job.content} is damaged, says {painting.folder}.")
            yield step

    monkeypatch.setattr(ClipPainting, "__iter__", broken)
    film, status, _ = client.predict(**SMALL, seconds=0.5, fps=10, api_name="/paint_clip")
    assert status.startswith("Done: 2 frames in ")
    assert status.endswith(" The clip is damaged, says The server/clip.frames.")
    assert len(list(open_clip(film).frames)) == 2


def test_a_clip_whose_sound_cannot_be_read_is_painted_and_the_visitor_is_told(client, monkeypatch):
    def save_or_fail(path, frames, rate, sound=None):
        if sound:
            raise WriteError("The sound is damaged.")
        save_clip(path, frames, rate)

    monkeypatch.setattr("toolkit.jobs.clip.save_clip", save_or_fail)
    with notes_passed_on():
        _, status, _ = client.predict(**SMALL, seconds=0.2, fps=10, api_name="/paint_clip")
    assert status.startswith("Done: 2 frames in ")
    assert status.endswith(" s. The sound of the clip can't be read: the film has none.")


def test_without_pictures_those_of_the_page_are_taken(client):
    _, status, _ = client.predict(**SMALL, api_name="/transfer")
    assert status.startswith("Done after 10 iterations")


def test_more_styles_and_regions_may_be_sent(client, pictures, smaller_ways, tmp_path):
    painted = Image.new("RGBA", (80, 64))
    painted.paste("#3cb44b", (0, 0, 40, 64))
    painted.save(tmp_path / "painted.png")
    part = Image.new("RGBA", (80, 64))
    part.paste("red", (0, 0, 80, 32))
    part.save(tmp_path / "part.png")
    content, style = map(handle_file, pictures)
    images = {"content": content, "style": style, "more_styles": [content]}
    regions = {
        "regions": {"background": None, "layers": [handle_file(tmp_path / "painted.png")], "composite": None},
        "style_parts": [handle_file(tmp_path / "part.png"), content],
    }
    saved = client.predict(**images, **regions, **SMALL, api_name="/transfer")[0]
    made_from = json.loads(read_recipe(saved))["made_from"]
    assert len(made_from["styles"]) == len(made_from["masks"]) == len(made_from["style_masks"]) == 2
    plain, masked = (client.predict(**images, **more, api_name="/four_ways")[2] for more in ({}, regions))
    assert len(plain) == 4
    for ways in zip(plain, masked, strict=True):
        without, within = (np.asarray(Image.open(path).convert("RGB"), int) for path in ways)
        assert abs(without - within).mean() > 1


def test_what_the_page_cannot_offer_is_done_within_its_limits(client):
    saved = client.predict(size=10_000, iterations=-3, api_name="/amalgamate")[0]
    recipe = json.loads(read_recipe(saved))
    assert (recipe["size"], recipe["iterations"]) == (512, 1)


def test_a_reconstruction_gives_a_picture_for_every_layer(client, pictures):
    photograph, _ = pictures
    sheet, status, pictures = client.predict(
        image=handle_file(photograph), what="style", layers=["relu1_1", "relu2_1"], **SMALL, api_name="/reconstruct"
    )
    assert len(pictures) == 2
    assert status.startswith("Done: 2 of 2") and Image.open(sheet).format == "PNG"


def test_a_study_gives_a_grid_and_its_data(client):
    sheet, status, (figures, *pictures) = client.predict(
        rows="seed", row_values="0, 1", columns="nothing", **SMALL, api_name="/study"
    )
    assert status.startswith("Done: 2 images")
    assert Image.open(sheet).format == "PNG"
    assert [cell["recipe"]["seed"] for cell in json.loads(Path(figures).read_text())["cells"]] == [0, 1]
    assert [json.loads(read_recipe(path))["seed"] for path in pictures] == [0, 1]


def test_the_network_tells_of_itself_and_gives_its_files(client):
    _, told, files = client.predict(api_name="/network")
    assert "relu1_1" in told and "teacher" in told and "<" not in told
    assert [path.endswith("vgg19-small.safetensors") for path in files] == [True]


def test_the_atlas_gives_nine_patches(client):
    sheet, told, patches = client.predict(layer="relu2_1", channel=3, api_name="/atlas")
    assert Image.open(sheet).format == "PNG" and len(patches) == 9 and told
    with pytest.raises(AppError, match="relu2_1 has the channels 0 to"):
        client.predict(layer="relu2_1", channel=3000, api_name="/atlas")


def test_what_belongs_to_the_page_alone_cannot_be_called(client, endpoints):
    names = {each["api_name"] for each in client.config["dependencies"]} - {name.strip("/") for name in endpoints}
    assert names >= {"go_on", "restore", "double", "leave", "transfer_1"}
    for name in names:
        with pytest.raises(ValueError, match="Cannot find a function"):
            client.predict(api_name=f"/{name}")
