"""What a person reads when something is wrong: every sentence stands in sentences.txt, to be read as English."""

import re
import shlex
from pathlib import Path

import pytest

from toolkit.cli import main

GOLDEN = re.findall(r"^\$ (.+)\n(.+)$", (Path(__file__).parent / "sentences.txt").read_text(), re.MULTILINE)


def files(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(("command", "sentence"), GOLDEN)
def test_a_mistake_ends_with_its_sentence_and_status_two_and_writes_nothing(
    wrong_desk, command, sentence, capsys, monkeypatch
):
    monkeypatch.chdir(wrong_desk)
    before = files(wrong_desk)
    try:
        status = main(shlex.split(command))
    except SystemExit as ended:
        status = ended.code
    assert status == 2 and files(wrong_desk) == before
    assert capsys.readouterr().err.strip().splitlines()[-1] == sentence
