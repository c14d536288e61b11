"""Images are measured where they are, in whatever holds them: the means are the same, and faults are survived."""

import base64
import collections
import io
import itertools
import json
import tarfile

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image

from toolkit.cli import main
from toolkit.data import remote
from toolkit.data.sources import list_images
from toolkit.data.stream import ImageStream
from toolkit.errors import ToolkitError
from toolkit.network import save_network
from toolkit.normalize.measure import PartialFile, measure

COUNT, SHARDS = 72, 4


@pytest.fixture
def root(tmp_path, monkeypatch):
    """The same images as a folder, a list, a tar, shards, Parquet with and without paths; new tries come quickly."""
    monkeypatch.setattr(remote, "WAITS", (0.01, 0.02))
    (tmp_path / "folder").mkdir()
    rng = np.random.default_rng(0)
    names = [f"{number:03}.png" for number in range(COUNT)]
    files = []
    for name in names:
        buffer = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (18, 20, 3), np.uint8)).save(buffer, "PNG")
        files.append(buffer.getvalue())
        (tmp_path / "folder" / name).write_bytes(files[-1])
    (tmp_path / "list.txt").write_text("".join(f"folder/{name} {n}\n" for n, name in enumerate(names)))
    with tarfile.open(tmp_path / "all.tar", "w") as tar:
        for name in names:
            tar.add(tmp_path / "folder" / name, name)
    for shard in range(SHARDS):
        with tarfile.open(tmp_path / f"shard-{shard:02}.tar", "w") as tar:
            for name in names[shard * COUNT // SHARDS : (shard + 1) * COUNT // SHARDS]:
                tar.add(tmp_path / "folder" / name, name)
                label = tarfile.TarInfo(name.replace("png", "cls"))
                label.size = 2
                tar.addfile(label, io.BytesIO(b"65"))
    cells = [{"bytes": file, "path": name} for name, file in zip(names, files, strict=True)]
    table = pa.table({"image": cells, "label": range(COUNT)})
    pq.write_table(table, tmp_path / "all.parquet", row_group_size=20)
    pq.write_table(pa.table({"image": files}), tmp_path / "plain.parquet", row_group_size=20)
    elsewhere = [{"bytes": None, "path": f"folder/{name}"} for name in names]
    pq.write_table(pa.table({"image": elsewhere}), tmp_path / "paths.parquet")
    texts = [f"folder/{name}" for name in names[:9]] + [base64.b64encode(file).decode() for file in files[9:]]
    texts[20] = f"data:image/png;base64,{texts[20]}"
    pq.write_table(pa.table({"image": texts}), tmp_path / "texts.parquet", row_group_size=20)
    pq.write_table(pa.table({"label": range(COUNT), "photo": cells}), tmp_path / "photo.parquet")
    several = {"image": range(COUNT), "depth": files[::-1], "photo": cells}
    pq.write_table(pa.table(several), tmp_path / "several.parquet")
    return tmp_path


SHARDED = ["all.tar", "shard-{00..03}.tar"]
TABLES = [f"{name}.parquet" for name in ("all", "plain", "paths", "texts", "photo")] + ["several.parquet#photo"]
SOURCES = [*SHARDED, *TABLES, "list.txt"]


def means(network, entries, workers=0):
    found = measure([network], ImageStream(entries, "native", workers=workers))
    assert (found.images, found.skipped) == (COUNT, {})
    return torch.cat(list(found.sums[0].means().values()))


def test_whatever_holds_them_and_wherever_the_means_are_the_same(root, web, tiny_network):
    network = tiny_network("vgg11")
    expected = means(network, list_images(root / "folder"))
    for source in SOURCES:
        assert torch.equal(means(network, list_images(root / source)), expected), source
        assert torch.equal(means(network, list_images(f"{web.address}/{source}")), expected), source
    assert torch.allclose(means(network, list_images(f"{web.address}/all.tar"), workers=2), expected, rtol=1e-12)


def test_no_archive_is_copied_whole(root, web):
    entries = list_images(f"{web.address}/all.tar")
    assert web.sent < 1600 * COUNT
    before = len(web.requests)
    assert ImageStream(entries)[0].images == 32
    assert len(web.requests) == before + 1  # neighbours within 64 kB come in one piece
    web.sent = 0
    list_images(f"{web.address}/all.parquet")
    assert web.sent < (1 << 16) + COUNT * 100  # what pyarrow reads of a file at first, and the names


def test_dropped_connections_and_busy_servers_change_nothing(root, web, tiny_network):
    network = tiny_network("vgg11")
    expected = means(network, list_images(root / "folder"))
    for source in ("all.tar", "shard-{00..03}.tar", "all.parquet"):
        turns = collections.defaultdict(lambda: itertools.cycle([None, None, "drop", 503, None, 429, None]))
        web.fault = lambda path, number, turns=turns: next(turns[path])
        assert torch.equal(means(network, list_images(f"{web.address}/{source}")), expected), source


def test_a_shard_that_keeps_failing_is_skipped_counted_and_named(root, web, tiny_network):
    stream = ImageStream(list_images(f"{web.address}/shard-{{00..03}}.tar"), "native")
    web.fault = lambda path, number: 500 if path == "/shard-02.tar" else None
    found = measure([tiny_network()], stream)
    assert found.images == 54 and sorted(found.skipped) == [f"{number:03}.png" for number in range(36, 54)]
    (reason,) = set(found.skipped.values())
    assert reason.startswith(f"{web.address}/shard-02.tar could not be read: ")
    stream.strict = True
    with pytest.raises(ToolkitError, match=r"shard-02.tar could not be read"):
        measure([tiny_network()], stream)


def test_when_no_shard_can_be_read_the_pass_ends_and_goes_on_later(root, web, tiny_network):
    network = tiny_network()
    stream = ImageStream(list_images(f"{web.address}/shard-{{00..03}}.tar"), "native")
    partial = PartialFile(root / "sums", {})
    began = len(web.requests)
    web.fault = lambda path, number: 500 if number > began + 2 else None
    with pytest.raises(ToolkitError, match=r"could not be read: .* What was done is kept: run it again to resume"):
        measure([network], stream, partial=partial)
    assert partial.load().chunks == 1 and not partial.load().skipped
    web.fault = lambda path, number: None
    again = measure([network], stream, partial=partial)
    assert again.images == COUNT
    expected = means(network, list_images(root / "folder"))
    assert torch.equal(torch.cat(list(again.sums[0].means().values())), expected)


@pytest.mark.parametrize(
    ("source", "fault", "told"),
    [
        ("all.tar", 401, "could not be read: the server refuses it (401); check your access to it."),
        ("all.parquet", 403, "could not be read: the server refuses it (403); check your access to it."),
        ("none.tar", None, "could not be read: there is no such file or folder."),
        ("all.tar.gz", None, "is compressed, so it can't be read in parts: download it first."),
        ("label.parquet", None, "has no column image but these: label."),
        ("cut.parquet", None, "could not be read: "),
        ("folder/000.png", None, "is neither a folder, a list, a .parquet nor a whole .tar: name one of them."),
    ],
)
def test_what_cannot_be_read_is_told_before_any_measuring(
    root, web, source, fault, told, monkeypatch, capsys, tiny_network
):
    monkeypatch.chdir(root)
    save_network(tiny_network(), root / "plain.safetensors")
    pq.write_table(pa.table({"label": [1]}), root / "label.parquet")
    (root / "cut.parquet").write_bytes((root / "all.parquet").read_bytes()[:-100])
    web.fault = lambda path, number: fault
    address = f"{web.address}/{source}?signature=secret"
    assert main(["normalize", "plain.safetensors", address, "-o", "x.safetensors"]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"looking for images …\nerror: {web.address}/{source} {told}")
    assert error.count("\n") == 2 and "secret" not in error
    assert not list(root.glob("x.*"))


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"image": [1.5]}, "The column image of .*x.parquet holds double, not bytes, paths or base64."),
        ({"image": [[1, 2]]}, r"The column image of .*x.parquet holds list<.*>, not bytes, paths or base64."),
        ({"image": [{"width": 3}]}, "holds struct<width: int64>, not bytes"),
        (
            {"left": [b"1"], "right": [b"2"]},
            r"has no column image but several of bytes \(left, right\): choose one, as in x.parquet#left\.$",
        ),
        (
            {"file": ["a.png"], "label": [1]},
            "has no column image but these: file, label: choose one, as in x.parquet#file",
        ),
        ({"label": [1]}, r"x.parquet has no column image but these: label\.$"),
    ],
)
def test_columns_that_hold_no_images_are_told_when_the_file_is_listed(tmp_path, columns, told):
    pq.write_table(pa.table(columns), tmp_path / "x.parquet")
    with pytest.raises(ToolkitError, match=told):
        list_images(tmp_path / "x.parquet")


