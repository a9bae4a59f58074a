"""Values with a unit, or with a word in the place of a number; the config file may hold them as numbers."""

from __future__ import annotations

import re

from adascale.engine.errors import UsageError

_COUNT = re.compile(r"(\d+(?:\.\d+)?)([kKmM]?)")
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|)")
_SECONDS = {"ms": 0.001, "s": 1.0, "": 1.0, "m": 60.0, "h": 3600.0}


def parse_count(option: str, text: object) -> int:
    """``1500``, ``8k`` or ``1.5m`` as a positive integer."""
    match = _COUNT.fullmatch(str(text).strip())
    value = int(float(match[1]) * {"": 1, "k": 1_000, "m": 1_000_000}[match[2].lower()]) if match else 0
    if value <= 0:
        raise UsageError(f'{option} "{text}" is not a number of tokens', hint=f"for example {option} 8k")
    return value


def parse_duration(option: str, text: object) -> float:
    """``90s``, ``5m`` or plain seconds as positive seconds."""
    match = _DURATION.fullmatch(str(text).strip())
    value = float(match[1]) * _SECONDS[match[2]] if match else 0.0
    if value <= 0:
        raise UsageError(f'{option} "{text}" is not a time', hint=f"for example {option} 90s")
    return value


def parse_gpu_layers(text: object) -> int | None:
    """``auto`` as None, ``all`` as -1, else the number."""
    text = str(text)
    if text in ("auto", "all"):
        return None if text == "auto" else -1
    if not re.fullmatch(r"-1|\d+", text):
        raise UsageError(f'--gpu-layers "{text}" is not auto, all or a number', hint="--gpu-layers auto")
    return int(text)
