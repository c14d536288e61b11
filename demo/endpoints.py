"""Handlers as Gradio calls them: with the checked values of controls by name, and a sentence for every fault."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, get_args

import gradio as gr
from gradio.events import api

from toolkit.errors import ToolkitError

from .jobs import log_fault
from .validation import checked, type_of

#: Controls by the name of the parameter that gets their value.
Controls = Mapping[str, Any]

#: New values by component, as a handler returns or yields them.
Updates = dict[Any, Any]

#: What a script or an assistant is told: a picture, a sentence, and further files.
Answer = tuple[gr.FileData, str, list[gr.FileData]]

#: Options of events that take no time.
QUICK: dict[str, Any] = {"queue": False, "show_progress": "hidden"}


def handler(function: Callable[..., Any], controls: Controls) -> Callable[..., Any]:
    """The function as Gradio calls it, with values by position; it must not preprocess them.

    Args:
        function: takes the controls' values by name, before them ``gr.Request`` or ``gr.SelectData`` if it asks.
        controls: by name.
    """
    signature = inspect.signature(function)
    asked = [each for each in signature.parameters.values() if each.annotation in ASKED]
    sent = [
        inspect.Parameter(
            name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=control.value, annotation=type_of(control)
        )
        for name, control in controls.items()
    ]
    name = function.__name__

    def by_name(values: tuple[Any, ...]) -> dict[str, Any]:
        pairs = zip(controls.items(), values, strict=True)
        return {name: checked(control, value) for (name, control), value in pairs}

    def call(*values: Any) -> Any:
        with _explained(name):
            return _or_skip(function(*values[: len(asked)], **by_name(values[len(asked) :])))

    def generate(*values: Any) -> Iterator[Any]:
        with _explained(name):
            yield from map(_or_skip, function(*values[: len(asked)], **by_name(values[len(asked) :])))

    handles: Any = call
    returns = signature.return_annotation
    if inspect.isgeneratorfunction(function):
        handles, returns = generate, get_args(returns)[0]
    handles.__name__, handles.__doc__ = name, _description(function, controls)
    handles.__signature__ = inspect.Signature([*asked, *sent], return_annotation=returns)
    handles.__annotations__ = {each.name: each.annotation for each in (*asked, *sent)}
    return handles


#: What Gradio gives a handler that asks for it.
ASKED = (gr.Request, gr.SelectData)


def listen(
    event: Callable[..., Any], function: Callable[..., Any], controls: Controls, outputs: list[Any], **options: Any
) -> Any:
    """Has an event of the page call a handler, which is no endpoint for scripts.

    Args:
        event: such as ``button.click``.
        function: takes the controls' values by name, and returns or yields updates by component.
        controls: by name.
        outputs: the components that it may update.
        options: of the event.

    Returns:
        The event of the handler's end, to which more can be added.
    """
    return event(
        handler(function, controls),
        list(controls.values()),
        outputs,
        preprocess=False,
        api_visibility="private",
        **options,
    )


def offer(
    function: Callable[..., Iterator[Updates]],
    controls: Controls,
    picture: Any,
    sentence: Any,
    *files: Any,
    name: str = "",
    wrap: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda function: function,
    **options: Any,
) -> None:
    """Offers a handler to scripts and assistants; it gives them an ``Answer``.

    Args:
        function: takes a request and the controls' values by name, and yields updates.
        controls: by name; they describe the parameters.
        picture: the component whose update holds the picture.
        sentence: the same of the sentence.
        files: the same of further files; a gallery's are with or without captions.
        name: of the endpoint, if not the function's.
        wrap: is applied to the function that yields answers.
        options: of ``gr.api``.
    """

    def answers(request: gr.Request, **values: Any) -> Iterator[Answer]:
        shown: Updates = {}
        for updates in function(request, **values):
            shown |= updates
            paths = [path for each in files for path in _paths(shown.get(each))]
            yield _file(shown.get(picture)), shown[sentence], list(map(_file, paths))

    answers.__name__, answers.__doc__ = function.__name__, function.__doc__
    api(handler(wrap(answers), controls), api_name=name or function.__name__, **options)


def _paths(value: Any) -> list[Any]:
    if not isinstance(value, list):
        return [] if value is None else [value]
    return [each[0] if isinstance(each, tuple) else each for each in value]


def _file(path: str | None) -> Any:
    return None if path is None else gr.FileData(path=path).model_dump()


def _or_skip(updates: Any) -> Any:
    """The updates; of none Gradio must be told so in its own way."""
    return gr.skip() if updates == {} else updates


def session(request: gr.Request) -> str:
    """The name of the visitor's session."""
    return str(request.session_hash)


def _description(function: Callable[..., Any], controls: Controls) -> str:
    parameters = [
        f"    {name}: {getattr(control, 'info', None) or getattr(control, 'placeholder', None) or control.label}"
        for name, control in controls.items()
        if hasattr(control, "label")
    ]
    return "\n".join([inspect.getdoc(function) or "", "", "Args:", *parameters])


@contextmanager
def _explained(name: str) -> Iterator[None]:
    """Tells the visitor of every fault in a sentence; logs those that nobody foresaw."""
    try:
        yield
    except gr.Error:
        raise
    except ToolkitError as error:
        raise gr.Error(str(error), print_exception=False) from error
    except Exception as error:
        number = log_fault(name, error)
        sentence = (
            f"This did not work (log {number}): load the page again, and retry. "
            "Scripts send images as files, and a value for every input."
        )
        raise gr.Error(sentence, print_exception=False) from error
