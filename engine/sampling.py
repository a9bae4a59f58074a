"""A sampler of one question's own, in the place of the one that the open models have for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class SamplingChange:
    """Numbers of the sampler that one question asks for; None leaves a number as it is for all questions.

    Attributes:
        temperature: Above 0; greedy draws ignore it.
        top_k: Candidates kept first; 0 for all.
        top_p: Share of probability kept, in [0, 1].
        min_p: Candidates less likely than this share of the likeliest one are dropped, in [0, 1].
        repeat_penalty: Divides positive logits of recent tokens, and multiplies negative ones; 1 for none.
        presence_penalty: Taken from the logit of each token that the solution has.
        frequency_penalty: Taken from it once more for each time that the token stands there.
        logit_bias: Tokens, each with what is added to its logit.
        max_tokens: Tokens of one solution without its thoughts, at least 1.
        logprobs: Number of likeliest tokens that are recorded with each token and its log-probability; None
            to record none.
    """

    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repeat_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: tuple[tuple[int, float], ...] | None = None
    max_tokens: int | None = None
    logprobs: int | None = None

    @property
    def numbers(self) -> dict[str, Any]:
        """The numbers of the sampler that are given, by name."""
        given = asdict(self)
        return {name: value for name, value in given.items() if value is not None and name != "logprobs"}

    @property
    def odds(self) -> dict[str, Any]:
        """The given numbers that change how likely a token is: with any, fitted estimates become rough."""
        return {name: value for name, value in self.numbers.items() if name != "max_tokens"}

    def beyond(self, usual: Mapping[str, Any]) -> Self:
        """The change without numbers that are the usual ones; a filter or penalty left out there is off."""
        same = [name for name, value in self.odds.items() if value == usual.get(name, _OFF.get(name, 0))]
        return replace(self, **dict.fromkeys(same))


_OFF: Mapping[str, Any] = {"repeat_penalty": 1.0, "logit_bias": (), "top_p": 1.0, "temperature": None}
"""Numbers that change nothing, where that is not 0."""

AS_USUAL = SamplingChange()
"""The sampler that the open models have for all questions."""
