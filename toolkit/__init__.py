"""Normalised VGG networks (Gatys, Ecker & Bethge 2016) and images synthesised with them."""

import os

__version__ = "0.1.0"

# PyTorch reads it when it first makes a tensor; it then asks Linux for pages of 2 MB where tensors are larger. Tiles
# take 13 to 22 % less time with them, and no more memory (measured at 6000 x 4000 and 2048 x 1536 pixels).
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
