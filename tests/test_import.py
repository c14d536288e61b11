"""What ``import toolkit`` does to the program that imports it."""

import subprocess
import sys


def test_a_host_keeps_its_settings_and_waits_for_nothing():
    program = """
import os, sys
before = dict(os.environ)
import toolkit
assert dict(os.environ) == before and "torch" not in sys.modules
assert toolkit.Recipe.preset("texture").size == 512 and "torch" not in sys.modules
assert set(toolkit.__all__) >= {"load_network", "Synthesis"} and callable(toolkit.open_image)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