def test_a_column_that_is_not_there_is_told(root):
    with pytest.raises(ToolkitError, match=r"several.parquet has no column foto but several of bytes \(depth, photo\)"):
        list_images(root / "sev*.parquet#foto")


def test_text_that_is_no_image_is_skipped_and_told(tmp_path):
    pq.write_table(pa.table({"image": ["a cat, asleep", "café", None]}), tmp_path / "x.parquet")
    reasons = set(ImageStream(list_images(tmp_path / "x.parquet"))[0].skipped.values())
    assert {reason.split("x.parquet ")[1] for reason in reasons} == {
        "holds text that is neither a path nor base64.",
        "holds no image.",
    }


def test_a_bucket_is_read_in_parts(root, web, monkeypatch):
    (root / "bucket").mkdir()
    (root / "all.tar").rename(root / "bucket" / "all.tar")
    monkeypatch.setitem(fsspec.config.conf, "s3", {"anon": True, "endpoint_url": web.address})
    entries = list_images("s3://bucket/all.tar")
    assert len(entries) == COUNT and web.sent < 1600 * COUNT
    assert ImageStream(entries)[0].images == 32
    with pytest.raises(
        ToolkitError, match=r"^s3://bucket/none.tar could not be read: there is no such file or folder.$"
    ):
        list_images("s3://bucket/none.tar")


