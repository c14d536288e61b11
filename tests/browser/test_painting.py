"""The page in a real browser: it paints what the toolkit paints, on whatever the device has."""

import base64
import itertools
import json
import re
import shutil
from pathlib import Path
from urllib.parse import unquote, urlencode

import pytest
import torch

from toolkit.cli import main
from toolkit.export import OnnxObjective
from toolkit.export.site import ISOLATION
from toolkit.network import load_network
from toolkit.pictures.formats import read_recipe
from toolkit.pictures.io import open_image, resize
from toolkit.synthesis import Inputs, Recipe, Synthesis, budget, made_from_in
from toolkit.synthesis.inputs import pixels_fingerprint
from toolkit.synthesis.objective import Objective


def choose(page, pictures):
    for role, path in zip(("content", "style"), pictures, strict=True):
        page.set_input_files(f"[data-role={role}] .picture input", path)


def set_value(page, name, value):
    page.eval_on_selector(
        f"#{name}", "(field, value) => { field.value = value; field.dispatchEvent(new Event('input')); }", str(value)
    )


def set_up(page, pictures, network="tiny", size=64, iterations=5):
    choose(page, pictures)
    set_value(page, "size", size)
    set_value(page, "iterations", iterations)
    page.select_option("#network", network, force=True)


def worker_of(page):
    """The worker starts last, and may not be there when the page already shows its controls."""
    return page.workers[0] if page.workers else page.wait_for_event("worker")


def slow_down(page, milliseconds):
    """Adds a pause to every evaluation, so that a run lasts until the test has looked at it; 0 ends it."""
    worker_of(page).evaluate(
        """async milliseconds => {
          const { Engine } = await import("/engine.js");
          const run = (self.run ??= Engine.prototype.run);
          Engine.prototype.run = async function (...given) {
            if (milliseconds) await new Promise((later) => setTimeout(later, milliseconds));
            return run.apply(this, given);
          };
        }""",
        milliseconds,
    )


def wait_for(page, words):
    page.wait_for_function("w => document.querySelector('#status').innerText.includes(w)", arg=words, timeout=120_000)


def status(page):
    page.wait_for_function("() => !document.querySelector('#paint').disabled", timeout=120_000)
    return page.inner_text("#status")


def paint(page):
    page.click("#paint")
    return status(page)


def saved(page, path):
    with page.expect_download() as download:
        page.click("#download")
    download.value.save_as(path)
    return Recipe.checked(read_recipe(path))


def made_from(path):
    return made_from_in(read_recipe(path))


@pytest.fixture
def pictures(picture):
    return [picture(), picture("style.png", (80, 60), (20, 60, 180))]


def test_the_browser_reaches_the_toolkits_objective_and_tells_the_same_recipe(
    visit, facts, pictures, tmp_path, monkeypatch
):
    page = visit()
    set_up(page, pictures, "vgg19-small", iterations=40)
    assert paint(page).startswith("Done after 40 iterations")
    assert page.inner_text("#engine").startswith("Computing with your processor (WebAssembly, ")
    recipe = saved(page, tmp_path / "painted.png")
    network = load_network("vgg19-small")
    content, style = map(open_image, pictures)
    monkeypatch.setattr(budget, "PAIRS", facts["constants"]["pairs"])
    ours = Synthesis(network, recipe, content=content, styles=[style], make_objective=OnnxObjective)
    for _ in ours:
        pass
    assert made_from(tmp_path / "painted.png") == ours.made_from
    objective = OnnxObjective(network, recipe, Inputs(content, [style]))
    reached = float(objective(ours.image).objective)
    assert float(objective(open_image(tmp_path / "painted.png")).objective) == pytest.approx(reached, rel=0.02)
    assert reached < 0.5 * objective(content).objective


