"""Images are found in folders, archives and lists, and read in place whatever is wrong with some of them."""

import contextlib
import io
import os
import tarfile
import warnings

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms
from PIL.Image import BICUBIC
from torchvision.datasets.folder import pil_loader
from torchvision.transforms import CenterCrop, Resize

from toolkit.cli import main
from toolkit.data.sources import list_images
from toolkit.data.stream import ImageStream
from toolkit.errors import ToolkitError, ToolkitWarning
from toolkit.network import load_network, save_network
from toolkit.pictures.io import to_uint8

#: The profile of sRGB with red and blue exchanged.
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
EXCHANGED = SRGB.replace(b"rXYZ", b"----").replace(b"bXYZ", b"rXYZ").replace(b"----", b"bXYZ")


def picture(seed=0, mode="RGB", size=(60, 50)):
    values = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    return Image.fromarray(values).convert(mode)


@pytest.fixture
def archive(tmp_path):
    """A .tar of five images in two folders, and a note."""
    path = tmp_path / "data.tar"
    with tarfile.open(path, "w") as tar:
        for name in ("b/2.JPEG", "a/1.JPEG", "a/0.png", "b/3.JPEG", "4.jpeg", "notes.txt"):
            buffer = io.BytesIO()
            picture(len(name)).save(buffer, "PNG" if "png" in name else "JPEG")
            member = tarfile.TarInfo(name)
            member.size = len(buffer.getvalue())
            buffer.seek(0)
            tar.addfile(member, buffer)
    return path


def test_an_archive_gives_what_its_folder_gives(archive, tmp_path):
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "folder", filter="data")
    packed, plain = list_images(archive), list_images(tmp_path / "folder")
    assert [entry.name for entry in packed] == ["b/2.JPEG", "a/1.JPEG", "a/0.png", "b/3.JPEG", "4.jpeg"]
    assert [entry.name for entry in plain] == sorted(entry.name for entry in packed)
    for one, other in zip(sorted(packed, key=lambda entry: entry.name), plain, strict=True):
        assert np.array_equal(np.array(one.picture()), np.array(other.picture()))
    samples = [list_images(source, sample=3, seed=1) for source in (archive, tmp_path / "folder")]
    assert {entry.name for entry in samples[0]} == {entry.name for entry in samples[1]}


def test_an_archive_cut_short_gives_what_is_whole(archive):
    last = max(start + size for start, size in (entry.part for entry in list_images(archive)))
    archive.write_bytes(archive.read_bytes()[: last - 700])
    chunk = ImageStream(list_images(archive))[0]
    assert sum(len(batch) for batch in chunk.batches) == 4
    assert list(chunk.skipped.values()) == ["4.jpeg is cut short, as data.tar ends there: fetch the archive again."]


def test_an_archive_cut_short_before_its_last_image_is_told(archive, tmp_path):
    first = list_images(archive)[0].part
    archive.write_bytes(archive.read_bytes()[: sum(first) - 100])
    with pytest.warns(ToolkitWarning, match=r"^data.tar is cut short or damaged: images that were in it are"):
        assert [entry.name for entry in list_images(archive)] == ["b/2.JPEG"]


def test_what_is_no_archive_in_an_archive_is_passed_over_and_told(archive, tmp_path):
    (tmp_path / "empty").touch()
    with tarfile.open(tmp_path / "train.tar", "w") as outer:
        for name, path in (("n01.tar", "empty"), ("._n01.tar", "empty"), ("n02.tar", "data.tar")):
            outer.add(tmp_path / path, name)
    with pytest.warns(ToolkitWarning, match=r"^train.tar/n01 is cut short or damaged: images") as told:
        assert len(list_images(tmp_path / "train.tar")) == 5
    assert len(told) == 1


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_a_compressed_archive_is_read_as_a_stream(archive, tmp_path, kind):
    with tarfile.open(archive) as plain, tarfile.open(tmp_path / "data.tar.any", f"w:{kind}") as packed:
        for member in plain:
            packed.addfile(member, plain.extractfile(member))
    entries = list_images(tmp_path / "data.tar.any")
    assert [entry.name for entry in entries] == [entry.name for entry in list_images(archive)]
    for one, other in zip([*entries, entries[0]], [*list_images(archive), list_images(archive)[0]], strict=True):
        assert np.array_equal(np.array(one.picture()), np.array(other.picture()))
    whole = (tmp_path / "data.tar.any").read_bytes()
    (tmp_path / "data.tar.any").write_bytes(whole[:-900])
    with pytest.raises(ToolkitError, match=r"data.tar.any is neither .* nor a whole .tar: name one of them"):
        list_images(tmp_path / "data.tar.any")
    for place in range(300, len(whole) - 300, 300):  # wherever it is damaged
        (tmp_path / "data.tar.any").write_bytes(whole[:place] + bytes(60) + whole[place + 60 :])
        with warnings.catch_warnings(record=True) as told, contextlib.suppress(ToolkitError):
            assert len(list_images(tmp_path / "data.tar.any")) == 5 or told


