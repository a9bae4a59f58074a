"""Sizes for people: decimal units, one decimal from a gigabyte on."""

from __future__ import annotations


def human_bytes(count: int) -> str:
    """``98 MB`` or ``1.1 GB``; below a megabyte ``12 kB``."""
    if count >= 10**9:
        return f"{count / 10**9:.1f} GB"
    if count >= 10**6:
        return f"{count / 10**6:.0f} MB"
    return f"{count / 10**3:.0f} kB"


def gigabytes(count: int) -> str:
    """``0.7`` for 700 MB: a number to stand beside another one in the same sentence."""
    return f"{count / 10**9:.1f}"
