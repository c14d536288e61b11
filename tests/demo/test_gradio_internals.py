"""What the page uses of Gradio that Gradio does not document: each test fails when it changes."""

import asyncio
import inspect
from concurrent.futures import ThreadPoolExecutor

import gradio as gr
import pytest
from PIL import Image

from demo.gradio_internals import as_layer, remove_from_queue


def run(coroutine):
    """In a thread of its own: this one has a loop once a browser was opened."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def test_a_queue_forgets_a_sessions_events():
    with gr.Blocks() as blocks:
        pass
    blocks.queue()
    assert "session_hash" in inspect.signature(blocks._queue.clean_events).parameters
    run(remove_from_queue(blocks, "nobody"))


def test_a_layer_is_as_large_as_the_canvas_with_its_paint_in_the_corner():
    paint = Image.new("RGBA", (4, 2), "red")
    layer = as_layer(paint, 8)
    assert layer.size == (8, 8) and layer.crop((0, 0, 4, 2)).tobytes() == paint.tobytes()
    assert layer.getbbox() == (0, 0, 4, 2)


def test_the_server_of_tools_makes_its_client_in_one_place():
    tools = pytest.importorskip("gradio.mcp", reason="needs gradio[mcp]")
    assert list(inspect.signature(tools.GradioMCPServer._get_or_create_client).parameters) == ["self"]
    assert "_client_instance" in inspect.getsource(tools.GradioMCPServer.__init__)
