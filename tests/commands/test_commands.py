"""The command line, by its text and its exit status."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from toolkit.cli import main
from toolkit.errors import ToolkitError
from toolkit.jobs import StudyJob, Transfer
from toolkit.network import load_network
from toolkit.pictures.formats import read_recipe, save_image
from toolkit.pictures.io import example_photographs, open_image

SMALL = ["--size", "32", "--iterations", "4"]


def test_normalize_writes_a_network_and_prints_its_proof(desk, capsys):
    command = ["normalize", "plain.safetensors", "images", "--output", "out/tiny.safetensors", "--prepare", "native"]
    assert main(command) == 0
    text = capsys.readouterr()
    assert "3 images read, 1 skipped" in text.out
    assert "largest relative error of an output on 4 held-out images: " in text.out
    assert "mean activations taken again over 3 images: within " in text.out
    assert text.out.endswith("written to out/tiny.safetensors\n")
    assert "skipped: broken.jpg is not a picture in a known format" in text.err
    assert "4 images; out/tiny.safetensors can be written" in text.err and "4 of 8, " in text.err
    assert load_network("out/tiny.safetensors").provenance["normalization"]["images"] == 3


@pytest.mark.parametrize(
    ("command", "output"),
    [
        (["transfer", "photo.jpg", "painting.png"], "photo-painting.png"),
        (
            ["transfer", "photo.jpg", "painting.png", "images/a.jpg", "--style-image-weights", "1,3"],
            "photo-painting-a.png",
        ),
        (["reconstruct", "photo.jpg"], "photo-reconstruct.png"),
        (["texture", "painting.png", "--style-layers", "relu1_1,relu2_1=0.5"], "painting-texture.png"),
        (["texture", "painting.png", "--seamless"], "painting-texture.png"),
        (["amalgamate", "photo.jpg", "painting.png"], "photo-painting-amalgamate.png"),
    ],
)
def test_each_synthesis_makes_a_picture_with_its_recipe(network, command, output, capsys):
    assert main([*command, "--network", network, *SMALL]) == 0
    text = capsys.readouterr()
    assert text.out.endswith(f"written to {output}\n") and "relu" in text.out
    assert "objective" in text.err and "4/4" in text.err
    assert ("style " in text.err) == bool(json.loads(read_recipe(output))["style_layers"])
    assert max(open_image(output).shape) == 32
    recipe = json.loads(read_recipe(output))
    assert (recipe["size"], recipe["iterations"]) == (32, 4)


def test_a_pictures_recipe_makes_the_same_picture_again(network, desk):
    command = ["transfer", "photo.jpg", "painting.png", "--network", network]
    assert main([*command, *SMALL, "--seed", "3", "--start", "noise", "-o", "first.png"]) == 0
    assert main([*command, "--recipe", "first.png", "-o", "second.png"]) == 0
    assert (desk / "first.png").read_bytes() == (desk / "second.png").read_bytes()
    (desk / "recipe.json").write_text(read_recipe("first.png"))
    assert main([*command, "--recipe", "recipe.json", "--iterations", "2", "-o", "third.png"]) == 0
    assert json.loads(read_recipe("third.png"))["iterations"] == 2


def test_a_picture_to_start_from_is_not_worked_over_at_coarse_sizes(network, desk):
    command = ["transfer", "photo.jpg", "painting.png", "--network", network, *SMALL]
    assert main([*command, "-o", "coarse.png"]) == 0
    assert main([*command, "--recipe", "coarse.png", "--start-image", "images/a.jpg", "-o", "on.png"]) == 0
    assert main([*command, "--start-image", "images/a.jpg", "--levels", "2", "-o", "asked.png"]) == 0
    recipes = [json.loads(read_recipe(name)) for name in ("coarse.png", "on.png", "asked.png")]
    assert [recipe["levels"] for recipe in recipes] == [6, 1, 2]
    assert [recipe["start"] for recipe in recipes] == ["content", "image", "image"]


def test_a_name_that_is_taken_is_not_overwritten(network, desk):
    for _ in range(2):
        assert main(["transfer", "photo.jpg", "painting.png", "--network", network, *SMALL]) == 0
    assert (desk / "photo-painting-2.png").exists()


def test_inspect_tells_what_a_file_is(network, capsys):
    assert main(["inspect", network]) == 0
    text = capsys.readouterr().out
    for line in (
        "vgg19, 3 4 5 6 7 filters",
        "pooling        average",
        "normalised     for average pooling",
        '"images": 3',
        "fingerprint",
    ):
        assert line in text
    assert main(["inspect", "vgg19-caffe-gatys.scales"]) == 0
    text = capsys.readouterr().out
    assert "vgg19, 64 128 256 512 512 filters\npooling        max\n  conv1_1: mean activations 7.42" in text
    assert main(["reconstruct", "photo.jpg", "--network", network, *SMALL, "-o", "r.png"]) == 0
    capsys.readouterr()
    assert main(["inspect", "r.png"]) == 0
    assert json.loads(capsys.readouterr().out)["synthesis"] == "reconstruction"


def test_a_network_that_is_not_normalised_is_normalised_with_a_note(desk, capsys):
    command = ["texture", "painting.png", "--network", "plain.safetensors", *SMALL]
    assert main(command) == 0
    note = "note: plain.safetensors is not normalised: "
    assert f"{note}its mean activations are those of four photographs" in capsys.readouterr().err
    assert main([*command, "--original"]) == 0
    assert "note: plain.safetensors is used as it was trained, so its losses" in capsys.readouterr().err


def test_a_recipe_made_with_another_network_gets_a_note(network, desk, capsys):
    assert main(["texture", "painting.png", "--network", network, *SMALL, "-o", "t.png"]) == 0
    for other, noted in ((network, False), ("vgg19-small", True)):
        assert main(["texture", "painting.png", "--network", other, "--recipe", "t.png", "-o", "x.png"]) == 0
        assert ("note: the recipe was made with another network" in capsys.readouterr().err) is noted


def test_a_job_takes_a_network_that_is_no_vgg(desk, residual):
    layers = {"content_layers": "second", "style_layers": "first"}
    for name, fields in (("first.png", layers), ("second.png", {"recipe": "first.png"})):
        job = Transfer(content="photo.jpg", styles=["painting.png"], size=32, iterations=1, output=name, **fields)
        assert job.run(network=residual).path.name == name
    with pytest.raises(ToolkitError, match=r"Unknown layer 'relu3_1'"):
        Transfer(content="photo.jpg", styles=["painting.png"], regions=2, output="x.png").run(network=residual)


@pytest.fixture
def listening():
    """Ctrl-C is heard here and in processes started from here, even where a shell started all in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_an_interrupted_synthesis_keeps_its_best_image(network, desk, listening, number):
    command = ["transfer", "photo.jpg", "painting.png", "--network", network, "--size", "64", "--iterations", "90000"]
    command += ["--no-early-stop"]
    process = subprocess.Popen(
        [sys.executable, "-m", "toolkit", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    shown = ""
    while "objective" not in shown:
        shown += (read := process.stderr.read(1))
        assert read, shown
    time.sleep(0.5)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Interrupted: the best image so far is kept." in err and "Traceback" not in err
    assert out.endswith("written to photo-painting.png\n")
    assert json.loads(read_recipe("photo-painting.png"))["synthesis"] == "transfer"
    assert open_image("photo-painting.png").shape == (1, 3, 53, 64)


@pytest.mark.parametrize(
    "command", ["", "normalize", "transfer", "reconstruct", "texture", "amalgamate", "study", "atlas", "inspect"]
)
def test_help_teaches(command, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*command.split(), "--help"])
    assert ended.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) > 8


