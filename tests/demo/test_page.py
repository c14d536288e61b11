"""The page in a real browser."""

import io
import json
import re
import threading
import time

import numpy as np
import tifffile
import torch
from PIL import Image

from demo.components.download import KINDS
from demo.components.four_ways import WAYS
from demo.examples.finished import FINISHED
from demo.visits import Visits
from toolkit.pictures.formats import read_recipe
from toolkit.studies import AXES
from toolkit.synthesis import Inputs, Recipe, Result


def upload(page, pictures):
    for role, path in zip(("content", "style"), pictures, strict=True):
        old = page.locator(f"#{role} img").get_attribute("src")
        page.locator(f"#{role}").get_by_label("Remove Image").click()
        page.set_input_files(f"#{role} input[type=file]", path)
        page.wait_for_function(
            "([id, old]) => (document.querySelector(`#${id} img`)?.src ?? old) !== old",
            arg=[role, old],
            timeout=120_000,
        )


def wait_for_status(page, words, name="transfer"):
    page.wait_for_function(
        "([id, words]) => document.querySelector(id)?.innerText.includes(words)",
        arg=[f"#{name}-status", words],
        timeout=120_000,
    )


def set_number(page, label, number):
    page.wait_for_timeout(100)  # Gradio sets what it has just shown once more, a frame later
    field = page.get_by_role("tabpanel").get_by_label(f"number input for {label}").locator("visible=true")
    field.fill(str(number))
    field.press("Enter")


def is_ready(page, selector):
    page.wait_for_function("id => !document.querySelector(id).disabled", arg=selector, timeout=120_000)


def saved_recipe(page, path, button="#transfer-download"):
    with page.expect_download() as download:
        page.click(button)
    download.value.save_as(path)
    return json.loads(read_recipe(path))


def wait_for_grid(page):
    """Gradio computes where a click hits from the loaded picture."""
    page.wait_for_function(
        """() => {
          const image = document.querySelector("#study-grid img");
          return image?.src.endsWith("study.png") && image.complete && image.naturalWidth;
        }"""
    )


def choose_format(page, name):
    page.locator("#transfer-format input").click()
    page.get_by_role("option", name=name, exact=True).click()


def choose_axes(page, **axes):
    for name, axis in axes.items():
        page.locator(f"#{name} input").click()
        option = page.get_by_role("option", name=axis, exact=True)
        option.click()
        option.wait_for(state="hidden")


def test_a_visitor_watches_stops_continues_enlarges_and_restores(visit, expect, drop, pictures, unhurried, tmp_path):
    page = visit()
    upload(page, pictures)
    set_number(page, "Size", 128)
    set_number(page, "Iterations", 1000)
    page.click("#paint")
    wait_for_status(page, "Iteration ")
    first = page.locator("#transfer-result img").get_attribute("src")
    page.wait_for_function(
        "src => document.querySelector('#transfer-result img').src !== src", arg=first, timeout=120_000
    )
    assert page.locator("#paint").is_disabled() and page.locator("#continue").is_disabled()
    page.click("#stop")
    wait_for_status(page, "Stopped after ")
    is_ready(page, "#continue")
    for tab in ("Study", "Transfer"):
        page.get_by_role("tab", name=tab, exact=True).click()
    page.wait_for_selector("#transfer-losses svg, #transfer-losses canvas")
    recipe = saved_recipe(page, tmp_path / "first.png")
    assert (recipe["synthesis"], recipe["size"], recipe["iterations"]) == ("transfer", 128, 1000)
    assert Image.open(tmp_path / "first.png").size == (128, 102)

    set_number(page, "Iterations", 10)
    page.click("#larger")
    wait_for_status(page, "Done after 10 ")
    is_ready(page, "#continue")
    recipe = saved_recipe(page, tmp_path / "larger.png")
    assert (recipe["size"], recipe["start"], recipe["levels"]) == (256, "image", 1)
    larger = recipe
    set_number(page, "Iterations", 9)
    page.click("#continue")
    wait_for_status(page, "Done after 9 ")
    is_ready(page, "#continue")
    assert saved_recipe(page, tmp_path / "further.png")["made_from"]["start"] != recipe["made_from"]["start"]

    page.get_by_role("tab", name="Before and after").click()
    expect(page.locator("#transfer-comparison img")).to_have_count(2)
    page.get_by_role("tab", name="Film").click()
    page.wait_for_selector("#transfer-film img")

    page.reload()
    wait_for_status(page, "Done after 9 ")  # what was there before is shown again
    is_ready(page, "#transfer-download")
    page.get_by_text("Share and restore").click()
    page.set_input_files("#recipe input[type=file]", tmp_path / "larger.png")
    wait_for_status(page, "The controls now show this image's recipe.")
    expect(page.get_by_label("number input for Size").first).to_have_value("256")
    expect(page.get_by_label("number input for Iterations").first).to_have_value("10")
    choose_format(page, "JPEG")
    assert saved_recipe(page, tmp_path / "restored.jpg") == larger
    assert Image.open(tmp_path / "restored.jpg").format == "JPEG"

    page.get_by_role("tab", name="Study", exact=True).click()
    for name, size in (("first.png", "128"), ("larger.png", "256")):
        assert drop(page, "h1", tmp_path / name)
        expect(page.get_by_label("number input for Size").first).to_have_value(size)
    expect(page.locator("#paint")).to_be_visible()


