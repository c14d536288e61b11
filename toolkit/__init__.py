"""Normalised VGG networks (Gatys, Ecker & Bethge 2016) and images synthesised with them."""

__version__ = "0.1.0"