def test_a_full_disk_is_told_in_a_sentence_and_nothing_half_written(desk, capsys, monkeypatch):
    import safetensors

    import toolkit.files

    def full(*_):
        raise safetensors.SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(toolkit.files, "save_file", full)
    assert main(["normalize", "plain.safetensors", "images", "-o", "out/x.safetensors"]) == 2
    assert "Could not write out/x.safetensors.0.partial: No space left on device" in capsys.readouterr().err
    assert not list((desk / "out").iterdir())


def test_folders_make_every_pair_and_go_on_after_a_bad_file(network, desk, capsys):
    command = ["transfer", "images", "painting.png", "--network", network, *SMALL]
    assert main(command) == 2
    capsys.readouterr()
    assert main([*command, "-o", "made"]) == 2
    text = capsys.readouterr()
    assert sorted(path.name for path in (desk / "made").iterdir()) == [f"{n}-painting.png" for n in "abc"]
    assert "not made: made/broken-painting.png: images/broken.jpg is not a picture" in text.err
    (desk / "images" / "broken.jpg").unlink()
    (desk / "made" / "b-painting.png").unlink()
    assert main([*command, "-o", "made"]) == 0
    assert capsys.readouterr().out.count("written to") == 1


def interrupt(when):
    """A callback that plays Ctrl-C at the step where ``when`` holds."""

    def progress(step):
        if when(step):
            raise KeyboardInterrupt

    return progress