def test_a_server_without_parts_is_told(root, web):
    web.ranges = False
    with pytest.raises(ToolkitError, match="its server gives whole files only, not parts of them; download it first"):
        list_images(f"{web.address}/all.tar")


def test_an_address_of_no_known_kind_is_told():
    with pytest.raises(
        ToolkitError, match=r"^nowhere://x is no address that can be read: use https://, hf:// or s3://"
    ):
        list_images("nowhere://x")


def test_the_command_tells_all_as_json(root, web, tiny_network, monkeypatch, capsys):
    monkeypatch.chdir(root)
    save_network(tiny_network(), root / "plain.safetensors")
    addresses = [f"{web.address}/shard-{number:02}.tar?signature=secret" for number in range(SHARDS)]
    options = ["--prepare", "native", "--workers", "0", "--pooling", "both", "--json"]
    assert main(["normalize", "plain.safetensors", *addresses, "-o", "x.safetensors", *options]) == 0
    text = capsys.readouterr()
    found = json.loads(text.out)
    assert found["written"] == ["x.safetensors"] and found["images"] == COUNT and found["skipped"] == {}
    assert 0 <= found["network_share"] <= 1
    assert list(found["standard_errors"])[:2] == ["conv1_1", "conv1_2"] and 0 < found["standard_errors"]["conv1_1"] < 1
    assert found["checks"]["max"]["images"] == COUNT and found["checks"]["average"]["relative_error"] < 1e-4
    assert "72 images; x.safetensors can be written" in text.err and "32 of 144, " in text.err
    assert (
        b"secret" not in (root / "x.safetensors").read_bytes()
        and b"/shard-03.tar" in (root / "x.safetensors").read_bytes()
    )