def test_stop_continue_larger_and_restore(visit, drop, pictures, tmp_path, capsys):
    page = visit()
    set_up(page, pictures, iterations=1000)
    assert page.is_disabled("#continue") and page.is_disabled("#stop") and page.is_hidden("#download")
    slow_down(page, 50)
    page.click("#paint")
    wait_for(page, "Iteration ")
    assert page.is_disabled("#paint") and page.is_disabled("#larger")
    with page.expect_event("dialog") as asked:
        page.close(run_before_unload=True)
    assert asked.value.type == "beforeunload"
    asked.value.dismiss()
    page.click("#stop")
    assert status(page).startswith("Stopped after ")
    slow_down(page, 0)
    first = saved(page, tmp_path / "first.png")
    assert (first.size, first.iterations, first.start, first.seed) == (64, 1000, "content", 0)

    set_value(page, "iterations", 5)
    page.click("#continue")
    assert status(page).startswith("Done after 5 iterations")
    further = saved(page, tmp_path / "further.png")
    assert (further.start, further.levels) == ("image", 1)
    page.click("#larger")
    assert status(page).startswith("Done after 5 iterations")
    assert open_image(tmp_path / "further.png").shape[-2:] == (48, 64)
    assert saved(page, tmp_path / "larger.png").size == 128
    assert open_image(tmp_path / "larger.png").shape[-2:] == (96, 128)

    page.reload()
    page.wait_for_selector("main:not([hidden])")
    assert drop(page, "h1", tmp_path / "larger.png")
    wait_for(page, "The controls now show this picture's recipe.")
    assert [page.input_value(f"#{name}") for name in ("size", "iterations", "network")] == ["128", "5", "tiny"]
    assert page.is_enabled("#continue") and page.is_visible("#download")
    page.locator("[data-examples=content] button").first.click()  # which it was not made from
    page.wait_for_selector("[data-examples=content] [aria-pressed=true]")
    example = page.get_attribute("[data-role=content] .picture img", "src")
    assert drop(page, "h1", tmp_path / "larger.png")
    page.wait_for_selector("[data-examples=content] [aria-pressed=true]", state="detached")
    assert not page.evaluate("example => fetch(example).then(() => true, () => false)", example)  # let go of
    page.click("#continue")
    wait_for(page, "Choose a photograph first.")
    page.click("#larger")
    assert page.input_value("#size") == "128"  # nothing is painted
    assert main(["inspect", str(tmp_path / "larger.png")]) == 0
    assert json.loads(capsys.readouterr().out)["size"] == 128