def test_an_interrupted_run_resumes_to_the_same_picture(network, desk, capsys):
    command = ["transfer", "photo.jpg", "painting.png", "--network", network, "--size", "32", "--iterations", "8"]
    command += ["--regions", "2", "--style-layers", "relu1_1"]
    assert main([*command, "-o", "whole.png"]) == 0
    fields = {"network": network, "size": 32, "iterations": 8, "regions": 2, "style_layers": "relu1_1"}
    fields |= {"output": "parts.png", "resume": True, "timelapse": "x.gif"}
    job = Transfer(content="photo.jpg", styles=["painting.png"], **fields)
    with pytest.raises(KeyboardInterrupt) as stopped:
        job.run(interrupt(lambda step: step.iteration == 3))
    assert stopped.value.__notes__[0].endswith("written to parts.png\nwritten to x.gif")
    assert (desk / "parts.checkpoint").exists() and (desk / "parts.png").exists()
    beginning = (desk / "x.gif").read_bytes()
    capsys.readouterr()
    assert main([*command, "-o", "parts.png", "--resume", "--timelapse", "x.gif"]) == 0
    assert "3/8" in capsys.readouterr().err
    assert (desk / "x.gif").read_bytes() == beginning and (desk / "x-2.gif").exists()
    assert not (desk / "parts.checkpoint").exists() and not (desk / "parts-regions-2").exists()
    assert (open_image("parts.png") == open_image("whole.png")).all()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_being_told_to_stop_while_saving_loses_nothing(network, desk, listening, monkeypatch, capsys):
    from toolkit.synthesis import result

    def save(*arguments, **options):
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
        save_image(*arguments, **options)

    monkeypatch.setattr(result, "save_image", save)
    command = ["reconstruct", "photo.jpg", "--network", network, "--size", "32", "--iterations", "2", "-o", "x.png"]
    assert main(command) == 0
    assert capsys.readouterr().out.endswith("written to x.png\n")
    assert open_image("x.png").shape[-1] == 32
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)  # as before, once it is over


def test_masks_memory_colour_and_timelapse_on_the_command_line(network, desk, capsys):
    for name, side in (("left", slice(0, 30)), ("right", slice(30, 60))):
        mask = np.zeros((50, 60), np.uint8)
        mask[:, side] = 255
        Image.fromarray(mask).save(desk / f"{name}.png")
    command = ["transfer", "photo.jpg", "painting.png", "images/a.jpg", "--network", network, *SMALL]
    wishes = ["--masks", "left.png", "right.png", "--memory", "600MB", "--colour", "luminance", "--timelapse", "x.gif"]
    assert main([*command, *wishes, "-o", "x.png"]) == 0
    assert capsys.readouterr().out.endswith("written to x.png\nwritten to x.gif\n")
    recipe = json.loads(read_recipe("x.png"))
    assert recipe["colour"] == "luminance" and len(recipe["made_from"]["masks"]) == 2
    assert main([*command, *SMALL, "--style-masks", "left.png", "right.png", "-o", "y.png"]) == 0
    assert len(json.loads(read_recipe("y.png"))["made_from"]["style_masks"]) == 2


