"""Sizes in bytes, as people write them."""

import argparse

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}


def byte_count(text: str) -> int:
    """``4GB``, ``600 MB`` or a number of bytes."""
    plain = text.replace(" ", "").upper()
    number = plain.rstrip("KMGB")
    try:
        return max(1, int(float(number) * UNITS[plain[len(number) :]]))
    except (ValueError, KeyError):
        raise argparse.ArgumentTypeError(f"{text!r} is no size such as 4GB or 600MB") from None
