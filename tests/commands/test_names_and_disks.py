"""What people's names, folders, disks and terminals do to a command: the picture is kept, and one sentence tells."""

import io
import json
import os
import re
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from toolkit.cli import main
from toolkit.errors import ToolkitError, WriteError
from toolkit.files import save_somewhere
from toolkit.jobs import Transfer
from toolkit.jobs.pairs import every_pair
from toolkit.network import save_network
from toolkit.pictures.formats import read_recipe
from toolkit.pictures.io import open_alpha, open_image
from toolkit.synthesis import Result

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")


@pytest.fixture
def desk(tmp_path, monkeypatch, tiny_network):
    """A working folder with two pictures and a network."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("photo.jpg", "painting.png")):
        noise(number).save(tmp_path / name)
    save_network(tiny_network(), tmp_path / "tiny.safetensors")
    return tmp_path


def noise(seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (40, 48, 3), np.uint8))


OPTIONS = ["--network", "tiny.safetensors", "--original", "--size", "32", "--iterations", "2"]


def transfer(*arguments):
    return main(["transfer", *map(str, arguments), *OPTIONS])


def job(**fields):
    images = {"content": "photo.jpg", "styles": ["painting.png"]}
    return Transfer(**images, network="tiny.safetensors", original=True, size=32, iterations=2, **fields)


def left(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".safetensors"))


@pytest.mark.parametrize("name", ["x" * 245 + ".png", "ü" * 120 + ".png"])
def test_a_name_as_long_as_file_systems_take_is_written(desk, name):
    assert transfer("photo.jpg", "painting.png", "-o", name) == 0
    assert Path(name).stat().st_size


def test_long_names_joined_are_shortened(desk):
    for letter in "ab":
        noise().save(desk / f"{letter * 130}.png")
    assert transfer("a" * 130 + ".png", "b" * 130 + ".png", "--resume") == 0
    (made,) = (name for name in left(desk) if name.startswith("aaa") and "-b" in name)
    assert made.startswith("a" * 130 + "-bbb") and made.endswith(".png")


def test_a_picture_that_can_not_be_written_at_the_end_is_kept_elsewhere(desk, monkeypatch):
    import tempfile

    (desk / "elsewhere").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(desk / "elsewhere"))

    def take_away(progress):
        if progress.iteration == 2:
            (desk / "out").rmdir()
            (desk / "out").write_text("a file now")

    with pytest.raises(WriteError) as told:
        job(output="out/x.png", resume=True).run(take_away)
    (kept,) = (desk / "elsewhere").iterdir()
    assert str(told.value).startswith("Could not write out/x.png: ")
    assert str(told.value).endswith(f"What was made is in {kept}.")
    assert json.loads(read_recipe(kept))["size"] == 32


def test_where_nothing_can_be_written_nothing_is_left(tmp_path):
    def refuse(path):
        raise ToolkitError(f"no room for {path.name}")

    with pytest.raises(ToolkitError, match=r"^no room for x.png$"):
        save_somewhere(tmp_path / "x.png", refuse, overwrite=False)
    assert not list(tmp_path.iterdir())


def test_names_taken_meanwhile_are_not_overwritten(desk):
    def another_run_is_faster(progress):
        (desk / "photo-painting.png").write_text("its result")

    made = job().run(another_run_is_faster)
    assert (desk / "photo-painting.png").read_text() == "its result"
    assert open_image(made.path).shape[-1] == 32 and str(made.path) == "photo-painting-2.png"


def test_a_finished_picture_stays_when_another_is_interrupted_and_resumed(desk):
    assert transfer("photo.jpg", "painting.png", "--resume") == 0
    finished = (desk / "photo-painting.png").read_bytes()

    def interrupt(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job(resume=True, seed=1).run(interrupt)
    assert "photo-painting-2.checkpoint" in left(desk)
    assert str(job(resume=True, seed=1).run().path) == "photo-painting-2.png"
    assert (desk / "photo-painting.png").read_bytes() == finished
    assert left(desk) == ["painting.png", "photo-painting-2.png", "photo-painting.png", "photo.jpg"]


@pytest.mark.parametrize(
    "command",
    [
        ["transfer", "photo.jpg", "painting.png", "-o", "photo.jpg"],
        ["transfer", "photo.jpg", "painting.png", "-o", "./painting.png"],
        ["transfer", "photo.jpg", "painting.png", "-o", "x.webp", "--timelapse", "x.webp"],
        ["transfer", "photo.jpg", "photo.jpg", "--style-masks", "painting.png", "-o", "painting.png"],
        ["reconstruct", "photo.jpg", "--start-image", "painting.png", "-o", "painting.png"],
        ["study", "photo.jpg", "painting.png", "--rows", "seed", "-o", "painting.png"],
        ["normalize", "vgg19-small", "-o", "x.safetensors", "--report", "x.safetensors"],
        ["normalize", "tiny.safetensors", "-o", "./tiny.safetensors"],
        ["convert", "tiny.safetensors", "--layout", "plain", "-o", "tiny.safetensors"],
    ],
)
def test_nothing_is_written_over_what_is_needed(desk, command, capsys):
    before = left(desk)
    assert main(command) == 2
    assert "is also an input or another output" in capsys.readouterr().err
    assert left(desk) == before


@posix
@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "utf-8"])
def test_any_name_can_be_printed(desk, monkeypatch, encoding):
    printed = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", printed)
    monkeypatch.setattr(sys, "stderr", printed)
    names = ["письмо.jpg", os.fsdecode(b"caf\xe9.jpg")]
    for name in names:
        noise().save(desk / name)
        assert transfer(name, "painting.png") == 0
        assert (desk / name).with_name(f"{Path(name).stem}-painting.png").exists()
    with pytest.raises(SystemExit) as ended:
        main(["transfer", "--help"])
    assert ended.value.code == 0
    assert main(["inspect", "письмо-painting.png"]) == 0
    assert printed.buffer.getvalue().decode(encoding).count("written to ") == 2


def _stream(how):
    """A stream that can't be written."""
    if how == "unread":
        reading, writing = os.pipe()
        os.close(reading)
        return os.fdopen(writing, "w")
    place = Path("/dev/full" if how == "full" and Path("/dev/full").exists() else os.devnull)
    stream = place.open("w")
    if how != "full":
        stream.close()
    return None if how == "absent" else stream