def test_regions_are_suggested_written_and_painted_with_again(network, desk, capsys):
    command = ["transfer", "photo.jpg", "--network", network, *SMALL, "--style-layers", "relu1_1"]
    assert main([*command, "painting.png", "--regions", "2", "--style-image-weights", "3", "-o", "a.png"]) == 0
    text = capsys.readouterr().err
    assert "regions written to a-regions." in text and "painting.png painting.png --masks a-regions/mask-*.png" in text
    recipe = json.loads(read_recipe("a.png"))
    assert recipe["style_image_weights"] == [3, 3]
    assert [len(recipe["made_from"][name]) for name in ("styles", "masks", "style_masks")] == [2, 2, 2]
    (desk / "a-regions" / "mask-1.png").write_bytes((desk / "painting.png").read_bytes())  # corrected
    assert main([*command, "painting.png", "--regions", "2", "--style-image-weights", "3", "-o", "a.png"]) == 0
    assert "--masks a-regions-2/mask-*.png" in capsys.readouterr().err
    assert (desk / "a-regions" / "mask-1.png").read_bytes() == (desk / "painting.png").read_bytes()
    saved = [[f"a-regions-2/{kind}-{number}.png" for number in (1, 2)] for kind in ("mask", "style-mask")]
    assert sum(open_image(path) for path in saved[0]).sub(1).abs().max() < 0.01
    again = ["painting.png", "painting.png", "--masks", *saved[0], "--style-masks", *saved[1], "-o", "b.png"]
    assert main([*command, *again, "--style-image-weights", "3,3"]) == 0
    assert (open_image("a.png") - open_image("b.png")).abs().mean() < 0.01


STUDY = ["study", "photo.jpg", "--synthesis", "reconstruction", "--rows", "content-layers=relu1_1,relu2_1"]


def test_a_study_writes_its_grid_its_data_and_its_cells(network, desk, capsys):
    command = [*STUDY, "--columns", "iterations=2,4", "--size", "32", "--network", network, "-o", "out/study.png"]
    assert main(command) == 0
    text = capsys.readouterr()
    assert text.out == "written to out/study.png, out/study.json and out/study/\n"
    assert "8/8" in text.err and "relu2_1, 4" in text.err
    names = [f"relu{block}_1, {n}" for block in (1, 2) for n in (2, 4)]
    assert sorted(path.name for path in (desk / "out/study").glob("*.png")) == [f"{name}.png" for name in names]
    told = json.loads((desk / "out/study.json").read_text())
    assert [f"{cell['row']}, {cell['column']}" for cell in told["cells"]] == names
    last = told["cells"][3]
    facts = {**last["recipe"], "made_from": last["made_from"], "losses": last["losses"]}
    assert json.loads(read_recipe("out/study/relu2_1, 4.png")) == facts
    assert open_image("out/study.png").shape[-1] > 64


def test_a_study_says_which_networks_were_not_normalised(network, desk, capsys):
    command = ["study", "photo.jpg", "painting.png", "--size", "32", "--iterations", "1", "-o", "s.png"]
    assert main([*command, "--rows", f"network={network},plain.safetensors", "--network", network]) == 0
    notes = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: ")]
    assert len(notes) == 1 and notes[0].startswith("note: plain.safetensors is not normalised: its mean")


def test_a_study_goes_on_from_what_is_there(network, desk):
    fields = {"images": ["photo.jpg"], "synthesis": "reconstruction", "rows": "content-layers=relu1_1,relu2_1"}
    fields |= {"size": 32, "iterations": 4, "network": network, "output": "study.png"}
    made = []

    def run(stop=lambda step: False, **others):
        made.clear()

        def progress(labelled):
            step = labelled.step
            if step.progress and step.progress.iteration == 1:
                made.append(labelled.label)
            interrupt(stop)(step)

        return StudyJob(**fields, **others).run(progress)

    with pytest.raises(KeyboardInterrupt) as stopped:
        run(lambda step: step.row == 1 and step.progress.iteration == 2)
    assert stopped.value.__notes__ == ["written to study.png, study.json and study/"]
    assert len(json.loads((desk / "study.json").read_text())["cells"]) == 1
    run()
    assert made == ["relu2_1"]
    told = (desk / "study.json").read_text()
    (desk / "study" / "relu1_1.json").write_text("damaged")
    run()
    assert made == ["relu1_1"]
    run(seed=1)
    assert made == ["relu1_1", "relu2_1"]
    assert json.loads(told)["cells"][0]["recipe"]["seed"] == 0