def test_a_recipe_of_the_command_line_paints_the_same_picture_here(visit, pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = ["transfer", "photo.png", "style.png", "--network", "vgg19-small", "--engine", "onnx", "--size", "64"]
    more = ["--start", "noise", "--seed", "9", "--iterations", "5", "--style-weight", "strong", "--style-scale", "0.5"]
    more += ["--total-variation-weight", "0"]  # which the page has not
    assert main([*command, *more, "-o", "ours.png"]) == 0
    page = visit()
    choose(page, pictures)
    page.set_input_files("#recipe", "ours.png")
    wait_for(page, "The controls now show this picture's recipe.")
    assert page.locator("#strengths :checked").input_value() == "100"
    assert paint(page).startswith("Done after 5 iterations")
    assert saved(page, tmp_path / "theirs.png") == Recipe.checked(read_recipe("ours.png"))
    assert float((open_image("ours.png") - open_image("theirs.png")).abs().mean()) < 0.01


#: Starts the page's own engine and computes one objective, as its worker would.
EVALUATE = """async ([way, content, style, point]) => {
  const [{ Engine }, { objectiveOf }, image] = await Promise.all(
    ["engine", "objective", "image"].map((name) => import(`/${name}.js`)));
  const site = { ...(await (await fetch("/site.json")).json()), base: location.origin + "/" };
  const network = site.networks[0];
  const opened = await Promise.all([content, style, point].map(async (b) =>
    image.opened(await (await fetch(`data:;base64,${b}`)).blob(), "picture")));
  const engine = await Engine.start(way, site, network, new AbortController().signal, () => {});
  const objective = await objectiveOf(engine, network, site.recipe, opened[0], opened[1]);
  const { objective: value, losses, gradient } = await objective.evaluate(opened[2].data);
  const model = new Uint8Array(await (await fetch("/" + network.address)).arrayBuffer());
  await engine.ort.InferenceSession.create(model, { executionProviders: [way], logSeverityLevel: 0 }); // tells its plan
  return { value, losses, gradient: [...gradient] };
}"""


@pytest.fixture(scope="module")
def gpu_page(gpu_browser, address):
    page = gpu_browser.new_page()
    page.set_default_timeout(120_000)
    page.said = []
    page.on("console", lambda message: page.said.append(message.text))
    page.goto(f"{address}?engine=webgpu")
    if not page.evaluate("async () => Boolean(await navigator.gpu?.requestAdapter())"):
        pytest.skip("needs a Chromium with WebGPU on its software adapter")
    page.wait_for_selector("main:not([hidden])")
    worker_of(page).evaluate(
        """() => {
          const request = GPUAdapter.prototype.requestDevice;
          GPUAdapter.prototype.requestDevice = async function (options) {
            return (self.lent = await request.call(this, options));
          };
        }"""
    )
    return page


def test_webgpu_computes_pytorchs_gradient(gpu_page, pictures, picture, tiny_network):
    files = [*pictures, picture("point.png", (64, 48), (90, 90, 90))]
    given = [base64.b64encode(path.read_bytes()).decode() for path in files]
    found = worker_of(gpu_page).evaluate(EVALUATE, ["webgpu", *given])
    content, style, point = map(open_image, files)
    expected = Objective(
        tiny_network(), Recipe.preset("transfer", total_variation_weight=0.0), Inputs(content, [style])
    )(point)
    gradient = torch.tensor(found["gradient"]).view_as(expected.gradient)
    assert float((gradient - expected.gradient).norm() / expected.gradient.norm()) < 1e-3
    assert found["value"] == pytest.approx(expected.read().objective, rel=1e-3)
    assert found["losses"] == pytest.approx(expected.read().losses, rel=1e-3)
    placed = re.findall(r"placed on \[(\w+)\]|VerifyEachNodeIsAssignedToAnEp\]   (\w+) \(", "\n".join(gpu_page.said))
    starts = [n for n, (provider, _) in enumerate(placed) if provider] + [len(placed)]
    by_provider = {
        placed[first][0]: {name for _, name in placed[first + 1 : after]} for first, after in itertools.pairwise(starts)
    }
    assert by_provider["WebGpuExecutionProvider"] >= {"Conv", "MatMul", "AveragePool", "DepthToSpace", "Pad", "Where"}
    assert "MemcpyToHost" not in by_provider["WebGpuExecutionProvider"]
    assert by_provider["CPUExecutionProvider"] <= {"ReduceProd", "Cast", "Sub", "Concat", "Gather"}  # of sizes


def test_a_lost_graphics_processor_costs_nothing(gpu_page, pictures, tmp_path):
    page = gpu_page
    set_up(page, pictures, iterations=40)
    slow_down(page, 200)
    page.click("#paint")
    wait_for(page, "Iteration ")
    assert page.inner_text("#engine") == "Computing with your graphics processor (WebGPU)."
    worker_of(page).evaluate("() => self.lent.destroy()")
    slow_down(page, 0)
    assert status(page).startswith("Done after 40 iterations")
    text = page.inner_text("#engine")
    assert text.startswith("The graphics processor stopped answering. Going on with your processor (WebAssembly, ")
    assert saved(page, tmp_path / "painted.png").start == "content"


def test_a_graphics_processor_that_cannot_start_is_tried_once(visit, pictures):
    page = visit()
    set_up(page, pictures)
    worker_of(page).evaluate(
        """async () => {
          const limits = { maxBufferSize: 2 ** 31, maxStorageBufferBindingSize: 2 ** 31 };
          const gpu = { requestAdapter: async () => ({ limits }) };
          Object.defineProperty(navigator, "gpu", { value: gpu });
          const { Engine, LostError } = await import("/engine.js"), start = Engine.start;
          self.started = [];
          Engine.start = (way, ...given) => {
            self.started.push(way);
            if (way === "webgpu") throw new LostError();
            return start(way, ...given);
          };
        }"""
    )
    for _ in range(2):
        assert paint(page).startswith("Done after 5 iterations")
    assert worker_of(page).evaluate("self.started") == ["webgpu", "wasm"]  # and that one goes on


def test_without_headers_a_service_worker_gives_the_page_threads(visit, serve_folder, site, pictures):
    with serve_folder(site, {}) as address:
        page = visit(to=address, service_workers="allow")
        page.wait_for_function("async () => Boolean((await navigator.serviceWorker.ready).active)")
        if not page.evaluate("crossOriginIsolated"):
            page.reload()  # a service worker that starts late serves the next visit
        page.wait_for_function("() => crossOriginIsolated")
        page.wait_for_selector("main:not([hidden])")
        page = visit(to=address)
        set_up(page, pictures)
        assert paint(page).startswith("Done after 5 iterations")
        assert page.inner_text("#engine") == (
            "Computing with your processor (WebAssembly, 1 thread). This page's host allows no more threads."
        )


def test_the_service_worker_lets_a_host_redirect(visit, address):
    page = visit(service_workers="allow")
    page.wait_for_function("() => navigator.serviceWorker.controller")
    page.goto(f"{address}languages")
    assert page.url == f"{address}languages/"


def test_the_runtime_may_come_from_elsewhere(visit, make_site, serve_folder, runtime, pictures):
    folder = make_site()
    facts = json.loads((folder / "site.json").read_text())
    assert facts["runtime"]["address"].endswith(f"/onnxruntime-web@{facts['runtime']['version']}/dist/")
    allowed = {"Access-Control-Allow-Origin": "*", "Cross-Origin-Resource-Policy": "cross-origin"}
    with serve_folder(folder) as address, serve_folder(runtime, allowed) as elsewhere:
        page = visit(to=address, others=[elsewhere])
        page.route("**/site.json", lambda route: route.fulfill(json=facts))
        facts["runtime"]["address"] = elsewhere
        page.reload()
        page.wait_for_selector("main:not([hidden])")
        set_up(page, pictures)
        assert paint(page).startswith("Done after 5 iterations")


@pytest.mark.parametrize("name", ["tiny.onnx", "ort.wasm.bundle.min.mjs"])
def test_a_file_that_fails_its_hash_is_not_used(visit, pictures, name):
    page = visit()
    page.route(f"**/{name}", lambda route: route.fulfill(body="alert(1)"))
    set_up(page, pictures)
    assert paint(page) == f"{name} does not match its hash, so it is not used: load the page again, or tell its host."
    page.unroute(f"**/{name}")
    assert paint(page).startswith("Done after 5 iterations")


def test_files_are_fetched_once_and_kept(visit, pictures):
    page = visit()
    set_up(page, pictures)
    assert paint(page).startswith("Done")
    page.reload()
    page.wait_for_selector("main:not([hidden])")
    page.context.route("**/{networks,runtime}/*", lambda route: route.abort())
    set_up(page, pictures)
    assert paint(page).startswith("Done")


def test_the_time_that_fetching_takes_is_not_counted(visit, pictures):
    page = visit()
    set_up(page, pictures)
    worker_of(page).evaluate(
        """async () => {
          const { Engine } = await import("/engine.js"), start = Engine.start, now = performance.now.bind(performance);
          Engine.start = async (...given) => {
            performance.now = () => now() + 3_600_000;
            return start(...given);
          };
        }"""
    )
    assert re.fullmatch(r"Done after 5 iterations in \d+ s\.", paint(page))


def test_without_a_connection_the_page_says_so(visit, pictures):
    page = visit()
    page.route("**/networks/*", lambda route: route.abort())
    set_up(page, pictures)
    assert paint(page) == "tiny.onnx could not be fetched: check the connection and try again."


def test_what_cannot_be_painted_is_told_in_a_sentence(visit, pictures, picture, tmp_path):
    page = visit()
    (tmp_path / "text.png").write_bytes(b"I am a picture, believe me.")
    set_up(page, [tmp_path / "text.png", pictures[1]])
    wait_for(page, "The photograph is not a picture that this browser can read: use PNG, JPEG or WebP.")
    assert paint(page) == "Choose a photograph first."
    choose(page, [picture("thin.png", (400, 8)), pictures[1]])
    assert paint(page) == "A picture of 64 x 1 pixels is too small for the network: choose a larger size."
    page.set_input_files("#recipe", pictures[0])
    wait_for(page, "This picture holds no recipe: only PNG files saved here or by the toolkit do.")
    worker_of(page).evaluate("() => { WebAssembly.validate = () => false; }")
    choose(page, pictures)
    assert paint(page) == "This browser lacks WebAssembly SIMD, which painting needs: use a newer one."


@pytest.mark.parametrize(
    "thrown",
    ["new RangeError('Array buffer allocation failed')", "new Error('failed to allocate a buffer of size 8.')"],
)
def test_when_memory_runs_out_the_best_picture_is_kept_and_a_smaller_one_can_be_painted(visit, pictures, thrown):
    page = visit()
    set_up(page, pictures)
    worker_of(page).evaluate(
        """async () => {
          const { Engine } = await import("/engine.js"), run = Engine.prototype.run;
          let runs = 0;
          Engine.prototype.run = function (...given) {
            if (++runs > 4) this.session.run = () => Promise.reject(THROWN);
            return run.apply(this, given);
          };
        }""".replace("THROWN", thrown)
    )
    sentence = "There is not enough memory for this size: choose a smaller one."
    assert re.fullmatch(rf"Ended after 2 iterations in \d+ s. {sentence}", paint(page))
    assert page.is_visible("#download")
    assert paint(page).startswith("Done after 5 iterations")


@pytest.mark.parametrize("field", ["[data-role=content] .picture input", "[data-role=style] .camera input", "#recipe"])
def test_a_file_that_is_chosen_twice_is_taken_twice(visit, pictures, field):
    page = visit(has_touch=True)
    page.evaluate(
        "() => { self.taken = 0; new MutationObserver(() => taken++).observe(document, {"
        " subtree: true, childList: true, attributes: true, attributeFilter: ['src'] }); }"
    )
    devtools = page.context.new_cdp_session(page)  # playwright's own way fires the event even for the same file
    root = devtools.send("DOM.getDocument")["root"]["nodeId"]
    node = devtools.send("DOM.querySelector", {"nodeId": root, "selector": field})["nodeId"]
    for _ in range(2):
        page.evaluate("() => { taken = 0; }")
        devtools.send("DOM.setFileInputFiles", {"nodeId": node, "files": [str(pictures[0])]})
        page.wait_for_function("() => taken")


def allowed(site):
    """The content security policy that the site's README names."""
    return re.search("Content-Security-Policy: (.*)", (site / "README.md").read_text())[1]


def test_the_page_paints_under_the_policy_that_its_readme_names(visit, serve_folder, site, pictures):
    with serve_folder(site, {**ISOLATION, "Content-Security-Policy": allowed(site)}) as address:
        page = visit(to=address)
        set_up(page, pictures)
        assert paint(page).startswith("Done after 5 iterations")


@pytest.mark.parametrize(
    ("directive", "source"),
    [
        ("script-src", "blob:"),
        ("script-src", "'wasm-unsafe-eval'"),
        ("connect-src", "blob:"),
        ("worker-src", "blob:"),
        ("worker-src", "'self'"),
        ("img-src", "blob:"),
    ],
)
def test_what_a_policy_forbids_is_said(visit, serve_folder, site, pictures, directive, source):
    policy, forbidden = re.subn(rf"({directive}[^;]*) {source}", r"\1", allowed(site))
    with serve_folder(site, {**ISOLATION, "Content-Security-Policy": policy}) as address:
        page = visit(to=address)
        set_up(page, pictures)
        sentence = r"The content security policy of this page's host forbids \S+ as {}\S*\. README\.md beside this page"
        assert forbidden and re.match(sentence.format(directive), paint(page))


def test_where_no_script_runs_a_sentence_says_what_to_do(browser, visit, site, address):
    for to, runs in ((site.joinpath("index.html").as_uri(), True), (address, False)):
        page = browser.new_page(java_script_enabled=runs)
        page.goto(to)
        page.get_by_text("Painting has not started.").wait_for()
        page.close()
    assert not visit().get_by_text("Painting has not started.").count()


def test_after_a_visit_the_page_paints_without_a_connection(visit, serve_folder, site, pictures, tmp_path):
    folder, kept = tmp_path / "site", "async v => Boolean(await caches.match('site.json'))"
    shutil.copytree(site, folder)
    with serve_folder(folder) as address:
        page = visit(to=address, service_workers="allow")
        set_up(page, pictures)
        assert paint(page).startswith("Done after 5 iterations")
        page.wait_for_function(kept)
        facts = json.loads((folder / "site.json").read_text())
        (folder / "site.json").write_text(json.dumps(facts | {"version": "of tomorrow"}))
        page.reload()
        page.wait_for_function("async () => String(await caches.keys()).match(/paint-page/g).length === 1")
        page.wait_for_function("async () => String(await caches.keys()).includes('of tomorrow')")
        page.wait_for_function(kept)
    page.reload()
    page.wait_for_selector("main:not([hidden])")
    assert page.evaluate("crossOriginIsolated")
    set_up(page, pictures)
    assert paint(page).startswith("Done after 5 iterations")


def test_the_page_tells_what_an_app_needs(visit):
    page = visit()
    told = page.evaluate(
        """async () => {
          const manifest = await (await fetch(document.querySelector("link[rel=manifest]").href)).json();
          const icon = await createImageBitmap(await (await fetch(manifest.icons[0].src)).blob());
          return [manifest.display, manifest.icons[0].sizes, `${icon.width}x${icon.height}`];
        }"""
    )
    assert told == ["standalone", "512x512", "512x512"]


def test_stop_ends_the_fetching_too(visit, pictures):
    page = visit()
    held = []
    page.route("**/networks/*", lambda route: held.append(route))  # it never arrives
    set_up(page, pictures)
    with page.expect_event("requestfinished", lambda request: request.url.endswith(".wasm")):
        page.click("#paint")
    page.click("#stop")
    assert status(page) == "Stopped before the first iteration." and held


def test_pictures_come_by_drop_paste_and_example(visit, drop, pictures):
    page = visit()
    shown = "() => document.querySelector('[data-role=style] .picture img').src"
    before = page.evaluate(shown)
    assert drop(page, "[data-role=style] .picture", pictures[0])
    dropped = page.evaluate(shown)
    page.hover("[data-role=style]")
    page.evaluate(
        """async (src) => {
          const transfer = new DataTransfer(), blob = await (await fetch(src)).blob();
          transfer.items.add(new File([blob], "a.jpg", { type: "image/jpeg" }));
          document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));
        }""",
        page.get_attribute("[data-examples=content] img", "src"),
    )
    assert len({before, dropped, page.evaluate(shown)}) == 3
    example = page.locator("[data-examples=content] button").nth(2)
    example.click()
    page.wait_for_function("b => b.ariaPressed === 'true'", arg=example.element_handle())
    assert page.locator("[data-examples=content] [aria-pressed=true]").count() == 1


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_examples_the_last_one_counts_whichever_comes_first(visit, order):
    page = visit()
    page.wait_for_selector("[data-examples=content] [aria-pressed=true]")
    held = []
    page.route("**/examples/content/*.jpg", lambda route: held.append(route))
    examples = page.locator("[data-examples=content] button")
    for number in (1, 2):
        examples.nth(number).click()
        while len(held) < number:
            page.wait_for_timeout(50)
    for route in held[::order]:
        with page.expect_response(route.request.url):
            route.continue_()
    page.wait_for_selector("[data-examples=content] [aria-pressed=true]")
    assert examples.nth(2).get_attribute("aria-pressed") == "true"


def test_an_example_on_its_way_is_waited_for(visit, pictures):
    page = visit()
    page.wait_for_selector("[data-examples=content] [aria-pressed=true]")
    held = []
    page.route("**/examples/content/*.jpg", lambda route: held.append(route))
    page.reload()
    page.wait_for_selector("main:not([hidden])")
    page.set_input_files("[data-role=style] .picture input", pictures[1])
    set_value(page, "size", 64)
    set_value(page, "iterations", 5)
    page.select_option("#network", "tiny", force=True)
    page.click("#paint")
    while not held:
        page.wait_for_timeout(50)
    held[0].continue_()
    wait_for(page, "Done after 5 ")


#: Chooses an example and paints at once.
CHOOSE_AND_PAINT = """() => {
  for (const button of ["[data-examples=content] button:not([aria-pressed=true])", "#paint"])
    document.querySelector(button).click();
}"""


def test_an_example_on_its_way_takes_the_place_of_the_picture_before_it(visit, pictures, tmp_path):
    page = visit()
    set_up(page, pictures)
    page.evaluate(CHOOSE_AND_PAINT)
    wait_for(page, "Done after 5 iterations")
    saved(page, tmp_path / "painted.png")
    assert made_from(tmp_path / "painted.png").content != pixels_fingerprint(open_image(pictures[0]))


def test_an_example_that_does_not_come_is_told_and_the_photograph_stays(visit, pictures, tmp_path):
    page = visit()
    set_up(page, pictures)
    assert paint(page).startswith("Done after 5 iterations")
    saved(page, tmp_path / "painted.png")
    page.route("**/examples/content/*.jpg", lambda route: route.abort())
    page.evaluate(CHOOSE_AND_PAINT)
    wait_for(page, "could not be fetched: check the connection.")
    assert page.is_enabled("#paint")
    page.set_input_files("#recipe", tmp_path / "painted.png")
    wait_for(page, "The controls now show this picture's recipe.")
    assert paint(page).startswith("Done after 5 iterations")
    saved(page, tmp_path / "again.png")
    assert made_from(tmp_path / "again.png").content == pixels_fingerprint(open_image(pictures[0]))


def test_by_keyboard_painting_is_started_and_stopped_without_losing_the_place(visit, pictures):
    page = visit()
    set_up(page, pictures, iterations=1000)
    slow_down(page, 50)
    page.focus("#paint")
    page.keyboard.press("Enter")
    wait_for(page, "Iteration ")
    assert page.evaluate("document.activeElement.id") == "stop"
    page.keyboard.press("Enter")
    assert status(page).startswith("Stopped after ")
    page.wait_for_selector("#paint:focus")


def test_what_changes_all_the_time_is_not_read_out(visit, pictures):
    page = visit()
    page.evaluate(
        """() => {
          self.said = {};
          const status = document.querySelector("#status");
          new MutationObserver(() => { said[status.textContent.split(" ")[0]] = status.ariaLive; })
            .observe(status, { childList: true });
        }"""
    )
    set_up(page, pictures)
    assert paint(page).startswith("Done after 5 iterations")
    expected = {"Starting": "polite", "Fetching": "off", "Iteration": "off", "Done": "polite"}
    assert page.evaluate("said") == expected


@pytest.mark.parametrize(("wish", "behaviour"), [("reduce", "auto"), ("no-preference", "smooth")])
def test_the_page_glides_only_for_those_who_like_motion(visit, wish, behaviour):
    page = visit(reduced_motion=wish)
    page.evaluate(
        """() => {
          const usual = () => getComputedStyle(document.documentElement).scrollBehavior;
          Element.prototype.scrollIntoView = ({ behavior }) => (self.glides = behavior ?? usual());
        }"""
    )
    page.evaluate(CHOOSE_AND_PAINT)
    assert page.wait_for_function("() => self.glides").json_value() == behaviour


def test_by_keyboard_on_a_phone_in_the_dark(visit, pictures):
    page = visit(viewport={"width": 360, "height": 740}, color_scheme="dark", has_touch=True, is_mobile=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(15, 14, 13)"
    assert page.locator("[data-role=content] .camera").is_visible()
    set_up(page, pictures)
    reached = []
    for key, last in (("Tab", "iterations"), ("Shift+Tab", "paint")):
        while not reached or (reached[-1] != last and len(reached) < 120):
            page.keyboard.press(key)
            reached.append(page.evaluate("document.activeElement.id || document.activeElement.name"))
    assert {"strength", "size", "iterations"} <= set(reached) and reached[-1] == "paint"
    page.keyboard.press("Enter")
    assert status(page).startswith("Done after 5 iterations")
    page.get_by_text("Advanced").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "network"
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_tab_loaded_again_has_its_pictures_settings_and_result(visit, pictures, tmp_path):
    page = visit()
    set_up(page, pictures, iterations=4)
    assert paint(page).startswith("Done after 4 iterations")
    before = saved(page, tmp_path / "before.png"), made_from(tmp_path / "before.png")
    page.reload()
    wait_for(page, "Done after 4 iterations")
    assert (saved(page, tmp_path / "after.png"), made_from(tmp_path / "after.png")) == before
    assert page.input_value("#iterations") == "4" and page.input_value("#network") == "tiny"
    assert paint(page).startswith("Done after 4 iterations")
    assert (saved(page, tmp_path / "again.png"), made_from(tmp_path / "again.png")) == before


def test_a_picture_that_is_cut_off_is_told_and_changes_nothing(visit, pictures, tmp_path):
    page = visit()
    set_up(page, pictures)
    assert paint(page).startswith("Done after 5 iterations")
    before = saved(page, tmp_path / "painted.png")
    whole = (tmp_path / "painted.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: whole.index(b"IDAT") - 4])
    set_value(page, "size", 96)
    page.set_input_files("#recipe", tmp_path / "cut.png")
    wait_for(page, "This picture is damaged: use the file as it was saved.")
    page.reload()
    page.wait_for_selector("#download:visible")
    assert page.input_value("#size") == "96" and saved(page, tmp_path / "kept.png") == before


def test_a_kept_picture_that_cannot_be_shown_is_dropped(visit):
    page = visit()
    set_value(page, "size", 96)
    page.evaluate("async () => (await import('/memory.js')).keepFile('result', new Blob(['no picture']))")
    page.reload()
    page.wait_for_selector("main:not([hidden])")
    assert page.input_value("#size") == "96" and page.is_disabled("#continue")


def test_a_page_left_while_it_paints_asks_and_keeps_what_there_is(visit, pictures, tmp_path):
    page = visit()
    set_up(page, pictures, iterations=500)
    slow_down(page, 50)
    page.click("#paint")
    wait_for(page, "Iteration 3")
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.type), dialog.accept()))
    page.reload()
    wait_for(page, "Painting was interrupted")
    assert asked == ["beforeunload"]
    set_value(page, "iterations", 2)
    page.click("#continue")
    assert status(page).startswith("Done after 2 iterations")
    assert saved(page, tmp_path / "on.png").start == "image"


