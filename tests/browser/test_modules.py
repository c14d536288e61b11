"""The page's modules compute what the toolkit computes."""

import base64
import io
import json
import random
from urllib.parse import parse_qsl

import pytest
import torch
from PIL import Image, PngImagePlugin

from toolkit.optimize import LBFGS, EarlyStop, Evaluation
from toolkit.pictures.formats import encoded, read_recipe
from toolkit.pictures.io import cover, fit, open_image, resize
from toolkit.synthesis import Inputs, MadeFrom, Recipe, Result
from toolkit.synthesis.inputs import pixels_fingerprint
from toolkit.synthesis.preconditioner import Preconditioner
from toolkit.synthesis.pyramid import enlarged, stages, start_image


def as_object(image):
    return {"width": image.shape[-1], "height": image.shape[-2], "data": image.flatten().tolist()}


def as_image(found):
    return torch.tensor(found["data"]).view(1, 3, found["height"], found["width"])


#: Images cross into the browser as lists.
IMAGE = "i => ({ ...i, data: Float32Array.from(i.data) })"
LIST = "i => ({ ...i, data: [...i.data] })"

#: A function of many curvatures with a minimum beyond the bounds for some values, in both languages.
VALLEY = """x => {
  let objective = 0; const gradient = new Float32Array(x.length);
  for (let i = 0; i < x.length; i++) {
    const d = x[i] - (0.5 + 0.7 * Math.sin(i)), w = 1 + i * i;
    objective += w * (d * d + d ** 4); gradient[i] = w * (2 * d + 4 * d ** 3);
  }
  return { objective, gradient };
}"""


def valley(x):
    index = torch.arange(x.numel(), dtype=torch.float64)
    d, w = x.flatten().double() - (0.5 + 0.7 * torch.sin(index)), 1 + index.square()
    gradient = (w * (2 * d + 4 * d**3)).float().view_as(x)
    return Evaluation((w * (d**2 + d**4)).sum(), {}, gradient)


