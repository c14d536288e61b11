"""The figures of the papers: every command on their page runs, and every file beside it is used there."""

import re
import shlex
from pathlib import Path

import toolkit
from toolkit.cli import main

FOLDER = Path(toolkit.__file__).parent / "examples" / "paper"
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")
COMMANDS = "".join(re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)).replace("\\\n", "").splitlines()

SMALL = ["--network", "vgg19-small", "--size", "32", "--iterations", "1"]


def test_every_figure_is_made_by_its_command(tmp_path, monkeypatch):
    for name in ("demo", "toolkit"):
        (tmp_path / name).symlink_to(FOLDER.parents[2] / name)
    monkeypatch.chdir(tmp_path)
    for command in COMMANDS:
        python, option, program, *words = shlex.split(command)
        assert (python, option, program) == ("python", "-m", "toolkit")
        assert main([*words, *SMALL]) == 0
        assert Path(words[words.index("--output") + 1]).is_file()


def test_every_recipe_and_sheet_is_on_the_page():
    named = set(re.findall(r"(?:paper/|\]\()([\w-]+\.(?:json|jpg))", PAGE))
    assert named == {path.name for path in FOLDER.iterdir()} - {"README.md"}
