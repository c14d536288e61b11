"""What nobody should send: each is answered with its sentence, or with a picture where it is one."""

import io
import json
import struct
import uuid
import zipfile
import zlib

import httpx
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from toolkit.synthesis import Recipe

#: The label of the field for an image whose recipe is used.
RECIPE = "drop an image made here to use its recipe"

UNKNOWN = "is not a picture in a known format: use PNG, JPEG or WebP."
DAMAGED = "could not be read (damaged or cut short)."
UNUSABLE = "This did not work (log "
TOO_LARGE = "pixels that are read: scale it down."

#: Gradio itself refused, before the endpoint, and says nothing.
SILENT = "(no sentence)"

#: What no answer may hold.
TELLTALES = ("Traceback", "/tmp", "/home", "/root", "/usr", "site-packages", ".py", "Error:")


def noise(size=(40, 30), mode="RGB"):
    return Image.effect_noise(size, 80).convert(mode)


def saved(picture, kind, **how):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **how)
    return buffer.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, rows=0):
    """A grey PNG that says it is so large, and holds so many rows of nothing."""
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    pixels = zlib.compress(bytes((width + 7) // 8 + 1) * rows, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def zipped():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("picture.png", saved(noise(), "PNG"))
    return buffer.getvalue()


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(noise(), "JPEG", exif=exif)


def sixteen_bits():
    return saved(Image.fromarray(np.arange(1200, dtype=np.uint16).reshape(30, 40) * 50), "PNG")


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>'

#: Files that are no pictures to be read, by name, and what is said of them.
REFUSED = {
    "text.png": (b"I am a picture, believe me.", UNKNOWN),
    "empty.png": (b"", "not a picture in a known format: the file is empty."),
    "nothing but zeros.png": (bytes(5000), UNKNOWN),
    "cut.png": (saved(noise((200, 200)), "PNG")[:4000], DAMAGED),
    "cut.jpg": (saved(noise((200, 200)), "JPEG")[:2000], "could not be read"),
    "cut.webp": (saved(noise((200, 200)), "WEBP")[:2000], "could not be read"),
    "signature only.png": (b"\x89PNG\r\n\x1a\n", UNKNOWN),
    "bomb.png": (png(10_100, 10_100, 10_100), "has 10100 x 10100 pixels, more than the 100,000,000 that are read"),
    "larger bomb.png": (png(14_000, 14_000, 14_000), TOO_LARGE),
    "huge by its header.png": (png(2**31 - 1, 2**31 - 1), TOO_LARGE),
    "wide by its header.bmp": (
        b"BM" + struct.pack("<IIIIiiHHI", 99, 0, 54, 40, 2**30, 2**30, 1, 24, 0) + bytes(40),
        TOO_LARGE,
    ),
    "drawing.svg": (SVG, UNKNOWN),
    "page.html": (b"<!doctype html><img src=x onerror=alert(1)>", UNKNOWN),
    "paper.pdf": (b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n%%EOF", UNKNOWN),
    "program.eps": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n", UNKNOWN),
    "archive.png": (zipped(), UNKNOWN),
    "program": (b"\x7fELF" + bytes(100), UNKNOWN),
    "script.php.jpg": (b"<?php system('id'); ?>", UNKNOWN),
    "icon.ico": (saved(noise((32, 32)), "ICO"), UNKNOWN),
}

#: Files that are pictures, however odd.
WELCOME = {
    "moving.gif": saved(noise(), "GIF", save_all=True, append_images=[noise(), noise()]),
    "moving.webp": saved(noise(), "WEBP", save_all=True, append_images=[noise()]),
    "scan.tiff": saved(noise(), "TIFF", compression="tiff_lzw"),
    "sixteen bits.png": sixteen_bits(),
    "print.jpg": saved(noise(mode="RGB").convert("CMYK"), "JPEG"),
    "palette.png": saved(noise().convert("P"), "PNG"),
    "one bit.png": saved(noise(mode="1"), "PNG"),
    "transparent.png": saved(noise(mode="RGB").convert("RGBA"), "PNG"),
    "one pixel.png": saved(noise((1, 1)), "PNG"),
    "turned.jpg": turned(),
    "page and picture.jpg": saved(noise(), "JPEG") + b"<script>alert(1)</script>",
    "picture and archive.png": saved(noise(), "PNG") + zipped(),
    "misnamed.svg": saved(noise(), "PNG"),
}

#: Paths, addresses and other things that are no files sent here.
ELSEWHERE = {
    "a path of the server": {"path": __file__},
    "a path, declared a file": {"path": __file__, "meta": {"_type": "gradio.FileData"}},
    "a path, declared something else": {"path": __file__, "meta": {"_type": "something"}},
    "a path that climbs": {"path": "../../../../etc/passwd"},
    "a file of the project": {"path": "demo/pictures/transfer.jpg"},
    "a device": {"path": "/dev/zero"},
    "an address inside": {"path": "http://127.0.0.1:1/picture.png"},
    "an address of the cloud": {"path": "http://169.254.169.254/latest/meta-data"},
    "a file as an address": {"path": "file:///etc/passwd"},
    "a number for a path": {"path": 5},
    "a nought in a path": {"path": "a\0b"},
    "a long path": {"path": "x" * 5000},
    "a bare text": "data:image/png;base64,iVBORw0KGgo=",
    "a number": 7,
    "a list": [1, 2],
}

#: Wishes that cannot be granted, by endpoint, and what is said of them.
WISHES = [
    ("transfer", {"size": "large"}, "Size must be a number."),
    ("transfer", {"size": "nan"}, "Size must be a number."),
    ("transfer", {"iterations": [10]}, "Iterations must be a number."),
    ("transfer", {"iterations": {"a": 1}}, "Iterations must be a number."),
    ("transfer", {"style_weight": "inf"}, "Style weight must be a number."),
    ("transfer", {"seed": 1e30}, "Seed must be less than 9223372036854775808, not 1"),
    (
        "transfer",
        {"colour": "mauve"},
        "Colours cannot be 'mauve': choose one of style, luminance, covariance, histogram.",
    ),
    ("transfer", {"start": "image"}, "Start cannot be 'image': choose one of content, style, noise, grey."),
    ("transfer", {"optimizer": ["adam"]}, "choose one of lbfgs, adam."),
    ("transfer", {"network": "/etc/passwd"}, "Network cannot be '/etc/passwd': choose one of vgg19-small."),
    ("transfer", {"style_layers": "relu9_9"}, "Unknown layer 'relu9_9' of vgg19: did you mean"),
    ("transfer", {"style_layers": "relu1_1=much"}, "is no list of layers such as relu1_1,relu2_1=0.5."),
    ("transfer", {"content_layers": "relu4_2=nan"}, "Content layers: relu4_2 must be a finite number, not nan."),
    ("transfer", {"style_image_weights": "1; drop"}, "Style image weights: value 1 must be a number, not '1; drop'."),
    ("transfer", {"style_image_weights": "1," * 5000}, "Weights of the styles"),
    ("transfer", {"regions": "everywhere"}, UNUSABLE),
    ("transfer", {"regions": {"background": None, "layers": [{"path": __file__}], "composite": None}}, UNUSABLE),
    ("transfer", {"more_styles": "all"}, UNUSABLE),
    ("transfer", {"more_styles": [{"image": {"path": __file__}, "caption": None}]}, UNUSABLE),
    ("transfer", {"more_styles": [{"video": {"path": "clip.mp4"}}]}, "Up to 3 more styles: send images, not videos."),
    ("transfer", {"content": None}, "There is no content image yet: choose one, or an example."),
    ("four_ways", {"by": "mood"}, "What varies cannot be 'mood': choose one of strength and stroke size"),
    ("four_ways", {"style_layers": "relu9_9"}, "Unknown layer 'relu9_9' of vgg19: did you mean"),
    ("four_ways", {"style_image_weights": "1,2,3"}, "There are 1 style images but 3 weights: give one for each."),
    ("four_ways", {"more_styles": [{"image": {"path": __file__}, "caption": None}]}, UNUSABLE),
    ("four_ways", {"content": None}, "There is no content image yet: choose one, or an example."),
    ("suggest_them", {"network": "/etc/passwd"}, "Network cannot be '/etc/passwd': choose one of vgg19-small."),
    ("suggest_them", {"seed": "many"}, "Seed must be a number."),
    ("suggest_them", {}, "Add a second style first"),
    ("suggest_them", {"up to 3 more styles": [{"image": {"path": __file__}, "caption": None}]}, UNUSABLE),
    ("_converted", {"the picture in 16 bits": {"path": __file__}}, SILENT),
    ("_converted", {"format": "EXE"}, "Format cannot be 'EXE': choose one of PNG"),
    ("use_link", {"link or recipe": "x" * 20_000}, "Link or recipe is too long: use at most 10,000 characters."),
    ("reconstruct", {"what": "soul"}, "What to reconstruct cannot be 'soul': choose one of content, style."),
    ("reconstruct", {"layers": "relu1_1"}, "Layers must be a list."),
    ("reconstruct", {"layers": ["relu9_9"]}, "Layers cannot be 'relu9_9': choose one of relu1_1"),
    ("reconstruct", {"layers": []}, "Choose at least one layer."),
    ("amalgamate", {"layer": "conv1_1"}, "Layer cannot be 'conv1_1': choose one of relu1_1"),
    (
        "study",
        {"rows": "network", "row_values": "/etc/passwd"},
        "There is no network '/etc/passwd' here: choose one of",
    ),
    ("study", {"rows": "everything"}, "Rows cannot be 'everything': choose one of content-layers"),
    (
        "study",
        {"rows": "seed", "row_values": ",".join(map(str, range(200)))},
        "This study has 600 images, but at most 64 are allowed",
    ),
    (
        "study",
        {"rows": "size", "row_values": "64, 9000"},
        "Images may have at most 512 pixels a side here: use smaller sizes.",
    ),
    ("study", {"columns": "iterations", "column_values": "99999"}, "Images may take at most 1000 iterations here"),
    ("study", {"columns": "iterations", "column_values": "1,2,1001"}, "Images may take at most 1000 iterations here"),
    ("study", {"columns": "normalization", "column_values": "original"}, "Rows and columns both set"),
    ("atlas", {"layer": "relu9_1"}, "Layer cannot be 'relu9_1': choose one of relu1_1"),
    ("atlas", {"channel": "first"}, "Channel must be a number."),
    ("network", {"network": "../models"}, "Network cannot be '../models': choose one of vgg19-small."),
]

#: Wishes that are granted within the limits.
CLAMPED = [
    {"size": -5},
    {
        "size": None,
        "network": None,
        "seed": None,
        "total_variation_weight": None,
        "colour": None,
        "style_image_weights": None,
    },
    {"size": "64", "iterations": 1.5e-9, "seed": -1, "style_weight": 1e99},
    {"more_styles": None, "regions": None, "content_layers": None},
]


class Stranger:
    """Talks to the page as no client of Gradio would."""

    def __init__(self, address):
        self.address = address.rstrip("/") + "/gradio_api"
        self.line = httpx.Client(timeout=90, limits=httpx.Limits(max_keepalive_connections=0))
        self.config = self.line.get(f"{address.rstrip('/')}/config").json()
        self.fields = {field["id"]: field for field in self.config["components"]}
        self.described = self.line.get(f"{self.address}/info").json()["named_endpoints"]
        self.events = {event["api_name"]: event for event in self.config["dependencies"]}

    def upload(self, name, data):
        answer = self.line.post(f"{self.address}/upload", files={"files": (name, data)})
        return {"path": answer.json()[0], "meta": {"_type": "gradio.FileData"}}

    def ask(self, event, clicked=None, **wishes):
        """(whether it went well, what was answered), the small usual wishes in place of those not named."""
        event = self.events[event]
        fields = [self.fields[field] for field in event["inputs"]]
        described = self.described.get(f"/{event['api_name']}", {"parameters": []})["parameters"]
        # What belongs to the page alone is known by its labels.
        names = [each["parameter_name"] for each in described] or [str(f["props"].get("label")).lower() for f in fields]
        values = {name: field["props"].get("value") for name, field in zip(names, fields, strict=True)}
        values |= {name: few for name, few in {"size": 64, "iterations": 10}.items() if name in values} | wishes
        return self.send({"data": list(values.values()), "fn_index": event["id"], "event_data": clicked})

    def send(self, body):
        visit, self.warnings = uuid.uuid4().hex, []
        self.line.post(f"{self.address}/queue/join", json={"session_hash": visit, **body}).raise_for_status()
        with self.line.stream("GET", f"{self.address}/queue/data", params={"session_hash": visit}) as answer:
            for line in answer.iter_lines():
                message = json.loads(line.removeprefix("data:")) if line else {"msg": ""}
                if message["msg"] == "log":
                    self.warnings.append(message["log"])
                if message["msg"] == "process_completed":
                    return message["success"], message["output"]
        raise AssertionError("it was never answered")

    def refusal(self, event, **wishes):
        went_well, answer = self.ask(event, **wishes)
        assert not went_well
        told = SILENT if answer["error"] is None else answer["error"]
        assert not any(telltale in told for telltale in TELLTALES), told
        return told

    def warning(self, event, **wishes):
        went_well, _ = self.ask(event, **wishes)
        assert went_well
        (told,) = self.warnings
        assert not any(telltale in told for telltale in TELLTALES), told
        return told


@pytest.fixture(scope="module")
def stranger(address):
    stranger = Stranger(address)
    yield stranger
    stranger.line.close()


@pytest.fixture(autouse=True)
def alive_afterwards(context):
    yield
    assert context.jobs.running == 0


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_cannot_be_read_is_refused_in_a_sentence(stranger, name):
    data, sentence = REFUSED[name]
    told = stranger.refusal("transfer", content=stranger.upload(name, data))
    assert sentence in told and told.startswith("The content image ")


@pytest.mark.parametrize(
    ("event", "field", "role"),
    [
        ("transfer", "style", "style"),
        ("reconstruct", "image", "chosen"),
        ("amalgamate", "start", "start"),
        ("study", "content", "content"),
    ],
)
def test_every_endpoint_says_which_picture_it_was(stranger, event, field, role):
    told = stranger.refusal(event, **{field: stranger.upload("page.html", REFUSED["page.html"][0])})
    assert told == f"The {role} image {UNKNOWN}"


@pytest.mark.parametrize("name", WELCOME)
def test_an_odd_picture_is_painted(stranger, name):
    went_well, answer = stranger.ask("transfer", content=stranger.upload(name, WELCOME[name]))
    assert went_well, answer


@pytest.mark.parametrize("size", [(1, 5000), (5000, 1)])
def test_a_line_is_a_style_and_too_thin_to_be_painted(stranger, size):
    line = stranger.upload("line.png", saved(noise(size), "PNG"))
    assert stranger.ask("amalgamate", start=line)[0]
    assert "is too small for relu5_1: use at least 16 x 16" in stranger.refusal("transfer", content=line)


@pytest.mark.parametrize("sent", ELSEWHERE.values(), ids=ELSEWHERE)
def test_only_files_that_were_sent_are_read(stranger, sent):
    expected = SILENT if sent == ELSEWHERE["a path, declared a file"] else UNUSABLE
    assert stranger.refusal("transfer", content=sent).startswith(expected)


@pytest.mark.parametrize(("event", "wishes", "sentence"), WISHES)
def test_a_wish_that_makes_no_sense_is_refused_in_a_sentence(stranger, event, wishes, sentence):
    assert sentence in stranger.refusal(event, **wishes)


@pytest.mark.parametrize("wishes", CLAMPED)
def test_a_wish_beyond_the_limits_is_granted_within_them(stranger, wishes):
    went_well, answer = stranger.ask("transfer", **wishes)
    assert went_well, answer


@pytest.mark.parametrize(("data", "told"), [([], SILENT), ([None] * 40, "There is no content image yet")])
def test_values_too_few_are_refused_and_what_is_too_many_is_passed_over(stranger, data, told):
    went_well, answer = stranger.send({"data": data, "fn_index": stranger.events["transfer"]["id"]})
    assert not went_well and (answer["error"] or SILENT).startswith(told)


def test_a_file_of_too_many_bytes_is_refused(stranger):
    answer = stranger.line.post(f"{stranger.address}/upload", files={"files": ("large.png", bytes(3_000_000))})
    assert (answer.status_code, answer.text) == (413, "File size exceeded maximum allowed size of 2097152 bytes.")


def test_a_name_that_climbs_stays_in_its_folder(stranger):
    assert stranger.upload("../../../etc/cron.d/job", b"x")["path"].endswith("/job")


@pytest.mark.parametrize("path", ["/etc/passwd", "README.md", "demo/app.py", "models/vgg19-small.safetensors"])
def test_files_of_the_server_are_not_given_away(stranger, path):
    assert stranger.line.get(f"{stranger.address}/file={path}").status_code in (403, 404)


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        (None, "holds no recipe"),
        ("{", "The recipe is not valid"),
        ("[]", "The recipe is not valid"),
        ('{"synthesis": "transfer", "size": 1e99}', "The recipe is not valid: size"),
        ('{"synthesis": "transfer", "secret": 1}', "The recipe is not valid: secret"),
        (Recipe.preset("texture").to_json(), "This is the recipe of a texture, not of a transfer."),
        ("x" * 2_000_000, "could not be read"),
    ],
)
def test_a_png_with_no_recipe_that_fits_is_refused_in_a_sentence(stranger, recipe, sentence):
    text = PngImagePlugin.PngInfo()
    if recipe is not None:
        text.add_itxt("recipe", recipe, zip=True)
    sent = stranger.upload("made.png", saved(noise(), "PNG", pnginfo=text))
    assert sentence in stranger.warning("restore", **{RECIPE: sent})


@pytest.mark.parametrize("name", ["text.png", "cut.png", "bomb.png", "drawing.svg"])
def test_what_is_dropped_for_its_recipe_and_is_no_picture_is_refused(stranger, name):
    assert stranger.warning("restore", **{RECIPE: stranger.upload("made.png", REFUSED[name][0])}).startswith(
        "The picture "
    )


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Paste a link to this page, or a recipe."),
        ("https://example.org/", "Paste a link to this page, or a recipe."),
        ("javascript:alert(1)", "Paste a link to this page, or a recipe."),
        ("?size=nan", "Size must be a"),
        ("?size=-1", "Size must be at least 16"),
        ("?style_layers=relu1_1%3Dmuch", "is no list of layers such as"),
        ("?network=../../etc/passwd", "There is no network '../../etc/passwd' here"),
        ("{", "The recipe is not valid"),
        (
            '{"synthesis": "transfer", "style_layers": {"relu1_1": 1e999}}',
            "style layers: relu1_1 must be a finite number",
        ),
        ("{" * 9_000, "The recipe is not valid"),
        (Recipe.preset("texture").to_json(), "This is the recipe of a texture, not of a transfer."),
    ],
)
def test_a_link_or_a_recipe_that_is_none_is_refused_in_a_sentence(stranger, text, sentence):
    assert sentence in stranger.warning("use_link", **{"link or recipe": text})