def test_a_link_of_either_page_opens_this_one_with_its_settings_and_example(visit, address):
    page = visit("?style=marbled_paper&size=96&style_weight=2&network=vgg19-small&colour=luminance")
    wait_for(page, "Colour is luminance in it; this page knows only style.")
    assert [page.input_value(f"#{name}") for name in ("size", "network")] == ["96", "vgg19-small"]
    page.wait_for_selector("[data-examples=style] [value=marbled_paper][aria-pressed=true]")
    page.wait_for_selector("[data-examples=content] [aria-pressed=true]")
    page.get_by_text("Share and restore").click()
    page.click("#link")
    link = page.inner_text("#address")
    assert link.startswith(f"{address}?") and "style=marbled_paper" in link and "size=96" in link
    other = visit(link.removeprefix(address))
    other.wait_for_selector("[data-examples=style] [value=marbled_paper][aria-pressed=true]")
    assert [other.input_value(f"#{name}") for name in ("size", "network")] == ["96", "vgg19-small"]
    set_value(other, "size", 64)
    other.reload()
    other.wait_for_selector("main:not([hidden])")
    assert other.input_value("#size") == "64"  # what was set after the link was opened


@pytest.mark.parametrize("cut", ["?size=96&start=nois", "?content_layers=relu4_2=x"])
def test_a_link_that_was_cut_is_told(visit, cut):
    wait_for(visit(cut), "This link can't be used: copy it whole.")


