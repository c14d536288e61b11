"""What the page uses of Gradio that Gradio does not document: each test fails when it changes."""

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import gradio as gr
import pytest

from demo.gradio_internals import (
    CheckedBlocks,
    as_path,
    as_paths,
    declare_files,
    on_load,
    readable_answer,
    remove_from_queue,
)


def run(coroutine):
    """In a thread of its own: this one has a loop once a browser was opened."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def test_every_request_comes_through_process_api_with_its_inputs_and_its_state():
    parameters = list(inspect.signature(gr.Blocks.process_api).parameters)
    assert parameters[:4] == ["self", "block_fn", "inputs", "state"]
    assert inspect.iscoroutinefunction(gr.Blocks.process_api)


def test_what_is_sent_is_checked_and_a_fault_is_explained():
    seen = []

    def check(field, value):
        seen.append((field.label, value))
        return value + 1

    def explain(name, error):
        return gr.Error(f"{name}: {error}")

    with CheckedBlocks(check, explain) as blocks:
        number = gr.Number(label="Number")
        number.submit(lambda value: 6 / value, number, number, api_name="divide")
    (function,) = blocks.fns.values()
    answer = run(blocks.process_api(function, [2]))
    assert seen == [("Number", 2)] and answer["data"] == [2]
    with pytest.raises(gr.Error, match="divide: division by zero"):
        run(blocks.process_api(function, [-1]))


def test_a_queue_forgets_a_sessions_events():
    with gr.Blocks() as blocks:
        pass
    blocks.queue()
    assert "session_hash" in inspect.signature(blocks._queue.clean_events).parameters
    run(remove_from_queue(blocks, "nobody"))


def test_components_pass_the_paths_of_files_on_unopened():
    def sent(path):
        return SimpleNamespace(path=path)

    image = as_path(gr.Image(type="filepath", render=False))
    assert image.preprocess(sent("x.png")) == "x.png" and image.preprocess(None) is None
    with pytest.raises(gr.Error, match="Send images as files"):
        image.preprocess(sent(None))
    assert as_path(gr.File(render=False)).preprocess(sent("x.tif")) == "x.tif"
    gallery = as_paths(gr.Gallery(type="filepath", render=False))
    assert gallery.preprocess(SimpleNamespace(root=[SimpleNamespace(image=sent("a"))])) == ["a"]
    assert gallery.preprocess(None) == []


def test_a_load_event_belongs_to_the_page():
    with gr.Blocks() as blocks, gr.Tab("A tab"):
        text = gr.Textbox()
        on_load(lambda: "there", None, text)
    assert [(target[0] and None, target[1]) for fn in blocks.fns.values() for target in fn.targets] == [(None, "load")]


def test_every_path_is_declared_a_file_however_deep():
    mark = {"_type": "gradio.FileData"}
    sent = {"layers": [{"path": "a", "meta": {"_type": "other"}}, 5], "name": "b"}
    assert declare_files(sent) == {"layers": [{"path": "a", "meta": mark}, 5], "name": "b"}


def test_an_assistant_is_told_words_files_and_the_first_images():
    def contents(piece):
        if isinstance(piece, dict):
            return [SimpleNamespace(type="image", text=piece["path"]), SimpleNamespace(type="text", text="at")]
        return [SimpleNamespace(type="text", text=piece)]

    outputs = [
        [{"image": {"path": "a"}, "caption": "first"}, {"image": {"path": "b"}, "caption": None}],
        "<style>.x {}</style><p>Some <b>words</b></p><svg><text>0</text></svg>",
        {"path": "a"},
        ({"path": "c"}, None),
        {"columns": ["x", "y"], "data": [[n, n] for n in range(50)]},
        {"__type__": "update"},
        {"source": "here"},
    ]
    told = [(content.type, content.text) for content in readable_answer([outputs], contents)]
    assert told[:5] == [("text", "first"), ("image", "a"), ("text", "at"), ("image", "b"), ("text", "at")]
    assert told[5:7] == [("text", "Some words"), ("text", "at")]
    assert told[7][1].splitlines()[:2] == ["x, y", "30, 30"] and told[8:] == [("text", '{"source": "here"}')]