def test_an_output_that_can_not_be_written_is_told_before_any_work(network, desk, capsys):
    (desk / "folder.png").mkdir()
    (desk / "file").write_text("no folder")
    command = ["transfer", "photo.jpg", "painting.png", "--network", network, *SMALL]
    assert main([*command, "-o", "folder.png"]) == 2
    assert "error: folder.png is a folder or a device: name a file." in capsys.readouterr().err
    assert main([*command, "-o", "file/out.png"]) == 2
    assert "error: Could not write file/out.png" in capsys.readouterr().err


@pytest.mark.parametrize(("photo", "output"), [("x" * 300 + ".jpg", "y.png"), ("photo.jpg", "x" * 300 + ".png")])
def test_a_name_that_is_too_long_is_told(network, photo, output, capsys):
    assert main(["transfer", photo, "painting.png", "-o", output, "--network", network]) == 2
    assert "File name too long" in capsys.readouterr().err


def test_a_study_goes_on_when_a_cell_fails(network, capsys):
    command = ["study", "photo.jpg", "--synthesis", "reconstruction", "-o", "x.png", "--network", network]
    assert main([*command, "--rows", "content-layers=pool5,relu1_1", "--iterations", "2", "--size", "16"]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("not made: pool5: An image of 16")
    assert (open_image("x/relu1_1.png").shape)[-1] == 16


def test_strength_is_said_by_words_or_numbers(network, desk, capsys):
    command = ["transfer", "photo.jpg", "painting.png", "--network", network, *SMALL, "-o", "out.png"]
    assert main([*command, "--style-weight", "strong"]) == 0
    assert json.loads(read_recipe("out.png"))["style_weight"] == 100


def test_judge_prints_what_is_lost_and_left(network, desk, capsys):
    command = ["judge", "photo.jpg", "--content", "photo.jpg", "--style", "painting.png", "--network", network]
    assert main(command) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "content loss, as a share of the style image's" and lines[1].split() == ["relu4_2", "0.00%"]
    assert lines[8].split() == ["all", "100.00%"]
    assert [line.split()[0] for line in lines[-3:]] == ["invention", "coverage", "grain"]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["photo.jpg"]["style_of_all"] == 1


def test_judge_compares_pictures_in_a_table_and_a_sheet_and_says_when_it_painted_one(network, desk, capsys):
    images = ["--content", "photo.jpg", "--style", "painting.png", "--network", network]
    assert main(["transfer", "photo.jpg", "painting.png", "--network", network, *SMALL, "-o", "out.png"]) == 0
    capsys.readouterr()
    assert main(["judge", "photo.jpg", "out.png", *images, "--sheet", "sheet.png"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["1: photo.jpg", "2: out.png"] and lines[3].split()[:2] == ["relu4_2", "0.00%"]
    assert "has also painted" in lines[-2] and lines[-1] == "written to sheet.png"
    assert open_image("sheet.png").shape[-1] > 4 * 384
    assert main(["judge", "photo.jpg", "out.png", "photo.jpg", *images, "--sheet", "again.png"]) == 0
    assert Path("again.png").read_bytes() == Path("sheet.png").read_bytes()  # named twice, judged once
    assert main(["judge", "photo.jpg", *images, "--sheet", "sheet.jpg"]) == 2
    assert main(["judge", "photo.jpg", *images, "--sheet", "photo.jpg"]) == 2


def test_example_photographs_are_there_by_name_unless_a_file_of_ones_own_bears_it(desk):
    content = Transfer(content="coffee", styles=["painting.png"]).content
    torch.testing.assert_close(open_image(content), example_photographs()["coffee"])
    Path("coffee").mkdir()
    assert Transfer(content="coffee", styles=["painting.png"]).content == "coffee"