def test_archives_in_an_archive_are_read_in_place(archive, tmp_path):
    with tarfile.open(tmp_path / "train.tar", "w") as outer:
        outer.add(archive, "n01.tar")
        outer.add(archive, "n02.tar")
    entries = list_images(tmp_path / "train.tar")
    assert len(entries) == 10 and entries[0].name == "n01/b/2.JPEG" and entries[-1].name == "n02/4.jpeg"
    for one, other in zip(entries, list_images(archive) * 2, strict=True):
        assert np.array_equal(np.array(one.picture()), np.array(other.picture()))


def test_links_in_an_archive_are_followed_and_others_named(archive, tmp_path):
    with tarfile.open(archive, "a") as tar:
        for name, target, kind in (
            ("b/5.JPEG", "../a/1.JPEG", tarfile.SYMTYPE),
            ("6.jpeg", "b/7.jpeg", tarfile.SYMTYPE),  # a link to a link that comes later
            ("b/7.jpeg", "a/0.png", tarfile.LNKTYPE),
            ("out.png", "/elsewhere/out.png", tarfile.SYMTYPE),
            ("one.png", "two.png", tarfile.SYMTYPE),
            ("two.png", "one.png", tarfile.SYMTYPE),
            ("latest", "b", tarfile.SYMTYPE),
        ):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, target
            tar.addfile(link)
    told = (
        r"^3 links in data\.tar lead to pictures that it does not hold, and are passed over: out.png, one.png, two.png"
    )
    with pytest.warns(ToolkitWarning, match=told):
        entries = {entry.name: entry for entry in list_images(archive)}
    assert list(entries)[5:] == ["b/5.JPEG", "6.jpeg", "b/7.jpeg"]
    for link, target in (("b/5.JPEG", "a/1.JPEG"), ("6.jpeg", "a/0.png"), ("b/7.jpeg", "a/0.png")):
        assert np.array_equal(np.array(entries[link].picture()), np.array(entries[target].picture()))


def test_masks_beside_pictures_in_a_webdataset_do_not_count(tmp_path):
    for name in ("1.jpg", "1.seg.png", "2.JPG", "2.seg.png", "photo.of.me.jpg"):
        picture().save(tmp_path / name)
    pictures = sorted(tmp_path.iterdir())
    with tarfile.open(tmp_path / "shard.tar", "w") as tar:
        for path in pictures:
            tar.add(path, f"a.b/{path.name}")
    told = r"^2 pictures in shard\.tar accompany others, as masks do in WebDataset, .*: a.b/1.seg.png, a.b/2.seg.png\.$"
    with pytest.warns(ToolkitWarning, match=told):
        entries = list_images(tmp_path / "shard.tar")
    assert [entry.name for entry in entries] == ["a.b/1.jpg", "a.b/2.JPG", "a.b/photo.of.me.jpg"]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("val.zip", "val.zip can't be read in parts: unpack it, and name its folder."),
        ("val.TFRecord", "val.TFRecord is a TFRecord: write its images into a folder, a .tar or a .parquet."),
        ("val/data.mdb", "data.mdb is of an LMDB: write its images into a folder"),
        ("val.arrow", "val.arrow is in Arrow's format: save it as Parquet, as datasets.Dataset.to_parquet does."),
    ],
)
def test_formats_that_are_not_read_are_told_with_what_to_do(tmp_path, name, told):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(b"PK")
    for source in (tmp_path / name, tmp_path):  # by name, or all that is in a folder
        with pytest.raises(ToolkitError, match=told):
            list_images(source)