def test_the_optimiser_takes_the_toolkits_steps(modules, facts):
    start = torch.rand(12, generator=torch.Generator().manual_seed(0))
    found = modules(
        "optimizer.js",
        f"""async ([start, constants]) => {{
          start = Float32Array.from(start);
          const optimizer = new m.LBFGS(start, 4, v => v, constants), points = [];
          for (let i = 0; i < 25; i++) {{
            const {{ objective }} = await optimizer.step({VALLEY});
            points.push([objective, [...optimizer.point], [...optimizer.best]]);
          }}
          return points;
        }}""",
        [start.tolist(), facts["constants"]],
    )
    point = start.clone()
    optimizer = LBFGS(point, pairs=4)
    for objective, here, best in found:
        assert optimizer.step(valley).objective == pytest.approx(objective, rel=1e-3)
        torch.testing.assert_close(torch.tensor(here), point, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(torch.tensor(best), optimizer.best, rtol=1e-3, atol=1e-4)


def test_a_step_that_fails_can_be_made_again(modules, facts):
    same = modules(
        "optimizer.js",
        f"""async constants => {{
          const evaluate = {VALLEY}, ends = [];
          for (const breaks of [false, true]) {{
            const optimizer = new m.LBFGS(new Float32Array(8).fill(0.3), 4, v => v, constants);
            for (let i = 0; i < 9; i++) {{
              if (breaks) await optimizer.step(() => {{ throw new Error("lost"); }}).catch(() => {{}});
              await optimizer.step(evaluate);
            }}
            ends.push(String(optimizer.point));
          }}
          return ends[0] === ends[1];
        }}""",
        facts["constants"],
    )
    assert same


def test_an_optimisation_that_diverges_is_told_in_a_sentence(modules, facts):
    optimizer = "new m.LBFGS(new Float32Array(3), 4, v => v, c)"
    step = f"{optimizer}.step(() => ({{ objective: NaN, gradient: new Float32Array(3) }}))"
    told = modules("optimizer.js", f"c => {step}.catch(e => e.message)", facts["constants"])
    assert told == "The optimisation diverged: choose a lower strength."


def test_levels_end_as_early_as_the_toolkits(modules, facts):
    generator = random.Random(0)
    objectives = [100 * 0.97**n + 30 + generator.random() for n in range(300)]
    ours = EarlyStop()
    script = "([o, c]) => { const s = new m.EarlyStop(c); return o.map(v => s.ends(v)); }"
    found = modules("optimizer.js", script, [objectives, facts["constants"]])
    assert found == [ours.ends(objective) for objective in objectives] and True in found


@pytest.mark.parametrize(
    ("height", "width", "padded"),
    [(24, 32, (24, 32)), (17, 37, (18, 40)), (30, 49, (30, 50)), (1, 5, (1, 5)), (121, 7, (125, 8))],
)
def test_the_preconditioner_is_the_toolkits_on_an_image_padded_to_fast_sides(
    modules, facts, random_image, height, width, padded
):
    image = random_image(height, width)
    found = modules(
        "preconditioner.js",
        "([h, w, v, c]) => [...m.preconditioner(h, w, c)(Float32Array.from(v))]",
        [height, width, image.flatten().tolist(), facts["constants"]["Preconditioner"]],
    )
    large = torch.nn.functional.pad(image, (0, padded[1] - width, 0, padded[0] - height))
    expected = Preconditioner(large)(large.clone().view(-1)).view_as(large)[..., :height, :width]
    torch.testing.assert_close(torch.tensor(found), expected.flatten(), rtol=1e-4, atol=1e-4)


def test_levels_are_the_toolkits(modules, facts):
    generator = random.Random(0)
    cases = []
    for _ in range(300):
        side = lambda: int(2 ** generator.uniform(3, 12))  # noqa: E731
        fields = {"size": generator.randint(16, 1500), "levels": generator.randint(1, 6)}
        fields |= {"coarsest": generator.choice([16, 96, 256])}
        cases.append((side(), side(), fields | {"iterations": generator.randint(1, 200)}))
    script = "([cases, c]) => cases.map(([width, height, r]) => m.levels(r, { width, height }, c))"
    found = modules("pyramid.js", script, [cases, facts["constants"]])
    for (width, height, fields), levels in zip(cases, found, strict=True):
        recipe = Recipe.preset("transfer", precision="float32", finish=0.0, **fields)
        expected = stages(recipe, (height, width), False)
        assert [((each["height"], each["width"]), each["iterations"]) for each in levels] == [
            (stage.size, stage.iterations) for stage in expected
        ]


@pytest.mark.parametrize("size", [(10, 15), (24, 32), (49, 40), (3, 100)])
def test_resizing_is_the_toolkits(modules, random_image, size):
    image = random_image(24, 32)
    given = [as_object(image), {"height": size[0], "width": size[1]}]
    for name, ours in (("resize", resize), ("cover", cover)):
        found = modules("image.js", f"([i, f]) => ({LIST})(m.{name}(({IMAGE})(i), f))", given)
        torch.testing.assert_close(as_image(found), ours(image, size), rtol=0, atol=1e-5)
    found = modules("image.js", f"([i, l]) => ({LIST})(m.fit(({IMAGE})(i), l))", [given[0], size[1]])
    torch.testing.assert_close(as_image(found), fit(image, size[1]), rtol=0, atol=1e-5)


def test_a_level_begins_with_the_toolkits_image(modules, facts, random_image):
    content, style, start, coarse = (random_image(12 + 4 * n, 20, seed=n) for n in range(4))
    images = {"content": as_object(content), "style": as_object(style), "start": as_object(start)}
    for choice, seed in (("content", 0), ("style", 0), ("image", 0), ("grey", 0), ("noise", 0), ("noise", 2**40 + 7)):
        recipe = Recipe.preset("transfer", start=choice, seed=seed)
        script = f"""([r, images, constants]) => {{
          for (const role in images) images[role] = ({IMAGE})(images[role]);
          return ({LIST})(m.startImage(r, {{ height: 15, width: 22 }}, images, constants));
        }}"""
        found = as_image(modules("pyramid.js", script, [{"start": choice, "seed": seed}, images, facts["constants"]]))
        expected = start_image(recipe, (15, 22), Inputs(content, [style], start))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    script = f"([a, b]) => ({LIST})(m.enlarged(({IMAGE})(a), ({IMAGE})(b)))"
    found = modules("pyramid.js", script, [as_object(coarse), as_object(random_image(49, 41))])
    torch.testing.assert_close(as_image(found), enlarged(coarse, random_image(49, 41)), rtol=0, atol=1e-5)


BLOB = "b => fetch(`data:;base64,${b}`).then(r => r.blob())"


def in_base64(data):
    return base64.b64encode(data).decode()


def test_pictures_are_opened_as_the_toolkit_opens_them(modules, random_image, tmp_path):
    plain = tmp_path / "plain.png"
    plain.write_bytes(encoded(random_image(20, 30), ".png", "{}"))
    clear = Image.open(plain).convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(clear.size))
    clear.save(tmp_path / "clear.png")
    turned = Image.open(plain).resize((90, 60)).getexif()
    turned[0x0112] = 6  # the camera was held upright
    Image.open(plain).resize((90, 60)).save(tmp_path / "turned.jpg", exif=turned, quality=95, subsampling=0)
    for path, tolerance in ((plain, 0), (tmp_path / "clear.png", 1.5 / 255), (tmp_path / "turned.jpg", 3 / 255)):
        script = f"""async b => {{
          const image = await m.opened(await ({BLOB})(b), "picture");
          return [({LIST})(image), await m.fingerprint(image)];
        }}"""
        found, digest = modules("image.js", script, in_base64(path.read_bytes()))
        expected = open_image(path)
        torch.testing.assert_close(as_image(found), expected, rtol=0, atol=tolerance)
        if not tolerance:
            assert digest == pixels_fingerprint(expected)