def test_a_restored_picture_brings_its_examples_and_is_never_gone_on_from_with_others(
    visit, expect, drop, pictures, tmp_path
):
    page = visit()
    set_number(page, "Size", 64)
    set_number(page, "Iterations", 2)
    for name, images in (("examples.png", None), ("own.png", pictures)):
        if images:
            upload(page, images)
        page.click("#paint")
        is_ready(page, "#transfer-download")
        saved_recipe(page, tmp_path / name)
    page = visit()
    page.get_by_role("tab", name="Before and after").click()
    page.locator(".examples").nth(1).locator(".thumbnail-item").first.click()
    expect(page.locator("#style img")).to_have_attribute("src", re.compile("ink_wash"))
    assert drop(page, "h1", tmp_path / "examples.png")
    wait_for_status(page, "Press Refine further to go on from the image.")
    expect(page.locator("#style img")).to_have_attribute("src", re.compile("oil_garden"))
    expect(page.locator("#transfer-result img")).to_be_visible()
    assert drop(page, "h1", tmp_path / "own.png")
    wait_for_status(page, "Choose the photograph and the style that it was made from.")
    for role in ("content", "style"):
        expect(page.locator(f"#{role} img")).to_have_count(0)
    page.get_by_role("tab", name="Before and after").click()
    expect(page.locator("#transfer-comparison img")).to_have_count(0)
    page.click("#continue")
    wait_for_status(page, "There is no content image yet")


def test_every_tab_opens_finished_and_computes_nothing(visit, expect, context):
    before = context.jobs.running
    page = visit()
    expect(page.locator("#transfer-comparison img")).to_have_count(2)
    expect(page.locator("#transfer-comparison")).to_be_visible()
    page.wait_for_function(
        "() => [...document.querySelectorAll('#transfer-comparison img')].every(i => i.complete && i.naturalWidth)"
    )
    assert context.jobs.running == before
    expect(page.locator("#finished .thumbnail-item")).to_have_count(len(FINISHED))
    result = page.locator("#transfer-comparison").bounding_box()
    assert all(
        result["width"] * result["height"] > 2 * box["width"] * box["height"]
        for box in (page.locator(name).bounding_box() for name in ("#content", "#style", "#finished"))
    )
    for tab, shown, name in (
        ("Clip", "#painted-clip video", "clip"),
        ("Reconstruct", "#reconstruct-gallery img", "reconstruct"),
        ("Amalgamate", "#amalgamate-comparison img", "amalgamate"),
        ("Study", "#study-grid img", "study"),
    ):
        page.get_by_role("tab", name=tab, exact=True).click()
        page.wait_for_function(
            """selector => [...document.querySelectorAll(selector)].every(
              it => it.checkVisibility() && (it.naturalWidth || it.videoWidth))""",
            arg=shown,
        )
        expect(page.locator(f"#{name}-status")).to_contain_text("Made by VGG-19")
    assert not context.jobs.running
    with page.expect_download() as download:
        page.click("#study-download")
    assert download.value.suggested_filename == "normalization.png"


