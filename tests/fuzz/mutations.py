"""Hypothesis strategies for what was whole once: bytes, and JSON by its structure."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Sequence
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

DEEP = "\0deep\0"
"""Stands for an array nested a hundred thousand times, which json cannot write."""

NUMBERS = [0, 1, -1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1, 10**400, 0.5, -1e308, 1e308, float("nan")]
TEXTS = ["", " ", "x" * 20_000, "\x1b[2J", "\u202e<script>", "\ud800", "../../x", "0", "\0"]
ODD = st.sampled_from([None, True, False, [], {}, [[]], {"": None}, DEEP, float("inf"), *NUMBERS, *TEXTS])
"""JSON values that a reader may not expect."""

_WORDS = [(0).to_bytes(8, "little"), b"\xff" * 4, b"\xff" * 8, (2**31).to_bytes(4, "little"), b"\x00" * 3]


FEW = settings(
    max_examples=60, derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
"""Always the same examples."""


@st.composite
def mutated_bytes(draw: st.DrawFn, samples: Sequence[bytes]) -> bytes:
    """A sample with one to four changes."""
    data = bytearray(draw(st.sampled_from(samples)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(["flip", "replace", "insert", "delete", "repeat", "cut"])):
            case "flip":
                data[at : at + 1] = bytes(byte ^ (1 << draw(st.integers(0, 7))) for byte in data[at : at + 1])
            case "replace":
                word = draw(st.sampled_from(_WORDS) | st.binary(min_size=1, max_size=8))
                data[at : at + len(word)] = word
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=16))
            case "delete":
                del data[at : at + draw(st.integers(1, 64))]
            case "repeat":
                data[at:at] = data[at : at + draw(st.integers(1, 256))]
            case "cut":
                del data[at:]
    return bytes(data)


@st.composite
def mutated_json(draw: st.DrawFn, value: Any) -> Any:
    """A JSON value of which one to three parts are replaced by odd ones, or missing."""
    changed = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        places = [*_places(changed)]
        if not places:
            return draw(_odd_values())
        parent, key = draw(st.sampled_from(places))
        if draw(st.integers(0, 4)):
            parent[key] = draw(_odd_values())
        else:
            del parent[key]
    return changed


def _odd_values() -> st.SearchStrategy[Any]:
    """Copies, since the next change may be inside of one."""
    return ODD.map(copy.deepcopy)


def encode_json(value: Any) -> bytes:
    """JSON as Python writes it, with NaN, and nested as deeply as ``DEEP`` says."""
    text = json.dumps(value)
    return text.replace(json.dumps(DEEP), "[" * 100_000 + "]" * 100_000).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Each container and key of a JSON value, to be replaced or deleted there."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in [*keys]:
        yield value, key
        yield from _places(value[key])