def test_what_is_no_picture_is_told_in_a_sentence(modules):
    script = f"async b => m.opened(await ({BLOB})(b), 'photograph').catch(e => e.message)"
    sentence = "The photograph is not a picture that this browser can read: use PNG, JPEG or WebP."
    for data in (b"I am a picture, believe me.", b"", b"GIF89a" + bytes(7)):
        assert modules("image.js", script, in_base64(data)) == sentence


def test_a_recipe_goes_into_a_png_and_comes_out(modules, random_image):
    text = json.dumps({"who": "Ä 🎨"}, ensure_ascii=False)
    plain = io.BytesIO()
    Image.new("RGB", (3, 2)).save(plain, "png")
    script = f"""async ([b, t]) => {{
      const bytes = new Uint8Array(await (await ({BLOB})(b)).arrayBuffer());
      const made = new Uint8Array(await m.withRecipe(bytes, t).arrayBuffer());
      return [btoa(String.fromCharCode(...made)), await m.recipeIn(made), await m.recipeIn(bytes)];
    }}"""
    made, read, none = modules("png.js", script, [in_base64(plain.getvalue()), text])
    assert read == text and none is None
    made = io.BytesIO(base64.b64decode(made))
    assert read_recipe(made) == text
    Image.open(made).load()


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", ["add_itxt", "add_text"])
def test_recipes_of_every_kind_of_text_are_found(modules, kind, compressed):
    chunks, buffer = PngImagePlugin.PngInfo(), io.BytesIO()
    chunks.add_text("recipe for disaster", "no")
    getattr(chunks, kind)("recipe", '{"size": 64}', zip=compressed)
    Image.new("RGB", (3, 2)).save(buffer, "png", pnginfo=chunks)
    script = f"async b => m.recipeIn(new Uint8Array(await (await ({BLOB})(b)).arrayBuffer()))"
    assert modules("png.js", script, in_base64(buffer.getvalue())) == '{"size": 64}'
    assert modules("png.js", script, in_base64(buffer.getvalue()[:60])) is None
    assert modules("png.js", script, in_base64(b"JPEG")) is None


def restore(modules, facts, text):
    script = "([t, s]) => { try { return m.restored(t, s); } catch (e) { return e.message; } }"
    return modules("recipe.js", script, [text, facts])


def test_a_recipe_of_the_toolkit_is_taken_over_field_by_field(modules, facts):
    recipe = Recipe.preset(
        "transfer", size=200, iterations=7, style_weight=33.5, seed=5, start="noise", levels=2,
        style_scale=0.5, content_weight=2.0, early_stop=False, style_layers={"relu1_1": 1.0, "relu3_1": 0.25},
        finish=0.0, total_variation_weight=0.0, coarsest=64,
    )  # fmt: skip
    made_from = MadeFrom(toolkit="0.1", network=facts["networks"][1]["fingerprint"])
    result = Result(torch.zeros(1, 3, 8, 8), recipe, made_from, {"style relu1_1": 0.5})
    found = restore(modules, facts, result.to_json())
    assert (found["network"], found["notes"]) == ("vgg19-small", [])
    again = Recipe.checked(found["recipe"])
    assert again == recipe.with_(precision="float32")


def test_what_the_page_cannot_do_of_a_recipe_is_said(modules, facts):
    fields = {"colour": "luminance", "optimizer": "adam", "size": 4000, "content_layers": {"relu2_2": 1.0}}
    recipe = Recipe.preset("transfer", **fields)
    found = restore(modules, facts, recipe.to_json())
    assert found["notes"] == [
        "It compares relu2_2, which this page cannot: the usual layers are compared instead.",
        "Finish is 1 in it; this page knows only 0.",
        "Colour is luminance in it; this page knows only style.",
        "Size is 4000 in it; here it is 1024.",
        "Optimizer is adam in it; this page knows only lbfgs.",
        "Total variation weight is 40 in it; this page knows only 0.",
        "It was made with a network that is not offered here.",
    ]
    assert found["recipe"]["content_layers"] == {"relu4_2": 1.0} and found["recipe"]["optimizer"] == "lbfgs"