def test_a_seed_beyond_the_largest_is_not_taken(visit, facts):
    page = visit()
    page.get_by_text("Share and restore").click()
    for more, taken in ((0, True), (1, False)):
        set_value(page, "seed", facts["limits"]["seed"]["most"] + more)
        page.click("#link")
        assert ("seed=" in page.inner_text("#address")) is taken
        set_value(page, "seed", 0)


@pytest.fixture
def in_editor(visit, serve_folder, address):
    """Opens a stand-in for Photopea, on another site, and the page in it as a plugin: both."""

    def open_editor(named=None, to=address, **options):
        plugin = f"{to}?{urlencode({'editor': named or editor})}"
        page = visit(f"editor.html?{urlencode({'plugin': plugin})}", to=editor, others=[to], **options)
        page.frame_locator("iframe").locator("main:not([hidden])").wait_for()
        return page, page.frames[1]

    with serve_folder(Path(__file__).parent, {}) as served:
        editor = served.replace("127.0.0.1", "localhost")
        yield open_editor


@pytest.mark.parametrize("headers", [ISOLATION, {}])
def test_in_an_editor_the_open_picture_comes_in_and_the_painting_goes_out(
    in_editor, serve_folder, site, picture, pictures, tmp_path, headers
):
    with serve_folder(site, headers) as address:
        page, plugin = in_editor(to=address, service_workers="allow")
        set_up(plugin, pictures)
        plugin.click("#take")
        wait_for(plugin, "No picture is open in the editor: open one there first.")
        photo = picture("open.png", (400, 301))
        page.evaluate("openPicture", f"data:image/png;base64,{base64.b64encode(photo.read_bytes()).decode()}")
        plugin.click("#take")
        wait_for(plugin, "The photograph is now what the editor shows.")
        assert plugin.is_hidden("#give") and plugin.is_hidden("#plugin")
        assert paint(plugin).startswith("Done after 5 iterations")
        with page.expect_download() as download:
            plugin.click("#download")
        download.value.save_as(tmp_path / "painted.png")
        assert made_from(tmp_path / "painted.png").content == pixels_fingerprint(open_image(photo))
        plugin.click("#give")
        wait_for(plugin, "The editor has the painting: it appears there as a new layer.")
        page.wait_for_function("() => documents[0].layers.length === 2")
        assert page.evaluate("documents[0].layers.map(({ width, height }) => [width, height])") == [[400, 301]] * 2
        shown = base64.b64decode(page.evaluate("shown(documents[0]).toDataURL().split(',')[1]"))
        (tmp_path / "shown.png").write_bytes(shown)
        given, painted = open_image(tmp_path / "shown.png"), open_image(tmp_path / "painted.png")
        assert given.shape[-2:] == (301, 400) and painted.shape[-2:] == (48, 64)
        assert float((resize(given, (48, 64)) - painted).abs().mean()) < 0.02


