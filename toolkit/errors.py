"""The one exception that is meant for a person."""

import difflib
from collections.abc import Iterable


class ToolkitError(Exception):
    """Something a person can put right; its text is one sentence that says what was wrong and what to do."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """What to append to "unknown …": the nearest of the known names, or all of them when none is near."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else f"choose among {', '.join(known)}."