def test_a_finished_picture_brings_its_photograph_style_and_recipe(visit, expect, context):
    page = visit()
    page.locator("#finished .thumbnail-item").nth(1).click()
    each = FINISHED[1]
    expect(page.locator("#content img").first).to_have_attribute("src", re.compile(f"{each.photograph}.jpg"))
    expect(page.locator("#style img").first).to_have_attribute("src", re.compile(f"{each.style}.jpg"))
    expect(page.get_by_label("number input for Size").first).to_have_value(str(each.recipe.size))
    expect(page.locator("#transfer-comparison img").last).to_have_attribute("src", re.compile(each.path.stem))
    assert not context.jobs.running


def test_one_of_four_ways_is_chosen_and_gone_on_from_and_kept_in_the_strip(visit, expect, smaller_ways, tmp_path):
    page = visit()
    set_number(page, "Size", 64)
    set_number(page, "Iterations", 2)
    page.click("#ways")
    wait_for_status(page, "Done: 4 of 4 images")
    expect(page.locator("#ways-gallery .thumbnail-item")).to_have_count(4)
    is_ready(page, "#ways")
    assert not page.locator("#own").is_visible()
    page.locator("#ways-gallery .thumbnail-item").nth(3).click()
    wait_for_status(page, "Done after 2 ")
    is_ready(page, "#transfer-download")
    recipe = saved_recipe(page, tmp_path / "way.png")
    chosen = list(WAYS["strength and stroke size"].values())[3]
    assert {name: recipe[name] for name in chosen} == chosen
    assert (recipe["start"], recipe["size"]) == ("image", 64) and recipe["made_from"]["start"]
    expect(page.locator("#own .thumbnail-item")).to_have_count(1)
    set_number(page, "Iterations", 3)
    page.click("#paint")
    wait_for_status(page, "Done after 3 ")
    expect(page.locator("#own .thumbnail-item")).to_have_count(2)
    page.locator("#own .thumbnail-item").last.click()
    wait_for_status(page, "The controls now show this image's recipe.")
    expect(page.get_by_label("number input for Iterations").first).to_have_value("2")
    assert saved_recipe(page, tmp_path / "older.png") == recipe
    page.click("#forget")
    expect(page.locator("#own")).not_to_be_visible()


def test_four_ways_of_nothing_leave_what_is_in_view_to_be_gone_on_from(visit, expect):
    page = visit()
    page.locator("#content").get_by_label("Remove Image").click()
    page.click("#ways")
    wait_for_status(page, "There is no content image yet")
    is_ready(page, "#ways")
    for name in ("#continue", "#larger"):
        expect(page.locator(name)).to_be_enabled()


def test_a_link_opens_the_page_with_the_same_settings_and_a_pasted_recipe_too(visit, settle, expect, context):
    page = visit()
    page.locator("#finished .thumbnail-item").nth(2).click()
    expect(page.get_by_label("number input for Size").first).to_have_value("512")
    page.locator("#strength").get_by_label("strong").check()
    page.get_by_text("Share and restore").click()
    page.click("#get-link")
    box = page.locator("#link textarea")
    expect(box).to_have_value(re.compile("^http.*style_weight=100"))
    other = page.context.new_page()
    other.goto(box.input_value())
    expect(other.locator("#strength").get_by_label("strong")).to_be_checked()
    expect(other.locator("#style img").first).to_have_attribute("src", re.compile(f"{FINISHED[2].style}.jpg"))
    other.get_by_text("Share and restore").click()
    settle(other)
    recipe = Recipe.preset("transfer", size=320, seed=7)
    inputs = Inputs(torch.rand(1, 3, 8, 8), [torch.rand(1, 3, 8, 8)] * 4)
    there = Result(inputs.content, recipe, inputs.made_from(context.networks["vgg19-small"]))
    other.locator("#link textarea").fill(there.to_json())
    other.click("#use-link")
    expect(other.get_by_label("number input for Size").first).to_have_value("320")
    other.locator("#link textarea").fill("hello=there")
    other.click("#use-link")
    other.get_by_text("This is neither a link to this page nor a recipe").first.wait_for()