@posix
@pytest.mark.parametrize("name", ["stdout", "stderr"])
@pytest.mark.parametrize("how", ["full", "closed", "absent", "unread"])
def test_what_is_made_does_not_depend_on_what_is_printed(desk, monkeypatch, name, how):
    (desk / "photos").mkdir()
    for letter in "ab":
        noise().save(desk / "photos" / f"{letter}.png")
    with monkeypatch.context() as patched:
        stream = _stream(how)
        patched.setattr(sys, name, stream)
        status = transfer("photos", "painting.png", "-o", "made")
    if stream is not None:
        stream.close()  # writes what is left, which must not fail either
    assert status == 0 and left(desk / "made") == ["a-painting.png", "b-painting.png"]


def test_a_folder_run_makes_every_picture_whatever_its_name(desk):
    names = ["a/pic.jpg", "b/pic.png", "c/PIC.jpeg", "pic-2.png", "d.jfif", "e.jpe", "f.avif", "g.jp2"]
    formats = {"jfif": "JPEG", "jpe": "JPEG", "jp2": "JPEG2000"}
    for number, name in enumerate(names):
        path = desk / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        suffix = path.suffix[1:]
        noise(number).save(path, formats.get(suffix))
    assert transfer("photos", "painting.png", "-o", "photos/out.v2", "--timelapse", "film.gif") == 0
    made = left(desk / "photos" / "out.v2")
    assert len(made) == len(names) and len({name.lower() for name in made}) == len(names)
    assert len({(desk / "photos" / "out.v2" / name).read_bytes() for name in made}) == len(names)
    assert len(list(desk.glob("film-*.gif"))) == len(names)
    assert transfer("photos", "painting.png", "-o", "photos/out.v2") == 0  # results are no photographs
    assert left(desk / "photos" / "out.v2") == made


def test_a_folder_run_paints_pictures_alone(desk):
    (desk / "photos").mkdir()
    noise().save(desk / "photos" / "a.png")
    with tarfile.open(desk / "photos" / "backup.tar", "w") as tar:
        tar.add("photo.jpg")
    (desk / "photos" / "labels.parquet").write_text("no table")
    assert transfer("photos", "painting.png", "-o", "made") == 0
    assert left(desk / "made") == ["a-painting.png"]


def test_results_of_another_recipe_are_told(desk, capsys):
    (desk / "photos").mkdir()
    noise().save(desk / "photos" / "a.png")
    command = ("photos", "painting.png", "-o", "made")
    assert transfer(*command) == 0 and transfer(*command) == 0
    assert "kept" not in capsys.readouterr().err
    assert main(["transfer", *command, *OPTIONS, "--seed", "1"]) == 0
    assert "kept: made/a-painting.png is of another recipe or other images: remove it" in capsys.readouterr().err
    noise(7).save(desk / "photos" / "a.png")
    assert transfer(*command) == 0
    assert "kept: made/a-painting.png" in capsys.readouterr().err


@pytest.mark.parametrize("resume", [False, True])
def test_a_picture_that_was_interrupted_is_made_whole_by_the_same_command(desk, resume):
    (desk / "photos").mkdir()
    noise().save(desk / "photos" / "a.png")
    fields = {"network": "tiny.safetensors", "original": True, "size": 32, "iterations": 9, "precision": "float32"}
    job = Transfer(content="photos", styles=["painting.png"], output=Path("made"), resume=resume, **fields)
    made = desk / "made" / "a-painting.png"

    def interrupt(step):
        if step.iteration == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(every_pair(job, interrupt))
    assert not Result.read(made).finished
    list(every_pair(job))
    assert Result.read(made).finished and left(desk / "made") == ["a-painting.png"]
    again = made.read_bytes()
    list(every_pair(job))
    assert made.read_bytes() == again