def test_pointers_of_git_lfs_are_told(tmp_path):
    for name in ("a.jpg", "b.tar", "c.parquet"):
        (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    told = "is a Git LFS pointer, not the file itself: fetch the file with git lfs pull"
    for name in ("b.tar", "c.parquet", "c.parquet#image"):
        with pytest.raises(ToolkitError, match=f"{name} {told}"):
            list_images(tmp_path / name)
    (tmp_path / "b.tar").unlink()
    (tmp_path / "c.parquet").unlink()
    assert ImageStream(list_images(tmp_path))[0].skipped == {"a.jpg": f"a.jpg {told}."}


def test_names_in_an_archive_may_lead_upwards(archive, tmp_path):
    with tarfile.open(archive) as plain, tarfile.open(tmp_path / "up.tar", "w") as up:
        for member in plain:
            content = plain.extractfile(member)
            member.name = f"../photos/./{member.name}"
            up.addfile(member, content)
    assert len(list_images(tmp_path / "up.tar")) == 5


def test_what_macos_and_other_programs_leave_does_not_count(tmp_path):
    (tmp_path / "images" / ".ipynb_checkpoints").mkdir(parents=True)
    (tmp_path / "images" / "__MACOSX").mkdir()
    for name in ("a.png", "._a.png", ".b.png", ".ipynb_checkpoints/a.png", "__MACOSX/a.png"):
        picture().save(tmp_path / "images" / name)
    (tmp_path / "images" / "Thumbs.db").touch()
    with tarfile.open(tmp_path / "data.tar", "w") as tar:
        tar.add(tmp_path / "images", "./images")
    assert [entry.name for entry in list_images(tmp_path / "images")] == ["a.png"]
    assert [entry.name for entry in list_images(tmp_path / "data.tar")] == ["images/a.png"]


def test_several_sources_and_patterns_are_taken_in_order(tmp_path):
    for shard, name in (("s-08.tar", "x"), ("s-09.tar", "y"), ("s-10.tar", "z")):
        picture().save(tmp_path / f"{name}.png")
        with tarfile.open(tmp_path / shard, "w") as tar:
            tar.add(tmp_path / f"{name}.png", f"{name}.png")
    names = lambda *sources: "".join(e.name[0] for e in list_images(*(f"{tmp_path}/{s}" for s in sources)))  # noqa: E731
    assert names("s-{08..10}.tar") == names("s-*.tar") == names("s-{08,09,10}.tar") == names("s-?*.tar") == "xyz"
    assert names("s-10.tar", "s-08.tar") == "zx"
    assert names(".") == "xyzxyz"  # images and archives beside one another
    for name in "xyz":
        (tmp_path / f"{name}.png").unlink()
    assert names(".") == "xyz"
    with pytest.raises(ToolkitError, match=r"^Nothing matches .*t-\*: name"):
        names("t-*")
    with pytest.raises(ToolkitError, match=r"^There is no folder or archive .*s-11.tar: name"):
        names("s-{09..11}.tar")


def test_a_list_keeps_its_order_and_starts_from_where_it_lies(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("a.png", "b.png"):
        picture().save(tmp_path / "images" / name)
    (tmp_path / "list.txt").write_text("images/b.png\n\nimages/a.png\nimages/none.png\n")
    entries = list_images(tmp_path / "list.txt")
    assert [entry.name for entry in entries] == ["images/b.png", "images/a.png", "images/none.png"]
    assert ImageStream(entries)[0].skipped == {"images/none.png": "There is no picture images/none.png."}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_lists_are_read_as_people_have_them(tmp_path, encoding):
    text = "# ImageNet's own\nval/é 1.JPEG 65\nval\\2.JPEG\t970\r\n val/3.JPEG\n"
    (tmp_path / "val.txt").write_text(text, encoding=encoding)
    (tmp_path / "val.csv").write_text("label,file\n65,val/é 1.JPEG\n970,val\\2.JPEG\n9,val/3.JPEG\n", encoding=encoding)
    for name in ("val.txt", "val.csv"):
        entries = list_images(tmp_path / name)
        assert [entry.name for entry in entries] == ["val/é 1.JPEG", "val/2.JPEG", "val/3.JPEG"]
        assert entries[1].place == str(tmp_path / "val" / "2.JPEG")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("val.txt", "val/1.JPEG\nval/2.JPEG\n".encode("utf-16-le")),
        ("val.csv", "file\nval/1.JPEG\n".encode("utf-16-be")),
        ("val.csv", b"a" * 140_000),
        ("val.txt", bytes(range(128, 256))),
    ],
)
def test_lists_that_are_none_are_told(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    told = f"{name} is not a list of paths: write them as text in UTF-8, one on each line."
    with pytest.raises(ToolkitError, match=told):
        list_images(tmp_path / name)


def test_a_folder_may_be_called_like_somebodys_home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ToolkitError, match=r"There is no folder or archive ~old: name"):
        list_images("~old")
    (tmp_path / "~old").mkdir()
    picture().save(tmp_path / "~old" / "a.png")
    assert [entry.name for entry in list_images("~old")] == ["a.png"]