def test_a_picture_that_went_on_from_another_is_begun_anew_with_all_levels(modules, facts):
    made_from = {"network": facts["networks"][0]["fingerprint"]}
    refined = {**facts["recipe"], "start": "image", "levels": 1, "coarsest": 64, "size": 96, "made_from": made_from}
    found = restore(modules, facts, json.dumps(refined))
    assert found["recipe"] == {**facts["recipe"], "size": 96}
    assert found["notes"] == ["This picture went on from another painting: Paint begins anew."]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "This picture holds no recipe: only PNG files saved here or by the toolkit do."),
        ("{", "The recipe in this picture is damaged."),
        ("[]", "The recipe in this picture is damaged."),
        ('{"synthesis": "texture"}', "This is the recipe of a texture, not of a transfer."),
        ('{"synthesis": "transfer", "size": "x"}', "The recipe in this picture is damaged: Size cannot be x."),
        ('{"synthesis": "transfer", "size": 80.5}', "The recipe in this picture is damaged: Size cannot be 80.5."),
        ('{"synthesis": "transfer", "start": "x"}', "The recipe in this picture is damaged: Start cannot be x."),
        (
            '{"synthesis": "transfer", "style_layers": {"relu1_1": "x"}}',
            'The recipe in this picture is damaged: Style layers cannot be {"relu1_1":"x"}.',
        ),
        (
            '{"synthesis": "transfer", "content_layers": {"relu4_2": null}}',
            'The recipe in this picture is damaged: Content layers cannot be {"relu4_2":null}.',
        ),
        (
            '{"synthesis": "transfer", "content_layers": null}',
            "The recipe in this picture is damaged: Content layers cannot be null.",
        ),
        (
            '{"synthesis": "transfer", "content_layers": [1]}',
            "The recipe in this picture is damaged: Content layers cannot be [1].",
        ),
    ],
)
def test_a_recipe_that_is_none_is_told_in_a_sentence(modules, facts, text, sentence):
    assert restore(modules, facts, text) == sentence


def test_errors_of_browser_and_runtime_become_sentences(modules):
    memory = "There is not enough memory for this size: choose a smaller one."
    script = "() => [new RangeError('Array buffer allocation failed'), 31415926, new Error('ours'), new TypeError('x')]"
    assert modules("errors.js", f"() => ({script})().map(e => m.explained(e).message)") == [
        memory, memory, "ours", "Something went wrong: x",
    ]  # fmt: skip
    script = """() => ["failed to allocate a buffer of size 8.", "no such kernel"].map(text => new Error(text))"""
    assert modules("errors.js", f"() => ({script})().map(e => m.foreign(e).message)") == [
        memory, "Something went wrong: no such kernel",
    ]  # fmt: skip


def test_a_link_says_what_differs_and_is_read_as_it_was_written(modules, facts):
    recipe = {
        **facts["recipe"],
        "size": 96,
        "style_weight": 2.5,
        "content_layers": {"relu4_2": 0.5},
        "early_stop": False,
    }
    small = facts["networks"][1]["name"]
    write = "a => m.link(a.recipe, a.network, a.examples, a.site)"
    given = {"recipe": recipe, "network": small, "examples": {"style": "ink_wash"}, "site": facts}
    search = modules("link.js", write, given)
    assert dict(parse_qsl(search.removeprefix("?"))) == {
        "style": "ink_wash",
        "network": small,
        "size": "96",
        "style_weight": "2.5",
        "early_stop": "false",
        "content_layers": "relu4_2=0.5",
    }
    said = modules("link.js", "a => m.linked(a.search, a.site)", {"search": search, "site": facts})
    assert said["examples"] == {"style": "ink_wash"}
    found = modules("recipe.js", "a => m.restored(a.text, a.site)", {"text": said["recipe"], "site": facts})
    assert (found["recipe"], found["network"], found["notes"]) == (recipe, small, [])
    usual = modules("link.js", write, {**given, "recipe": facts["recipe"], "network": "tiny", "examples": {}})
    assert usual == "?"


@pytest.mark.parametrize("search", ["", "?engine=wasm", "?here", "?style=nothing"])
def test_an_address_that_says_nothing_of_settings_is_no_link(modules, facts, search):
    assert modules("link.js", "a => m.linked(a.search, a.site)", {"search": search, "site": facts}) is None


@pytest.mark.parametrize("search", ["?network=nowhere", "?network=nowhere&size=96"])
def test_a_link_with_a_network_that_is_not_offered_is_noted_as_a_picture_is(modules, facts, search):
    said = modules("link.js", "a => m.linked(a.search, a.site)", {"search": search, "site": facts})
    found = restore(modules, facts, said["recipe"])
    assert found["notes"] == ["It was made with a network that is not offered here."]
    assert found["network"] == facts["networks"][0]["name"]