def test_regions_painted_on_the_content_reach_the_recipe(visit, expect, pictures, tmp_path):
    page = visit()
    set_number(page, "Size", 64)
    set_number(page, "Iterations", 10)
    page.get_by_text("More styles and regions").click()
    page.set_input_files("#more-styles input[type=file]", pictures[1])
    page.wait_for_selector("#more-styles img")
    expect(page.locator("#regions").get_by_role("button", name="Undo", exact=True)).to_be_enabled()
    page.locator("#regions").get_by_role("button", name="Brush", exact=True).click()
    canvas = page.locator("#regions canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] * 0.5, steps=8)
    page.mouse.up()
    page.click("#paint")
    wait_for_status(page, "Done after 10 ")
    is_ready(page, "#continue")
    made_from = saved_recipe(page, tmp_path / "masked.png")["made_from"]
    assert len(made_from["styles"]) == len(made_from["masks"]) == 2


def share_of_paint(page):
    """In the halves of the picture in the editor, the emptier one first."""
    screenshot = page.locator("#regions").screenshot()
    shown = np.asarray(Image.open(io.BytesIO(screenshot)).convert("RGB")).astype(int)[45:-20, 60:-20]
    inside = (shown < 250).any(-1)  # the page around the picture is white
    rows, columns = np.flatnonzero(inside.mean(1) > 0.5), np.flatnonzero(inside.mean(0) > 0.5)
    if not (rows.size and columns.size):
        return 0, 0
    paint = (abs(shown - [0x3C, 0xB4, 0x4B]).max(-1) < 30)[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return sorted(half.mean() for half in np.array_split(paint, 2))


def test_suggested_regions_are_painted_where_they_are_and_reach_the_recipe(visit, expect, tmp_path):
    """Above is noise, below is nothing: one half of the picture is painted, whichever it is."""
    picture = Image.new("RGB", (120, 80), "grey")
    picture.paste(Image.effect_noise((120, 40), 90).convert("RGB"), (0, 0))
    picture.save(tmp_path / "content.png")
    Image.effect_noise((80, 80), 90).convert("RGB").save(tmp_path / "noise.png")
    page = visit()
    upload(page, [tmp_path / "content.png", tmp_path / "noise.png"])
    set_number(page, "Size", 64)
    set_number(page, "Iterations", 10)
    page.get_by_text("More styles and regions").click()
    page.click("#suggest")
    wait_for_status(page, "Add a second style first")
    is_ready(page, "#paint")
    page.set_input_files("#more-styles input[type=file]", tmp_path / "content.png")
    page.wait_for_selector("#more-styles img")
    page.click("#suggest")
    wait_for_status(page, "Each region is painted in the colour of the style")
    is_ready(page, "#paint")
    expect(page.locator("#parts .thumbnail-item")).to_have_count(2)
    deadline = time.monotonic() + 60
    while (halves := share_of_paint(page))[1] <= 0.8 and time.monotonic() < deadline:
        page.wait_for_timeout(200)  # the editor draws it a moment after the status
    assert halves[0] < 0.2 and halves[1] > 0.8

    page.click("#paint")
    wait_for_status(page, "Done after 10 ")
    is_ready(page, "#transfer-download")
    made_from = saved_recipe(page, tmp_path / "suggested.png")["made_from"]
    assert len(made_from["styles"]) == len(made_from["masks"]) == len(made_from["style_masks"]) == 2
    page.click("#whole")
    expect(page.locator("#parts")).not_to_be_visible()
    set_number(page, "Iterations", 9)
    page.click("#paint")
    wait_for_status(page, "Done after 9 ")
    is_ready(page, "#transfer-download")
    made_from = saved_recipe(page, tmp_path / "whole.png")["made_from"]
    assert len(made_from["masks"]) == 2 and not made_from["style_masks"]


def test_a_photograph_may_come_from_a_camera(launch, expect, address):
    """Chromium's own stand-in for a camera shows a disk on green."""
    camera = launch("--disable-gpu", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    try:
        page = camera.new_page()
        page.set_default_timeout(120_000)
        page.goto(address)
        page.wait_for_selector("#paint")
        set_number(page, "Size", 64)
        set_number(page, "Iterations", 2)
        photograph = page.locator("#content")
        photograph.get_by_label("Capture from camera").click()
        photograph.get_by_text("Click to Access Webcam").click()
        page.wait_for_function("() => document.querySelector('#content video')?.readyState >= 2")
        photograph.get_by_label("capture photo").click()
        photograph.get_by_label("Remove Image").wait_for()
        page.click("#paint")
        wait_for_status(page, "Done after 2 ")
        page.get_by_role("tab", name="Before and after").click()
        before = page.locator("#transfer-comparison img").first
        expect(before).to_have_attribute("src", re.compile(r"/before\.jpg$"))
        shown = page.request.get(before.get_attribute("src")).body()
        red, green, blue = np.asarray(Image.open(io.BytesIO(shown)).convert("RGB")).reshape(-1, 3).mean(0)
        assert green > red + 50 and green > blue + 50
    finally:
        camera.close()


def _bits(path):
    """Of a channel; Pillow reads 16 bits of RGB as 8."""
    if path.suffix == ".png":
        return path.read_bytes()[24]
    return tifffile.imread(path).dtype.itemsize * 8 if path.suffix == ".tif" else 8


def test_a_result_is_downloaded_in_the_chosen_format_and_as_transparent_as_the_photograph(visit, pictures, tmp_path):
    photograph = Image.open(pictures[0])
    photograph.putalpha(Image.linear_gradient("L").resize(photograph.size))
    photograph.save(pictures[0])
    page = visit()
    upload(page, pictures)
    set_number(page, "Size", 64)
    set_number(page, "Iterations", 2)
    page.click("#paint")
    wait_for_status(page, "Done after 2 ")
    found = {}
    for name, kind in KINDS.items():
        choose_format(page, name)
        found[name] = tmp_path / f"result{len(found)}{kind.suffix}"
        with page.expect_download() as download:
            page.click("#transfer-download")
        download.value.save_as(found[name])
        assert download.value.suggested_filename == f"transfer{kind.suffix}"
        assert (_bits(found[name]), Image.open(found[name]).mode == "RGBA") == (kind.bits, kind.transparent)
        assert json.loads(read_recipe(found[name]))["size"] == 64
    choose_format(page, "TIFF, 16 bits")
    choose_format(page, "JPEG")  # at once, while the TIFF is being made
    assert saved_recipe(page, tmp_path / "last.jpg")["size"] == 64
    assert Image.open(tmp_path / "last.jpg").format == "JPEG"
    alpha = np.asarray(Image.open(found["PNG, transparent where the photograph is transparent"]).getchannel("A"))
    assert alpha[0].max() < 20 and alpha[-1].min() > 235


def test_a_picture_on_its_way_is_waited_for(visit, tmp_path):
    Image.effect_noise((400, 300), 90).save(tmp_path / "slow.png")
    page = visit()
    set_number(page, "Size", 64)
    set_number(page, "Iterations", 2)
    line = page.context.new_cdp_session(page)
    line.send("Network.enable")
    line.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 30_000},
    )
    page.locator("#content").get_by_label("Remove Image").click()
    page.set_input_files("#content input[type=file]", tmp_path / "slow.png")
    page.wait_for_selector("#content .uploading")
    page.click("#paint")
    wait_for_status(page, "Waiting until your picture is here")
    wait_for_status(page, "Done after 2 ")
    assert page.locator("#content img").get_attribute("src").endswith("/slow.png")


def test_a_strength_and_an_axis_fill_in_what_goes_with_them_without_the_server(visit, settle, expect):
    page = visit()
    joined = []
    own = lambda answer: "/queue/join" in answer.url and (joined.append(answer) or len(joined) == 2)  # noqa: E731
    page.goto("about:blank")  # so that none of the first page's is counted
    with page.expect_response(own):  # the page's own events, when all is there
        page.go_back()
    page.wait_for_selector("#paint")
    page.route("**/queue/join**", lambda route: route.abort())
    page.get_by_role("button", name="Advanced").click()
    settle(page)
    page.locator("#strength").get_by_label("strong").check()
    expect(page.get_by_label("Style weight")).to_have_value("100")
    page.get_by_label("Style weight").fill("1")
    expect(page.locator("#strength").get_by_label("gentle")).to_be_checked()
    page.get_by_role("tab", name="Study").click()
    settle(page)
    for axis, values in (("nothing", ""), ("iterations", AXES["iterations"].usual)):
        choose_axes(page, columns=axis)
        expect(page.locator("#column-values textarea, #column-values input")).to_have_value(values)


def film(page):
    return page.locator("#painted-clip video").get_attribute("src")


def test_a_clip_is_painted_and_found_again_and_one_that_is_stopped_keeps_its_frames(visit, expect, tmp_path):
    page = visit("Clip")
    page.wait_for_function("() => window.remembers")
    finished = film(page)
    page.get_by_label("Length").fill("0.4")
    page.get_by_label("Frames a second").fill("10")
    set_number(page, "Size", 64)
    set_number(page, "Iterations", 5)
    page.click("#paint-clip")
    wait_for_status(page, "Done: 4 frames", "clip")
    expect(page.locator("#painted-clip")).to_be_visible()
    painted = film(page)
    assert painted != finished and painted.endswith(".mp4")
    page.reload()
    page.get_by_role("tab", name="Clip", exact=True).click()
    wait_for_status(page, "Done: 4 frames", "clip")
    assert film(page) == painted

    page.get_by_label("Length").fill("2")
    set_number(page, "Iterations", 100)
    page.click("#paint-clip")
    page.wait_for_function("() => /Frame ([2-9]|1.) of 20/.test(document.querySelector('#clip-status').innerText)")
    page.click("#clip-stop")
    wait_for_status(page, "Stopped: ", "clip")
    assert film(page) != painted


def test_a_clip_that_cannot_be_painted_is_told_in_a_sentence(visit, tmp_path):
    page = visit("Clip")
    rate = page.get_by_label("Frames a second")
    usual = rate.input_value()
    rate.fill("60")
    page.click("#paint-clip")
    wait_for_status(page, "At most 100 frames are painted here", "clip")
    is_ready(page, "#paint-clip")
    rate.fill(usual)
    (tmp_path / "clip.mp4").write_bytes(b"no film")
    page.locator("#clip").get_by_label("Clear").click()
    with page.expect_response(lambda response: "/upload" in response.url):
        page.set_input_files("#clip input[type=file]", tmp_path / "clip.mp4")
    page.wait_for_selector("#clip video")
    page.click("#paint-clip")
    wait_for_status(page, "The clip is no clip that can be read: use .mp4.", "clip")
    is_ready(page, "#paint-clip")


def test_reconstruction_fills_a_gallery(visit, expect):
    page = visit("Reconstruct")
    set_number(page, "Size", 64)
    set_number(page, "Iterations", 10)
    page.locator("#what").get_by_label("style").check()
    expect(page.get_by_role("checkbox", name="relu5_1").locator("visible=true")).to_be_checked()
    page.click("#reconstruct")
    wait_for_status(page, "Done: 5 of 5", "reconstruct")
    expect(page.locator("#reconstruct-gallery img")).to_have_count(5)
    expect(page.locator("#reconstruct-gallery")).to_contain_text("relu5_1")


def test_amalgamation_ends_with_a_film(visit):
    page = visit("Amalgamate")
    set_number(page, "Size", 64)
    set_number(page, "Iterations", 10)
    page.click("#imprint")
    wait_for_status(page, "Done after 10", "amalgamate")
    page.get_by_role("tabpanel").get_by_role("tab", name="Film").locator("visible=true").click()
    page.wait_for_selector("#amalgamate-film img")


def test_a_study_makes_a_grid_and_its_data_and_is_gone_on_from(visit, expect, tmp_path):
    page = visit()
    set_number(page, "Size", 96)
    set_number(page, "Iterations", 3)
    page.get_by_role("tab", name="Study", exact=True).click()
    set_number(page, "Size", 64)
    choose_axes(page, rows="style-layers", columns="iterations")
    page.locator("#column-values textarea, #column-values input").first.fill("2, 4")
    page.click("#study")
    wait_for_status(page, "Done: 10 images", "study")
    is_ready(page, "#study")
    wait_for_grid(page)
    with page.expect_download() as download:
        page.click("#study-data")
    download.value.save_as(tmp_path / "study.json")
    assert len(json.loads((tmp_path / "study.json").read_text())["cells"]) == 10
    grid = page.locator("#study-grid img").first
    grid.click(position={"x": 3, "y": 3})
    page.get_by_text("Click on a picture of a finished grid.").wait_for()
    box = grid.bounding_box()
    grid.click(position={"x": box["width"] * 0.9, "y": box["height"] * 0.9})
    page.wait_for_selector("#transfer-result:visible")
    wait_for_status(page, "Done after 3 ")
    is_ready(page, "#transfer-download")
    recipe = saved_recipe(page, tmp_path / "further.png")
    assert (recipe["start"], recipe["size"], len(recipe["style_layers"])) == ("image", 96, 5)
    expect(page.locator("#content img").first).to_have_attribute("src", re.compile("rocket"))


def test_a_picture_that_cannot_be_gone_on_from_is_told_in_a_sentence(visit):
    page = visit("Study")
    set_number(page, "Size", 64)
    set_number(page, "Iterations", 2)
    choose_axes(page, columns="nothing")
    page.click("#study")
    wait_for_status(page, "Done: 2 images", "study")
    wait_for_grid(page)
    grid = page.locator("#study-grid img").first
    box = grid.bounding_box()
    grid.click(position={"x": box["width"] * 0.8, "y": box["height"] * 0.4})
    page.get_by_text("The Transfer tab has normalised networks only").wait_for()


def test_the_network_tab_shows_means_files_and_the_patches_of_any_channel(visit, expect, context):
    page = visit("Network")
    page.wait_for_selector("#means svg rect.after", timeout=120_000)
    expect(page.locator("#files")).to_contain_text(re.compile(r"vgg19-small\s*\.safetensors"))
    channels = context.networks["vgg19-small"].architecture.convolutions
    slider = page.locator("#atlas-channel input[type=range]")
    expect(slider).to_have_attribute("max", str(channels["conv3_1"][1] - 1))
    page.locator("#atlas-layer input").click()
    page.get_by_role("option", name="relu5_1", exact=True).click()
    expect(slider).to_have_attribute("max", str(channels["conv5_1"][1] - 1))
    page.click("#atlas-show")
    page.wait_for_selector("#atlas-patches img", timeout=120_000)
    expect(page.locator("#atlas-patches img")).to_have_count(9)


def test_a_tour_is_closed_at_first_and_ends_with_sheets_to_download(visit, expect, tmp_path):
    page = visit("Network")
    expect(page.locator("#units-0")).not_to_be_visible()
    page.get_by_text("Take the tour: what does a unit look for").click()
    for number in range(3):
        expect(page.locator(f"#units-{number}-seen")).not_to_be_visible()
        page.click(f"#units-{number}")
        page.wait_for_selector(f"#units-{number}-seen:visible", timeout=120_000)
        is_ready(page, f"#units-{number}")
        page.click(f"#units-next-{number}")
    for number in range(3):
        with page.expect_download() as download:
            page.click(f"#units-png-{number}")
        download.value.save_as(tmp_path / f"{number}.png")
        sheet = Image.open(tmp_path / f"{number}.png")
        assert sheet.format == "PNG" and sheet.width > 1000 and len(sheet.getcolors(2**20)) > 100


def test_the_keyboard_alone_chooses_a_finished_picture_and_paints(visit, expect):
    page = visit()

    def go_to(selector, key="Tab"):
        for _ in range(100):
            page.keyboard.press(key)
            if page.evaluate("selector => document.activeElement.matches(selector)", selector):
                assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
                return
        raise AssertionError(f"{selector} is out of reach")

    page.wait_for_selector(f"#finished [aria-label='Thumbnail 2 of {len(FINISHED)}']")
    go_to(f"#finished [aria-label='Thumbnail 2 of {len(FINISHED)}']")
    page.keyboard.press("Enter")
    expect(page.locator("#content img").first).to_have_attribute("src", re.compile(FINISHED[1].photograph))
    expect(page.get_by_label("number input for Size").first).to_have_value("512")
    for label, number in (("Size", 64), ("Iterations", 2)):
        go_to(f"[aria-label='number input for {label}']")
        page.keyboard.press("Control+a")
        page.keyboard.type(str(number))
    go_to("#strength input[value=strong]", "Shift+Tab")
    page.keyboard.press("Space")
    go_to("#paint")
    page.keyboard.press("Enter")
    wait_for_status(page, "Done after 2 ")
    expect(page.locator("#strength").get_by_label("strong")).to_be_checked()


def test_two_visitors_take_turns_and_leaving_frees_the_place(visit, context, unhurried, monkeypatch):
    monkeypatch.setattr("demo.visits.GRACE", 1)
    first, second = visit(), visit()
    for page, iterations in ((first, 1000), (second, 10)):
        set_number(page, "Size", 64)
        set_number(page, "Iterations", iterations)
    first.click("#paint")
    wait_for_status(first, "Iteration ")
    second.click("#paint")
    time.sleep(1)
    assert context.jobs.running == 1
    third = visit()
    third.click("#paint")
    wait_for_status(third, "Waiting in the queue")
    assert third.locator("#transfer-status a").get_attribute("href") == "/on-device/"
    with third.expect_response(lambda answer: "/run/" in answer.url):
        third.click("#stop")
    first.close()
    wait_for_status(second, "Done after 10 ")
    wait_for_status(third, "Stopped before it began")


def test_a_page_whose_queue_was_full_when_it_was_loaded_paints_later(visit):
    page = visit()
    full = {"detail": "Queue is full. Max size is 1 and size is 1."}
    page.route("**/queue/join**", lambda route: route.fulfill(status=503, json=full))
    with page.expect_response(lambda answer: answer.status == 503):
        page.reload()
    page.wait_for_selector("#paint")
    page.unroute("**/queue/join**")
    set_number(page, "Size", 64)
    set_number(page, "Iterations", 2)
    page.click("#paint")
    wait_for_status(page, "Done after 2 ")


def test_a_job_that_was_asked_for_before_the_page_had_settled_can_be_stopped(visit, monkeypatch):
    asked, arrive = threading.Event(), Visits.arrive
    monkeypatch.setattr(Visits, "arrive", lambda *names: asked.wait(60) and arrive(*names))
    page = visit()
    page.click("#paint")
    page.wait_for_timeout(500)
    asked.set()
    page.wait_for_function("window.remembers")
    wait_for_status(page, "Iteration ")
    page.click("#stop")
    wait_for_status(page, "Stopped after ")


def test_on_a_phone_the_result_stands_above_what_is_chosen_less_often_and_comes_into_view(visit):
    page = visit(width=390)
    page.wait_for_selector("#transfer-comparison")
    shown = ("#paint", "#transfer-comparison", "#transfer-status", "#continue", "#finished")
    tops = [page.locator(name).bounding_box()["y"] for name in shown]
    examples = page.locator(".examples").first.bounding_box()["y"]
    assert tops == sorted(tops) and tops[-1] < examples
    set_number(page, "Size", 64)
    set_number(page, "Iterations", 2)
    page.locator("#paint").scroll_into_view_if_needed()
    page.click("#paint")
    wait_for_status(page, "Done after 2 ")
    page.wait_for_function(
        """() => ["transfer-result", "transfer-status"].every(id => {
          const {top, bottom} = document.getElementById(id).getBoundingClientRect();
          return top >= 0 && bottom <= innerHeight;
        })"""
    )


def test_what_is_no_picture_or_too_large_or_missing_is_told_in_a_sentence(visit, expect, tmp_path):
    page = visit()
    status, remove = page.locator("#transfer-status"), page.locator("#content").get_by_label("Remove Image")
    for name, data, sentence in (
        ("text", b"I am a picture, believe me.", "is not a picture in a known format: use PNG, JPEG or WebP."),
        ("empty", b"", "is not a picture in a known format: the file is empty."),
        ("cut", b"GIF89a" + bytes(7), "The content image is not a picture in a known format: use PNG"),
    ):
        (tmp_path / f"{name}.png").write_bytes(data)
        remove.click()
        page.set_input_files("#content input[type=file]", tmp_path / f"{name}.png")
        page.wait_for_selector(f"#content img[src$='/{name}.png']")
        page.click("#paint")
        expect(status).to_contain_text(sentence)
        is_ready(page, "#paint")
        assert "Traceback" not in page.inner_text("body"), name
    remove.click()
    page.click("#paint")
    expect(status).to_contain_text("There is no content image yet: choose one, or an example.")
    is_ready(page, "#paint")
    (tmp_path / "large.png").write_bytes(bytes(3_000_000))
    page.set_input_files("#content input[type=file]", tmp_path / "large.png")
    page.get_by_text("exceed the maximum allowed size of 2.0 Mb").first.wait_for()
