"""The command line, ``python -m toolkit COMMAND``: a job's options in, its outcome out."""

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from inspect import getdoc

from . import __version__, jobs
from .commands.options import add_options, told
from .commands.progress import shown
from .errors import ToolkitError
from .printing import messages_printed, unbroken_printing, warnings_as_notes
from .process import configure_threads, keep_freed_memory, stopped_like_ctrl_c

COMMANDS: dict[str, type[jobs.Job]] = {
    "transfer": jobs.Transfer,
    "reconstruct": jobs.Reconstruction,
    "texture": jobs.Texture,
    "amalgamate": jobs.Amalgamation,
    "study": jobs.StudyJob,
    "normalize": jobs.Normalize,
    "atlas": jobs.AtlasJob,
    "export": jobs.Export,
    "convert": jobs.Convert,
    "compare": jobs.Compare,
    "judge": jobs.Judge,
    "bench": jobs.Bench,
    "inspect": jobs.Inspect,
    "publish": jobs.Publish,
    "site": jobs.Site,
}

EXAMPLES = """\
examples:
  python -m toolkit transfer photo.jpg painting.jpg --size 768
  python -m toolkit normalize torchvision/vgg16 ILSVRC2012_img_val --output vgg16.safetensors
  python -m toolkit inspect photo-painting.png
For the options of a command: python -m toolkit transfer --help
"""

STATUS = "Exit status: 0 when done, 2 for something you can put right, 130 when interrupted."


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Returns:
        The exit status: 0 when done, 2 for something the person can put right, 130 when interrupted.
    """
    configure_threads()  # before PyTorch is imported: its threads read these settings once
    with unbroken_printing(), warnings_as_notes(), messages_printed():
        named = [_at_home(argument) for argument in (sys.argv[1:] if arguments is None else arguments)]
        options = vars(_parser(named).parse_args(named))
        job, as_json = COMMANDS[options.pop("command")], options.pop("json", False)
        keep_freed_memory()
        try:
            with stopped_like_ctrl_c():
                return _run(job(**options), as_json)
        except ToolkitError as error:
            return _ended(error, told(error, job), 2)
        except OSError as error:  # that nothing closer to it has explained
            where = f"Could not read or write {error.filename}: " if error.filename else ""
            return _ended(error, f"error: {where}{error.strerror or error}.", 2)
        except KeyboardInterrupt as error:
            return _ended(error, f"Interrupted: {error.args[0]}" if error.args else "Interrupted.", 130)


def _run(job: jobs.Job, as_json: bool) -> int:
    """Does a job, or one for every pair of images in folders, and prints the outcomes."""
    failed = []
    for outcome in _outcomes(job):
        if isinstance(outcome, ToolkitError):
            failed.append(str(outcome))
            continue
        failed += outcome.failed
        if text := json.dumps(outcome.facts, indent=2) if as_json else outcome.text:
            print(text)
    for failure in failed:
        print(f"not made: {failure}", file=sys.stderr)
    return 2 if failed else 0


def _outcomes(job: jobs.Job) -> Iterator[jobs.Outcome | ToolkitError]:
    if isinstance(job, jobs.SynthesisJob) and job.many:
        with shown(job) as show:
            yield from jobs.every_pair(job, show)
    else:
        with shown(job) as show:
            outcome = job.run(show)
        yield outcome


def _ended(error: BaseException, sentence: str, status: int) -> int:
    """Prints why a job has ended, and what it has made before."""
    print(sentence, file=sys.stderr)
    for note in getattr(error, "__notes__", []):
        print(note)
    return status


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser; only a command that is named has options, as making them takes time."""
    parser = argparse.ArgumentParser(
        prog="python -m toolkit",
        description="Normalise VGG networks so that every filter's mean activation is one, and make images with them.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True, dest="command")
    for name, job in COMMANDS.items():
        summary, description, *_ = (getdoc(job) or "").split("\n\n")
        summary = summary.rstrip(".")
        command = commands.add_parser(
            name,
            help=summary[0].lower() + summary[1:],
            description=f"{summary}. {description}".replace("\n", " "),
            epilog=STATUS,
        )
        if name in arguments:
            add_options(command, job)
            if job.as_json:
                command.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _at_home(argument: str) -> str:
    """An argument or an option's value with ~ replaced by the home folder, which shells leave to us in places."""
    return re.sub("^(--[^=]+=)?(~.*)", lambda match: (match[1] or "") + os.path.expanduser(match[2]), argument)  # noqa: PTH111