@pytest.mark.parametrize("output", ["photos", "x.png", "photo.jpg"])
def test_a_folder_run_wants_a_folder_of_its_own(desk, output, capsys):
    (desk / "photos").mkdir()
    noise().save(desk / "photos" / "a.png")
    assert transfer("photos", "painting.png", "-o", output) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert left(desk / "photos") == ["a.png"]


def test_paths_may_begin_in_the_home_folder(desk, monkeypatch):
    home = desk / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    noise().save(home / "photo.png")
    assert transfer("~/photo.png", "painting.png", "--output=~/out/x.png", "--style-weight=1") == 0
    assert left(home) == ["out", "photo.png"] and not (desk / "~").exists()


def test_masks_that_look_like_a_mistake_get_a_word(desk, capsys):
    Image.new("RGB", (48, 40)).save(desk / "nowhere.png")
    half = Image.new("RGB", (48, 40))
    half.paste("blue", (0, 0, 24, 40))
    half.save(desk / "half.png")
    pictures = ("photo.jpg", "painting.png", "photo.jpg")
    assert transfer(*pictures, "--masks", "half.png", "nowhere.png") == 0
    text = capsys.readouterr().err
    assert "note: mask 2 is dark everywhere, so style 2 shows nowhere." in text
    assert re.search("note: the masks leave (49|50|51)% of the image to no style.", text)


@posix
def test_names_that_are_no_utf8_are_measured_and_exported(desk, capsys):
    folder = desk / os.fsdecode(b"\xe9")
    folder.mkdir()
    noise().save(folder / os.fsdecode(b"caf\xe9.png"))
    (folder / os.fsdecode(b"\xff.jpg")).write_text("no picture")
    command = ["normalize", "tiny.safetensors", str(folder), "--prepare", "native", "--recheck", "0"]
    assert main([*command, "-o", "n.safetensors", "--report", str(folder / "report.html")]) == 0
    assert "1 images read, 1 skipped" in capsys.readouterr().out
    assert main(["export", "n.safetensors", "--layers", "relu1_1", "-o", str(folder / "x.onnx")]) == 0
    assert main(["convert", "n.safetensors", "--layout", "plain", "-o", str(folder / "x.safetensors")]) == 2
    assert "is not in UTF-8, as names of networks must be: rename it or its folder." in capsys.readouterr().err


@posix
def test_a_link_is_followed_and_a_device_is_left_alone(desk, capsys):
    (desk / "link.png").symlink_to("target.png")
    (desk / "device.png").symlink_to(os.devnull)
    assert transfer("photo.jpg", "painting.png", "-o", "link.png") == 0
    assert (desk / "link.png").is_symlink() and open_image("target.png").shape[-1] == 32
    assert transfer("photo.jpg", "painting.png", "-o", "device.png") == 2
    assert "error: device.png is a folder or a device: name a file." in capsys.readouterr().err


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_a_recipe_may_come_from_any_editor(desk, encoding):
    assert transfer("photo.jpg", "painting.png", "-o", "x.png") == 0
    mark = {"utf-16-le": "﻿", "utf-16-be": "﻿"}.get(encoding, "")
    (desk / "recipe.json").write_text(mark + read_recipe("x.png"), encoding=encoding)
    assert main(["transfer", "photo.jpg", "painting.png", "--recipe", "recipe.json", *OPTIONS[:3], "-o", "y.png"]) == 0
    assert read_recipe("y.png") == read_recipe("x.png")


def test_a_result_for_print_is_transparent_fine_and_of_its_size(desk, capsys):
    clear = noise().convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    clear.save(desk / "clear.png")
    wishes = ("--keep-alpha", "--bits", "16", "--dpi", "300", "--background", "navy")
    assert transfer("clear.png", "painting.png", *wishes, "-o", "x.png") == 0
    assert open_alpha("x.png").shape == (1, 1, 27, 32)
    with Image.open("x.png") as picture:
        assert picture.info["dpi"] == pytest.approx((300, 300), rel=1e-3)
    assert transfer("clear.png", "painting.png", *wishes, "-o", "x.jpg") == 2
    assert "x.jpg can't have 16 bits" in capsys.readouterr().err
    assert transfer("clear.png", "painting.png", "--keep-alpha", "-o", "x.jpg") == 2
    assert "x.jpg can't be transparent" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["x.jpg", "x.webp", "x.tif"])
def test_recipes_travel_in_every_format(desk, name):
    assert transfer("photo.jpg", "painting.png", "-o", name) == 0
    again = ["transfer", "photo.jpg", "painting.png", "--recipe", name, *OPTIONS[:3], "-o", "y.png"]
    assert main(again) == 0 and read_recipe("y.png") == read_recipe(name)
    assert main(["inspect", name]) == 0
