"""Fields that a body has in every protocol: model, seed, and sampling parameters.

The sampling parameters have the names of OpenAI, llama.cpp and vLLM.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from adascale.engine.sampling import SamplingChange

from ..wire.http import Refusal
from .fields import Fields, Seed
from .tool_fields import Probability

_GREEDY_BELOW = 0.01
"""A temperature below this means greedy decoding."""

_MAX_BIASES = 1024
_MAX_TOKEN = 1 << 24

Penalty = Annotated[float, Field(ge=-100, le=100)]
Bias = Annotated[float, Field(ge=-100, le=100)]


def _biases(value: Any) -> Any:
    """Biases by token id; JSON has the ids as strings."""
    if not isinstance(value, Mapping):
        return value
    try:
        return {int(token): bias for token, bias in value.items()}
    except ValueError:
        raise Refusal.of_field("logit_bias", "its names have to be ids of tokens") from None


Biases = Annotated[
    dict[Annotated[int, Field(ge=0, le=_MAX_TOKEN)], Bias],
    Field(max_length=_MAX_BIASES),
    BeforeValidator(_biases),
]


class Body(Fields):
    """Fields that a body has in every protocol."""

    model: str | None = None
    """Name of the model, alone or with an effort, as ``NAME:high``."""
    seed: Seed = None
    """Random seed; the same seed gives the same solutions."""
    stream: bool = False
    """Answer in server-sent events."""
    min_probability: Probability = 0.0
    """Probability below which no tool is called; the reply then says so."""
    temperature: Annotated[float, Field(ge=0, le=100)] | None = None
    """0 asks for one greedy reply."""
    top_k: Annotated[int, Field(ge=-1, le=1 << 24)] | None = None
    """Number of likeliest tokens to keep; 0 or -1 keeps all."""
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    """Drop tokens that are less likely than this share of the likeliest one."""
    repeat_penalty: Annotated[float, Field(ge=0.01, le=100)] | None = None
    repetition_penalty: Annotated[float, Field(ge=0.01, le=100)] | None = None
    """Another name of ``repeat_penalty``."""
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: Biases | None = None
    """Numbers to add to the logits of tokens, by token id."""

    @property
    def wants_greedy(self) -> bool:
        """True if the client wants one greedy reply."""
        return self.temperature is not None and self.temperature < _GREEDY_BELOW

    def sampling(self, *, is_greedy: bool) -> SamplingChange:
        """The parameters that are set, without those that have no effect.

        Greedy decoding needs no filters, and a search cannot have temperature 0.
        """
        repeat = self.repeat_penalty if self.repeat_penalty is not None else self.repetition_penalty
        change = SamplingChange(
            repeat_penalty=repeat,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            logit_bias=tuple(sorted(self.logit_bias.items())) if self.logit_bias else None,
        )
        if is_greedy:
            return change
        top_k = None if self.top_k is None else max(0, self.top_k)
        temperature = None if self.wants_greedy else self.temperature
        return replace(change, temperature=temperature, top_k=top_k, top_p=self.top_p, min_p=self.min_p)
