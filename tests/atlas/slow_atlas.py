"""Measures an atlas slowly, saving often: a program for a test to kill. Arguments: network, folder, file, layers."""

import sys
import time
from pathlib import Path

from toolkit.atlas import measure
from toolkit.data.sources import list_images
from toolkit.device import find_device
from toolkit.network import load_network

source, folder, partial, *layers = sys.argv[1:]
network = load_network(source).to(find_device("auto"))
network.register_forward_pre_hook(lambda *_: time.sleep(0.2))
images = list_images(Path(folder))
for _ in measure(network, images, layers, partial=Path(partial), seconds_between_saves=0):
    if Path(partial).exists():
        time.sleep(600)  # until it is killed
