"""The example pictures leave nothing behind."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
from pathlib import Path
from demo.examples import content_files
assert content_files() == content_files() and all(Path(path).stat().st_size for path in content_files())
"""


def test_photographs_are_written_once_and_deleted_with_the_process(tmp_path):
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", PROGRAM], env=environment, check=True)
    assert not list(tmp_path.glob("photographs-*"))
