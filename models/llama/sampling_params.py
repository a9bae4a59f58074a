"""How a token is drawn, without anything that draws one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How a token is drawn.

    Attributes:
        temperature: Above 0; the greedy strategy ignores it.
        top_k: Candidates kept first; without it top_p alone costs 1.8 ms a token over 152k entries.
        top_p: Share of probability kept, in (0, 1].
        max_tokens: Tokens of one trajectory; a longer one ends with finish "length".
    """

    temperature: float = 0.5
    top_k: int = 40
    top_p: float = 0.95
    max_tokens: int = 768

    @classmethod
    def fitted(cls, known: Mapping[str, float]) -> Self:
        """The sampler that a calibration was fitted with, by name; what it does not tell is as usual."""
        told: dict[str, Any] = {name: known[name] for name in cls.__slots__ if name in known}
        return cls(**told)