def test_images_of_one_name_are_counted_each(tmp_path):
    for folder in "ab":
        (tmp_path / folder).mkdir()
        for number in range(3):
            picture(number).save(tmp_path / folder / f"{number}.png")
    for damaged in ("a/1.png", "a/2.png", "b/1.png"):
        (tmp_path / damaged).write_text("no image")
    chunk = ImageStream(list_images(tmp_path / "a", tmp_path / "b"))[0]
    assert chunk.images == 6 and list(chunk.skipped) == [f"{n}.png (image {at})" for n, at in ((1, 2), (2, 3), (1, 5))]


def test_a_name_that_is_no_text_is_read_and_told(tmp_path):
    name = os.fsdecode(b"caf\xe9.png")
    (tmp_path / "folder").mkdir()
    picture().save(tmp_path / "folder" / name, "PNG")
    with tarfile.open(tmp_path / "data.tar", "w") as tar:
        tar.add(tmp_path / "folder" / name, name)
    for source in (tmp_path / "folder", tmp_path / "data.tar"):
        (entry,) = list_images(source)
        assert entry.name == "caf\\xe9.png" and entry.picture().size == (60, 50)
        assert len(ImageStream([entry]).fingerprint()) == 64


def test_a_run_with_a_name_that_is_no_text_and_too_small_an_image_ends_well(tmp_path, tiny_network, capsys):
    folder = tmp_path / os.fsdecode(b"fotos \xe9")
    folder.mkdir()
    picture().save(folder / os.fsdecode(b"caf\xe9.png"), "PNG")
    picture(size=(8, 8)).save(folder / os.fsdecode(b"th\xe9.png"), "PNG")
    save_network(tiny_network("vgg11"), tmp_path / "plain.safetensors")
    command = ["normalize", str(tmp_path / "plain.safetensors"), str(folder), "--prepare", "native", "--workers", "0"]
    outputs = ["-o", str(tmp_path / "mine.safetensors"), "--report", str(tmp_path / "mine.html")]
    assert main([*command, *outputs, "--recheck", "0"]) == 0
    assert "skipped: th\\xe9.png is 8 x 8 pixels, too small: a VGG needs 16." in capsys.readouterr().err
    note = load_network(tmp_path / "mine.safetensors").provenance["normalization"]
    assert (note["source"], note["images"], list(note["skipped"])) == ("fotos \\xe9", 1, ["th\\xe9.png"])


def test_too_small_an_image_is_skipped(tmp_path):
    picture(size=(16, 15)).save(tmp_path / "a.png")
    picture(size=(16, 16)).save(tmp_path / "b.png")
    chunk = ImageStream(list_images(tmp_path), "native")[0]
    assert chunk.skipped == {"a.png": "a.png is 16 x 15 pixels, too small: a VGG needs 16."} and len(chunk.batches) == 1


@pytest.mark.parametrize("preparation", ["crop", "stretch", "native"])
def test_too_long_an_image_is_skipped_before_it_is_scaled(tmp_path, preparation):
    Image.new("RGB", (100_000, 1)).save(tmp_path / "a.png")
    (reason,) = ImageStream(list_images(tmp_path), preparation)[0].skipped.values()
    assert reason == "a.png is 100000 x 1 pixels, too long for its breadth: crop it."


def test_a_folder_that_cannot_be_read_is_passed_over_with_a_note(tmp_path, monkeypatch):
    for name in ("lost+found", "photos", ".hidden"):
        (tmp_path / name).mkdir()
        picture().save(tmp_path / name / "a.png")
    listed = os.scandir

    def refused(folder):
        assert not str(folder).endswith(".hidden")
        if str(folder).endswith("lost+found"):
            raise PermissionError(13, "Permission denied", str(folder))
        return listed(folder)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.warns(ToolkitWarning, match=r"lost\+found can't be read and is passed over: Permission denied\.$"):
        assert [entry.name for entry in list_images(tmp_path)] == ["photos/a.png"]
    with pytest.raises(ToolkitError, match=r"Could not read .*lost\+found: Permission denied"):
        list_images(tmp_path / "lost+found")


def test_links_in_a_circle_end_and_linked_folders_count_once(tmp_path):
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    picture().save(tmp_path / "folder" / "deep" / "a.png")
    (tmp_path / "folder" / "deep" / "up").symlink_to(tmp_path / "folder")
    (tmp_path / "folder" / "loop.JPEG").symlink_to(tmp_path / "folder" / "loop.JPEG")
    entries = list_images(tmp_path / "folder")
    assert [entry.name for entry in entries] == ["deep/a.png", "loop.JPEG"]
    assert "Too many levels of symbolic links" in ImageStream(entries)[0].skipped["loop.JPEG"]