#: Has a window say again and again what a plugin waits for.
SAY = "setInterval(() => {}.postMessage('size 80 60', '*'), 50)"


@pytest.mark.parametrize(
    ("named", "say"),
    [
        ("https://www.photopea.com", SAY.format("frames[0]")),  # is not the page around it
        (
            None,
            "document.body.appendChild(document.createElement('iframe')).contentWindow"
            f".eval(`{SAY.format('parent.frames[0]')}`)",
        ),
    ],
)
def test_in_an_editor_nobody_else_is_told_anything_or_listened_to(in_editor, named, say):
    page, plugin = in_editor(named)
    page.evaluate("silent = true")
    page.evaluate(say)
    plugin.click("#take")
    wait_for(plugin, "The editor does not answer: close this panel and open it again.")
    assert bool(page.evaluate("heard.length")) == (named is None)


def test_outside_an_editor_there_is_a_link_that_opens_one_with_the_page(visit, address):
    page = visit("?editor=https://www.photopea.com")
    assert page.is_hidden("#take") and page.is_hidden("#give")
    page.get_by_text("Use it in Photopea").click()
    editor, configuration = page.get_by_role("link", name="Open Photopea").get_attribute("href").split("#")
    (plugin,) = json.loads(unquote(configuration))["environment"]["plugins"]
    assert editor == "https://www.photopea.com" and plugin["url"] == f"{address}?editor={editor}"
    assert page.request.get(plugin["icon"]).ok and plugin["name"] == "Paint on your own device"