def test_a_link_reads_no_picture_but_the_examples(stranger):
    went_well, answer = stranger.ask("use_link", **{"link or recipe": "?content=/etc/passwd&style=../mosaic&size=64"})
    assert went_well and not stranger.warnings
    assert [each.get("__type__") for each in answer["data"][:2]] == ["update", "update"]


@pytest.mark.parametrize("name", ["page.html", "cut.png", "bomb.png"])
def test_regions_of_what_is_no_picture_are_refused(stranger, name):
    style = {"image": stranger.upload("style.png", saved(noise(), "PNG")), "caption": None}
    broken = stranger.upload(name, REFUSED[name][0])
    told = stranger.refusal("suggest_them", photograph=broken, **{"up to 3 more styles": [style]})
    assert told.startswith("The content image ")


@pytest.mark.parametrize("data", [b"II*\0" + bytes(40), saved(noise((9, 9)), "TIFF"), REFUSED["bomb.png"][0]])
def test_what_is_no_result_is_not_converted(stranger, data):
    assert stranger.refusal("_converted", **{"the picture in 16 bits": stranger.upload("whole.tif", data)})


def test_a_click_on_a_picture_that_was_deleted_since_is_refused_in_a_sentence(stranger):
    told = stranger.refusal("show_own", clicked={"index": 0, "value": None})
    assert told == "This picture is no longer on the server: make it again."


@pytest.mark.parametrize("index", [[5, 5], [-1e99, 1e99], "here", None, [1], {"x": 1}])
def test_a_click_that_meets_no_picture_is_refused_in_a_sentence(stranger, index):
    assert stranger.refusal("pick_cell", clicked={"index": index, "value": None})