def test_a_folder_named_like_an_image_is_a_folder(tmp_path):
    (tmp_path / "a.JPEG").mkdir()
    picture().save(tmp_path / "a.JPEG" / "b.png")
    assert [entry.name for entry in list_images(tmp_path)] == ["a.JPEG/b.png"]


@pytest.mark.parametrize(("mode", "format"), [("L", "JPEG"), ("CMYK", "JPEG"), ("RGBA", "PNG"), ("P", "PNG")])
def test_grey_cmyk_and_mislabelled_images_are_read(tmp_path, mode, format):
    picture(mode=mode).save(tmp_path / "x.JPEG", format)
    (batch,) = ImageStream(list_images(tmp_path), "native")[0].batches
    assert batch.shape == (1, 3, 50, 60)
    expected = to_uint8(Image.open(tmp_path / "x.JPEG").convert("RGB"))
    assert (batch.int() - expected.int()).abs().max() <= 1


def test_samples_are_seeded(tmp_path):
    for number in range(20):
        picture(size=(4, 4)).save(tmp_path / f"{number:02}.png")
    names = [[e.name for e in list_images(tmp_path, sample=7, seed=seed)] for seed in (0, 0, 1)]
    assert names[0] == names[1] != names[2] and len(names[0]) == 7 and names[0] == sorted(names[0])
    assert len(list_images(tmp_path, sample=50)) == 20


@pytest.mark.parametrize("size", [(500, 375), (375, 500), (500, 333), (257, 256), (224, 700), (1201, 1100)])
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_pixels_are_those_that_torchvision_prepares(tmp_path, size, format):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    picture(size=size).save(tmp_path / "x.JPEG", format, exif=exif, icc_profile=EXCHANGED)
    loaded = pil_loader(tmp_path / "x.JPEG")
    expected = {"crop": CenterCrop(224)(Resize(256)(loaded)), "stretch": loaded.resize((256, 256), BICUBIC)}
    for preparation, known in expected.items():
        (batch,) = ImageStream(list_images(tmp_path), preparation)[0].batches
        assert torch.equal(batch, to_uint8(known))
    painted = list_images(tmp_path)[0].picture()
    turned = loaded.transpose(Image.Transpose.ROTATE_270)
    assert painted.size == turned.size
    assert (to_uint8(painted).float() - to_uint8(turned).float()).abs().mean() > 10  # the profile counts there


def test_grey_numbered_and_transparent_pictures_are_measured_as_classifiers_load_them(tmp_path):
    rgba = picture(mode="RGBA")
    rgba.putalpha(Image.linear_gradient("L").resize(rgba.size))
    for number, each in enumerate((picture(mode="L"), picture(mode="P"), picture(mode="CMYK"), rgba)):
        each.save(tmp_path / f"{number}.tif")
        (entry,) = list_images(tmp_path)
        assert np.array_equal(np.asarray(entry.picture(as_stored=True)), np.asarray(pil_loader(entry.place)))
        (tmp_path / f"{number}.tif").unlink()
    Image.fromarray(np.full((20, 20), 32896, np.uint16)).save(tmp_path / "deep.png")
    assert list_images(tmp_path)[0].picture(as_stored=True).getpixel((0, 0)) == (128, 128, 128)


def test_a_stream_stops_when_told_to_be_strict_or_when_nothing_more_can_be_read(tmp_path):
    for number in range(40):
        picture(size=(8, 8)).save(tmp_path / f"{number:02}.png")
    entries = list_images(tmp_path)
    (tmp_path / "05.png").write_text("no image")
    with pytest.raises(ToolkitError, match=r"^05.png is not a picture"):
        list(ImageStream(entries, strict=True).chunks(range(2)))
    for path in tmp_path.iterdir():
        path.unlink()
    told = r"32 images in a row could not be read; the first: There is no picture 00.png\.$"
    with pytest.raises(ToolkitError, match=told):
        list(ImageStream(entries).chunks(range(2)))


@pytest.mark.parametrize("workers", [0, 2])
def test_worker_processes_change_nothing(tmp_path, workers):
    for number in range(70):
        picture(number, size=(17 + number % 2, 16)).save(tmp_path / f"{number:02}.png")
    (tmp_path / "40.png").write_text("no image")
    stream = ImageStream(list_images(tmp_path), "native", 4, workers)
    chunks = list(stream.chunks(range(len(stream))))
    assert [chunk.number for chunk in chunks] == [0, 1, 2]
    assert [chunk.images for chunk in chunks] == [32, 32, 6]
    assert list(chunks[1].skipped) == ["40.png"]
    assert {len(batch) for chunk in chunks for batch in chunk.batches} == {4, 3}
